"""What a place that runs trials has to offer: the documented ``TrainingService``, in snake_case and asynchronous.

The contract in words is :class:`TrainingService`'s docstring; ``nni.testing.training_service`` is the same contract
as a test-suite that every service, built in or a user's own, can run.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from nni.store import TrialStatus


@dataclass(frozen=True, slots=True)
class TrialForm:
    """A trial to run: what the documentation calls the job application form.

    Parameters
    ----------
    id
        The trial's id; the manager has stored it before it asks for the trial to run.
    sequence_id
        The trial's number in the experiment.
    parameters
        The text of ``parameter.cfg``.
    """

    id: str
    sequence_id: int
    parameters: str


@dataclass(slots=True)
class TrialJobDetail:
    """What a service knows of one trial. Times are epoch milliseconds."""

    id: str
    status: TrialStatus
    submit_time: int
    working_directory: str
    form: TrialForm
    start_time: int | None = None
    end_time: int | None = None
    url: str | None = None
    exit_code: int | None = None
    message: str = ""
    is_early_stopped: bool | None = None
    tags: list[str] = field(default_factory=list)
    service: str = ""
    """The platform that has it, where there are several."""
    run: int = 1
    """Grows when the trial begins anew, because it was lost with its machine: what it reported before is dropped."""

    @property
    def sequence_id(self) -> int:
        """The trial's number in the experiment."""
        return self.form.sequence_id


class TrialJobMetric(NamedTuple):
    """A piece of a trial's metric stream: whole lines, each with its place in the stream.

    `end` is the place behind the last line; handed back to the service on adoption, reading goes on from there.
    """

    id: str
    lines: list[tuple[int, bytes]]
    end: int


class Adoption(NamedTuple):
    """A trial that was under way when the last manager died, and how far its metrics were taken over."""

    form: TrialForm
    offset: int
    submit_time: int
    start_time: int | None
    run: int = 1


MetricListener = Callable[[TrialJobMetric], None]
StatusListener = Callable[[TrialJobDetail], None]


class TrainingService(ABC):
    """Runs trials somewhere, tells how they fare, and hands over what they report.

    The contract:

    - All methods are called on one event loop. A method must not block it; listeners are called on it too.
    - The manager calls :meth:`adopt_trial_jobs` at most once, before anything else; then :meth:`run` as a task, which
      works until it is cancelled; at the end :meth:`clean_up`.
    - A submitted trial is WAITING until its process runs (RUNNING), and ends in SUCCEEDED or FAILED, in
      EARLY_STOPPED / USER_CANCELED when it was cancelled, or in SYS_CANCELED when it vanished with its machine.
    - A trial that must wait for room may be told WAITING again, with the reason as its message.
    - Every change of status reaches the status listeners exactly once, and the last one only after everything the
      trial reported has reached the metric listeners.
    - A trial is a process group of its own. When its end is reported, no process of the group is left.
    - Trials outlive the manager. After a crash a new service is given them by :meth:`adopt_trial_jobs`; it finds those
      that run, reports the end of those that ended meanwhile, and starts those that never started.
    - No trial starts twice, also when it is submitted again after a crash. A trial that was lost with its machine may
      be run again where the configuration says so: it is told WAITING with its `run` one higher, and from then on
      nothing of an earlier run is told any more. Places in its metric stream begin anew.
    - Metric lines are delivered in order, each at least once; a line's place identifies it, so the listener can tell a
      repetition.
    """

    @abstractmethod
    async def list_trial_jobs(self) -> list[TrialJobDetail]:
        """Return every trial that was submitted or adopted and has not been forgotten since its end."""

    @abstractmethod
    async def get_trial_job(self, trial_job_id: str) -> TrialJobDetail:
        """Return one trial; raises ``KeyError`` for an id that the service does not know."""

    @abstractmethod
    def add_trial_job_metric_listener(self, listener: MetricListener) -> None:
        """Have `listener` called with what trials report."""

    @abstractmethod
    def remove_trial_job_metric_listener(self, listener: MetricListener) -> None:
        """Undo :meth:`add_trial_job_metric_listener`."""

    @abstractmethod
    def add_trial_job_status_listener(self, listener: StatusListener) -> None:
        """Have `listener` called whenever a trial's status changes."""

    @abstractmethod
    async def submit_trial_job(self, form: TrialForm) -> TrialJobDetail:
        """Start a trial, or queue it until there is room; raises ``OSError`` when it cannot even be prepared."""

    def expect_trial_job(self, form: TrialForm | None) -> None:
        """Prepare the trial that is submitted next; what fails is met, and told, when it is submitted.

        Another one may come in its place, and None means that none is expected any more: what was prepared for one that
        was not submitted meanwhile is undone.
        """
        del form

    def seconds_since_start(self, trial_job_id: str) -> float | None:
        """Return for how long a trial of a former manager has been running; None if it never started.

        Asked before :meth:`adopt_trial_jobs`. It makes the time limit of an adopted trial independent of the wall
        clock, and tells of a trial whose manager died before it could record that it had started. A service that
        cannot know says None: then the wall clock counts, and a trial is found when it is submitted again.
        """
        del trial_job_id
        return None

    @abstractmethod
    async def update_trial_job(self, trial_job_id: str, form: TrialForm) -> TrialJobDetail:
        """Give a running trial new parameters; only where :attr:`is_multi_phase_job_supported`."""

    @property
    def is_multi_phase_job_supported(self) -> bool:
        """Whether one trial may take several configurations (deprecated by the documentation; False here)."""
        return False

    @abstractmethod
    async def cancel_trial_job(self, trial_job_id: str, *, is_early_stopped: bool = False) -> None:
        """Ask a trial to end; returns at once, its end is reported when no process of it is left."""

    @abstractmethod
    async def adopt_trial_jobs(self, jobs: list[Adoption]) -> None:
        """Take over the unfinished trials of a manager that died."""

    async def withdraw_trial_job(self, trial_job_id: str) -> bool:
        """Take back a trial that waits for room, so that another service may have it; returns whether that was done.

        After it the service knows nothing of the trial. One that runs, or may have been started, is not taken back.
        """
        del trial_job_id
        return False

    def problems(self) -> list[str]:
        """Return what people should know of the places where trials run, a line each: which cannot be used, and why."""
        return []

    async def set_cluster_metadata(self, key: str, value: str) -> None:
        """Take a setting of a legacy (v1) configuration; services that have none refuse."""
        raise ValueError(f"{type(self).__name__} has no setting {key!r} (got {value!r})")

    async def get_cluster_metadata(self, key: str) -> str:
        """Return a setting; the documentation allows it to be empty."""
        del key
        return ""

    async def prepare(self) -> None:
        """Make sure that trials can run, before anything else is called.

        Raises
        ------
        NniError
            They cannot, and that will not change by itself; the text is for the user.
        """
        return

    def committed(self, trial_job_ids: set[str]) -> None:
        """Take note that what was told of these trials is on the disk: a service may let go of those that ended."""
        del trial_job_ids

    @abstractmethod
    async def clean_up(self) -> None:
        """End every trial that still runs and free what the service holds; returns when nothing is left."""

    @abstractmethod
    async def run(self) -> None:
        """Work until cancelled."""
