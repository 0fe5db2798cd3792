"""Which configurations were suggested already, and what to suggest instead."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from nni.search_space import SearchSpace, configuration_index, nth_configuration, sample, space_size

Configuration = Mapping[str, Any]

_REDRAWS = 100  # prior draws to look for an untried configuration
_LARGEST_LISTED = 100_000  # spaces up to this size are listed to find one


class Untried:
    """Keeps suggestions from repeating, and within a condition if there is one.

    Parameters
    ----------
    space
        The space.
    again
        Whether, once every configuration was suggested, all count as untried again: none comes a third time before
        all came twice.
    key
        What tells the configurations of a space without end apart. Default: nothing, there everything is new.
    """

    def __init__(
        self, space: SearchSpace, *, again: bool = False, key: Callable[[Configuration], Hashable] | None = None
    ) -> None:
        self._space = space
        self._size = space_size(space)
        self._again = again
        self._key = key
        self._tried: set[Hashable] = set()  # numbers of configurations, or their keys
        self._satisfies: Callable[[Any], bool] | None = None

    def constrain(self, satisfies: Callable[[Any], bool]) -> None:
        """Take for new only what satisfies a condition."""
        self._satisfies = satisfies

    def mark(self, configuration: Configuration) -> None:
        """Note that a configuration of the space was suggested or tried elsewhere."""
        identity = self._identity(configuration)
        if identity is None:
            return
        if self._again and not self.any_left:
            self._tried.clear()
        self._tried.add(identity)

    @property
    def any_left(self) -> bool:
        """Whether there is a configuration that was not marked."""
        return self._size is None or len(self._tried) < self._size

    def is_new(self, configuration: Configuration) -> bool:
        """Tell whether a configuration is allowed, and was not marked or has to do because all were."""
        if self._satisfies is not None and not self._satisfies(configuration):
            return False
        return not self.any_left or self._identity(configuration) not in self._tried

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw from the prior, something new if there is anything new to be had."""
        configuration = sample(self._space, rng)
        for _ in range(_REDRAWS):
            if self.is_new(configuration):
                return configuration
            configuration = sample(self._space, rng)
        if self._size is not None and self._size <= _LARGEST_LISTED and not self.is_new(configuration):
            return self._listed(self._size, rng) or configuration
        return configuration

    def _listed(self, size: int, rng: np.random.Generator) -> dict[str, Any] | None:
        """Return one of the new configurations, None if there is none."""
        left = [number for number in range(size) if number not in self._tried] if self.any_left else list(range(size))
        if self._satisfies is None:
            return nth_configuration(self._space, left[int(rng.integers(len(left)))])
        found = (nth_configuration(self._space, number) for number in rng.permutation(left).tolist())
        return next(filter(self._satisfies, found), None)

    def _identity(self, configuration: Configuration) -> Hashable:
        """Return what tells a configuration from others; None where nothing is known or everything is new."""
        if self._size is not None:
            return configuration_index(self._space, configuration)
        return None if self._key is None else self._key(configuration)
