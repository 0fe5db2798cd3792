"""Naive evolution: tournaments, mutations, credits (HPO-220 … HPO-227)."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuning_lab import MIXED, NESTED, experiment, median_best, random_best

from nni.algorithms import registry
from nni.algorithms.hpo._evolution import mutate
from nni.algorithms.hpo.evolution_tuner import EvolutionTuner
from nni.common.errors import NniError, NoMoreTrialError
from nni.search_space import Encoder, contains, parse, sample
from nni.testing.tuner import ENTRIES, TunerConformance

UNIT = {"x": {"_type": "uniform", "_value": [0, 1]}}
FINITE = {"a": {"_type": "choice", "_value": [1, 2, 3, 4]}, "b": {"_type": "randint", "_value": [0, 15]}}


class TestEvolution(TunerConformance):
    def make(self, optimize_mode):
        return EvolutionTuner(optimize_mode, seed=3)


class TestSmallPopulation(TunerConformance):
    def make(self, optimize_mode):
        return EvolutionTuner(optimize_mode, 12, seed=3)


class TestEvolutionOnFiniteSpace(TunerConformance):
    space = FINITE

    def make(self, optimize_mode):
        return EvolutionTuner(optimize_mode, 10, seed=3)


class Run:
    """Keeps a number of trials running, as the dispatcher does with a tuner that delivers late."""

    def __init__(self, tuner, space, concurrency):
        self.tuner, self.concurrency = tuner, concurrency
        self.running, self.started, self.asked = {}, [], 0
        tuner.update_search_space(space)
        self.fill()

    def take(self, number, parameters):
        assert number not in self.running
        self.running[number] = parameters
        self.started.append(parameters)

    def fill(self):
        wanted = self.concurrency - len(self.running) - self.tuner.credit
        if wanted > 0:
            ids = list(range(self.asked, self.asked + wanted))
            self.asked += wanted
            found = self.tuner.generate_multiple_parameters(ids, st_callback=self.take)
            for number, parameters in zip(ids, found, strict=False):
                self.take(number, parameters)

    def end(self, number, value=None):
        parameters = self.running.pop(number)
        if value is not None:
            self.tuner.receive_trial_result(number, parameters, value)
        self.tuner.trial_end(number, value is not None)
        self.fill()

    @property
    def population(self):
        return self.tuner._population


def test_signature_is_the_documented_one():
    parameters = inspect.signature(EvolutionTuner).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "optimize_mode": "maximize",
        "population_size": 32,
        "seed": None,
    }


def test_in_a_config_the_population_has_20_members():
    assert registry.create("Evolution")._population._size == 20
    assert registry.create("Evolution", {"population_size": 7})._population._size == 7


# ------------------------------------------------------------------------------------------------ mutation


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_a_mutation_changes_one_variable_and_leaves_the_others_to_the_last_digit(seed):
    space = parse({**ENTRIES, **NESTED})
    encoder, rng = Encoder(space), np.random.default_rng(seed)
    parent = sample(space, rng)
    child = mutate(encoder, parent, rng)
    assert sum(child[name] != parent[name] for name in space) <= 1
    assert contains(space, child)
    if child["model"] != parent["model"] and child["model"]["_name"] == parent["model"]["_name"]:
        assert sum(child["model"][name] != value for name, value in parent["model"].items()) == 1


def test_every_variable_is_mutated_sometimes_and_a_constant_never():
    space = {**MIXED, "constant": {"_type": "choice", "_value": ["only"]}, "q": {"_type": "uniform", "_value": [1, 1]}}
    encoder = Encoder(parse(space))
    rng = np.random.default_rng(0)
    parent = sample(encoder.space, rng)
    children = [mutate(encoder, parent, rng) for _ in range(300)]
    counts = [sum(child[name] != parent[name] for child in children) for name in space]
    assert counts[-2:] == [0, 0]
    assert min(counts[:-2]) > 20


def test_a_branch_that_is_taken_only_now_gets_its_variables_and_the_old_one_loses_them():
    encoder, rng = Encoder(parse(NESTED)), np.random.default_rng(0)
    parent = {"model": {"_name": "linear", "slope": 1.0}}
    children = [mutate(encoder, parent, rng)["model"] for _ in range(100)]
    assert {frozenset(child) for child in children} == {
        frozenset({"_name", "slope"}),
        frozenset({"_name", "radius", "centre"}),
        frozenset({"_name"}),
    }


# ------------------------------------------------------------------------------------------------ population


def test_the_better_of_a_pair_breeds_and_the_worse_one_goes():
    tuner = EvolutionTuner("minimize", 2, seed=0)
    run = Run(tuner, UNIT, 1)
    run.end(0, 1.0)
    better = run.running[1]["x"]
    run.end(1, 0.5)
    assert [member.loss for member in run.population.members] == [0.5]
    assert len(run.running) == 1
    steps = []
    for seed in range(200):
        again = EvolutionTuner("minimize", 2, seed=seed)
        again.update_search_space(UNIT)
        again.import_data([{"parameter": {"x": 0.1}, "value": 1.0}, {"parameter": {"x": better}, "value": 0.5}])
        steps.append(abs(again.generate_parameters(0)["x"] - better))
    assert np.mean(np.array(steps) < 0.2) > 0.5  # half of the children are a step of 0.1 away


def test_a_result_of_nan_loses_every_tournament():
    tuner = EvolutionTuner("maximize", 2, seed=0)
    run = Run(tuner, UNIT, 1)
    run.end(0, math.nan)
    run.end(1, -1e9)
    assert [member.loss for member in run.population.members] == [1e9]


def test_what_cannot_be_given_yet_is_owed_and_delivered_with_the_next_results():
    tuner = EvolutionTuner("maximize", 4, seed=0)
    run = Run(tuner, UNIT, 4)
    run.end(0, 0.1)
    assert (len(run.running), tuner.credit) == (3, 1)  # one result is no pair: nothing random in its stead
    run.end(1, 0.2)
    assert (len(run.running), tuner.credit) == (3, 1)
    assert len(run.started) == 5
    with pytest.raises(NoMoreTrialError):
        tuner.generate_parameters(99)


def test_more_trials_at_a_time_than_members_wait():
    run = Run(EvolutionTuner("maximize", 2, seed=0), UNIT, 5)
    assert (len(run.running), run.tuner.credit) == (2, 3)
    for _ in range(20):
        run.end(next(iter(run.running)), 1.0)
    assert len(run.started) > 15


def test_a_single_member_breeds_alone():
    run = Run(EvolutionTuner("maximize", 1, seed=0), UNIT, 1)
    for value in (0.1, 0.5, 0.3, 0.2):
        run.end(next(iter(run.running)), value)
    assert max(member.loss for member in run.population.members) == -0.5
    assert len(run.started) == 5


def test_a_failed_trial_is_replaced_at_once_by_a_random_one():
    tuner = EvolutionTuner("maximize", 4, seed=0)
    run = Run(tuner, UNIT, 4)
    run.end(0, 0.1)
    assert tuner.credit == 1
    run.end(1)  # failed: its place is free, and what was owed can be delivered
    assert (len(run.running), tuner.credit) == (3, 1)
    assert len(run.population.members) + len(run.population.running) == 4


@settings(deadline=None, max_examples=40)
@given(
    st.integers(1, 6),
    st.integers(1, 6),
    st.lists(st.tuples(st.integers(0, 99), st.booleans()), min_size=30, max_size=60),
)
def test_the_population_keeps_its_size_and_nothing_stands_still(size, concurrency, ends):
    run = Run(EvolutionTuner("maximize", size, seed=0), UNIT, concurrency)
    for pick, fails in ends:
        assert run.running
        number = list(run.running)[pick % len(run.running)]
        run.end(number, None if fails else float(pick))
        population = run.population
        alive = len(population.members) + len(population.running) + population.missing
        assert size <= alive <= size + (size == 1)
        assert len(run.running) + run.tuner.credit == concurrency
    assert len(run.started) >= len(ends)


def test_members_that_a_changed_space_does_not_have_are_replaced_by_random_ones():
    tuner = EvolutionTuner("maximize", 3, seed=0)
    run = Run(tuner, UNIT, 1)
    for number, value in enumerate((0.1, 0.2, 0.3)):
        run.end(number, value)
    tuner.update_search_space({"x": {"_type": "uniform", "_value": [5, 6]}})
    assert tuner._population.missing == 3
    run.end(3, 0.4)  # ran in the old space
    assert tuner._population.members == []
    assert 5 <= run.started[-1]["x"] <= 6


def test_imported_results_compete_for_places():
    tuner = EvolutionTuner("maximize", 3, seed=0)
    tuner.update_search_space(UNIT)
    tuner.import_data([{"parameter": {"x": n / 10}, "value": n} for n in range(10)] + [{"value": 1}])
    assert sorted(-member.loss for member in tuner._population.members) == [7, 8, 9]


def test_a_finite_space_is_gone_through_before_anything_repeats():
    run = Run(EvolutionTuner("maximize", 10, seed=0), FINITE, 1)
    for number in range(59):
        run.end(number, float(run.running[number]["b"]))
    assert len({(p["a"], p["b"]) for p in run.started}) == 60
    run.end(59, 1.0)
    assert len(run.started) == 61


def test_a_trial_that_the_system_took_away_runs_again_after_a_resume():
    tuner = EvolutionTuner("maximize", 4, seed=1)
    tuner.update_search_space(UNIT)
    events = [
        {"kind": "parameters", "parameter_id": n, "parameters": {"x": n / 10}, "parameter_source": "algorithm"}
        for n in range(4)
    ]
    ends = [{"kind": "end", "parameter_id": n, "event": "SYS_CANCELED"} for n in (1, 3)]
    tuner.replay([*events, *ends])
    assert [tuner.generate_parameters(n)["x"] for n in (4, 5)] == [0.1, 0.3]
    assert tuner._population.missing == 0
    assert len(tuner._population.running) == 4


def test_a_resumed_run_breeds_the_same_children():
    tuner, events = EvolutionTuner("maximize", 5, seed=1), []
    tuner.update_search_space(MIXED)
    for number in range(30):
        p = tuner.generate_parameters(number)
        events.append({"kind": "parameters", "parameter_id": number, "parameters": p, "parameter_source": "algorithm"})
        value = None if number % 6 == 4 else p["shift"]
        if value is not None:
            tuner.receive_trial_result(number, p, value)
            events.append({"kind": "result", "parameter_id": number, "value": value})
        tuner.trial_end(number, value is not None)
        events.append({"kind": "end", "parameter_id": number, "event": "FAILED" if value is None else "SUCCEEDED"})
    resumed = EvolutionTuner("maximize", 5, seed=1)
    resumed.update_search_space(MIXED)
    resumed.replay(events)
    assert resumed._population.members == tuner._population.members
    assert resumed.generate_parameters(30) == tuner.generate_parameters(30)


# ------------------------------------------------------------------------------------------------ as a whole


@pytest.mark.parametrize(("problem", "factor"), [("branin", 0.7), ("mixed", 0.7), ("nested", 0.7)])
def test_it_beats_random_search_clearly(problem, factor):
    evolved = median_best(lambda seed: EvolutionTuner("minimize", 10, seed=seed), problem, 120)
    assert evolved < factor * random_best(problem, 120)


@pytest.mark.parametrize(
    ("args", "argument"),
    [
        ({"optimize_mode": "max"}, "optimize_mode"),
        ({"population_size": 0}, "population_size"),
        ({"population_size": 2.5}, "population_size"),
        ({"population_size": True}, "population_size"),
        ({"seed": -1}, "seed"),
        ({"size": 3}, "size"),
    ],
)
def test_wrong_arguments_are_refused_by_name(args, argument):
    with pytest.raises(NniError, match=rf"^classArgs\.{argument}: "):
        registry.validate_class_args("Evolution", args)
    if argument != "size":
        with pytest.raises(NniError, match=rf"^classArgs\.{argument}: "):
            EvolutionTuner(**args)


@pytest.mark.slow
def test_it_runs_by_its_documented_name_with_failures_and_as_many_trials_as_members(isolated_home, tmp_path, free_port):
    trial = """
import nni
p = nni.get_next_parameter()
if nni.get_sequence_id() % 3 == 1:
    raise SystemExit("this one fails")
nni.report_final_result(p["x"])
"""
    tuner = {"name": "Evolution", "class_args": {"population_size": 3, "seed": 1}}
    done = experiment(
        tmp_path, free_port, trial, UNIT, tuner=tuner, trial_concurrency=3, max_trial_number=15, debug=True
    )
    statuses = [job.status for job in done.list_trial_jobs()]
    assert (statuses.count("SUCCEEDED"), statuses.count("FAILED")) == (10, 5)
