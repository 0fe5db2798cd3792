"""Which configurations of a finite space were suggested already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nni.search_space import SearchSpace, configuration_index, nth_configuration, sample, space_size

_REDRAWS = 100  # prior draws to look for an untried configuration
_LARGEST_LISTED = 100_000  # spaces up to this size are listed to find one


class Untried:
    """Keeps suggestions on finite spaces from repeating. On a space without end everything is new.

    Parameters
    ----------
    space
        The space.
    again
        Whether, once every configuration was suggested, all count as untried again: none comes a third time before
        all came twice.
    """

    def __init__(self, space: SearchSpace, *, again: bool = False) -> None:
        self._space = space
        self._size = space_size(space)
        self._again = again
        self._tried: set[int] = set()  # numbers of configurations

    def mark(self, configuration: Mapping[str, Any]) -> None:
        """Note that a configuration of the space was suggested or tried elsewhere."""
        number = None if self._size is None else configuration_index(self._space, configuration)
        if number is None:
            return
        if self._again and not self.any_left:
            self._tried.clear()
        self._tried.add(number)

    @property
    def any_left(self) -> bool:
        """Whether there is a configuration that was not marked."""
        return self._size is None or len(self._tried) < self._size

    def is_new(self, configuration: Mapping[str, Any]) -> bool:
        """Tell whether a configuration was not marked, or has to do because all were."""
        if self._size is None or not self.any_left:
            return True
        return configuration_index(self._space, configuration) not in self._tried

    def draw(self, rng: np.random.Generator) -> dict[str, Any]:
        """Draw from the prior, something new if there is anything new to be had."""
        configuration = sample(self._space, rng)
        for _ in range(_REDRAWS):
            if self.is_new(configuration):
                return configuration
            configuration = sample(self._space, rng)
        if self._size is not None and self._size <= _LARGEST_LISTED and not self.is_new(configuration):
            left = sorted(set(range(self._size)) - self._tried)
            return nth_configuration(self._space, left[int(rng.integers(len(left)))])
        return configuration
