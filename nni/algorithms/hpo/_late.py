"""Tuners that sometimes have to wait for results before they can suggest anything more (HPO-224)."""

from __future__ import annotations

import logging
import secrets
from abc import abstractmethod
from collections import deque
from collections.abc import Callable
from typing import Any

from nni.algorithms.hpo._replay import ReplayingTuner
from nni.common.errors import NoMoreTrialError

Callback = Callable[[int, Any], None]


class LateTuner(ReplayingTuner):
    """A tuner that owes suggestions while it waits, and hands them over as soon as it has them.

    Parameters
    ----------
    seed
        For a run that can be repeated. Drawn, and logged, if None.
    """

    delivers_late = True

    def __init__(self, seed: int | None) -> None:
        self._seed = secrets.randbits(32) if seed is None else int(seed)
        if seed is None:
            logging.getLogger(type(self).__module__).info("%s draws with seed %d", type(self).__name__, self._seed)
        self._owed: deque[tuple[int, Callback]] = deque()

    @property
    def credit(self) -> int:
        """Number of suggestions that were asked for and will be delivered later."""
        return len(self._owed)

    @abstractmethod
    def suggest(self, parameter_id: int) -> dict[str, Any] | None:
        """Return a configuration and note that its trial runs; None if it takes results of others to have one."""

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:
        """Return a configuration; if there is none for now, it is owed and delivered later.

        Parameters
        ----------
        parameter_id
            Unique number of the configuration.
        **kwargs
            ``st_callback(parameter_id, parameters)`` takes what is delivered later.

        Raises
        ------
        nni.NoMoreTrialError
            If there is none for now.
        """
        found = self.generate_multiple_parameters([parameter_id], **kwargs)
        if not found:
            raise NoMoreTrialError(f"{type(self).__name__} has to wait for results before it can suggest more")
        return dict(found[0])

    def generate_multiple_parameters(self, parameter_id_list: list[int], **kwargs: Any) -> list[dict[str, Any]]:
        """Return configurations for the first of the ids; those of the others are owed and delivered later."""
        found: list[dict[str, Any]] = []
        for place, parameter_id in enumerate(parameter_id_list):
            configuration = self.suggest(parameter_id)
            if configuration is None:
                callback = kwargs.get("st_callback")
                if callback is not None:
                    self._owed.extend((each, callback) for each in parameter_id_list[place:])
                break
            found.append(configuration)
        return found

    def deliver(self) -> None:
        """Hand over what is owed, as far as there is something by now."""
        while self._owed:
            parameter_id, callback = self._owed[0]
            configuration = self.suggest(parameter_id)
            if configuration is None:
                return
            self._owed.popleft()
            callback(parameter_id, configuration)
