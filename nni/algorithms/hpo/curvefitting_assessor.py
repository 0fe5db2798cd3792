"""Stopping trials by where their learning curve is going (HPO-370 … HPO-380)."""

from __future__ import annotations

import logging
import math
from typing import Any

from nni.algorithms._validators.curvefitting import CurvefittingValidator
from nni.algorithms.hpo._curvefitting import CurveModel
from nni.algorithms.hpo._metric import MetricError, scalar, sign
from nni.assessor import Assessor, AssessResult

_logger = logging.getLogger(__name__)


class CurvefittingAssessor(Assessor):
    """Stops a trial whose predicted final result is not better than `threshold` times the best one so far.

    Twelve families of saturating curves are fitted to the intermediate results and combined to an ensemble, whose mean
    at `epoch_num` is the prediction. Where no prediction converges, and as long as no trial has succeeded, the trial
    goes on (HPO-377, HPO-378). The curves rise; a trial whose results get worse and worse is not predictable and not
    stopped.

    With a best result of 0.9 and the default threshold, a trial is stopped if 0.855 or less is predicted. Where the
    best result is negative, the margin of ``1 - threshold`` lies below it all the same: the bar for -2 is -2.1.

    Parameters
    ----------
    epoch_num : int, default 20
        How many intermediate results a whole trial has: the step that is predicted. A config must give it.
    start_step : int, default 6
        Trials are judged from this many results on.
    threshold : float, default 0.95
        The share of the best result that has to be predicted.
    gap : int, default 1
        Steps from one judgement to the next: with 2, after 6, 8, 10, … results. If several results come at once, a
        judgement that was due is made up for (HPO-380).
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Not of the original, which takes rising curves only. Curves that have to fall, such as a loss, are judged as
        their mirror image: with a threshold of 0.95 and a best loss of 2, a prediction of 2.1 or more is bad.

    References
    ----------
    T. Domhan, J. T. Springenberg and F. Hutter, "Speeding up Automatic Hyperparameter Optimization of Deep Neural
    Networks by Extrapolation of Learning Curves", IJCAI 2015.
    """

    def __init__(
        self,
        epoch_num: int = 20,
        start_step: int = 6,
        threshold: float = 0.95,
        gap: int = 1,
        optimize_mode: str = "maximize",
    ) -> None:
        CurvefittingValidator().validate_class_args(
            epoch_num=epoch_num, start_step=start_step, threshold=threshold, gap=gap, optimize_mode=optimize_mode
        )
        self._sign = -sign(optimize_mode)  # larger is better in here
        self._epoch_num = int(epoch_num)
        self._start_step = int(start_step)
        self._threshold = threshold
        self._gap = int(gap)
        self._model = CurveModel(self._epoch_num)
        self._best = -math.inf  # final result of the trials that succeeded
        self._last: dict[str, float] = {}  # newest result of each running trial
        self._judged: dict[str, int] = {}  # which judgement of each running trial was the last

    def assess_trial(self, trial_job_id: str, trial_history: list[Any]) -> AssessResult:
        """Judge a trial by all of its results so far.

        Raises
        ------
        MetricError
            If a result is neither a number nor a dict with ``default``.
        """
        history = [self._sign * scalar(value, f"trial {trial_job_id}") for value in trial_history]
        self._last[trial_job_id] = history[-1]
        if not self._is_due(trial_job_id, len(history)) or self._best == -math.inf:
            return AssessResult.Good
        prediction = self._model.predict(history)
        if prediction is None or prediction.mean > self._bar():
            return AssessResult.Good
        return AssessResult.Bad

    def trial_end(self, trial_job_id: str, success: bool) -> None:
        """Remember the last result of a trial that succeeded, if it is the best one; forget the trial."""
        last = self._last.pop(trial_job_id, math.nan)
        self._judged.pop(trial_job_id, None)
        if success and math.isfinite(last):
            self._best = max(self._best, last)

    def replay(self, events: list[dict[str, Any]]) -> None:
        """Restore the best result after a restart, without judging trials that ended long ago (HPO-413)."""
        newest: dict[str, tuple[int, Any]] = {}
        for event in events:
            trial = event["trial_job_id"]
            if event["kind"] == "intermediate":
                newest[trial] = max(newest.get(trial, (-1, None)), (event["sequence"], event["value"]), key=_sequence)
            elif event["kind"] == "end":
                _, value = newest.pop(trial, (-1, None))
                try:
                    self._last[trial] = self._sign * scalar(value, f"trial {trial}") if value is not None else math.nan
                except MetricError as error:  # it was reported when it happened; the rest still counts
                    _logger.warning("replay: %s", error)
                self.trial_end(trial, event["event"] == "SUCCEEDED")

    def _is_due(self, trial_job_id: str, steps: int) -> bool:
        """Tell whether it is time for a judgement; one of a trial that has all of its results comes too late."""
        if steps < self._start_step or steps >= self._epoch_num:
            return False
        number = (steps - self._start_step) // self._gap
        if number <= self._judged.get(trial_job_id, -1):
            return False
        self._judged[trial_job_id] = number
        return True

    def _bar(self) -> float:
        """Return what the prediction has to exceed: threshold times the best, for a positive best."""
        return self._best - (1 - self._threshold) * abs(self._best)


def _sequence(report: tuple[int, Any]) -> int:
    return report[0]
