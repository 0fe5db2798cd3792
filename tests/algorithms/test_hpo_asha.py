"""Asynchronous successive halving: the advisor and the assessor."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuning_lab import experiment

from nni.algorithms import registry
from nni.algorithms.hpo._asha import Rungs
from nni.algorithms.hpo.asha_advisor import ASHA
from nni.algorithms.hpo.asha_assessor import ASHAAssessor
from nni.algorithms.hpo.hyperband_advisor import Hyperband
from nni.assessor import AssessResult
from nni.common.errors import NniError
from nni.runtime.protocol import CommandType
from nni.testing.advisor import AdvisorConformance, ManagerSide, disconnecting

UNIT = {"x": {"_type": "uniform", "_value": [0, 1]}}
Good, Bad = AssessResult.Good, AssessResult.Bad


class TestAsha(AdvisorConformance):
    extra_keys = ("TRIAL_BUDGET",)

    def make(self, optimize_mode):
        return ASHA(optimize_mode, 1, 9, 3, seed=3)


class TestAshaWithOneRung(AdvisorConformance):
    extra_keys = ("TRIAL_BUDGET",)

    def make(self, optimize_mode):
        return ASHA(optimize_mode, 4, 4, seed=3)


@pytest.fixture
def started():
    """Return a function that makes an advisor and gives it a space."""
    with disconnecting():

        def start(advisor, space=UNIT):
            side = ManagerSide(advisor)
            side.tell(CommandType.Initialize, space)
            return side

        yield start


# ------------------------------------------------------------------------------------------------ the rungs


def play(rungs, losses, first=0):
    """Start and end one job after the other."""
    jobs = []
    for number, loss in enumerate(losses, start=first):
        job = rungs.next()
        configuration = job.configuration or {"n": number}
        rungs.start(number, job, configuration)
        rungs.finish(number, loss)
        jobs.append((configuration["n"], job.budget))
    return jobs


def test_a_configuration_goes_on_as_soon_as_it_is_among_the_best():
    """Algorithm 2 by hand, for eta = 2 and budgets 1, 2, 4."""
    jobs = play(Rungs([1, 2, 4], 2), [5.0, 4.0, 9.0, 6.0, 3.0, 3.5, 7.0, 2.0])
    assert jobs == [
        (0, 1),
        (1, 1),  # two results at the bottom: the better one may go on
        (1, 2),
        (3, 1),
        (4, 1),  # 3.0 of 5.0, 4.0, 6.0, 3.0: the best two are 4, which has not gone on, and 1
        (4, 2),  # 3.5 of 9.0, 3.5: on the second rung, 4 is the better one
        (4, 4),
        (7, 1),
    ]


def test_higher_rungs_come_first():
    rungs = Rungs([1, 2, 4], 2)
    for number in range(8):
        rungs.add({"n": number}, 1, float(number))
    for number in range(2):
        rungs.add({"n": number}, 2, float(number))
    assert rungs.next().budget == 4


def test_failures_count_but_never_go_on():
    rungs = Rungs([1, 3], 3)
    assert [budget for _, budget in play(rungs, [math.inf, math.nan, math.inf, math.inf, 1.0, 2.0])] == [1] * 5 + [3]
    assert play(Rungs([1, 3], 3), [math.inf] * 30) == [(n, 1) for n in range(30)]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 50), min_size=1, max_size=150), st.integers(2, 4))
def test_on_no_rung_more_go_on_than_the_best_share_allows(losses, eta):
    """When a rung grows or gets better results, who was good enough may not be any more; all others are."""
    rungs = Rungs([1, eta, eta**2], eta)
    jobs = play(rungs, [float(loss) for loss in losses])
    counts = Counter(budget for _, budget in jobs)
    for rung in rungs.rungs[:-1]:
        best = rung.results[: len(rung.results) // eta]
        assert rung.promotable() is None or rungs.next().configuration is not None
        assert all(each.promoted for each in best) or rungs.next().configuration is not None
    assert len(set(jobs)) == len(jobs)  # nothing runs twice with one budget
    assert counts[1] >= counts[eta] >= counts[eta**2]


# ------------------------------------------------------------------------------------------------ the advisor


@pytest.mark.parametrize(
    ("arguments", "budgets"),
    [((1, 81, 3), [1, 3, 9, 27, 81]), ((2, 20, 3), [2, 6, 20]), ((4, 4, 3), [4]), ((1, 100, 4), [1, 6, 25, 100])],
)
def test_rungs_end_with_the_largest_budget(arguments, budgets):
    smallest, largest, eta = arguments
    advisor = ASHA(min_budget=smallest, max_budget=largest, eta=eta)
    assert [rung.budget for rung in advisor._rungs.rungs] == budgets


def test_every_request_is_answered_at_once_whatever_runs(started):
    side = started(ASHA(seed=0))
    side.request(50)
    assert len(side.trials) == 50
    assert {p["TRIAL_BUDGET"] for p in side.trials.values()} == {1}
    for number in range(3):
        side.finish(number, side.trials[number]["x"])
    side.request(1)  # three results: one may go on, though 47 trials of its rung still run
    best = max(side.trials[number]["x"] for number in range(3))
    assert side.trials[50] == {"x": best, "TRIAL_BUDGET": 3}


@pytest.mark.parametrize(("mode", "sign"), [("maximize", 1), ("minimize", -1)])
def test_good_configurations_get_the_large_budgets(started, mode, sign):
    side = started(ASHA(mode, 1, 27, 3, seed=0))
    for _ in range(200):
        side.request(1)
        (number,) = side.running
        side.finish(number, sign * side.trials[number]["x"])
    by_budget = {b: [p["x"] for p in side.trials.values() if p["TRIAL_BUDGET"] == b] for b in (1, 3, 9, 27)}
    means = [float(np.mean(xs)) for xs in by_budget.values()]
    assert means == sorted(means)
    assert means[-1] > 0.9
    assert [len(xs) for xs in by_budget.values()] == sorted((len(xs) for xs in by_budget.values()), reverse=True)


def test_with_stragglers_it_gives_a_large_budget_earlier_than_hyperband(started):
    """Every seventh trial takes 30 times as long as its budget: a round waits for it, a rung does not."""

    def first_full_budget(advisor):
        side, ends, clock = started(advisor), {}, 0.0
        while True:
            side.request(4 - len(side.running) - side.owed)
            for number in side.running.keys() - ends.keys():
                budget = side.trials[number]["TRIAL_BUDGET"]
                ends[number] = clock + budget * (30 if number % 7 == 3 else 1)
            number = min(side.running, key=ends.__getitem__)
            clock = ends[number]
            side.finish(number, side.trials[number]["x"])
            if side.trials[number]["TRIAL_BUDGET"] == 9:
                return clock

    assert first_full_budget(ASHA(max_budget=9, seed=0)) < first_full_budget(Hyperband(9, exec_mode="serial", seed=0))


def test_a_trial_that_the_system_took_away_is_started_again(started):
    side = started(ASHA(max_budget=9, seed=0))
    side.request(4)
    side.end(3, "SYS_CANCELED")
    side.request(1)
    assert side.trials[4] == side.trials[3]
    for number in range(3):
        side.finish(number, float(number))
    side.request(1)
    assert side.trials[5] == {**side.trials[2], "TRIAL_BUDGET": 3}
    side.end(5, "SYS_CANCELED")
    side.request(1)
    assert side.trials[6] == side.trials[5]


def test_imported_results_go_on_from_the_rung_of_their_budget(started):
    side = started(ASHA("minimize", 1, 9, 3, seed=0))
    data = [{"parameter": {"x": n / 10, "TRIAL_BUDGET": 3}, "value": n} for n in range(3)]
    side.tell(CommandType.ImportData, [*data, {"parameter": {"x": 0.9, "TRIAL_BUDGET": 2}, "value": 0.0}])
    side.request(2)
    assert side.trials[0] == {"x": 0.0, "TRIAL_BUDGET": 9}
    assert side.trials[1]["TRIAL_BUDGET"] == 1


@pytest.mark.parametrize(
    ("name", "kind", "args", "argument"),
    [
        ("ASHA", "advisor", {"optimize_mode": "max"}, "optimize_mode"),
        ("ASHA", "advisor", {"min_budget": 0}, "min_budget"),
        ("ASHA", "advisor", {"max_budget": 1.5}, "max_budget"),
        ("ASHA", "advisor", {"min_budget": 9, "max_budget": 3}, "max_budget"),
        ("ASHA", "advisor", {"eta": 1}, "eta"),
        ("ASHA", "advisor", {"seed": -1}, "seed"),
        ("ASHA", "advisor", {"R": 3}, "R"),
        ("ASHAAssessor", "assessor", {"optimize_mode": "max"}, "optimize_mode"),
        ("ASHAAssessor", "assessor", {"start_step": 0}, "start_step"),
        ("ASHAAssessor", "assessor", {"eta": 1}, "eta"),
        ("ASHAAssessor", "assessor", {"seed": 1}, "seed"),
    ],
)
def test_wrong_arguments_are_refused_by_name(name, kind, args, argument):
    with pytest.raises(NniError, match=rf"^classArgs\.{argument}: "):
        registry.create(name, args, kind)


# ------------------------------------------------------------------------------------------------ the assessor


def test_only_rungs_are_judged():
    assessor = ASHAAssessor(start_step=2, eta=3)
    for trial in "abcdef":
        assessor.assess_trial(trial, [9.0] * 6)
    verdicts = {step: assessor.assess_trial(f"new{step}", [1.0] * step) for step in (1, 2, 5)}
    assert verdicts == {1: Good, 2: Bad, 5: Bad}
    assert ASHAAssessor(start_step=2).assess_trial("x", [1.0]) is Good


def test_the_best_share_of_all_so_far_goes_on():
    assessor = ASHAAssessor(eta=2)
    values = [5, 3, 7, 4, 6, 8, 1, 7.5]
    verdicts = [assessor.assess_trial(f"t{n}", [value]) for n, value in enumerate(values)]
    assert verdicts == [Good, Bad, Good, Bad, Good, Good, Bad, Good]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=40), st.integers(2, 5), st.sampled_from([1, -1]))
def test_a_verdict_is_the_rank_among_what_came_before(values, eta, sign):
    assessor = ASHAAssessor("maximize" if sign > 0 else "minimize", eta=eta)
    for count, value in enumerate(values, start=1):
        better = sum(other > value for other in values[: count - 1])
        verdict = assessor.assess_trial(f"t{count}", [sign * value])
        assert verdict is (Good if better < max(1, count // eta) else Bad)


def test_results_of_running_and_stopped_trials_count_and_those_of_failed_ones_do_not():
    assessor = ASHAAssessor()
    assessor.assess_trial("a", [5.0])
    assert assessor.assess_trial("b", [4.0]) is Bad
    assert assessor.assess_trial("b", [4.0, 9.0]) is Bad  # reports may still come after the verdict
    assessor.trial_end("b", success=False)
    assert assessor._rungs == [[-5.0, -4.0]]
    assessor.trial_end("a", success=False)
    assert assessor._rungs == [[-4.0]]
    assessor.trial_end("a", success=False)  # told twice
    assert assessor.assess_trial("c", [4.5]) is Good


def test_histories_may_grow_by_jumps_and_change():
    assessor = ASHAAssessor(eta=2)
    assessor.assess_trial("a", [1.0, 9.0, 0.0, 9.0])
    assert assessor._rungs == [[-1.0], [-9.0], [-9.0]]
    assessor.assess_trial("a", [3.0, 9.0, 0.0, 5.0])
    assert assessor._rungs == [[-3.0], [-9.0], [-5.0]]
    assert assessor.assess_trial("b", [2.0]) is Bad
    assert assessor.assess_trial("b", [4.0, 10.0]) is Good


def test_nan_is_worse_than_any_other():
    assessor = ASHAAssessor()
    assert assessor.assess_trial("a", [math.nan]) is Good  # the first passes
    assert assessor.assess_trial("b", [-1e9]) is Good
    assert assessor.assess_trial("c", [math.nan]) is Bad


def test_a_metric_that_cannot_be_read_names_the_trial():
    with pytest.raises(NniError, match=r"trial MoXrp: .*'default'"):
        ASHAAssessor().assess_trial("MoXrp", [{"acc": 1}])


def test_a_trial_that_runs_at_a_restart_has_passed_its_rungs():
    """A history has its intermediate results trial by trial: later ones may come first."""
    events = [
        {"kind": "intermediate", "trial_job_id": trial, "parameter_id": 0, "sequence": 0, "value": value}
        for trial, value in (("ended", 9.0), ("running", 1.0))
    ]
    events.insert(1, {"kind": "end", "trial_job_id": "ended", "parameter_id": 0, "event": "SUCCEEDED"})
    resumed = ASHAAssessor()
    resumed.replay(events)
    assert resumed.assess_trial("running", [1.0, 1.0]) is Good
    assert resumed.assess_trial("new", [1.0]) is Bad


def test_a_resumed_assessor_has_the_results_of_stopped_trials_too():
    assessor, events, rng = ASHAAssessor(eta=2), [], np.random.default_rng(0)
    histories = {f"t{n}": [] for n in range(12)}
    for turn in range(60):
        trial = f"t{rng.integers(12)}"
        histories[trial].append({"default": float(rng.random())} if turn != 20 else "unreadable")
        event = {"kind": "intermediate", "trial_job_id": trial, "parameter_id": 0}
        events.append({**event, "sequence": len(histories[trial]) - 1, "value": histories[trial][-1]})
        try:
            verdict = assessor.assess_trial(trial, histories[trial])
        except NniError:
            continue
        if verdict is Bad:
            assessor.trial_end(trial, success=False)
            events.append({"kind": "end", "trial_job_id": trial, "parameter_id": 0, "event": "EARLY_STOPPED"})
            histories[trial] = []
    resumed = ASHAAssessor(eta=2)
    resumed.replay(events)
    assert resumed._rungs == assessor._rungs
    losses = [{t: [p.loss for p in places] for t, places in each._places.items()} for each in (resumed, assessor)]
    assert losses[0] == losses[1]


# ------------------------------------------------------------------------------------------------ real experiments

TRIAL = """
import nni
p = nni.get_next_parameter()
for step in range(p.get("TRIAL_BUDGET", 4)):
    nni.report_intermediate_result(p["x"])
nni.report_final_result(p["x"])
"""
SLOW_WHEN_BAD = """
import time
import nni
x = nni.get_next_parameter()["x"]
nni.report_intermediate_result(x)
if x < 1:
    time.sleep(600)
nni.report_final_result(x)
"""


@pytest.mark.slow
def test_the_advisor_runs_by_its_name(isolated_home, tmp_path, free_port):
    advisor = {"name": "ASHA", "class_args": {"max_budget": 4, "eta": 2, "seed": 1}}
    done = experiment(tmp_path, free_port, TRIAL, UNIT, advisor=advisor, max_trial_number=12)
    results = done.export_data()
    assert len(results) == 12
    assert {result.parameter["TRIAL_BUDGET"] for result in results} == {1, 2, 4}
    assert all(result.value == result.parameter["x"] for result in results)


@pytest.mark.slow
def test_the_assessor_stops_by_its_name(isolated_home, tmp_path, free_port):
    done = experiment(
        tmp_path,
        free_port,
        SLOW_WHEN_BAD,
        {"combine_params": {"_type": "choice", "_value": [{"x": 2.0}, {"x": 3.0}, {"x": 0.5}]}},
        tuner={"name": "BatchTuner"},
        assessor={"name": "ASHAAssessor", "class_args": {"eta": 2}},
        trial_concurrency=1,
    )
    assert [job.status for job in done.list_trial_jobs()] == ["SUCCEEDED", "SUCCEEDED", "EARLY_STOPPED"]
