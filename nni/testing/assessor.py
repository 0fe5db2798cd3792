"""The conformance suite of assessors, to be run with pytest.

Subclass :class:`AssessorConformance` in a test module, and pytest finds the checks::

    class TestMyAssessor(AssessorConformance):
        def make(self, optimize_mode):
            return MyAssessor(optimize_mode=optimize_mode)
"""

from __future__ import annotations

import copy
import json
import math
from abc import ABC, abstractmethod
from typing import Any

import pytest

from nni.assessor import Assessor, AssessResult
from nni.common.errors import NniError

_EXAMPLES = (0.8, 0.84, 0.88)
GOOD, BAD = AssessResult.Good, AssessResult.Bad


def curve(asymptote: float, steps: int) -> list[float]:
    """Return a learning curve that rises and saturates: what a trial reports when larger is better."""
    return [asymptote * (1 - 0.7 * math.exp(-step / (0.2 * steps))) for step in range(1, steps + 1)]


class AssessorConformance(ABC):
    """What an assessor must do. Says what it takes through class attributes.

    Attributes
    ----------
    modes
        The values of ``optimize_mode`` that :meth:`make` takes.
    steps
        How many intermediate results a whole trial has in the checks.
    stops
        Whether it stops a trial that is hopeless: one that stays at a tenth of what all others reach. Only then can it
        be checked that it does.
    """

    modes: tuple[str, ...] = ("maximize", "minimize")
    steps: int = 20
    stops: bool = True

    @abstractmethod
    def make(self, optimize_mode: str) -> Assessor:
        """Return a new assessor."""

    def history(self, optimize_mode: str, asymptote: float) -> list[float]:
        """Return what a whole trial reports; of a larger asymptote the better trial, in either mode.

        Minimised is the mirror image: maximising and minimising are to give the same verdicts.
        """
        sign = 1.0 if optimize_mode == "maximize" else -1.0
        return [sign * value for value in curve(asymptote, self.steps)]

    def live(self, assessor: Assessor, trial: str, history: list[Any], *, success: bool = True) -> list[AssessResult]:
        """Run a trial to its end, and return the verdicts after each result."""
        verdicts = [assessor.assess_trial(trial, history[:step]) for step in range(1, len(history) + 1)]
        assessor.trial_end(trial, success)
        return verdicts

    def experienced(self, optimize_mode: str = "maximize") -> Assessor:
        """Return an assessor that has seen three good trials succeed."""
        assessor = self.make(optimize_mode)
        for number, asymptote in enumerate(_EXAMPLES):
            self.live(assessor, f"done{number}", self.history(optimize_mode, asymptote))
        return assessor

    # ------------------------------------------------------------------------------------ verdicts

    def test_verdicts_are_assess_results(self) -> None:
        for mode in self.modes:
            verdicts = self.live(self.experienced(mode), "x", self.history(mode, 0.5))
            assert {type(verdict) for verdict in verdicts} == {AssessResult}

    def test_the_first_trials_are_let_live(self) -> None:
        for mode in self.modes:
            assessor = self.make(mode)
            assert BAD not in [assessor.assess_trial("x", self.history(mode, 0.1)[: n + 1]) for n in range(self.steps)]

    def test_a_trial_better_than_all_others_is_let_live(self) -> None:
        for mode in self.modes:
            assert BAD not in self.live(self.experienced(mode), "x", self.history(mode, 1.2))

    def test_a_hopeless_trial_is_stopped(self) -> None:
        if not self.stops:
            pytest.skip("says that it does not stop such trials")
        for mode in self.modes:
            assert BAD in self.live(self.experienced(mode), "x", self.history(mode, 0.08))

    def test_maximising_is_the_mirror_of_minimising(self) -> None:
        if len(self.modes) < 2:
            pytest.skip("has one mode")
        made = {mode: self.experienced(mode) for mode in self.modes}
        for asymptote in (0.08, 0.4, 0.8, 0.83, 0.9):
            trial = f"x{asymptote}"
            verdicts = [self.live(one, trial, self.history(mode, asymptote)) for mode, one in made.items()]
            assert verdicts[0] == verdicts[1]

    def test_trials_at_the_same_time_are_judged_each_on_its_own(self) -> None:
        mode = self.modes[0]
        alone = [
            [one.assess_trial("x", self.history(mode, asymptote)[:n]) for n in range(1, self.steps + 1)]
            for asymptote in (0.08, 1.2)
            for one in [self.experienced(mode)]
        ]
        together = self.experienced(mode)
        mixed: list[list[AssessResult]] = [[], []]
        for n in range(1, self.steps + 1):
            for place, asymptote in enumerate((0.08, 1.2)):
                mixed[place].append(together.assess_trial(f"x{place}", self.history(mode, asymptote)[:n]))
        assert mixed == alone

    def test_only_trials_that_succeeded_are_an_example_to_others(self) -> None:
        mode = self.modes[0]
        assessor = self.make(mode)
        for number in range(5):
            self.live(assessor, f"failed{number}", self.history(mode, 100.0), success=False)
        assert BAD not in self.live(assessor, "x", self.history(mode, 0.8))

    # ------------------------------------------------------------------------------------ histories, see HPO-135

    def test_several_results_may_come_at_once(self) -> None:
        for mode in self.modes:
            assessor, hopeless = self.experienced(mode), self.history(mode, 0.08)
            verdicts = [assessor.assess_trial("x", hopeless[:n]) for n in (1, 4, 9, self.steps - 1)]
            assert (BAD in verdicts) == self.stops
            assert assessor.assess_trial("y", self.history(mode, 1.2)[: self.steps - 1]) is GOOD

    def test_earlier_results_may_change_and_the_new_ones_count(self) -> None:
        mode = self.modes[0]
        assessor = self.experienced(mode)
        assessor.assess_trial("x", self.history(mode, 0.08)[:3])
        assert assessor.assess_trial("x", self.history(mode, 1.2)[: self.steps - 1]) is GOOD

    def test_results_may_come_after_a_verdict_or_beyond_the_usual_number(self) -> None:
        mode = self.modes[0]
        assessor = self.experienced(mode)
        history = self.history(mode, 0.08)
        self.live(assessor, "x", [*history, *([history[-1]] * self.steps)], success=False)
        self.live(assessor, "y", self.history(mode, 0.8))

    def test_the_history_is_not_changed(self) -> None:
        mode = self.modes[0]
        history = [{"default": value, "other": [1]} for value in self.history(mode, 0.5)]
        before = copy.deepcopy(history)
        self.experienced(mode).assess_trial("x", history)
        assert history == before

    def test_a_trial_may_end_without_a_result_and_more_than_once(self) -> None:
        mode = self.modes[0]
        assessor = self.experienced(mode)
        for success in (True, False, True):
            assessor.trial_end("unheard of", success)
        self.live(assessor, "x", self.history(mode, 0.8))

    # ------------------------------------------------------------------------------------ metrics

    def test_a_dict_with_default_is_as_good_as_its_number(self) -> None:
        for mode in self.modes:
            one, other = self.experienced(mode), self.experienced(mode)
            for asymptote in (0.08, 0.8):
                plain = self.history(mode, asymptote)
                wrapped = [{"default": value, "loss": "x"} for value in plain]
                assert self.live(one, str(asymptote), plain) == self.live(other, str(asymptote), wrapped)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_results_that_are_no_finite_number_are_survived(self, value: float) -> None:
        for mode in self.modes:
            history, assessor = self.history(mode, 0.8), self.experienced(mode)
            strange = ([value] * self.steps, [*history[:5], value, *history[6:]], [*history[:-1], value])
            for number, values in enumerate(strange):
                self.live(assessor, f"x{number}", values)
            self.live(assessor, "y", history)

    @pytest.mark.parametrize("value", ["good", None, {"accuracy": 1.0}, [1.0], True])
    def test_a_metric_that_cannot_be_read_is_an_error_that_names_the_trial(self, value: Any) -> None:
        mode = self.modes[0]
        assessor = self.experienced(mode)
        with pytest.raises(NniError, match="MoXrp"):
            assessor.assess_trial("MoXrp", [*self.history(mode, 0.8)[:8], value])
        assessor.trial_end("MoXrp", success=False)
        self.live(assessor, "x", self.history(mode, 0.8))

    # ------------------------------------------------------------------------------------ resume

    def test_a_resumed_assessor_judges_like_one_that_was_not_interrupted(self) -> None:
        for mode in self.modes:
            uninterrupted = self.experienced(mode)
            resumed = self._resumed(mode, json.loads(json.dumps(self._events(mode))))
            for asymptote in (0.08, 0.5, 1.2):
                history = self.history(mode, asymptote)
                trial = f"x{asymptote}"
                assert self.live(resumed, trial, history) == self.live(uninterrupted, trial, history)

    def _events(self, mode: str) -> list[dict[str, Any]]:
        """Return what happened to the trials of :meth:`experienced`, and to one that failed and one that still runs."""
        events: list[dict[str, Any]] = []
        trials = [(f"done{number}", asymptote, "SUCCEEDED") for number, asymptote in enumerate(_EXAMPLES)]
        for trial, asymptote, status in [*trials, ("failed", 100.0, "FAILED"), ("running", 100.0, None)]:
            common = {"trial_job_id": trial, "parameter_id": len(events)}
            for sequence, value in enumerate(self.history(mode, asymptote)):
                events.append({"kind": "intermediate", **common, "sequence": sequence, "value": value})
            if status is not None:
                events.append({"kind": "end", **common, "event": status})
        return events

    def _resumed(self, mode: str, events: list[dict[str, Any]]) -> Assessor:
        """Do what the dispatcher does after a restart (see :class:`nni.assessor.Assessor`)."""
        assessor = self.make(mode)
        replay = getattr(assessor, "replay", None)
        if replay is not None:
            replay(events)
            return assessor
        histories: dict[str, list[Any]] = {}
        for event in events:
            if event["kind"] == "intermediate":
                histories.setdefault(event["trial_job_id"], []).append(event["value"])
            elif event["event"] == "SUCCEEDED":
                assessor.assess_trial(event["trial_job_id"], histories[event["trial_job_id"]])
                assessor.trial_end(event["trial_job_id"], success=True)
            else:
                assessor.trial_end(event["trial_job_id"], success=False)
        return assessor
