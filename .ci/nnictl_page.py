"""Write into ``docs/nnictl.md`` what the commands say of themselves, so that the page cannot drift from them.

Between ``<!-- nnictl: NAME -->`` and ``<!-- end -->`` stand a command's description and its options. Prose and examples
around them are written by hand. A command without a place in the page gets one at the end. Run it after changing a
command; a test compares.
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer.main

from nni.tools.nnictl._app import app

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = Path(__file__).resolve().parents[1] / "docs" / "nnictl.md"
PLACE = re.compile(r"<!-- nnictl: (?P<name>[a-z_ ]+) -->\n.*?<!-- end -->", re.DOTALL)


def commands() -> dict[str, Any]:
    """Return every command by the words that it is called with."""
    root: Any = typer.main.get_command(app)
    found: dict[str, Any] = {}
    for name, command in root.commands.items():
        below = getattr(command, "commands", None)
        found |= {name: command} if below is None else {f"{name} {word}": item for word, item in below.items()}
    return found


def described(name: str, command: Any) -> str:
    """Return the text of one command: what it does, how it is called, its options."""
    rows = list(_rows(command))
    usage = " ".join(["nnictl", name, *_arguments(command), *(["[OPTIONS]"] if rows else [])])
    parts = [f"<!-- nnictl: {name} -->", inspect.cleandoc(command.help or ""), "", f"`{usage}`"]
    if rows:
        parts += ["", "| option | default | meaning |", "|---|---|---|", *rows]
    return "\n".join([*parts, "<!-- end -->"])


def _arguments(command: Any) -> Iterator[str]:
    for param in command.params:
        if param.param_type_name == "argument":
            metavar = param.metavar or param.name.upper()
            yield metavar if param.required else f"[{metavar}]"


def _rows(command: Any) -> Iterator[str]:
    for param in command.params:
        if param.param_type_name == "option" and not getattr(param, "hidden", False):
            names = ", ".join(f"`{option}`" for option in [*param.opts, *param.secondary_opts])
            meaning = " ".join((param.help or "").split()).replace("|", "\\|")
            yield f"| {names} | {_default(param)} | {meaning} |"


def _default(param: Any) -> str:
    if param.required:
        return "required"
    if param.is_flag:
        return "off"
    value = param.default() if callable(param.default) else param.default
    if value is None or value == ():
        return ""
    return "current folder" if value == Path() else f"`{value}`"


def renewed(page: str) -> str:
    """Return the page with every command as it is now."""
    known = commands()
    unknown = sorted({place["name"] for place in PLACE.finditer(page)} - known.keys())
    if unknown:
        raise SystemExit(f"{PAGE}: there is no command {', '.join(unknown)} any more; take it out of the page")
    missing = [name for name in known if f"<!-- nnictl: {name} -->" not in page]
    for name in missing:
        page = f"{page.rstrip()}\n\n## {name}\n\n<!-- nnictl: {name} -->\n<!-- end -->\n"
    return PLACE.sub(lambda place: described(place["name"], known[place["name"]]), page)


def main() -> int:
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(renewed(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
