"""A site as the pool sees it: its runners, its GPUs, and how busy it is."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from nni.common.errors import NniError
from nni.training_service.gpu import Gpu, GpuSchedule
from nni.training_service.pool.environment import Site
from nni.training_service.pool.link import LinkState, RunnerLink
from nni.trial_runner import protocol as p

_FRESH = 1.0  # seconds for which what was told of the GPUs is taken for true
_PATIENCE = 30.0  # seconds for an answer


class PooledMachine:
    """One site.

    Parameters
    ----------
    site
        The platform's side of it.
    make_link
        Returns a link to one of its environments, by label.
    """

    def __init__(self, site: Site, make_link: Callable[[Site, str], RunnerLink]) -> None:
        self.site = site
        self.base = make_link(site, "")
        """The link over which it is known what there is; with reuse, trials run behind it, too."""
        self.trials: set[str] = set()
        """Those that are placed here and have not ended."""
        self.idle_since = 0.0
        """When the last trial here ended; the larger, the more recently."""
        self.is_resting = False
        """Whether its environment is being given back."""
        self._is_spent = False
        self._make_link = make_link
        self._own: dict[str, RunnerLink] = {}
        self._schedule = None if site.gpus is None else GpuSchedule(site.gpus)
        self._devices: list[Gpu] = []
        self._told_at = 0.0
        self._told = asyncio.Event()

    @property
    def name(self) -> str:
        """The site's name."""
        return self.site.name

    @property
    def is_ready(self) -> bool:
        """Whether trials can be placed here."""
        return self.base.state is LinkState.READY

    @property
    def is_full(self) -> bool:
        """Whether as many trials are here as may be, or have been."""
        return self._is_spent or (self.site.capacity is not None and len(self.trials) >= self.site.capacity)

    @property
    def runs_in_base(self) -> bool:
        """Whether trials run behind the base link, not behind links of their own."""
        return self.site.is_reused or self.is_lazy

    @property
    def is_lazy(self) -> bool:
        """Whether its environment is there only while it is needed."""
        return self.site.idle_after is not None

    @property
    def is_asleep(self) -> bool:
        """Whether it could be woken up."""
        return not self.base.is_started and not self.is_resting

    async def rest(self, patience: float) -> None:
        """Give the environment back; another one is had at the next `RunnerLink.start`."""
        old, self.base, self.is_resting = self.base, self._make_link(self.site, ""), True
        try:
            await old.quit(patience)
            with contextlib.suppress(NniError, OSError):
                await old.environment.stop()
        finally:
            self.is_resting = self._is_spent = False

    @property
    def links(self) -> list[RunnerLink]:
        """All links, those of single trials first."""
        return [*self._own.values(), self.base]

    def link_for(self, trial: str) -> RunnerLink:
        """Return the link behind which a trial of this machine runs."""
        if self.runs_in_base:
            self.base.start()
            return self.base
        if trial not in self._own:
            self._own[trial] = self._make_link(self.site, trial)
            self._own[trial].start()
        return self._own[trial]

    def drop_link(self, trial: str) -> RunnerLink | None:
        """Return a trial's own link, which is not needed any more."""
        return self._own.pop(trial, None)

    # GPUs

    def told(self, machine: p.Machine) -> None:
        """Take note of what there is."""
        self._devices = [Gpu(index, frozenset(processes)) for index, processes in enumerate(machine.gpus)]
        self._told_at = time.monotonic()
        self._told.set()

    async def place(self, trial: str) -> tuple[tuple[int, ...] | None, str]:
        """Give a trial its GPUs; returns None and the reason if it has to wait."""
        if self._schedule is None:
            return (), ""
        await self._look()
        chosen = self._schedule.place(trial, self._devices, _nobodys)
        if chosen is not None:
            return chosen, ""
        reason = self._schedule.impossible(self._devices) or self._schedule.why_waiting(self._devices, _nobodys)
        return None, f"{self.name}: {reason}"

    def adopt(self, trial: str, gpus: str) -> None:
        """Take note of a trial that a former manager placed here."""
        self.trials.add(trial)
        if self._schedule is not None and gpus:
            self._schedule.adopt(trial, tuple(map(int, gpus.split(","))))

    def release(self, trial: str) -> None:
        """Take note that a trial has ended."""
        self.trials.discard(trial)
        self.idle_since = time.monotonic()
        self._is_spent = self.is_lazy and not self.site.is_reused
        if self._schedule is not None:
            self._schedule.release(trial)

    async def _look(self) -> None:
        if time.monotonic() - self._told_at < _FRESH:
            return
        self._told.clear()
        self.base.send(p.Look())
        try:
            await asyncio.wait_for(self._told.wait(), _PATIENCE)
        except asyncio.TimeoutError:
            self.base.reset()


def _nobodys(process: int) -> bool:
    """The runner tells only of processes that are not this experiment's."""
    del process
    return False
