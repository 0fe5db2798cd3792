"""Hyperband: the table, the brackets, the messages (HPO-320 … HPO-332)."""

from __future__ import annotations

import inspect
import math
import threading
from collections import Counter

import pytest
from tuning_lab import experiment

from nni.algorithms import registry
from nni.algorithms.hpo._halving import Bracket, Brackets, Round, bracket_table, deepest
from nni.algorithms.hpo.hyperband_advisor import Hyperband
from nni.common.errors import NniError
from nni.runtime.protocol import CommandType
from nni.testing.advisor import AdvisorConformance, ManagerSide, disconnecting

UNIT = {"x": {"_type": "uniform", "_value": [0, 1]}}


class TestHyperband(AdvisorConformance):
    extra_keys = ("TRIAL_BUDGET",)

    def make(self, optimize_mode):
        return Hyperband(9, 3, optimize_mode, seed=3)


class TestSerialHyperband(AdvisorConformance):
    extra_keys = ("TRIAL_BUDGET",)

    def make(self, optimize_mode):
        return Hyperband(9, 3, optimize_mode, "serial", seed=3)


FINITE = {"a": {"_type": "choice", "_value": [1, 2, 3, 4]}}


class TestHyperbandOnFiniteSpace(AdvisorConformance):
    extra_keys = ("TRIAL_BUDGET",)
    space = FINITE

    def make(self, optimize_mode):
        return Hyperband(8, 2, optimize_mode, seed=3)


@pytest.fixture
def started():
    """Return a function that makes an advisor and gives it a space."""
    with disconnecting():

        def start(advisor, space=UNIT):
            side = ManagerSide(advisor)
            side.tell(CommandType.Initialize, space)
            return side

        yield start


def budgets(side):
    return Counter(parameters["TRIAL_BUDGET"] for parameters in side.trials.values())


def run_all(side, trials, concurrency=1, value=lambda p: p["x"]):
    """Run until so many trials have been started and all of them ended."""
    while side.asked < trials or side.running:
        free = min(concurrency - len(side.running) - side.owed, trials - side.asked)
        if free > 0:
            side.request(free)
        number = next(iter(side.running))
        side.finish(number, value(side.running[number]))


# ------------------------------------------------------------------------------------------------ the table


def test_signature_is_the_documented_one():
    parameters = inspect.signature(Hyperband).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "R": 60,
        "eta": 3,
        "optimize_mode": "maximize",
        "exec_mode": "parallelism",
        "seed": None,
    }


def test_the_table_is_the_published_one():
    table = [[(each.size, each.budget) for each in rounds] for rounds in bracket_table(81, 3, 4)]
    assert table == [
        [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        [(27, 3), (9, 9), (3, 27), (1, 81)],
        [(9, 9), (3, 27), (1, 81)],
        [(6, 27), (2, 81)],
        [(5, 81)],
    ]
    assert sum(each.size for rounds in bracket_table(81, 3, 4) for each in rounds) == 187
    assert sum(each.size * each.budget for rounds in bracket_table(81, 3, 4) for each in rounds) == 1701


@pytest.mark.parametrize(
    ("largest", "smallest", "eta", "depth"),
    [(81, 1, 3, 4), (243, 1, 3, 5), (1000, 1, 10, 3), (60, 1, 3, 3), (2, 1, 3, 0), (27, 2, 3, 2), (9, 1, 3, 2)],
)
def test_the_number_of_brackets_is_an_integer_logarithm(largest, smallest, eta, depth):
    assert deepest(largest, smallest, eta) == depth


def test_budgets_are_whole_and_end_with_the_largest():
    assert [[each.budget for each in rounds] for rounds in bracket_table(60, 3, 3)] == [
        [2, 6, 20, 60],
        [6, 20, 60],
        [20, 60],
        [60],
    ]


# ------------------------------------------------------------------------------------------------ a bracket


def begin(bracket, count, first=0):
    for number in range(first, first + count):
        job = bracket.next()
        bracket.start(number, {"n": number} if job.configuration is None else job.configuration)


def test_the_best_of_a_round_go_on_when_all_of_it_is_in():
    bracket = Bracket([Round(4, 1), Round(2, 2), Round(1, 4)])
    begin(bracket, 4)
    for number, loss in ((2, 5.0), (0, 1.0), (3, 0.5)):
        bracket.finish(number, loss)
        assert not bracket.has_job
    bracket.finish(1, 3.0)
    assert [(bracket.next().configuration, bracket.budget)] == [({"n": 3}, 2)]
    begin(bracket, 2, 10)
    bracket.finish(11, 0.1)
    bracket.finish(10, 0.2)
    assert bracket.next().configuration == {"n": 0}
    begin(bracket, 1, 20)
    bracket.finish(20, 0.0)
    assert bracket.is_over


def test_failures_count_and_never_go_on():
    bracket = Bracket([Round(4, 1), Round(2, 2)])
    begin(bracket, 4)
    for number, loss in ((0, math.inf), (1, math.nan), (2, math.inf), (3, 7.0)):
        bracket.finish(number, loss)
    begin(bracket, 1, 4)
    assert not bracket.has_job
    bracket.finish(4, 1.0)
    assert bracket.is_over


def test_a_bracket_of_failures_is_over():
    bracket = Bracket([Round(3, 1), Round(1, 3)])
    begin(bracket, 3)
    for number in range(3):
        bracket.finish(number, math.inf)
    assert bracket.is_over


def test_what_does_not_fit_any_more_does_not_go_on():
    bracket = Bracket([Round(4, 1), Round(2, 2)])
    begin(bracket, 4)
    bracket.finish(0, 0.0)
    bracket.restrict(lambda configuration: configuration["n"] >= 2)
    for number in (1, 2, 3):
        bracket.finish(number, float(number))
    assert [bracket.next().configuration for _ in range(1)] == [{"n": 2}]


def test_the_brackets_follow_each_other_without_end():
    cycle = Brackets(bracket_table(9, 3, 2))
    seen = []
    for number in range(60):
        job = cycle.next()
        if job.configuration is None and (not seen or seen[-1][1] is not job.place):
            seen.append((job.budget, job.place))
        cycle.start(number, job, job.configuration or {"n": number})
        cycle.finish(number, float(number))
    assert [budget for budget, _ in seen][:7] == [1, 3, 9, 1, 3, 9, 1]


# ------------------------------------------------------------------------------------------------ the advisor


@pytest.mark.parametrize(("exec_mode", "concurrency"), [("serial", 1), ("serial", 7), ("parallelism", 1)])
def test_a_whole_cycle_has_the_trials_of_the_table(started, exec_mode, concurrency):
    side = started(Hyperband(81, 3, exec_mode=exec_mode, seed=0))
    run_all(side, 187, concurrency)
    assert budgets(side) == {1: 81, 3: 27 + 27, 9: 9 + 9 + 9, 27: 3 + 3 + 3 + 6, 81: 1 + 1 + 1 + 2 + 5}


def test_survivors_are_new_trials_of_the_best_configurations_with_more_budget(started):
    side = started(Hyperband(9, 3, seed=0))
    run_all(side, 13)
    first, second, last = ([p for p in side.trials.values() if p["TRIAL_BUDGET"] == budget] for budget in (1, 3, 9))
    xs = sorted((p["x"] for p in first), reverse=True)
    assert [p["x"] for p in second] == xs[:3]
    assert [p["x"] for p in last] == xs[:1]
    assert list(side.trials) == list(range(13))


def test_minimising_keeps_the_smallest(started):
    side = started(Hyperband(9, 3, "minimize", seed=0))
    run_all(side, 12)
    xs = sorted(p["x"] for p in side.trials.values() if p["TRIAL_BUDGET"] == 1)
    assert [p["x"] for p in side.trials.values() if p["TRIAL_BUDGET"] == 3] == xs[:3]


def test_serial_waits_for_its_bracket_and_delivers_what_it_owes_later(started):
    side = started(Hyperband(9, 3, exec_mode="serial", seed=0))
    side.request(12)
    assert (len(side.trials), side.owed) == (9, 3)
    for number in range(8):
        side.finish(number, 1.0)
    assert side.owed == 3
    side.end(8, "FAILED")
    assert side.owed == 0
    assert budgets(side) == {1: 9, 3: 3}
    assert len(side.advisor._scheduler.unfinished) == 1


def test_parallelism_begins_the_next_bracket_when_there_is_nothing_else_to_start(started):
    side = started(Hyperband(9, 3, seed=0))
    side.request(12)
    assert budgets(side) == {1: 9, 3: 3}
    assert len(side.advisor._scheduler.unfinished) == 2
    for number in range(9):
        side.finish(number, 1.0)
    side.request(1)
    assert side.trials[12] == {**side.trials[0], "TRIAL_BUDGET": 3}  # survivors of the older bracket come first


def test_a_trial_that_the_system_took_away_is_started_again(started):
    side = started(Hyperband(3, 3, exec_mode="serial", seed=0))
    side.request(3)
    side.end(1, "SYS_CANCELED")  # the experiment was stopped, and resumed
    side.request(1)
    assert side.trials[3] == side.trials[1]
    for number, value in ((0, 1.0), (2, 2.0), (3, 3.0)):
        side.finish(number, value)
    side.request(1)
    assert side.trials[4] == {**side.trials[1], "TRIAL_BUDGET": 3}
    side.end(4, "SYS_CANCELED")
    side.request(1)
    assert side.trials[5] == side.trials[4]


def test_the_final_result_ranks_and_without_one_the_last_intermediate_one(started):
    side = started(Hyperband(3, 3, exec_mode="serial", seed=0))
    side.request(3)
    side.report(0, 9.0, sequence=0)
    side.finish(0, 1.0)
    side.report(1, 0.0, sequence=0)
    side.report(1, 5.0, sequence=1)
    side.end(1, "EARLY_STOPPED")
    side.report(2, 7.0)
    side.end(2, "FAILED")  # what it reported before it broke does not count
    side.request(1)
    assert side.trials[3]["x"] == side.trials[1]["x"]


def test_a_trial_that_takes_several_configurations_gets_them(started):
    """HPO-147, HPO-332: multi-phase."""
    side = started(Hyperband(9, 3, seed=0))
    side.request(1)
    about = {"parameter_id": 0, "trial_job_id": "t0", "sequence": 0, "value": "null", "parameter_index": 1}
    side.tell(CommandType.ReportMetricData, {**about, "type": "REQUEST_PARAMETER"})
    assert list(side.trials) == [0, 1]
    assert '"parameter_index": 1' in side._texts[1]
    side.report(1, 0.5)
    side.end(0)
    assert side.advisor._running == {}


def test_after_a_resume_nothing_of_a_space_that_was_changed_runs_again(started):
    before = started(Hyperband(9, 3, exec_mode="serial", seed=0))
    run_all(before, 9)
    after = started(Hyperband(9, 3, exec_mode="serial", seed=0), {"y": UNIT["x"]})
    after.tell(CommandType.ReplayHistory, {"next_parameter_id": 9, "events": before.history})
    after.request(4)
    assert [p.keys() for p in after.trials.values()] == [{"y", "TRIAL_BUDGET"}] * len(after.trials)
    assert after.trials


def test_after_a_resume_trials_with_other_budgets_are_told_of_once(started, caplog):
    before = started(Hyperband(16, 4, seed=0))
    run_all(before, 20)
    after = started(Hyperband(9, 3, seed=0))
    after.tell(CommandType.ReplayHistory, {"next_parameter_id": 20, "events": before.history})
    (warning,) = [record.message for record in caplog.records if record.levelname == "WARNING"]
    assert warning == "replay: 11 trials fit nowhere into the schedule; the first is parameter 9"
    run_all(after, 20)


def test_with_a_thread_for_each_command_nothing_is_lost_or_given_twice(started):
    """PLT-006: the legacy ``multiThread``."""
    side = started(Hyperband(9, 3, seed=0))
    side.advisor.multi_thread = True
    for _ in range(40):
        side.advisor.enqueue_command(CommandType.RequestTrialJobs, 2)
    side.advisor.enqueue_command(CommandType.Terminate, None)
    side.advisor.run()
    for thread in threading.enumerate():
        if "process_command_thread" in thread.name:
            thread.join()
    assert list(side.trials) == list(range(80))  # ManagerSide checks that no id comes twice


def test_an_unsupported_metric_type_is_a_value_error(started):
    with pytest.raises(ValueError, match="STRANGE"):
        started(Hyperband()).advisor.handle_report_metric_data({"type": "STRANGE"})


def test_a_finite_space_is_drawn_from_without_repetition(started):
    side = started(Hyperband(4, 2, seed=0), {"a": {"_type": "randint", "_value": [0, 20]}})
    run_all(side, 40, value=lambda p: p["a"])
    fresh = [p["a"] for p in side.trials.values() if p["TRIAL_BUDGET"] == 1][:8]
    assert len(set(fresh)) == 8


def test_a_variable_with_the_name_of_the_budget_is_refused(started):
    side = started(Hyperband(), {"TRIAL_BUDGET": UNIT["x"]})
    assert "searchSpace.TRIAL_BUDGET: Hyperband gives trials their budget under this name" in side.errors[0]["message"]


@pytest.mark.parametrize(
    ("args", "argument"),
    [
        ({"R": 0}, "R"),
        ({"R": 2.5}, "R"),
        ({"eta": 1}, "eta"),
        ({"optimize_mode": "max"}, "optimize_mode"),
        ({"exec_mode": "parallel"}, "exec_mode"),
        ({"seed": -1}, "seed"),
        ({"r": 3}, "r"),
    ],
)
def test_wrong_arguments_are_refused_by_name(args, argument):
    with pytest.raises(NniError, match=rf"^classArgs\.{argument}: "):
        registry.validate_class_args("Hyperband", args, "advisor")
    if argument != "r":
        with pytest.raises(NniError, match=rf"^classArgs\.{argument}: "):
            Hyperband(**args)


@pytest.mark.slow
def test_it_runs_by_its_documented_name_with_failures(isolated_home, tmp_path, free_port):
    trial = """
import nni
p = nni.get_next_parameter()
for step in range(p["TRIAL_BUDGET"]):
    nni.report_intermediate_result(p["x"] * step)
if nni.get_sequence_id() == 3:
    raise SystemExit("this one fails")
nni.report_final_result(p["x"])
"""
    advisor = {"name": "Hyperband", "class_args": {"R": 4, "eta": 2, "exec_mode": "serial", "seed": 1}}
    done = experiment(tmp_path, free_port, trial, UNIT, advisor=advisor, trial_concurrency=3, max_trial_number=15)
    jobs = done.list_trial_jobs()
    assert Counter(job.status for job in jobs) == {"SUCCEEDED": 14, "FAILED": 1}
    given = [job.hyperParameters[0].parameters for job in sorted(jobs, key=lambda job: job.sequenceId)]
    assert [p["TRIAL_BUDGET"] for p in given] == [1] * 4 + [2] * 2 + [4] + [2] * 2 + [4] + [4] * 3 + [1] * 2
    best = sorted((p["x"] for p in given[:3]), reverse=True)
    assert [p["x"] for p in given[4:7]] == [*best[:2], best[0]]
