"""The launcher of one trial: ``run.sh`` and ``parameter.cfg`` in the trial directory (PLT-176 … PLT-178)."""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

CLAIM_TAKEN = 125  # exit code of a launcher that found its trial already started
_COMPLAINT_BYTES = 4096  # of the end of stderr, in which its last line is looked for
CLAIM_UNWRITTEN = 124  # exit code of a launcher that had no space to write its process id; the claim is undone

# The claim makes a second start of the same trial impossible, whoever was killed between which two steps: the shell
# creates the file or fails, and it is the first thing a started trial leaves on the disk.
_CLAIM = (
    "{{ set -C; true >{file}; }} 2>/dev/null || exit {taken}; set +C; "
    "echo $$ >{file} || {{ rm -f {file}; exit {unwritten}; }}"
)
# A trap, so that a command that calls `exit` itself is recorded too. EPOCHREALTIME spares a process; shells before
# bash 5 (macOS) have date.
_STATE = (
    "code=$?; now=${EPOCHREALTIME:-$(date +%s.000)}; now=${now/[.,]/}; "
    'echo "$code ${now:0:13}" >"$NNI_SYS_DIR/.nni/state"'
)
# A shell that a signal ends runs its EXIT trap too, with the code of the command before: mostly 0, a success.
_SIGNALS = "trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM"
_MAY_REPLACE_SHELL = re.compile(r"(?:^|[\s;&|({])(?:exec|source|\.)\s")


# Names in a trial's directory; those below `.nni` are the manager's and the trial API's own.
SCRIPT = "run.sh"
PARAMETERS = "parameter.cfg"
LOG = "trial.log"
STDERR = "stderr"
METRICS = ".nni/metrics"
CLAIM = ".nni/jobpid"
STATE = ".nni/state"


@dataclass(frozen=True)
class TrialFiles:
    """Paths of one trial."""

    directory: Path

    def text(self, name: str) -> str:
        """Return the path of `name` as text: on the road of every trial pathlib would be a tenth of the work."""
        return f"{self.directory}/{name}"

    @property
    def script(self) -> Path:
        """The launcher; the manager runs it with bash."""
        return self.directory / SCRIPT

    @property
    def parameters(self) -> Path:
        """The trial's configuration as JSON."""
        return self.directory / PARAMETERS

    @property
    def metrics(self) -> Path:
        """What the trial reported, a line each."""
        return self.directory / METRICS

    @property
    def claim(self) -> Path:
        """The process id of the launcher, written once."""
        return self.directory / CLAIM

    @property
    def state(self) -> Path:
        """``<exit code> <epoch ms>`` once the command ended."""
        return self.directory / STATE

    @property
    def gpus(self) -> Path:
        """The devices the trial was given, as in ``CUDA_VISIBLE_DEVICES``; only with GPU scheduling."""
        return self.directory / ".nni" / "gpus"

    @property
    def warm(self) -> Path:
        """Exists if the launcher was forked from a fork server, whose command line it therefore has."""
        return self.directory / ".nni" / "warm"

    @property
    def log(self) -> Path:
        """Standard output of the trial."""
        return self.directory / LOG

    @property
    def stderr(self) -> Path:
        """Standard error of the trial."""
        return self.directory / STDERR

    def last_complaint(self) -> str:
        """Return the last line of standard error, where there is one; mostly the message of a traceback (PLT-201)."""
        try:
            with self.stderr.open("rb") as file:
                file.seek(max(0, file.seek(0, 2) - _COMPLAINT_BYTES))
                lines = file.read().decode(errors="replace").split("\n")
        except OSError:
            return ""
        return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")

    def read_state(self) -> tuple[int, int] | None:
        """Return exit code and end time (epoch ms), None while the command runs or if it never ended by itself."""
        try:
            code, _, time = _read(self.text(STATE)).partition(b" ")
            return int(code), int(time)
        except (OSError, ValueError):
            return None

    def read_claim(self) -> int | None:
        """Return the launcher's process id, None if the trial never started."""
        try:
            return int(_read(self.text(CLAIM)))
        except (OSError, ValueError):
            return None


class Launchers:
    """Writes the text of each trial's ``run.sh``; what all trials share is put together once.

    Parameters
    ----------
    command
        The trial command, for the shell.
    code_directory
        Where it runs.
    environment
        The variables that are the same for every trial.
    """

    def __init__(self, command: str, code_directory: Path, environment: dict[str, str]) -> None:
        self._begin = f"#!/bin/bash\ncd {shlex.quote(str(code_directory))} || exit\n"
        self._exports = _exports(environment)
        self._traps = f"trap {shlex.quote(_STATE)} EXIT; {_SIGNALS}\n"
        self._run = f"eval {shlex.quote(command)} 2>"
        self._in_subshell = _MAY_REPLACE_SHELL.search(command) is not None

    def render(self, files: TrialFiles, environment: dict[str, str]) -> str:
        """Return ``run.sh``: documented shape, line 2 is the ``cd`` (PLT-176); `environment` is the trial's own."""
        claim = shlex.quote(files.text(CLAIM))
        run = f"{self._run}{shlex.quote(files.text(STDERR))}"
        if self._in_subshell:  # or nobody would be left to record how it ended
            run = f"({run})"
        claiming = _CLAIM.format(file=claim, taken=CLAIM_TAKEN, unwritten=CLAIM_UNWRITTEN)
        return f"{self._begin}{claiming}\n{self._exports}{_exports(environment)}{self._traps}{run}\n"


def _exports(environment: dict[str, str]) -> str:
    """Return the lines that export variables."""
    quoted = ((name, shlex.quote(value) if value else "") for name, value in environment.items())
    return "".join(f"export {name}={value}\n" for name, value in quoted)


def _read(path: str) -> bytes:
    """Return a small file's content; pathlib and its text layer cost ten times as much."""
    file = os.open(path, os.O_RDONLY)
    try:
        return os.read(file, 100)
    finally:
        os.close(file)
