"""Plain HTML elements for pages: NiceGUI's own ones bring a look that these pages do not use."""

from __future__ import annotations

from typing import Any

from nicegui import ui
from nicegui.elements.mixins.text_element import TextElement


class Tag(TextElement):
    """An HTML element with a text that may change.

    Parameters
    ----------
    name
        The tag.
    classes
        CSS classes, separated by spaces.
    text
        What stands in it.
    attributes
        HTML attributes; an underscore in a name stands for a hyphen.
    """

    def __init__(self, name: str, classes: str = "", text: str = "", **attributes: Any) -> None:
        super().__init__(tag=name, text=text)
        if classes:
            self.classes(classes)
        self.attributes(**attributes)

    def attributes(self, **attributes: Any) -> None:
        """Set attributes; None takes one away."""
        if not attributes:
            return
        with self.props.suspend_updates():  # one for all of them
            for name, value in attributes.items():
                self.props.set_optional(name.rstrip("_").replace("_", "-"), value)
        self.update()


def button(text: str, classes: str, on_click: Any, **attributes: Any) -> Tag:
    """Return a button in the pages' own look."""
    made = Tag("button", f"button {classes}".strip(), text, type="button", **attributes)
    if on_click is not None:
        made.on("click", on_click, [])
    return made


def words(constant: str) -> str:
    """Return a status as people write it: ``EARLY_STOPPED`` is ``Early stopped``."""
    return constant.replace("_", " ").capitalize()


def failed(message: str) -> None:
    """Tell that something was refused, and why."""
    ui.notify(message, type="negative", position="top", multi_line=True, close_button="Close", timeout=10_000)


def done(message: str) -> None:
    """Tell that something was done."""
    ui.notify(message, type="positive", position="top")
