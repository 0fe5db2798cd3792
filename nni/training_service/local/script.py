"""The launcher of one trial: ``run.sh`` and ``parameter.cfg`` in the trial directory (PLT-176 … PLT-178)."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class TrialFiles:
    """Paths of one trial."""

    directory: Path

    @property
    def script(self) -> Path:
        """The launcher; the manager runs it with bash."""
        return self.directory / "run.sh"

    @property
    def parameters(self) -> Path:
        """The trial's configuration as JSON."""
        return self.directory / "parameter.cfg"

    @property
    def metrics(self) -> Path:
        """What the trial reported, a line each."""
        return self.directory / ".nni" / "metrics"

    @property
    def claim(self) -> Path:
        """The process id of the launcher, written once."""
        return self.directory / ".nni" / "jobpid"

    @property
    def state(self) -> Path:
        """``<exit code> <epoch ms>`` once the command ended."""
        return self.directory / ".nni" / "state"

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
        return self.directory / "trial.log"

    @property
    def stderr(self) -> Path:
        """Standard error of the trial."""
        return self.directory / "stderr"

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
            code, _, time = self.state.read_text().strip().partition(" ")
            return int(code), int(time)
        except (OSError, ValueError):
            return None

    def read_claim(self) -> int | None:
        """Return the launcher's process id, None if the trial never started."""
        try:
            return int(self.claim.read_text())
        except (OSError, ValueError):
            return None


def render(files: TrialFiles, command: str, code_directory: Path, environment: dict[str, str]) -> str:
    """Return the text of ``run.sh``: documented shape, line 2 is the ``cd`` (PLT-176)."""
    quote = shlex.quote
    exports = [f"export {name}={quote(value) if value else ''}" for name, value in environment.items()]
    run = f"eval {quote(command)} 2>{quote(str(files.stderr))}"
    if _MAY_REPLACE_SHELL.search(command):  # nobody would be left to record how it ended
        run = f"({run})"
    lines = [
        "#!/bin/bash",
        f"cd {quote(str(code_directory))} || exit",
        _CLAIM.format(file=quote(str(files.claim)), taken=CLAIM_TAKEN, unwritten=CLAIM_UNWRITTEN),
        *exports,
        f"trap {quote(_STATE)} EXIT; {_SIGNALS}",
        run,
    ]
    return "\n".join(lines) + "\n"
