"""How many configurations to ask the tuner for ahead of need."""

from __future__ import annotations

import math
from dataclasses import dataclass

_WEIGHT = 0.2  # of the newest observation in the running means
_NEGLIGIBLE = 0.05  # share of a trial's duration below which waiting for the tuner costs next to nothing


@dataclass(slots=True)
class Demand:
    """Weighs the tuner's slowness against the freshness of what it knows.

    Asking early keeps slots busy while the tuner computes, but each early suggestion misses the results of the trials
    that still run. So nothing is asked for early while the tuner takes under a twentieth of a trial's duration; above
    that, as many as would be used up while it computes, at most one for each slot.
    """

    tuner_seconds: float | None = None
    trial_seconds: float | None = None

    def tuner_took(self, seconds: float) -> None:
        """Learn from the time between a request and its first answer."""
        self.tuner_seconds = _mean(self.tuner_seconds, seconds)

    def trial_took(self, seconds: float) -> None:
        """Learn from a trial's duration."""
        self.trial_seconds = _mean(self.trial_seconds, seconds)

    def ahead(self, concurrency: int) -> int:
        """Return how many configurations to keep ready beside the running trials."""
        if self.tuner_seconds is None or self.trial_seconds is None:
            return 0
        share = self.tuner_seconds / max(self.trial_seconds, 1e-6)
        if share < _NEGLIGIBLE:
            return 0
        return min(concurrency, math.ceil(concurrency * share))


def _mean(old: float | None, new: float) -> float:
    return new if old is None else (1 - _WEIGHT) * old + _WEIGHT * new
