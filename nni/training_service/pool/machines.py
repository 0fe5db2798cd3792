"""The machines of an experiment, and what is to be known of them together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping

from nni.common.errors import NniError
from nni.training_service.pool.environment import Site
from nni.training_service.pool.link import LinkState, RunnerLink
from nni.training_service.pool.machine import PooledMachine


class Machines(Mapping[str, PooledMachine]):
    """Machines by the names of their sites; none before :meth:`connect`.

    Parameters
    ----------
    sites
        Where they are.
    make_link
        Returns a link to an environment of a site, by label.
    """

    def __init__(self, sites: Iterable[Site], make_link: Callable[[Site, str], RunnerLink]) -> None:
        self._sites = list(sites)
        self._make_link = make_link
        self._by_name: dict[str, PooledMachine] = {}

    def __getitem__(self, name: str) -> PooledMachine:
        """Return one; raises ``KeyError``."""
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self._by_name)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._by_name)

    # Reaching them, and letting go

    async def check(self) -> None:
        """Ask each site whether it can be used; raises ``NniError`` if one cannot."""
        for site in self._sites:
            await site.check()

    def connect(self) -> None:
        """Begin to connect to those that are there from the beginning; does nothing the second time."""
        for site in self._sites:
            if site.name not in self._by_name:
                machine = self._by_name[site.name] = PooledMachine(site, self._make_link)
                if not machine.is_lazy:
                    machine.base.start()

    def wake(self, waiting: int) -> None:
        """Have as many environments come as there are trials that wait for one, of those that are had when needed."""
        lazy = [machine for machine in self.values() if machine.is_lazy]
        coming = sum(machine.base.is_started and not machine.is_ready for machine in lazy)
        for machine in [machine for machine in lazy if machine.is_asleep][: max(0, waiting - coming)]:
            machine.base.start()

    async def clear(self) -> None:
        """Free all that the platforms gave."""
        for link in self.links:
            await link.close()
            if link.is_started:
                with contextlib.suppress(NniError, OSError):
                    await link.environment.stop()
        for site in self._sites:
            with contextlib.suppress(NniError, OSError):
                await site.clear()

    async def close(self) -> None:
        """Leave all as they are."""
        await asyncio.gather(*(link.close() for link in self.links))
        for machine in self.values():
            with contextlib.suppress(NniError, OSError):
                await machine.site.close()

    # What is known of them

    @property
    def links(self) -> list[RunnerLink]:
        """The links of all."""
        return [link for machine in self.values() for link in machine.links]

    def behind(self, link: RunnerLink) -> PooledMachine | None:
        """Return the machine whose base link this is; None for the link of a single trial."""
        return next((machine for machine in self.values() if machine.base is link), None)

    @property
    def are_unusable(self) -> bool:
        """Whether none can be used, and that will not change by itself."""
        return all(machine.base.state is LinkState.UNUSABLE for machine in self.values())

    @property
    def are_reached(self) -> bool:
        """Whether there is one for trials, or never will be."""
        return any(machine.is_ready or machine.is_lazy for machine in self.values()) or self.are_unusable

    @property
    def have_answered(self) -> bool:
        """Whether each is ready, or has said at least once why not."""
        return all(machine.is_ready or machine.is_lazy or machine.base.attempts > 0 for machine in self.values())

    @property
    def absences(self) -> str:
        """Why those are not there that should be, in one line; nothing if all are."""
        absent = [machine for machine in self.values() if machine.base.is_started and not machine.is_ready]
        return "; ".join(machine.base.problem for machine in absent)

    def problems(self) -> list[str]:
        """Return which cannot be used at present, and what is not as it should be on the others."""
        found = []
        for machine in self.values():
            base = machine.base
            is_lost = base.attempts > 0 and not machine.is_ready and not machine.is_lazy
            if is_lost or base.state is LinkState.UNUSABLE:
                found.append(base.problem)
            found += base.warnings
        return found
