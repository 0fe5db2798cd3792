"""The rows of the store as typed objects: what the manager decides on, and what clients ask for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple


class TrialStatus(str, Enum):
    """Where a trial stands (PLT-151)."""

    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    EARLY_STOPPED = "EARLY_STOPPED"
    USER_CANCELED = "USER_CANCELED"
    SYS_CANCELED = "SYS_CANCELED"
    UNKNOWN = "UNKNOWN"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to the trial."""
        return self not in {TrialStatus.WAITING, TrialStatus.RUNNING, TrialStatus.UNKNOWN}


class ExperimentStatus(str, Enum):
    """Where an experiment stands (PLT-150)."""

    INITIALIZED = "INITIALIZED"
    RUNNING = "RUNNING"
    NO_MORE_TRIAL = "NO_MORE_TRIAL"
    TUNER_NO_MORE_TRIAL = "TUNER_NO_MORE_TRIAL"
    DONE = "DONE"
    ERROR = "ERROR"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    VIEWED = "VIEWED"


RUN_SPAN = 1 << 40
"""Bytes that the metric file of one run of a trial may have: places of its n-th run begin at (n - 1) times that."""


@dataclass(slots=True)
class Trial:
    """One trial. Times are epoch milliseconds; JSON texts are kept as the tuner and the trial wrote them."""

    id: str
    sequence: int
    parameter_id: int
    source: str
    parameters: str
    status: TrialStatus = TrialStatus.WAITING
    message: str = ""
    submit_time: int = 0
    start_time: int | None = None
    end_time: int | None = None
    exit_code: int | None = None
    stopping: TrialStatus | None = None
    """The status it will end in, once the decision to stop it has been taken."""
    intermediates: int = 0
    final: str | None = None
    value: float | None = None
    """The number in `final`, where there is one: a bare number or its ``default``."""
    offset: int = 0
    """How far the trial's metric file has been taken over; what was taken of a lost run counts as passed."""
    service: str = "local"
    """The platform that has it; of several, the one that it was given to."""
    parameter_index: int = 0

    @property
    def run(self) -> int:
        """How often it was placed: more than once only where it was lost with its machine."""
        return self.offset // RUN_SPAN + 1

    @property
    def run_offset(self) -> int:
        """How far the metric file of the present run has been taken over."""
        return self.offset % RUN_SPAN

    def run_again(self, run: int) -> None:
        """Begin anew: what a lost run reported is as good as never reported."""
        self.offset = (run - 1) * RUN_SPAN
        self.start_time = self.final = self.value = None
        self.intermediates = 0


def configuration(trial: Trial) -> str:
    """Return what a trial is given as ``parameter.cfg``, which is also what its tuner sent."""
    parameter_id = "null" if trial.parameter_id < 0 else trial.parameter_id
    return (
        f'{{"parameter_id": {parameter_id}, "parameter_source": "{trial.source}", '
        f'"parameters": {trial.parameters}, "parameter_index": {trial.parameter_index}}}'
    )


class Metric(NamedTuple):
    """One reported result; `position` (its place in the trial's metric file, see `RUN_SPAN`) makes it unique."""

    trial: int
    position: int
    type: str
    sequence: int
    timestamp: int
    parameter_id: int
    value: str


@dataclass(slots=True)
class Profile:
    """The experiment itself; `revision` counts the user's changes to it (PLT-158)."""

    id: str
    config: dict[str, Any]
    status: ExperimentStatus = ExperimentStatus.INITIALIZED
    errors: list[str] = field(default_factory=list)
    start_time: int = 0
    end_time: int | None = None
    duration_ms: int = 0
    next_sequence: int = 0
    next_parameter_id: int = 0
    revision: int = 1
