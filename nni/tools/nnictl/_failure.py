"""Why a trial failed, in its own last words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nni.experiment.data import TrialRow

_END_BYTES = 4096
_LONGEST = 200


def reason(trial: TrialRow) -> str:
    """Return how a trial failed, the last line that it wrote to standard error, and where the rest of it is."""
    stderr = Path(trial["directory"]) / "stderr"
    words = _last_line(stderr)
    if words in trial["message"]:  # where the manager has seen them too
        words = ""
    return f"trial {trial['id']} failed ({trial['message']}){f': {words}' if words else ''}; see {stderr}"


def _last_line(path: Path) -> str:
    """Return the last line of a file that is not blank, shortened; nothing where there is no such file."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _END_BYTES))
            lines = stream.read().decode(errors="replace").split("\n")
    except OSError:
        return ""
    line = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
