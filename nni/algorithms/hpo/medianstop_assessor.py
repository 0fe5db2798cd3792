"""The median stopping rule (HPO-360 … HPO-364)."""

from __future__ import annotations

import math
from bisect import insort
from typing import Any

from nni.algorithms._validators.medianstop import MedianstopValidator
from nni.algorithms.hpo._metric import scalar, sign
from nni.assessor import Assessor, AssessResult


class MedianstopAssessor(Assessor):
    """Stops a trial whose best result so far is strictly worse than the median of the others' running averages.

    At step S the trial's best result of steps 1 … S is compared with the median, over all trials that succeeded, of
    the average of their results of steps 1 … S. A trial that succeeded with fewer than S results counts with the
    average of those it has. NaN results are left out of averages; a trial with nothing but NaN is as bad as can be.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end is the better one.
    start_step : int, default 0
        Trials are judged from this many results on (HPO-362).

    References
    ----------
    D. Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.2.
    """

    def __init__(self, optimize_mode: str = "maximize", start_step: int = 0) -> None:
        MedianstopValidator().validate_class_args(optimize_mode=optimize_mode, start_step=start_step)
        self._sign = -sign(optimize_mode)  # larger is better in here
        self._start_step = start_step
        self._running: dict[str, list[float]] = {}
        # _averages[s]: sorted running averages at step s + 1 of all completed trials. One bisection per step when a
        # trial completes, one look at the middle when one is judged.
        self._averages: list[list[float]] = []
        self._finals: list[float] = []  # sorted averages over whole trials: what holds beyond the longest trial

    def assess_trial(self, trial_job_id: str, trial_history: list[Any]) -> AssessResult:
        """Judge a trial by all of its results so far.

        The whole history is read each time: earlier results may have changed since (HPO-135), and the number of
        results may have grown by more than one (X-58).

        Raises
        ------
        MetricError
            If a result is neither a number nor a dict with ``default``.
        """
        history = [self._sign * scalar(value, f"trial {trial_job_id}") for value in trial_history]
        self._running[trial_job_id] = history
        step = len(history)
        averages = self._averages[step - 1] if step <= len(self._averages) else self._finals
        if step < self._start_step or not averages:
            return AssessResult.Good
        best = max((value for value in history if not math.isnan(value)), default=-math.inf)
        return AssessResult.Bad if best < _median(averages) else AssessResult.Good

    def trial_end(self, trial_job_id: str, success: bool) -> None:
        """Count the trial among the completed ones if it succeeded; forget it if not (HPO-363)."""
        history = self._running.pop(trial_job_id, [])
        averages = _running_averages(history)
        if not success or not averages:
            return
        for _ in range(len(averages) - len(self._averages)):
            self._averages.append(self._finals.copy())
        for step, others in enumerate(self._averages):
            insort(others, averages[min(step, len(averages) - 1)])
        insort(self._finals, averages[-1])


def _running_averages(history: list[float]) -> list[float]:
    averages: list[float] = []
    total, count = 0.0, 0
    for value in history:
        if not math.isnan(value):
            total, count = total + value, count + 1
        averages.append(total / count if count else -math.inf)
    return [-math.inf if math.isnan(average) else average for average in averages]  # inf - inf


def _median(ordered: list[float]) -> float:
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return ordered[middle - 1] / 2 + ordered[middle] / 2  # halves first: no overflow, and -inf stays -inf
