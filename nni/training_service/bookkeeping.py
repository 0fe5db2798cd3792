"""What training services that run trials themselves have in common: who listens, and which trials they know."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import Generic, Protocol, TypeVar

from nni.store import TrialStatus
from nni.training_service.base import (
    MetricListener,
    StatusListener,
    TrainingService,
    TrialForm,
    TrialJobDetail,
    TrialJobMetric,
)

_REMEMBERED = 1000  # ended trials that `get_trial_job` still knows


class HasDetail(Protocol):
    """A service's own notes about a trial."""

    detail: TrialJobDetail


J = TypeVar("J", bound=HasDetail)


class BookkeepingService(TrainingService, Generic[J]):
    """Keeps a job for each trial that has not ended, and remembers the last of those that have.

    A subclass puts jobs into `_jobs`, hands on what trials report with :meth:`_pass_on`, changes statuses with
    :meth:`_set_status`, and moves a job out with :meth:`_remember` when its trial has ended.
    """

    def __init__(self) -> None:
        self._jobs: dict[str, J] = {}
        self._ended: OrderedDict[str, TrialJobDetail] = OrderedDict()
        self._metric_listeners: list[MetricListener] = []
        self._status_listeners: list[StatusListener] = []

    def add_trial_job_metric_listener(self, listener: MetricListener) -> None:
        """Have `listener` called with what trials report."""
        self._metric_listeners.append(listener)

    def remove_trial_job_metric_listener(self, listener: MetricListener) -> None:
        """Undo :meth:`add_trial_job_metric_listener`."""
        self._metric_listeners.remove(listener)

    def add_trial_job_status_listener(self, listener: StatusListener) -> None:
        """Have `listener` called whenever a trial's status changes."""
        self._status_listeners.append(listener)

    async def list_trial_jobs(self) -> list[TrialJobDetail]:
        """Return every trial that was submitted or adopted and has not been forgotten since its end."""
        return [*self._ended.values(), *(job.detail for job in self._jobs.values())]

    async def get_trial_job(self, trial_job_id: str) -> TrialJobDetail:
        """Return one trial; raises ``KeyError`` for an id that the service does not know."""
        if trial_job_id in self._jobs:
            return self._jobs[trial_job_id].detail
        return self._ended[trial_job_id]

    async def update_trial_job(self, trial_job_id: str, form: TrialForm) -> TrialJobDetail:
        """Refuse: one trial takes one configuration."""
        raise NotImplementedError(
            f"trial {trial_job_id} cannot take the parameters of {form.id}: no multi-phase trials"
        )

    def _pass_on(self, metric: TrialJobMetric) -> None:
        for listener in self._metric_listeners:
            listener(metric)

    def _set_status(self, job: J, status: TrialStatus) -> None:
        if job.detail.status is not status:
            job.detail.status = status
            self._tell(job)

    def _tell(self, job: J) -> None:
        for listener in self._status_listeners:
            listener(job.detail)

    def _remember(self, detail: TrialJobDetail) -> None:
        """Move a trial that has ended out of the jobs; the oldest of those that have is forgotten."""
        self._jobs.pop(detail.id, None)
        self._ended[detail.id] = detail
        if len(self._ended) > _REMEMBERED:
            self._ended.popitem(last=False)


def now() -> int:
    """Return the wall clock's epoch milliseconds."""
    return time.time_ns() // 1_000_000
