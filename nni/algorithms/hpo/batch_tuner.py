"""The batch tuner (HPO-240 … HPO-244)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Any

from nni.algorithms._validators.enumeration import BatchValidator
from nni.algorithms.hpo._replay import ReplayingTuner
from nni.algorithms.hpo._samples import samples
from nni.common.errors import NoMoreTrialError
from nni.search_space import Choice, SearchSpaceError, json_key, parse


class BatchTuner(ReplayingTuner):
    """Runs a list of configurations, in the order given.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, optional
        Does not change what is tried. Accepted because it tells readers of the results which end is the better one.

    Examples
    --------
    >>> tuner = BatchTuner()
    >>> tuner.update_search_space({"combine_params": {"_type": "choice", "_value": [{"lr": 0.1}, {"lr": 0.2}]}})
    >>> tuner.generate_parameters(0), tuner.generate_parameters(1)
    ({'lr': 0.1}, {'lr': 0.2})
    """

    def __init__(self, *, optimize_mode: str = "maximize") -> None:
        BatchValidator().validate_class_args(optimize_mode=optimize_mode)
        self._waiting: list[Any] = []
        self._position = 0
        self._done: Counter[Hashable] = Counter()  # how often each configuration was suggested or imported
        self._left_out: Counter[Hashable] = Counter()  # of those, how many are still to be skipped in the list

    def is_valid(self, search_space: dict[str, Any]) -> list[Any] | None:
        """Return the configurations of a search space, or None if it is not of the batch form (HPO-241)."""
        try:
            return self._candidates(search_space)
        except SearchSpaceError:
            return None

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take the list; of a changed one (HPO-059), what was tried already is not tried again.

        Raises
        ------
        SearchSpaceError
            If the space is not of the batch form (HPO-240).
        """
        self._waiting, self._position = self._candidates(search_space), 0
        self._left_out = self._done.copy()

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> Any:  # noqa: ARG002  (HPO-111)
        """Return the next configuration of the list, as it is.

        Raises
        ------
        nni.NoMoreTrialError
            After the last one (HPO-242).
        """
        while self._position < len(self._waiting):
            candidate = self._waiting[self._position]
            self._position += 1
            key = json_key(candidate)
            if self._left_out[key] > 0:
                self._left_out[key] -= 1
                continue
            self._done[key] += 1
            return candidate
        raise NoMoreTrialError

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:
        """Do nothing: a list does not learn (HPO-243)."""

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Leave out configurations whose results are given; each result stands for one occurrence in the list."""
        for _, parameter, _ in samples(data):
            self._leave_out(parameter)

    def remember(self, parameter_id: int, parameters: Any) -> None:  # noqa: ARG002  (which trial it was is all one)
        """Leave out a configuration that was suggested before a restart."""
        self._leave_out(parameters)

    def _candidates(self, search_space: dict[str, Any]) -> list[Any]:
        space = parse(search_space)
        BatchValidator().validate_search_space(space)
        return [option for choice in space.values() if isinstance(choice, Choice) for option in choice.options]

    def _leave_out(self, configuration: Any) -> None:
        self._done[json_key(configuration)] += 1
        self._left_out[json_key(configuration)] += 1
