"""The overview: how the experiment stands, what is best so far, and what may be changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from nni.experiment.queries import BUDGET
from nni.webui.frame import SYMBOLS, show_status
from nni.webui.live import Live, OpenPage, Summary
from nni.webui.steering import Steering
from nni.webui.tags import Tag, button, words
from nni.webui.text import NOTHING, clock, duration, metric
from nni.webui.widgets import BestTrials, Charts

_TAIL = 64 * 1024  # bytes of a log in which its last traceback is looked for
_LOGS = ("dispatcher.log", "nnimanager.log", "dispatcher_stderr.log", "nnictl_stderr.log")
_ORDER = ["SUCCEEDED", "RUNNING", "WAITING", "FAILED", "EARLY_STOPPED", "USER_CANCELED", "SYS_CANCELED", "UNKNOWN"]


def build(live: Live, page: OpenPage, prefix: str) -> None:
    """Fill the page."""
    summary = page.summary
    editable = summary["status"] != "VIEWED"
    maximize, budgets = summary["optimizeMode"] == "maximize", live.experiment.queries.has_budgets
    with Tag("div", "grid overview"):
        with Tag("section", "card state", aria_label="State"):
            _state(live, page, prefix)
        with Tag("section", "card", aria_label="Limits"):
            _limits(live, page, editable=editable)
        with Tag("section", "card chart-card", aria_label="Default metric"):
            space = live.experiment.profile.config.get("searchSpace")
            Charts(summary["id"], maximize=maximize, budgets=budgets, search_space=space, only="metric")
        with Tag("section", "card facts", aria_label="Experiment"):
            _facts(page)
        with Tag("section", "card best", aria_label="Best trials"):
            BestTrials(summary["id"], maximize=maximize, budgets=budgets)


def _state(live: Live, page: OpenPage, prefix: str) -> None:
    with Tag("div", "row wrap baseline"):
        status = Tag("strong", "status-large")
        reason = Tag("span", "reason")
    problems = Tag("div", "problems")
    with Tag("div", "figures"):
        best_name, best = _figure("Best metric")
        _, ran = _figure("Duration")
        _, left = _figure("Remaining time")
        _, trials = _figure("Trials")
    with Tag("div", "bars"):
        by_number = _bar("Trials that have ended")
        by_time = _bar("Of the longest duration")
    counts = Tag("div", "counts")
    counted: dict[str, Tag] = {}
    with counts:
        for name in _ORDER:
            counted[name] = Tag("a", f"count status-{name}", href=f"{prefix}/detail?status={name}")
    nothing = Tag("p", "empty", "No trial yet. The first one starts as soon as the tuner has suggested its parameters.")
    failure = Tag("div", "failure")
    told: list[str] = []
    failures = 0

    def update(summary: Summary) -> None:
        nonlocal failures
        show_status(status, summary["status"])
        status.classes(add="status-large")
        reason.set_text("" if summary["status"] == "ERROR" else summary["waiting"] or "")
        if told != summary["errors"]:
            told[:] = summary["errors"]
            _show_problems(problems, told, page, summary["directory"])
        best_trial = summary["best"]
        best.set_text(NOTHING if best_trial is None else metric(best_trial["metric"]))
        best_name.set_text("Best metric" + _budget(best_trial))
        best.attributes(title=None if best_trial is None else f"trial {best_trial['sequence']} ({best_trial['id']})")
        ran.set_text(duration(summary["execDuration"]))
        ran.attributes(data_ticking=summary["execDuration"] if _goes_on(summary) else None)
        left.set_text(_remaining(summary))
        trials.set_text(_of(summary["trials"], summary["maxTrialNumber"]))
        _fill(by_number, ended(summary), summary["maxTrialNumber"], str)
        _fill(by_time, summary["execDuration"], summary["maxExperimentDuration"], duration)
        nothing.set_visibility(not summary["trials"] and (_goes_on(summary) or summary["status"] == "INITIALIZED"))
        for name, chip in counted.items():
            number = summary["counts"].get(name, 0)
            chip.set_text(f"{SYMBOLS[name]} {words(name)} {number}")
            chip.set_visibility(number > 0)
        if failures != summary["counts"].get("FAILED", 0):
            failures = summary["counts"].get("FAILED", 0)
            _show_failure(failure, live, failures, prefix)

    page.on_change(update)


def _budget(best: dict[str, Any] | None) -> str:
    """Return with which budget the best trial came to its result, if trials have budgets."""
    parameters = best["parameters"] if best else None
    budget = parameters.get(BUDGET) if isinstance(parameters, dict) else None
    return "" if budget is None else f", budget {budget}"


def _show_failure(place: Tag, live: Live, failures: int, prefix: str) -> None:
    """Tell of the newest trial that failed, with what it wrote to standard error."""
    place.clear()
    trial = live.experiment.queries.newest_failure()
    if trial is None:
        return
    with place:
        with Tag("p"):
            Tag("span", "", "One trial failed: " if failures == 1 else f"The newest of {failures} failures: ")
            Tag("a", "", f"trial {trial['sequence']}", href=f"{prefix}/detail?trial={trial['id']}")
            Tag("span", "problem", f" {trial['message']}")
        _show_traceback(last_traceback(Path(trial["directory"], "stderr")))


def _figure(name: str) -> tuple[Tag, Tag]:
    """Return the name of a figure, and its value."""
    with Tag("div", "figure"):
        return Tag("span", "figure-name", name), Tag("span", "figure-value")


def _bar(name: str) -> Callable[[float | None, str], None]:
    with Tag("div", "bar-row") as row:
        text = Tag("span", "bar-text")
        with Tag("div", "track", role="progressbar", aria_label=name, aria_valuemin=0, aria_valuemax=100) as track:
            filled = Tag("div", "filled")

    def show(share: float | None, what: str) -> None:
        row.set_visibility(share is not None)
        if share is not None:
            percent = round(100 * min(1.0, share))
            text.set_text(what)
            track.attributes(aria_valuenow=percent)
            filled.style(replace=f"width: {percent}%")

    return show


def _fill(
    bar: Callable[[float | None, str], None], done: float, limit: float | None, text: Callable[[Any], str]
) -> None:
    bar(None if not limit else done / limit, "" if not limit else f"{text(done)} of {text(limit)}")


def _show_problems(place: Tag, errors: list[str], page: OpenPage, directory: str) -> None:
    place.clear()
    if not errors:
        return
    log, trace = traceback_of(errors[-1], Path(directory, "log"))
    with place, Tag("div", "problem-box", role="alert"):
        for error in errors:
            Tag("strong", "", error)
        _show_traceback(trace)
        button("Learn about it in the logs", "small", lambda: page.viewers.logs(log, "Traceback" if trace else "ERROR"))


def _show_traceback(trace: str) -> None:
    if trace:
        with Tag("details"):
            Tag("summary", "", "Traceback")
            Tag("pre", "code", trace, tabindex="0")


def traceback_of(error: str, logs: Path) -> tuple[str, str]:
    """Return the log in which the traceback of an error stands, and the traceback; empty if there is none.

    The dispatcher's log is looked at first, the manager's own ones afterwards; one that ends as the error says is
    preferred to all others.
    """
    found = [(name, trace) for name in _LOGS if (trace := last_traceback(logs / name))]
    for name, trace in found:
        if trace.splitlines()[-1] in error:
            return name, trace
    return found[0] if found else ("nnimanager.log", "")


def last_traceback(path: Path) -> str:
    """Return the last traceback near the end of a log; empty if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            lines = file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    starts = [place for place, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
    if not starts:
        return ""
    block = [lines[starts[-1]]]
    for line in lines[starts[-1] + 1 :]:
        block.append(line)
        if line[:1] not in {" ", ""}:  # the exception itself ends it
            break
    return "\n".join(block)


def _limits(live: Live, page: OpenPage, *, editable: bool) -> None:
    steering = Steering(live)
    Tag("h2", "", "Limits")
    concurrency = _limit(
        "Trial concurrency", steering.concurrency, editable=editable, hint="Trials that run at the same time"
    )
    number = _limit("Max trials", steering.trial_number, editable=editable, hint="No further trial starts beyond")
    longest = _limit(
        "Max duration", steering.duration, editable=editable, hint="No further trial starts after this time"
    )
    space = _limit("Search space", steering.search_space, editable=editable, hint="What new trials are taken from")

    def update(summary: Summary) -> None:
        concurrency.set_text(str(summary["trialConcurrency"]))
        limit = summary["maxExperimentDuration"]
        number.set_text("no limit" if summary["maxTrialNumber"] is None else str(summary["maxTrialNumber"]))
        longest.set_text("no limit" if limit is None else duration(limit))
        known = live.experiment.profile.config.get("searchSpace") or {}
        space.set_text(f"{len(known)} parameter{'' if len(known) == 1 else 's'}")

    page.on_change(update)


def _limit(name: str, change: Callable[[], None], *, editable: bool, hint: str) -> Tag:
    with Tag("div", "limit", title=hint):
        Tag("span", "limit-name", name)
        value = Tag("span", "limit-value")
        if editable:
            button("Edit", "small", change, aria_label=f"Edit {name.lower()}")
    return value


def _facts(page: OpenPage) -> None:
    summary = page.summary
    Tag("h2", "", "Experiment")
    with Tag("dl", "facts-list"):
        rows = {
            "Name": summary["name"] or NOTHING,
            "ID": summary["id"],
            "Tuner": f"{summary['tuner'] or NOTHING} ({summary['optimizeMode']})",
            "Platform": summary["platform"],
            "Start": clock(summary["startTime"]),
        }
        for name, value in rows.items():
            Tag("dt", "", name)
            Tag("dd", "", value)
        Tag("dt", "", "Tuner says")
        note = Tag("dd")
        Tag("dt", "", "End")
        end = Tag("dd")
        Tag("dt", "", "Directory")
        Tag("dd", "path", summary["directory"])

    def update(now: Summary) -> None:
        end.set_text(clock(now["endTime"]))
        note.set_text(now["tunerNote"] or NOTHING)

    page.on_change(update)


def ended(summary: Summary) -> int:
    """Return how many trials have ended."""
    unfinished = sum(summary["counts"].get(name, 0) for name in ("WAITING", "RUNNING", "UNKNOWN"))
    return int(sum(summary["counts"].values()) - unfinished)


def _goes_on(summary: Summary) -> bool:
    return summary["status"] in {"RUNNING", "NO_MORE_TRIAL", "TUNER_NO_MORE_TRIAL"}


def _remaining(summary: Summary) -> str:
    """Return the time until the longest duration, or an estimate from the speed so far; never a negative one."""
    if not _goes_on(summary):
        return NOTHING
    limit, ran = summary["maxExperimentDuration"], summary["execDuration"]
    known = [] if limit is None else [max(0.0, limit - ran)]
    done, wanted = ended(summary), summary["maxTrialNumber"]
    if wanted and done:
        known.append(max(0.0, (wanted - done) * ran / done))
    if not known:
        return "not known yet" if wanted else "no limit"
    estimated = len(known) == 2 or limit is None
    return f"{'about ' if estimated else ''}{duration(min(known))}"


def _of(number: int, limit: int | None) -> str:
    return str(number) if limit is None else f"{number} of {limit}"
