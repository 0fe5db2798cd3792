"""Asynchronous successive halving, as an assessor beside any tuner."""

from __future__ import annotations

import logging
import math
from bisect import bisect_left, insort
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from nni.algorithms._validators.asha import AshaAssessorValidator
from nni.algorithms.hpo._metric import MetricError, scalar, sign
from nni.assessor import Assessor, AssessResult

_logger = logging.getLogger(__name__)


@dataclass
class _Place:
    """Where a running trial is on a rung, and whether it was good enough there."""

    loss: float
    good: bool


class ASHAAssessor(Assessor):
    """Stops a trial at a rung unless its result there is among the best ``1 / eta`` of all that came so far.

    Rungs are at ``start_step``, ``start_step * eta``, ``start_step * eta^2``, … intermediate results; between them
    nothing is judged. Results of trials that run or were stopped here count, those of trials that failed do not. The
    first trial at a rung always passes, and until there are ``2 eta`` results one that nobody is better than. A result
    of NaN is worse than any other. This is the stopping variant of the algorithm, for trials that report as they train;
    where a trial has to be told its budget before, use the advisor :class:`~nni.algorithms.hpo.asha_advisor.ASHA`.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end is the better one.
    start_step : int, default 1
        How many results come before the first rung, that rung included.
    eta : int, default 3
        ``1 / eta`` of the trials go on after a rung.

    References
    ----------
    L. Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2018, arXiv:1810.05934.
    """

    def __init__(self, optimize_mode: str = "maximize", start_step: int = 1, eta: int = 3) -> None:
        AshaAssessorValidator().validate_class_args(optimize_mode=optimize_mode, start_step=start_step, eta=eta)
        self._sign = sign(optimize_mode)  # smaller is better in here
        self._start_step = int(start_step)
        self._eta = int(eta)
        self._rungs: list[list[float]] = []  # sorted losses at each rung
        self._places: dict[str, list[_Place]] = {}  # of the running trials, by rung

    def assess_trial(self, trial_job_id: str, trial_history: list[Any]) -> AssessResult:
        """Judge a trial at the rungs that it has reached since the last call.

        Where an earlier result has changed since (HPO-135), the trial is judged again.

        Raises
        ------
        MetricError
            If a result at a rung is neither a number nor a dict with ``default``.
        """
        places = self._places.setdefault(trial_job_id, [])
        step, rung = self._start_step, 0
        while step <= len(trial_history):
            loss = self._sign * scalar(trial_history[step - 1], f"trial {trial_job_id}")
            loss = math.inf if math.isnan(loss) else loss
            if rung == len(places):
                places.append(_Place(loss, self._add(rung, loss)))
            elif places[rung].loss != loss:
                self._remove(rung, places[rung].loss)
                places[rung] = _Place(loss, self._add(rung, loss))
            step, rung = step * self._eta, rung + 1
        return AssessResult.Good if all(place.good for place in places) else AssessResult.Bad

    def trial_end(self, trial_job_id: str, success: bool) -> None:
        """Let the results of a trial that succeeded, or was stopped here, go on to count, and those of others not."""
        places = self._places.pop(trial_job_id, [])
        if success or not all(place.good for place in places):
            return
        for rung, place in enumerate(places):
            self._remove(rung, place.loss)

    def replay(self, events: list[dict[str, Any]]) -> None:
        """Put the results of before a restart on their rungs, those of stopped trials too.

        Nobody is judged: a trial that still runs has passed, and might not among those that came later.
        """
        histories: defaultdict[str, list[Any]] = defaultdict(list)
        for event in events:
            if event["kind"] == "intermediate":
                history, place = histories[event["trial_job_id"]], event["sequence"]
                history[place : place + 1] = [event["value"]]  # appended, or in the place of an earlier attempt's
                self._assess_again(event["trial_job_id"], history)
            elif event["kind"] == "end":
                histories.pop(event["trial_job_id"], None)
                self.trial_end(event["trial_job_id"], event["event"] in {"SUCCEEDED", "EARLY_STOPPED"})

    def _assess_again(self, trial: str, history: list[Any]) -> None:
        try:
            self.assess_trial(trial, history)
        except MetricError as error:  # it was reported when it happened first
            _logger.warning("replay: %s", error)
        for place in self._places[trial]:
            place.good = True

    def _add(self, rung: int, loss: float) -> bool:
        """Put a loss on a rung; return whether it is among the best there."""
        if rung == len(self._rungs):
            self._rungs.append([])
        losses = self._rungs[rung]
        better = bisect_left(losses, loss)
        insort(losses, loss)
        return better < max(1, len(losses) // self._eta)

    def _remove(self, rung: int, loss: float) -> None:
        losses = self._rungs[rung]
        del losses[bisect_left(losses, loss)]
