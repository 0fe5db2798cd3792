"""Several training services as one: trials go to whoever has least to do (PLT-303)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
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
from nni.training_service.bookkeeping import now

_logger = logging.getLogger(__name__)
_PATIENCE = 5.0  # seconds that a trial waits in one service before another one that may have room gets it
_PAUSE = 1.0  # seconds between two looks at trials that wait
_FULL = 60.0  # seconds after which a service is asked again that had no room, if nothing was heard of it until then


class HybridTrainingService(TrainingService):
    """Hands each trial to one of several services, and remembers on the disk to which.

    A service in which a trial waits for room counts as full, until a trial ends or starts there; it gets another trial
    only when all are full. A trial that has waited a while goes to a service that is not: so nothing waits for a
    service that is lost, or busy for long, as long as another one has room.

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
        self._full: dict[str, float] = {}
        self._waiting: dict[str, float] = {}
        self._running: set[str] = set()
        self._refused: list[str] = []
        self._status_listeners: list[StatusListener] = []
        self._in_transit: str | None = None
        self._late_cancel: bool | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._moving: asyncio.Task[None] | None = None
        for name, service in services.items():
            service.add_trial_job_status_listener(self._note(name))

    def _note(self, name: str) -> StatusListener:
        platform = name.partition("-")[2]

        def note(detail: TrialJobDetail) -> None:
            if detail.status.ended:
                self._active[name].pop(detail.id, None)
            self._note_waiting(name, detail)
            self._look_soon()
            if not detail.message and detail.status is not TrialStatus.WAITING:
                detail.message = f"on {platform}"
            detail.service = platform
            detail.tags = [name, *(tag for tag in detail.tags if tag != name)]

        return note

    # Trials that wait

    def _note_waiting(self, name: str, detail: TrialJobDetail) -> None:
        if detail.status is TrialStatus.WAITING:
            self._running.discard(detail.id)
            if detail.message:
                self._waiting.setdefault(detail.id, time.monotonic())
            return
        self._waiting.pop(detail.id, None)
        if detail.status.ended or detail.id not in self._running:
            self._full.pop(name, None)
        if detail.status.ended:
            self._running.discard(detail.id)
        else:
            self._running.add(detail.id)

    def _look_soon(self) -> None:
        """Look at the trials that wait when the first of them has waited long enough."""
        if self._timer is None and self._waiting:
            longest = max(0.0, min(self._waiting.values()) + _PATIENCE - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(max(_PAUSE, longest), self._look)

    def _look(self) -> None:
        self._timer = None
        if self._moving is None or self._moving.done():
            self._moving = asyncio.get_running_loop().create_task(self._move_all())

    async def _move_all(self) -> None:
        """Give trials that have waited long enough to services that may have room for them."""
        moment = time.monotonic()
        impatient = [trial_id for trial_id, since in self._waiting.items() if moment - since >= _PATIENCE]
        self._full |= {self._places[trial_id]: moment for trial_id in impatient if trial_id in self._places}
        for trial_id in impatient:
            origin = self._places.get(trial_id)
            targets = [name for name in self._usable if name != origin and not self._is_full(name)]
            if origin is not None and targets:
                await self._move(trial_id, origin, min(targets, key=lambda name: len(self._active[name])))
        self._look_soon()

    async def _move(self, trial_id: str, origin: str, target: str) -> None:
        detail = self._active[origin].get(trial_id)
        if detail is None:
            self._waiting.pop(trial_id, None)
            return
        self._in_transit, self._late_cancel = trial_id, None
        if await self._services[origin].withdraw_trial_job(trial_id):
            _logger.info("trial %s waited in %s and is given to %s", trial_id, origin, target)
            self._waiting.pop(trial_id, None)
            self._active[origin].pop(trial_id, None)
            await self._hand_over_surely(detail, [target, origin])
        elif trial_id in self._waiting:
            self._waiting[trial_id] = time.monotonic()
        self._in_transit = None
        if self._late_cancel is not None:
            await self.cancel_trial_job(trial_id, is_early_stopped=self._late_cancel)

    async def _hand_over_surely(self, detail: TrialJobDetail, names: list[str]) -> None:
        """Give a trial to the first service that takes it; until one does, nobody else would start or end it."""
        while self._late_cancel is None:
            for name in names:
                try:
                    await self._hand_over(detail.form, name)
                except OSError as error:  # of this machine's disk
                    _logger.warning("trial %s cannot be started in %s: %s; trying again", detail.id, name, error)
                else:
                    return
            await asyncio.sleep(_PAUSE)
        detail.status = TrialStatus.EARLY_STOPPED if self._late_cancel else TrialStatus.USER_CANCELED
        detail.is_early_stopped, detail.end_time = self._late_cancel, now()
        self._late_cancel = None
        for listener in self._status_listeners:
            listener(detail)

    async def _hand_over(self, form: TrialForm, name: str) -> TrialJobDetail:
        self._remember(form.id, name)
        detail = await self._services[name].submit_trial_job(form)
        detail.service = name.partition("-")[2]
        if not detail.status.ended:
            self._active[name][form.id] = detail
        return detail

    def _is_full(self, name: str) -> bool:
        return time.monotonic() - self._full.get(name, -_FULL) < _FULL

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
        self._refused = problems

    def problems(self) -> list[str]:
        """Return the problems of all services, and why some cannot be used at all."""
        return [*self._refused, *(text for name in self._usable for text in self._services[name].problems())]

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
        self._status_listeners.append(listener)
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
        return await self._hand_over(form, self._place(form.id) or self._choose())

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
        if trial_job_id == self._in_transit:
            self._late_cancel = is_early_stopped
        elif name is not None:
            await self._services[name].cancel_trial_job(trial_job_id, is_early_stopped=is_early_stopped)

    async def withdraw_trial_job(self, trial_job_id: str) -> bool:
        """Ask the service of the trial."""
        name = self._places.get(trial_job_id)
        if name is None or trial_job_id == self._in_transit:
            return False
        is_back = await self._services[name].withdraw_trial_job(trial_job_id)
        if is_back:
            self._active[name].pop(trial_job_id, None)
            self._waiting.pop(trial_job_id, None)
        return is_back

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
        if self._timer is not None:
            self._timer.cancel()
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.gather(self._moving, return_exceptions=True)
        await asyncio.gather(*(service.clean_up() for service in self._services.values()))

    async def run(self) -> None:
        """Run all services."""
        await asyncio.gather(*(service.run() for service in self._services.values()))

    def _choose(self) -> str:
        """Return the service with least to do, one that is not full if there is one."""
        return min(self._usable, key=lambda name: (self._waits(name), len(self._active[name])))

    def _waits(self, name: str) -> bool:
        is_waited_for = any(
            detail.message and detail.status is TrialStatus.WAITING for detail in self._active[name].values()
        )
        return is_waited_for or self._is_full(name)

    def _place(self, trial_id: str) -> str | None:
        with contextlib.suppress(OSError):
            name = self._place_file(trial_id).read_text()
            return name if name in self._services else None
        return None

    def _remember(self, trial_id: str, name: str) -> None:
        self._places[trial_id] = name
        path = self._place_file(trial_id)
        if self._place(trial_id) != name:
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(name)
            new.replace(path)

    def _place_file(self, trial_id: str) -> Path:
        return self._directory / "trials" / trial_id / ".nni" / "service"
