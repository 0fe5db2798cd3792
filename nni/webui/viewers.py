"""Dialogs that only show: search space, configuration, logs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nicegui import ui

from nni.webui.live import Live
from nni.webui.tags import Tag, button
from nni.webui.widgets import LogView

_LOGS = ["nnimanager.log", "dispatcher.log", "dispatcher_stderr.log", "nnictl_stderr.log", "nnictl_stdout.log"]


class Viewers:
    """The viewers of one page; each is built when it is first wanted.

    Parameters
    ----------
    live
        The experiment.
    api
        Path of the REST API.
    """

    def __init__(self, live: Live, api: str) -> None:
        self._live = live
        self._api = api

    def search_space(self) -> None:
        """Show the search space."""
        space = self._live.experiment.profile.config.get("searchSpace") or {}
        with sheet("Search space") as dialog:
            if isinstance(space, dict) and space:
                _search_space_table(space)
            _text_with_copy(json.dumps(space, indent=2, ensure_ascii=False), "searchSpace.json")
        dialog.open()

    def config(self) -> None:
        """Show the configuration, without its secrets."""
        config = dict(self._live.experiment.queries.profile_2x()["params"])
        config.pop("searchSpace", None)
        with sheet("Config") as dialog:
            _text_with_copy(json.dumps(config, indent=2, ensure_ascii=False), "config.json")
        dialog.open()

    def logs(self, name: str | None = None, search: str = "") -> None:
        """Show the logs, that of `name` first, at the first place where `search` is found."""
        files = [*_LOGS] if name is None else [name, *(log for log in _LOGS if log != name)]
        there = [file for file in files if (self._live.experiment.directory / "log" / file).is_file()]
        with sheet("Logs", wide=True) as dialog:
            LogView(there, search)
        dialog.open()


@contextmanager
def sheet(title: str, *, wide: bool = False) -> Iterator[ui.dialog]:
    """Build a dialog with a title; it closes on Escape and on a click beside it, and is gone afterwards."""
    with ui.dialog() as dialog, Tag("section", "sheet wide" if wide else "sheet", role="dialog", aria_label=title):
        with Tag("header", "sheet-head"):
            Tag("h2", "", title)
            button("✕", "quiet", dialog.close, aria_label="Close", title="Close")
        with Tag("div", "sheet-body"):
            yield dialog
    dialog.on("hide", dialog.delete)


def _text_with_copy(text: str, name: str) -> None:
    with Tag("div", "row end"):
        copy = button("Copy", "small", None)
        copy.on("click", js_handler=f"(event) => window.nniPage.copy({json.dumps(text)}, event)")
        save = button("Download", "small", None)
        save.on("click", js_handler=f"() => window.nniPage.save({json.dumps(text)}, {json.dumps(name)})")
    Tag("pre", "code", text, tabindex="0")


def _search_space_table(space: dict[str, Any]) -> None:
    with Tag("table", "plain"):
        with Tag("thead"), Tag("tr"):
            for head in ("Parameter", "Type", "Values"):
                Tag("th", "", head, scope="col")
        with Tag("tbody"):
            for name, kind, values in _flat(space):
                with Tag("tr"):
                    Tag("td", "strong", name)
                    Tag("td", "", kind)
                    Tag("td", "", values)


def _flat(space: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield name, type and values of every parameter; nested ones below the choice that they depend on."""
    for name, node in space.items():
        if not (isinstance(node, dict) and "_type" in node):
            yield f"{prefix}{name}", "", json.dumps(node)
            continue
        values = node.get("_value", [])
        nested = [item for item in values if isinstance(item, dict) and "_name" in item]
        shown = [item["_name"] if item in nested else item for item in values]
        yield (
            f"{prefix}{name}",
            node["_type"],
            ", ".join(value if isinstance(value, str) else json.dumps(value) for value in shown),
        )
        for item in nested:
            inner = {key: value for key, value in item.items() if key != "_name"}
            yield from _flat(inner, f"{prefix}{name} = {item['_name']} / ")
