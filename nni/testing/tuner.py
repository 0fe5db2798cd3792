"""The conformance suite of tuners, to be run with pytest.

Subclass :class:`TunerConformance` in a test module, and pytest finds the checks::

    class TestMyTuner(TunerConformance):
        types = ("choice", "uniform")

        def make(self, optimize_mode):
            return MyTuner(optimize_mode=optimize_mode, seed=0)
"""

from __future__ import annotations

import copy
import json
import math
from abc import ABC, abstractmethod
from typing import Any

import pytest

from nni.common.errors import NniError
from nni.search_space import TYPES, contains, flatten, parse
from nni.tuner import Tuner

ENTRIES: dict[str, dict[str, Any]] = {
    "choice": {"_type": "choice", "_value": [1, 2, 5]},
    "randint": {"_type": "randint", "_value": [3, 9]},
    "uniform": {"_type": "uniform", "_value": [-1, 1]},
    "quniform": {"_type": "quniform", "_value": [2, 10, 5]},
    "loguniform": {"_type": "loguniform", "_value": [1e-5, 1]},
    "qloguniform": {"_type": "qloguniform", "_value": [1, 1000, 1]},
    "normal": {"_type": "normal", "_value": [3, 2]},
    "qnormal": {"_type": "qnormal", "_value": [0, 4, 0.5]},
    "lognormal": {"_type": "lognormal", "_value": [0, 1]},
    "qlognormal": {"_type": "qlognormal", "_value": [0, 1, 1]},
}
"""One variable of every documented type."""

NESTED: dict[str, Any] = {
    "layer": {
        "_type": "choice",
        "_value": [
            {"_name": "empty"},
            {"_name": "conv", "kernel": {"_type": "choice", "_value": [1, 3]}},
            {"_name": "pool", "size": {"_type": "choice", "_value": [2, 4]}},
        ],
    }
}
"""A nested choice of options that every tuner with nested spaces takes."""


def score(configuration: Any) -> float:
    """Return a made-up metric: a smooth function of the numbers in a configuration."""
    numbers = [v for v in flatten(configuration).values() if isinstance(v, (int, float)) and not isinstance(v, bool)]
    return sum(math.tanh(number - 0.3 * place) for place, number in enumerate(numbers))


class TunerConformance(ABC):
    """What a tuner must do. Says what it takes through class attributes.

    Attributes
    ----------
    types
        The ``_type`` names that it takes.
    nested
        Whether it takes nested choices.
    learns
        Whether what it suggests depends on results. Then maximising a metric must be the mirror image of minimising
        its negative.
    imports
        Whether it implements ``import_data``.
    space
        The space for checks that need only one, and at least 45 configurations; by default all of ``types`` together.
    """

    types: tuple[str, ...] = TYPES
    nested: bool = True
    learns: bool = True
    imports: bool = True
    space: dict[str, Any] | None = None

    @abstractmethod
    def make(self, optimize_mode: str) -> Tuner:
        """Return a new tuner; the same one each time, if it draws random numbers."""

    def search_space(self) -> dict[str, Any]:
        """Return the space of most checks."""
        return copy.deepcopy(self.space or {kind: ENTRIES[kind] for kind in self.types})

    def changed_space(self) -> dict[str, Any]:
        """Return another space, which no configuration of :meth:`search_space` fits into."""
        name, entry = next(iter(self.search_space().items()))
        return {f"new_{name}": entry}

    def fits(self, configuration: Any, space: dict[str, Any]) -> bool:
        """Tell whether a configuration is one of a space."""
        return contains(parse(space), configuration)

    def started(self, optimize_mode: str = "maximize", space: dict[str, Any] | None = None) -> Tuner:
        """Return a tuner that has its search space."""
        tuner = self.make(optimize_mode)
        tuner.update_search_space(self.search_space() if space is None else space)
        return tuner

    def run(self, tuner: Tuner, numbers: range, sign: float = 1.0) -> list[Any]:
        """Run trials one after the other and return their configurations."""
        suggested = []
        for number in numbers:
            configuration = tuner.generate_parameters(number)
            suggested.append(configuration)
            tuner.receive_trial_result(number, configuration, sign * score(configuration))
            tuner.trial_end(number, success=True)
        return suggested

    # ------------------------------------------------------------------------------------ search spaces

    @pytest.mark.parametrize("kind", TYPES)
    def test_takes_a_type_or_says_which_variable_it_does_not_take(self, kind: str) -> None:
        space = {"variable": ENTRIES[kind]}
        if kind not in self.types:
            with pytest.raises(NniError, match=rf"variable.*{kind}"):
                self.started(space=space)
            return
        tuner = self.started(space=space)
        for configuration in self.run(tuner, range(3)):
            assert self.fits(configuration, space)

    def test_takes_nested_choices_or_says_so(self) -> None:
        if not self.nested:
            with pytest.raises(NniError, match="layer"):
                self.started(space=NESTED)
            return
        for configuration in self.run(self.started(space=NESTED), range(4)):
            assert self.fits(configuration, NESTED)

    def test_suggestions_are_of_the_space_and_plain_json(self) -> None:
        tuner, space = self.started(), self.search_space()
        for configuration in self.run(tuner, range(30)):
            assert self.fits(configuration, space)
            assert json.loads(json.dumps(configuration)) == configuration

    def test_the_space_may_change_while_trials_run(self) -> None:
        tuner = self.started()
        self.run(tuner, range(15))
        running = tuner.generate_parameters(15)
        changed = self.changed_space()
        tuner.update_search_space(changed)
        tuner.receive_trial_result(15, running, 1.0)
        tuner.trial_end(15, success=True)
        assert self.fits(tuner.generate_parameters(16), changed)

    # ------------------------------------------------------------------------------------ trials

    def test_many_suggestions_may_be_asked_for_at_once(self) -> None:
        tuner = self.started()
        self.run(tuner, range(12))
        suggested = tuner.generate_multiple_parameters(list(range(12, 20)))
        assert len(suggested) == 8
        for number in reversed(range(12, 20)):  # results come back in any order
            tuner.receive_trial_result(number, suggested[number - 12], score(suggested[number - 12]))
            tuner.trial_end(number, success=True)
        self.run(tuner, range(20, 23))

    @pytest.mark.parametrize("fails", [False, True])
    def test_what_cannot_be_given_at_once_is_delivered_later(self, fails: bool) -> None:
        tuner = self.started()
        if not tuner.delivers_late:
            pytest.skip("gives all at once")
        running: dict[int, Any] = {}
        given: list[int] = []

        def take(number: int, parameters: Any) -> None:
            given.append(number)
            running[number] = parameters

        ids = list(range(100))
        for number, parameters in zip(ids, tuner.generate_multiple_parameters(ids, st_callback=take), strict=False):
            take(number, parameters)
        for place in range(200):
            if not running:
                break
            number = next(iter(running))
            failed = fails and place % 3 == 1
            parameters = running.pop(number)
            if not failed:
                tuner.receive_trial_result(number, parameters, score(parameters))
            tuner.trial_end(number, success=not failed)
        assert sorted(given) == ids, "some were never delivered, or twice"

    def test_failed_trials_are_survived(self) -> None:
        tuner, space = self.started(), self.search_space()
        for number in range(25):
            assert self.fits(tuner.generate_parameters(number), space)
            tuner.trial_end(number, success=False)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_results_that_are_no_finite_number_are_survived(self, value: float) -> None:
        tuner, space = self.started(), self.search_space()
        self.run(tuner, range(12))
        for number in range(12, 18):
            configuration = tuner.generate_parameters(number)
            assert self.fits(configuration, space)
            tuner.receive_trial_result(number, configuration, value)
            tuner.trial_end(number, success=True)
        self.run(tuner, range(18, 20))

    def test_a_dict_with_default_is_as_good_as_its_number(self) -> None:
        plain, wrapped = self.started(), self.started()
        for number in range(15):
            configuration = plain.generate_parameters(number)
            assert wrapped.generate_parameters(number) == configuration
            plain.receive_trial_result(number, configuration, score(configuration))
            wrapped.receive_trial_result(number, configuration, {"default": score(configuration), "other": "x"})
            plain.trial_end(number, success=True)
            wrapped.trial_end(number, success=True)

    @pytest.mark.parametrize("value", ["good", None, {"accuracy": 1.0}, [1.0], True, 10**400])
    def test_a_metric_that_cannot_be_read_is_an_error_that_names_the_trial(self, value: Any) -> None:
        if not self.learns:
            pytest.skip("does not read metrics")
        tuner = self.started()
        configuration = tuner.generate_parameters(7)
        with pytest.raises(NniError, match="parameter 7"):
            tuner.receive_trial_result(7, configuration, value)
        tuner.trial_end(7, success=True)
        self.run(tuner, range(8, 12))

    def test_maximising_is_the_mirror_of_minimising(self) -> None:
        up = self.run(self.started("maximize"), range(35))
        down = self.run(self.started("minimize"), range(35), sign=-1.0)
        assert up == down

    # ------------------------------------------------------------------------------------ import and resume

    def test_results_can_be_imported_and_bad_ones_are_skipped(self) -> None:
        if not self.imports:
            pytest.skip("does not import")
        donor = self.run(self.started(), range(15))
        tuner, space = self.started(), self.search_space()
        data: list[dict[str, Any]] = [{"parameter": c, "value": {"default": score(c)}} for c in donor]
        tuner.import_data([*data, {"parameter": {"unknown": 1}, "value": 1.0}, {"value": 1.0}])
        for configuration in self.run(tuner, range(5)):
            assert self.fits(configuration, space)

    def test_a_resumed_run_goes_on_like_one_that_was_not_interrupted(self) -> None:
        tuner = self.started()
        events = self._eventful_run(tuner)
        resumed = self.started()
        resumed.replay(json.loads(json.dumps(events)))
        assert resumed.generate_parameters(40) == tuner.generate_parameters(40)
        waiting = next(event["parameters"] for event in events if event.get("parameter_id") == 39)
        for each in (tuner, resumed):  # a result of a trial that was running meanwhile
            each.receive_trial_result(39, waiting, score(waiting))
            each.trial_end(39, success=True)
        assert resumed.generate_multiple_parameters([41, 42]) == tuner.generate_multiple_parameters([41, 42])

    def _eventful_run(self, tuner: Tuner) -> list[dict[str, Any]]:
        """Run trials that succeed, fail, are still running, and import one result; return what happened."""
        events: list[dict[str, Any]] = []
        for number in range(40):
            configuration = tuner.generate_parameters(number)
            events.append(
                {
                    "kind": "parameters",
                    "trial_job_id": f"t{number}",
                    "parameter_id": number,
                    "parameters": configuration,
                    "parameter_source": "algorithm",
                }
            )
            if number in (5, 38, 39):
                continue  # still running
            trial = {"trial_job_id": f"t{number}", "parameter_id": number}
            failed = number % 7 == 3
            if not failed:
                tuner.receive_trial_result(number, configuration, score(configuration))
                events.append({"kind": "result", **trial, "value": score(configuration)})
            tuner.trial_end(number, success=not failed)
            events.append({"kind": "end", **trial, "event": "FAILED" if failed else "SUCCEEDED"})
            if number == 20 and self.imports:
                data = [{"parameter": configuration, "value": 0.5}]
                tuner.import_data(data)
                events.append({"kind": "import", "data": data})
        return events
