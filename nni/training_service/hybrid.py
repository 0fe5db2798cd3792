"""Several training services as one: trials go to whoever has least to do (PLT-303)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from nni.common.errors import NniError
from nni.store import TrialStatus
from nni.training_service.base import (
    Adoption,
    MetricListener,
    StatusListener,
    TrainingService,
    TrialForm,
    TrialJobDetail,
)

_logger = logging.getLogger(__name__)


class HybridTrainingService(TrainingService):
    """Hands each trial to one of several services, and remembers on the disk to which.

    A service in which a trial waits for room counts as full, and gets another trial only when all are full.

    Parameters
    ----------
    directory
        The experiment's directory.
    services
        By a name that is the same each time.
    """

    def __init__(self, directory: Path, services: dict[str, TrainingService]) -> None:
        self._directory = directory
        self._services = services
        self._usable = list(services)
        self._active: dict[str, dict[str, TrialJobDetail]] = {name: {} for name in services}
        self._places: dict[str, str] = {}
        for name, service in services.items():
            service.add_trial_job_status_listener(self._note(name))

    def _note(self, name: str) -> StatusListener:
        def note(detail: TrialJobDetail) -> None:
            if detail.status.ended:
                self._active[name].pop(detail.id, None)
            if not detail.message and detail.status is not TrialStatus.WAITING:
                detail.message = f"on {name.partition('-')[2]}"
            detail.tags = [name, *(tag for tag in detail.tags if tag != name)]

        return note

    async def prepare(self) -> None:
        """Prepare all; raises ``NniError`` if none can be used, and goes on without those that cannot."""
        answers = await asyncio.gather(
            *(service.prepare() for service in self._services.values()), return_exceptions=True
        )
        problems = []
        for name, answer in zip(list(self._services), answers, strict=True):
            if isinstance(answer, NniError):
                problems.append(str(answer))
                self._usable.remove(name)
                _logger.error("%s cannot be used; the others go on: %s", name, answer)
            elif isinstance(answer, BaseException):
                raise answer
        if not self._usable:
            raise NniError("; ".join(problems))

    def add_trial_job_metric_listener(self, listener: MetricListener) -> None:
        """Have `listener` called with what trials report."""
        for service in self._services.values():
            service.add_trial_job_metric_listener(listener)

    def remove_trial_job_metric_listener(self, listener: MetricListener) -> None:
        """Undo :meth:`add_trial_job_metric_listener`."""
        for service in self._services.values():
            service.remove_trial_job_metric_listener(listener)

    def add_trial_job_status_listener(self, listener: StatusListener) -> None:
        """Have `listener` called whenever a trial's status changes."""
        for service in self._services.values():
            service.add_trial_job_status_listener(listener)

    async def list_trial_jobs(self) -> list[TrialJobDetail]:
        """Return the trials of all services."""
        return [detail for service in self._services.values() for detail in await service.list_trial_jobs()]

    async def get_trial_job(self, trial_job_id: str) -> TrialJobDetail:
        """Return one trial; raises ``KeyError`` for an id that no service knows."""
        return await self._services[self._places[trial_job_id]].get_trial_job(trial_job_id)

    async def submit_trial_job(self, form: TrialForm) -> TrialJobDetail:
        """Give a trial to a service; one that was given away before a crash goes to the same."""
        name = self._place(form.id) or self._choose()
        self._remember(form.id, name)
        detail = await self._services[name].submit_trial_job(form)
        if not detail.status.ended:
            self._active[name][form.id] = detail
        return detail

    def seconds_since_start(self, trial_job_id: str) -> float | None:
        """Ask the service to which the trial was given."""
        name = self._place(trial_job_id)
        return None if name is None else self._services[name].seconds_since_start(trial_job_id)

    async def update_trial_job(self, trial_job_id: str, form: TrialForm) -> TrialJobDetail:
        """Ask the service of the trial."""
        return await self._services[self._places[trial_job_id]].update_trial_job(trial_job_id, form)

    async def cancel_trial_job(self, trial_job_id: str, *, is_early_stopped: bool = False) -> None:
        """Ask the service of the trial."""
        name = self._places.get(trial_job_id)
        if name is not None:
            await self._services[name].cancel_trial_job(trial_job_id, is_early_stopped=is_early_stopped)

    async def adopt_trial_jobs(self, jobs: list[Adoption]) -> None:
        """Give each trial to the service that had it; those that none had, to whoever has least to do."""
        shares: dict[str, list[Adoption]] = {}
        for job in jobs:
            name = self._place(job.form.id) or self._choose()
            self._remember(job.form.id, name)
            shares.setdefault(name, []).append(job)
        for name, share in shares.items():
            await self._services[name].adopt_trial_jobs(share)
            for job in share:
                with contextlib.suppress(KeyError):
                    detail = await self._services[name].get_trial_job(job.form.id)
                    if not detail.status.ended:
                        self._active[name][detail.id] = detail

    def committed(self, trial_job_ids: set[str]) -> None:
        """Tell each service of its own trials."""
        for name, service in self._services.items():
            own = {trial_id for trial_id in trial_job_ids if self._places.get(trial_id) == name}
            if own:
                service.committed(own)

    async def clean_up(self) -> None:
        """Clean up all services."""
        await asyncio.gather(*(service.clean_up() for service in self._services.values()))

    async def run(self) -> None:
        """Run all services."""
        await asyncio.gather(*(service.run() for service in self._services.values()))

    def _choose(self) -> str:
        """Return the service with least to do, one without a waiting trial if there is one."""
        return min(self._usable, key=lambda name: (self._waits(name), len(self._active[name])))

    def _waits(self, name: str) -> bool:
        return any(detail.message and detail.start_time is None for detail in self._active[name].values())

    def _place(self, trial_id: str) -> str | None:
        with contextlib.suppress(OSError):
            name = self._place_file(trial_id).read_text()
            return name if name in self._services else None
        return None

    def _remember(self, trial_id: str, name: str) -> None:
        self._places[trial_id] = name
        path = self._place_file(trial_id)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(name)
            new.replace(path)

    def _place_file(self, trial_id: str) -> Path:
        return self._directory / "trials" / trial_id / ".nni" / "service"
