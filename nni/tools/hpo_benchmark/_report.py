"""Writes the two report files and the two graphs of each task and fold (HPO-423)."""

from __future__ import annotations

from collections import defaultdict
from itertools import accumulate
from pathlib import Path

from nni.common.errors import NniError
from nni.tools.hpo_benchmark._ranking import Result, ranks
from nni.tools.hpo_benchmark._tasks import SMALLER_IS_BETTER


def write_reports(results: list[Result], folder: Path) -> tuple[Path, Path]:
    """Write ``reports/performances.txt`` and ``reports/rankings.txt``; return their paths."""
    reports = folder / "reports"
    reports.mkdir(parents=True, exist_ok=True)
    performances, rankings = reports / "performances.txt", reports / "rankings.txt"
    performances.write_text(performances_text(results), encoding="utf-8")
    rankings.write_text(rankings_text(results), encoding="utf-8")
    return performances, rankings


def performances_text(results: list[Result]) -> str:
    """Return one line for each tuner, task, fold and seed: test metrics of what it found, or why there are none."""
    rows: list[tuple[str, ...]] = [("task", "fold", "seed", "tuner", "metrics on the test part", "seconds")]
    for result in sorted(results, key=lambda one: (one.task, one.fold, one.seed, one.tuner)):
        metrics = ", ".join(f"{name} {value:.4f}" for name, value in result.scores.items())
        told = result.problem or metrics
        rows.append(
            (result.task, str(result.fold), str(result.seed), result.tuner, told, f"{result.seconds:.1f}"),
        )
    return _aligned(rows)


def rankings_text(results: list[Result]) -> str:
    """Return the tuners by average rank, a table for each metric, and all metrics beside each other."""
    by_metric = ranks(results)
    blocks = []
    for metric, table in by_metric.items():
        rows: list[tuple[str, ...]] = [("tuner", "average rank")]
        rows += [(tuner, f"{rank:.2f}") for tuner, rank in sorted(table.items(), key=lambda item: item[1])]
        blocks.append(f"Average rankings for metric {metric} (1 is the best)\n\n{_aligned(rows)}")
    tuners = sorted({tuner for table in by_metric.values() for tuner in table})
    whole = [("tuner", *by_metric)]
    for tuner in tuners:
        found = (by_metric[metric].get(tuner) for metric in by_metric)
        whole.append((tuner, *("-" if rank is None else f"{rank:.2f}" for rank in found)))
    blocks.append(f"Average rankings by metric\n\n{_aligned(whole)}")
    return "\n".join(blocks)


def _aligned(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]]) + "\n"


def draw(results: list[Result], folder: Path) -> list[Path]:
    """Draw for each task and fold the best score so far and the score of each trial; return the files.

    Raises
    ------
    NniError
        matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415  (only where graphs are wanted)
    except ImportError as error:
        raise NniError("graphs need matplotlib; install it with: pip install nni[plot], or give --no-graphs") from error
    graphs = folder / "graphs"
    graphs.mkdir(parents=True, exist_ok=True)
    groups: dict[tuple[str, int], list[Result]] = defaultdict(list)
    for result in results:
        if result.trace:
            groups[result.task, result.fold].append(result)
    files = []
    for (task, fold), group in groups.items():
        for kind, title in (("best", "best score so far"), ("trials", "score of each trial")):
            figure = Figure(figsize=(8, 4.8), layout="constrained")
            axes = figure.add_subplot()
            for result in sorted(group, key=lambda one: one.tuner):
                _curve(axes, result, best=kind == "best")
            axes.set(xlabel="whole evaluations", ylabel=group[0].metric, title=f"{task}, fold {fold}: {title}")
            axes.legend(fontsize="small", loc="best")
            axes.grid(alpha=0.3)
            files.append(graphs / f"{task}_fold{fold}_{kind}.png")
            figure.savefig(files[-1], dpi=110)
    return files


def _curve(axes: object, result: Result, *, best: bool) -> None:
    ended = [(cost, score) for cost, score in result.trace if score is not None]
    costs = [cost for cost, _ in ended]
    scores = [score for _, score in ended]
    if best:
        scores = list(accumulate(scores, max))
    if result.metric in SMALLER_IS_BETTER:  # tuners maximise; people read the metric itself
        scores = [-score for score in scores]
    style = {"drawstyle": "steps-post"} if best else {"linewidth": 0.8, "marker": ".", "markersize": 3}
    label = result.tuner if result.seed == 0 else f"{result.tuner}, seed {result.seed}"
    axes.plot(costs, scores, label=label, **style)  # type: ignore[attr-defined]
