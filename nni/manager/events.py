"""What can happen to an experiment, and what its manager may decide: the two ends of the pure state machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nni.runtime.protocol import CommandType
from nni.store import Metric, Trial, TrialStatus


class Moment(NamedTuple):
    """When an event happened: `wall` in epoch milliseconds for people, `steady` in seconds for durations.

    Only `steady` decides anything, so that a clock that jumps ends no experiment.
    """

    wall: int
    steady: float


# Events


@dataclass(frozen=True, slots=True)
class Started:
    """The manager begins, with the unfinished trials it found in the store.

    `under_way` holds the ids of those that the training service knows to have started, with the seconds for which
    they have been running. It may be ahead of the store, if the former manager died in between.
    """

    unfinished: list[Trial] = field(default_factory=list)
    under_way: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DispatcherStarted:
    """A dispatcher process runs and has been sent everything in the store."""


@dataclass(frozen=True, slots=True)
class DispatcherReady:
    """Tuner and assessor are built."""


@dataclass(frozen=True, slots=True)
class DispatcherLost:
    """The dispatcher process ended unasked."""

    message: str


@dataclass(frozen=True, slots=True)
class AlgorithmFailed:
    """Tuner or assessor raised; `fatal` means that the dispatcher will end."""

    message: str
    command: str
    fatal: bool


@dataclass(frozen=True, slots=True)
class ParametersGenerated:
    """The tuner suggests a configuration."""

    parameter_id: int
    parameters: str
    source: str = "algorithm"
    index: int = 0


@dataclass(frozen=True, slots=True)
class NoMoreParameters:
    """The tuner has nothing more to suggest."""


@dataclass(frozen=True, slots=True)
class CustomTrialRequested:
    """A person wants a configuration of their own tried (PLT-161)."""

    parameters: str


@dataclass(frozen=True, slots=True)
class TrialChanged:
    """The training service tells a trial's new status."""

    trial_id: str
    status: TrialStatus
    start_time: int | None = None
    end_time: int | None = None
    exit_code: int | None = None
    message: str = ""
    service: str = ""
    run: int = 1
    """Grows when the trial is placed again because its machine was lost."""


@dataclass(frozen=True, slots=True)
class SubmitFailed:
    """The training service could not start a trial; `retry` when the cause may go away (no space, no processes)."""

    trial_id: str
    message: str
    retry: bool


@dataclass(frozen=True, slots=True)
class MetricsRead:
    """A piece of a trial's metric stream, whole lines with their places."""

    trial_id: str
    lines: list[tuple[int, bytes]]
    end: int


@dataclass(frozen=True, slots=True)
class KillRequested:
    """Somebody wants a trial ended: a person (USER_CANCELED) or the assessor (EARLY_STOPPED)."""

    trial_id: str
    status: TrialStatus
    message: str = ""


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """A person changed one setting of the running experiment; `config` is the whole new configuration."""

    config: dict[str, Any]
    field: str


@dataclass(frozen=True, slots=True)
class ImportRequested:
    """A person hands over results from elsewhere."""

    data: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class StopRequested:
    """The experiment shall end."""


@dataclass(frozen=True, slots=True)
class Tick:
    """Time passed."""


Event = (
    Started
    | DispatcherStarted
    | DispatcherReady
    | DispatcherLost
    | AlgorithmFailed
    | ParametersGenerated
    | NoMoreParameters
    | CustomTrialRequested
    | TrialChanged
    | SubmitFailed
    | MetricsRead
    | KillRequested
    | ConfigChanged
    | ImportRequested
    | StopRequested
    | Tick
)

# Instructions: the Save… ones are committed, in one transaction, before any other of the same turn is carried out.


@dataclass(frozen=True, slots=True)
class SaveTrial:
    """Write a trial's present state."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class SaveMetrics:
    """Write reported results."""

    metrics: list[Metric]


@dataclass(frozen=True, slots=True)
class DropMetrics:
    """Forget what a trial reported before the run that it is in now."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class SaveProfile:
    """Write the experiment's present state."""


@dataclass(frozen=True, slots=True)
class SaveImport:
    """Write results from elsewhere, so that a restarted tuner gets them again."""

    time: int
    data: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Submit:
    """Hand a trial to the training service."""

    trial: Trial


@dataclass(frozen=True, slots=True)
class Adopt:
    """Hand over trials that a former manager had submitted."""

    trials: list[Trial]


@dataclass(frozen=True, slots=True)
class Cancel:
    """Have the training service end a trial."""

    trial_id: str
    early: bool


@dataclass(frozen=True, slots=True)
class Send:
    """Tell the dispatcher."""

    command: CommandType
    data: Any = None


@dataclass(frozen=True, slots=True)
class StartDispatcher:
    """Start a dispatcher process and send it everything in the store."""


@dataclass(frozen=True, slots=True)
class Warn:
    """Something a person should read in the log; `serious` if the experiment cannot go on."""

    message: str
    serious: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do: the manager may end."""


Instruction = (
    SaveTrial
    | SaveMetrics
    | DropMetrics
    | SaveProfile
    | SaveImport
    | Submit
    | Adopt
    | Cancel
    | Send
    | StartDispatcher
    | Warn
    | Finish
)
