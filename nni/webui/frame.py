"""What surrounds every page: name and status of the experiment, the way to the other pages, viewers, the look."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nicegui import ui

from nni.common.version import __version__
from nni.webui.live import Live, OpenPage, Summary
from nni.webui.tags import Tag, button, words
from nni.webui.viewers import Viewers
from nni.webui.widgets import Clock, address

FEEDBACK = "https://github.com/microsoft/nni/issues/new/choose"
PAGES = {"/oview": "Overview", "/detail": "Trials detail", "/experiments": "All experiments", "/compare": "Compare"}
_INTERVALS = {"Live": 0.0, "Every 10 s": 10.0, "Every 30 s": 30.0, "Every minute": 60.0, "Off": None}

SYMBOLS = {
    "INITIALIZED": "…", "RUNNING": "▶", "NO_MORE_TRIAL": "▶", "TUNER_NO_MORE_TRIAL": "▶", "DONE": "✓", "ERROR": "✕",
    "STOPPING": "■", "STOPPED": "■", "VIEWED": "◉", "WAITING": "…", "SUCCEEDED": "✓", "FAILED": "✕",
    "EARLY_STOPPED": "◐", "USER_CANCELED": "⊘", "SYS_CANCELED": "⊗", "UNKNOWN": "?",
}  # fmt: skip
"""Statuses differ in shape as well as in colour."""


@contextmanager
def frame(live: Live, api: str, active: str) -> Iterator[OpenPage]:
    """Build a page around what the caller adds.

    Parameters
    ----------
    live
        The experiment.
    api
        Path of the REST API below the prefix.
    active
        Path of the page.
    """
    page = live.open()
    client = ui.context.client
    client.on_delete(lambda: live.close(page))
    prefix = client.request.scope.get("root_path", "")
    summary = page.summary
    title = summary["name"] or summary["id"]
    ui.page_title(f"{title}: {PAGES.get(active, 'NNI')}")
    ui.add_head_html(f'<link rel="stylesheet" href="{prefix}{address("page.css")}">')
    ui.colors(primary="#0b5cad", positive="#0a6b4b", negative="#b3261e", warning="#7a4b00")
    client.content.classes("page")
    Tag("a", "skip", "Skip to the content", href="#content")
    with Tag("header", "bar"):
        _name(page, prefix)
        with Tag("nav", "tabs", aria_label="Pages"):
            for path, text in PAGES.items():
                current = "page" if path == active else None
                Tag("a", "tab", text, href=f"{prefix}{path}", aria_current=current)
        _tools(live, page, f"{prefix}{api}")
    Clock(f"{prefix}{api}").on("interval", lambda event: _take_interval(page, event.args))
    Tag("div", "banner lost", role="alert", id_="lost", hidden=True)
    if summary["status"] == "VIEWED":
        text = f"This experiment is stopped and only being viewed. To go on with it: nnictl stop {summary['id']}, then "
        Tag("div", "banner", f"{text}nnictl resume {summary['id']}")
    with Tag("main", "content", id="content", tabindex="-1"):
        yield page


def _name(page: OpenPage, prefix: str) -> None:
    with Tag("a", "brand", href=f"{prefix}/oview", aria_label="NNI, overview"):
        Tag("span", "brand-mark", "NNI")
    with Tag("div", "subject"):
        name = page.summary["name"] or "Experiment"
        Tag("span", "subject-name", name, title=name)
        Tag("span", "subject-id", page.summary["id"], title=page.summary["directory"])
    chip = Tag("span", "status-chip")

    def update(summary: Summary) -> None:
        show_status(chip, summary["status"])

    page.on_change(update)


def show_status(chip: Tag, status: str) -> None:
    """Let a chip tell a status, by words, symbol and colour."""
    chip.set_text(f"{SYMBOLS.get(status, '?')} {words(status)}")
    chip.classes(replace=f"status-chip status-{status}")


def _tools(live: Live, page: OpenPage, api: str) -> None:
    viewers = Viewers(live, api)
    with Tag("div", "tools"):
        button("Search space", "quiet", viewers.search_space, title="Show the search space")
        button("Config", "quiet", viewers.config, title="Show the configuration")
        button("Logs", "quiet", lambda: viewers.logs(), title="Show the logs of manager and dispatcher")  # noqa: PLW0108
        with button("⋯", "quiet more", None, aria_label="More", title="More") as more:
            menu = ui.menu().classes("sheet")
        more.on("click", lambda: _more(page, api, menu), [])
    page.viewers = viewers


def _more(page: OpenPage, api: str, menu: ui.menu) -> None:
    """Fill the menu when it is first opened."""
    if menu.default_slot.children:
        return
    with menu, Tag("div", "menu"):
        Tag("div", "menu-head", "Refresh")
        with Tag("div", "menu-choices", role="radiogroup", aria_label="Refresh interval"):
            _intervals(page)
        Tag("div", "menu-head", "Look")
        button("Light or dark", "quiet menu-item", None).on("click", js_handler="() => window.nniPage.toggleTheme()")
        Tag("div", "menu-head", "Results")
        Tag("a", "menu-item", "Experiment summary", href=f"{api}/experiment-summary", target="_blank", rel="noopener")
        Tag("a", "menu-item", "Download the summary", href=f"{api}/experiment-summary?download=true", download="")
        Tag("a", "menu-item", "Results as JSON", href=f"{api}/export-data", download="results.json")
        Tag("div", "menu-head", f"About: NNI {__version__}")
        Tag("a", "menu-item", "REST API", href=f"{api.removesuffix('/api/v1/nni')}/docs")
        Tag("a", "menu-item", "Report a problem", href=FEEDBACK, target="_blank", rel="noopener")


def _take_interval(page: OpenPage, seconds: Any) -> None:
    if seconds in _INTERVALS.values():
        page.interval = seconds


def _intervals(page: OpenPage) -> None:
    buttons: dict[str, Tag] = {}

    def choose(name: str) -> None:
        page.interval = _INTERVALS[name]
        seconds = "null" if page.interval is None else page.interval
        ui.run_javascript(f"window.nniPage.setInterval({seconds})")
        for other, chosen in buttons.items():
            chosen.attributes(aria_checked="true" if other == name else "false")

    for name, seconds in _INTERVALS.items():
        chosen = "true" if seconds == page.interval else "false"
        buttons[name] = button(name, "choice", lambda _, name=name: choose(name), role="radio", aria_checked=chosen)
