"""Grid search (HPO-250 … HPO-256)."""

from __future__ import annotations

import logging
from typing import Any

from nni.algorithms._validators.enumeration import GridSearchValidator
from nni.algorithms.hpo._replay import ReplayingTuner
from nni.algorithms.hpo._samples import samples
from nni.common.errors import NoMoreTrialError
from nni.search_space import SearchSpace, configuration_index, nth_configuration, parse, space_size

_logger = logging.getLogger(__name__)


class GridSearchTuner(ReplayingTuner):
    """Goes through every configuration of a finite search space, each exactly once.

    Takes ``choice`` (nested too), ``quniform`` and ``randint``. A ``quniform`` takes the values it has in any other
    tuner, ``clip(round(x / q) * q, low, high)`` (X-04). The grid is numbered, not written out: one of 10**9 points
    starts at once and takes no memory. The last variable of the space changes fastest.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, optional
        Does not change what is tried. Accepted because it tells readers of the results which end is the better one.

    Examples
    --------
    >>> tuner = GridSearchTuner()
    >>> tuner.update_search_space({"depth": {"_type": "randint", "_value": [1, 4]}})
    >>> [tuner.generate_parameters(i) for i in range(3)]
    [{'depth': 1}, {'depth': 2}, {'depth': 3}]
    """

    def __init__(self, *, optimize_mode: str = "maximize") -> None:
        GridSearchValidator().validate_class_args(optimize_mode=optimize_mode)
        self._space = SearchSpace({})
        self._size = 0
        self._next = 0
        self._ahead: set[int] = set()  # points beyond _next that are done: imported, or suggested before a restart
        self._done: list[Any] = []  # all configurations suggested or imported, to find them in a changed space

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take a search space; of a changed one (HPO-059), what was tried in the old one is not tried again.

        Raises
        ------
        SearchSpaceError
            If the space has a variable of another type (HPO-250).
        """
        space = parse(search_space)
        GridSearchValidator().validate_search_space(space)
        self._space, self._size = space, space_size(space) or 0
        self._next = 0
        self._ahead = set()
        for configuration in self._done:
            self._skip(configuration)

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002  (HPO-111)
        """Return the next configuration of the grid.

        Raises
        ------
        nni.NoMoreTrialError
            When all have been returned (HPO-253).
        """
        while self._next in self._ahead:
            self._ahead.discard(self._next)
            self._next += 1
        if self._next >= self._size:
            raise NoMoreTrialError
        configuration = nth_configuration(self._space, self._next)
        self._next += 1
        self._done.append(configuration)
        return configuration

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:
        """Do nothing: a grid does not learn (HPO-254)."""

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Skip the points whose results are given (HPO-254); those that are not on the grid are ignored."""
        configurations = [parameter for _, parameter, _ in samples(data)]
        known = sum(self._skip(configuration) for configuration in configurations)
        self._done.extend(configurations)
        _logger.info("%d of %d imported configurations are on the grid and will be skipped", known, len(data))

    def remember(self, parameter_id: int, parameters: Any) -> None:  # noqa: ARG002  (which trial it was is all one)
        """Skip a point that was suggested before a restart."""
        self._skip(parameters)
        self._done.append(parameters)

    def _skip(self, configuration: Any) -> bool:
        index = configuration_index(self._space, configuration) if isinstance(configuration, dict) else None
        if index is not None and index >= self._next:
            self._ahead.add(index)
        return index is not None
