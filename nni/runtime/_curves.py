"""What trials reported on their way, for tuners that learn from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from nni.runtime._failure import call
from nni.tuner import Tuner

STOPPED = frozenset({"EARLY_STOPPED", "USER_CANCELED"})
"""Ends of trials that showed something. One that failed may have stood well; its configuration is still unusable."""


class Curves:
    """Keeps the intermediate results of running trials and hands them over at the end.

    A tuner with a method ``receive_intermediate_results(parameter_id, values)`` gets what a trial reported, oldest
    first, right before :meth:`~nni.tuner.Tuner.receive_trial_result`, and of a trial that was stopped without a result
    right before :meth:`~nni.tuner.Tuner.trial_end`. To a tuner without it, nothing is different.

    Parameters
    ----------
    tuner
        Who learns from them.
    """

    def __init__(self, tuner: Tuner) -> None:
        self._take: Callable[[int, list[Any]], None] | None = getattr(tuner, "receive_intermediate_results", None)
        self._values: dict[str, dict[int, str]] = {}

    @property
    def are_wanted(self) -> bool:
        """Whether the tuner has that method."""
        return self._take is not None

    def add(self, trial: str, sequence: int, value: str) -> None:
        """Keep one report, as JSON text; called by the reading thread."""
        if self._take is not None:
            self._values.setdefault(trial, {})[sequence] = value

    def restore(self, trial: str, sequence: int, value: Any) -> None:
        """Keep one report of before a restart, unless a newer one of the same number has come already."""
        if self._take is not None:
            self._values.setdefault(trial, {}).setdefault(sequence, json.dumps(value))

    def tell(self, trial: str, parameter_id: int) -> None:
        """Hand over what a trial reported, if it reported anything."""
        values = self._values.pop(trial, None)
        if self._take is not None and values:
            call(self._take, parameter_id, [json.loads(text) for _, text in sorted(values.items())])

    def forget(self, trial: str) -> None:
        """Drop what a trial reported."""
        self._values.pop(trial, None)
