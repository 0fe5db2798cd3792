"""Dialogs that change the experiment; whatever is refused is said beside what was typed."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from nni.common.errors import NniError
from nni.webui.live import Live
from nni.webui.tags import Tag, button, done
from nni.webui.viewers import sheet

Reader = Callable[[str], Any]


def whole_number(text: str) -> int:
    """Return the number that was typed; raises ``ValueError`` with the reason."""
    try:
        number = int(text.strip())
    except ValueError:
        raise ValueError("a whole number is expected") from None
    if number < 1:
        raise ValueError("at least 1 is expected")
    return number


def whole_number_or_none(text: str) -> int | None:
    """As :func:`whole_number`; nothing means no limit."""
    return whole_number(text) if text.strip() else None


def duration_or_none(text: str) -> str | None:
    """Return a duration as it was typed (the experiment checks it); nothing means no limit."""
    return text.strip() or None


def json_object(text: str) -> dict[str, Any]:
    """Return the JSON object that was typed; raises ``ValueError`` with the place of the first fault."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    if not isinstance(value, dict):
        raise ValueError("a JSON object {...} is expected")  # noqa: TRY004  (what was typed is no type of Python's)
    return value


class Steering:
    """Changes to one experiment, from one page.

    Parameters
    ----------
    live
        The experiment.
    """

    def __init__(self, live: Live) -> None:
        self._experiment = live.experiment

    def concurrency(self) -> None:
        """Ask for the number of trials at a time."""
        hint = "How many trials run at the same time. Fewer: running trials end first. More: new ones start at once."
        self._ask("Trial concurrency", "TRIAL_CONCURRENCY", "trialConcurrency", whole_number, hint)

    def trial_number(self) -> None:
        """Ask for the largest number of trials."""
        hint = "No further trial starts once there are so many. A higher number goes on. Empty: no limit."
        self._ask("Max trials", "MAX_TRIAL_NUM", "maxTrialNumber", whole_number_or_none, hint)

    def duration(self) -> None:
        """Ask for the longest duration."""
        hint = "For example 30m, 2h or 1d. No further trial starts after this time. Empty: no limit."
        self._ask("Max duration", "MAX_EXEC_DURATION", "maxExperimentDuration", duration_or_none, hint)

    def search_space(self) -> None:
        """Ask for another search space."""
        hint = "New trials are taken from it; those that run or wait stay as they are."
        self._ask("Search space", "SEARCH_SPACE", "searchSpace", json_object, hint, long=True)

    def _ask(self, title: str, kind: str, field: str, read: Reader, hint: str, *, long: bool = False) -> None:
        present = self._experiment.profile.config.get(field)
        text = "" if present is None else json.dumps(present, indent=2) if long else str(present)

        async def save(typed: str) -> None:
            await self._experiment.update(kind, {field: read(typed)})
            done(f"{title} saved")

        edit(title, text, hint, save, long=long)


def edit(title: str, text: str, hint: str, save: Callable[[str], Awaitable[None]], *, long: bool = False) -> None:
    """Open a dialog with one field; it stays open, with the reason, while what was typed is refused.

    Parameters
    ----------
    title, text, hint
        What is asked for, what stands in the field at first, and what it means.
    save
        Takes what was typed; raises ``ValueError`` or ``NniError``.
    long
        The text has many lines.
    """
    with sheet(title, wide=long) as dialog:
        Tag("p", "hint", hint)
        field = ui.textarea(value=text) if long else ui.input(value=text)
        field.props(f'outlined dense autofocus aria-label="{title}"').classes("field code-field" if long else "field")
        problem = Tag("p", "problem", role="alert")

        async def submit() -> None:
            try:
                await save(str(field.value or ""))
            except (ValueError, NniError) as error:
                problem.set_text(str(error))
            else:
                dialog.close()

        if not long:
            field.on("keydown.enter", submit)
        with Tag("div", "row end"):
            button("Cancel", "", dialog.close)
            button("Save", "primary", submit)
    dialog.open()


def confirm(title: str, text: str, action: str, act: Callable[[], Awaitable[None]]) -> None:
    """Ask before something that cannot be taken back."""
    with sheet(title) as dialog:
        Tag("p", "", text)
        problem = Tag("p", "problem", role="alert")

        async def go() -> None:
            try:
                await act()
            except (ValueError, KeyError, NniError) as error:
                problem.set_text(str(error))
            else:
                dialog.close()

        with Tag("div", "row end"):
            button("Cancel", "", dialog.close)
            button(action, "danger", go)
    dialog.open()
