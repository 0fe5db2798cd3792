"""A form for a trial of one's own, made from the search space."""

from __future__ import annotations

import json
from typing import Any

from nicegui import ui

from nni.common.errors import NniError
from nni.webui.live import Live
from nni.webui.steering import json_object
from nni.webui.tags import Tag, button, done
from nni.webui.viewers import sheet

_WHOLE = {"randint"}


class CustomizedTrial:
    """The form.

    Parameters
    ----------
    live
        The experiment.
    """

    def __init__(self, live: Live) -> None:
        self._experiment = live.experiment
        space = live.experiment.profile.config.get("searchSpace")
        self._space: dict[str, Any] = space if isinstance(space, dict) else {}

    def open(self, trial: dict[str, Any] | None = None) -> None:
        """Show the form, filled with the parameters of a trial if one is given."""
        parameters = trial["parameters"] if trial and isinstance(trial["parameters"], dict) else {}
        title = "Customized trial" if trial is None else f"Customized trial, from trial {trial['sequence']}"
        with sheet(title) as dialog:
            Tag("p", "hint", "The trial starts before those of the tuner, which does not hear of its result.")
            read = self._fields(parameters)
            problem = Tag("p", "problem", role="alert")

            async def submit() -> None:
                try:
                    sequence = await self._experiment.add_trial(read())
                except (ValueError, NniError) as error:
                    problem.set_text(str(error))
                else:
                    done(f"Queued as trial {sequence}")
                    dialog.close()

            with Tag("div", "row end"):
                button("Cancel", "", dialog.close)
                button("Submit", "primary", submit)
        dialog.open()

    def _fields(self, parameters: dict[str, Any]) -> Any:
        if not all(isinstance(node, dict) and "_type" in node for node in self._space.values()) or not self._space:
            field = ui.textarea(value=json.dumps(parameters, indent=2))
            field.props('outlined dense aria-label="Parameters as JSON"').classes("field code-field")
            return lambda: json_object(str(field.value or ""))
        with Tag("div", "form"):
            readers = {name: _field(name, node, parameters.get(name)) for name, node in self._space.items()}
        return lambda: {name: read() for name, read in readers.items()}


def _field(name: str, node: dict[str, Any], present: Any) -> Any:
    kind, values = node["_type"], node.get("_value", [])
    if kind == "choice":
        if any(isinstance(value, dict) and "_name" in value for value in values):
            return _nested(name, values, present)
        return _choice(name, values, present)
    hint = f"{kind}: {', '.join(map(str, values))}"
    field = ui.input(label=name, value="" if present is None else str(present)).classes("field")
    field.props(f'outlined dense stack-label hint="{hint}" inputmode="decimal"')
    return lambda: _number(name, str(field.value or ""), whole=kind in _WHOLE)


def _choice(name: str, values: list[Any], present: Any) -> Any:
    """Offer the values themselves: JSON text tells ``"1"`` from ``1`` and knows ``true``."""
    texts = [json.dumps(value) for value in values]
    shown = {
        str(place): value if isinstance(value, str) else text
        for place, (value, text) in enumerate(zip(values, texts, strict=True))
    }
    chosen = str(texts.index(json.dumps(present))) if json.dumps(present) in texts else "0"
    field = ui.select(shown, label=name, value=chosen).props("outlined dense options-dense").classes("field")
    return lambda: values[int(field.value)]


def _nested(name: str, values: list[Any], present: Any) -> Any:
    names = [value["_name"] if isinstance(value, dict) else str(value) for value in values]
    present = present if isinstance(present, dict) else {}
    chosen = names.index(present["_name"]) if present.get("_name") in names else 0
    shown = {str(place): text for place, text in enumerate(names)}
    field = ui.select(shown, label=name, value=str(chosen)).props("outlined dense options-dense").classes("field")
    readers: list[dict[str, Any]] = []
    groups = []
    for place, value in enumerate(values):
        inner = {key: node for key, node in value.items() if key != "_name"} if isinstance(value, dict) else {}
        given = present if place == chosen else {}
        with Tag("div", "form nested") as group:
            readers.append({key: _field(key, node, given.get(key)) for key, node in inner.items()})
        groups.append(group)

    def show() -> None:
        for place, group in enumerate(groups):
            group.set_visibility(place == int(field.value) and bool(readers[place]))

    field.on_value_change(show)
    show()

    def read() -> Any:
        place = int(field.value)
        if not isinstance(values[place], dict):
            return values[place]
        return {"_name": names[place], **{key: reader() for key, reader in readers[place].items()}}

    return read


def _number(name: str, text: str, *, whole: bool) -> float | int:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"{name}: a number is expected") from None
    if whole and not number.is_integer():
        raise ValueError(f"{name}: a whole number is expected")
    looks_whole = number.is_integer() and not any(sign in text for sign in ".eE")
    return int(number) if whole or looks_whole else number
