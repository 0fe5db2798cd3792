"""TPE as a tuner: what it learns from, what it suggests, and how running trials count."""

from __future__ import annotations

import inspect
import itertools
import logging
import math

import numpy as np
import pytest
from scipy import stats

from nni.algorithms.hpo._tpe import _sampler
from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner
from nni.common.errors import NniError
from nni.search_space import contains, json_key, parse

BRANIN = {"x": {"_type": "uniform", "_value": [-5, 10]}, "y": {"_type": "uniform", "_value": [0, 15]}}
FINITE = {"a": {"_type": "choice", "_value": list("pqr")}, "b": {"_type": "quniform", "_value": [0, 1, 0.25]}}


def branin(c):
    bowl = c["y"] - 5.1 / (4 * math.pi**2) * c["x"] ** 2 + 5 / math.pi * c["x"] - 6
    return bowl**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(c["x"]) + 10


def tpe(space=None, **kwargs):
    tuner = HyperoptTuner("tpe", **{"seed": 0, **kwargs})
    tuner.update_search_space(BRANIN if space is None else space)
    return tuner


def run(tuner, function, trials, first=0):
    values = []
    for number in range(first, first + trials):
        configuration = tuner.generate_parameters(number)
        values.append(function(configuration))
        tuner.receive_trial_result(number, configuration, values[-1])
        tuner.trial_end(number, success=True)
    return values


def best_values(make, function, seeds, trials):
    return np.array([min(run(make(seed), function, trials)) for seed in range(seeds)])


# ------------------------------------------------------------------------------------------------ interface


def test_signature_is_the_documented_one_and_a_seed():
    parameters = inspect.signature(HyperoptTuner).parameters
    assert list(parameters) == ["algorithm_name", "optimize_mode", "parallel_optimize", "constant_liar_type", "seed"]
    defaults = [p.default for p in parameters.values()]
    assert defaults[1:] == ["minimize", False, "min", None]
    assert parameters["seed"].kind is inspect.Parameter.KEYWORD_ONLY


def test_get_suggestion_can_be_forced_to_the_prior():
    tuner = tpe()
    run(tuner, branin, 40)
    drawn = [tuner.get_suggestion(random_search=True) for _ in range(400)]
    assert stats.kstest([c["x"] for c in drawn], stats.uniform(-5, 15).cdf).pvalue > 0.001
    modelled = [branin(tuner.get_suggestion()) for _ in range(50)]
    assert np.median(modelled) < np.median([branin(c) for c in drawn]) / 3


def test_a_suggestion_without_a_trial_is_not_that_of_any_trial():
    assert tpe().get_suggestion() not in tpe().generate_multiple_parameters(list(range(5)))


def test_a_trial_that_succeeded_without_a_result_is_no_failure():
    tuner = tpe()
    tuner.generate_parameters(0)
    tuner.trial_end(0, success=True)
    assert tuner._results == []
    tuner.generate_parameters(1)
    tuner.trial_end(1, success=False)
    assert [loss for _, loss in tuner._results] == [math.inf]


def test_without_a_seed_two_tuners_differ():
    assert tpe(seed=None).generate_parameters(0) != tpe(seed=None).generate_parameters(0)


def test_with_a_seed_a_suggestion_depends_on_its_id_only():
    assert tpe().generate_parameters(7) == tpe().generate_parameters(7)
    assert tpe().generate_parameters(7) != tpe().generate_parameters(8)
    assert tpe(seed=1).generate_parameters(7) != tpe(seed=2).generate_parameters(7)


# ------------------------------------------------------------------------------------------------ learning


def test_the_test_function_is_branin():
    for x, y in ((-math.pi, 12.275), (math.pi, 2.275), (9.42478, 2.475)):
        assert branin({"x": x, "y": y}) == pytest.approx(0.397887, abs=1e-4)


def test_tpe_beats_random_on_branin():
    """Z-10: 100 trials, 20 seeds, Wilcoxon."""
    smart = best_values(lambda seed: tpe(seed=seed), branin, 20, 100)
    blind = best_values(tpe_random, branin, 20, 100)
    assert np.median(smart) - 0.3979 < (np.median(blind) - 0.3979) / 5
    assert stats.wilcoxon(smart, blind, alternative="less").pvalue < 0.01


def tpe_random(seed, space=None):
    tuner = HyperoptTuner("random_search", seed=seed)
    tuner.update_search_space(BRANIN if space is None else space)
    return tuner


MIXED = {
    "lr": {"_type": "loguniform", "_value": [1e-5, 1]},
    "units": {"_type": "qloguniform", "_value": [8, 512, 1]},
    "depth": {"_type": "quniform", "_value": [1, 12, 1]},
    "noise": {"_type": "normal", "_value": [0, 1]},
    "act": {"_type": "choice", "_value": ["relu", "tanh", "gelu", "elu"]},
    "opt": {
        "_type": "choice",
        "_value": [
            {"_name": "adam"},
            {"_name": "sgd", "momentum": {"_type": "uniform", "_value": [0, 1]}},
        ],
    },
}


def mixed(c):
    momentum = (c["opt"]["momentum"] - 0.9) ** 2 if c["opt"]["_name"] == "sgd" else 0.3
    numbers = (math.log10(c["lr"]) + 3) ** 2 + 0.1 * (math.log2(c["units"]) - 6) ** 2 + 0.02 * (c["depth"] - 9) ** 2
    return numbers + 0.5 * (c["noise"] - 1.5) ** 2 + ["gelu", "elu", "relu", "tanh"].index(c["act"]) * 0.3 + momentum


def test_tpe_beats_random_on_a_mixed_nested_space():
    smart = best_values(lambda seed: tpe(MIXED, seed=seed), mixed, 8, 80)
    blind = best_values(lambda seed: tpe_random(seed, MIXED), mixed, 8, 80)
    assert np.median(smart) < np.median(blind) / 2
    assert stats.wilcoxon(smart, blind, alternative="less").pvalue < 0.01


def test_a_branch_is_learnt_from_the_trials_that_took_it():
    """X-42: what other branches did with a variable of the same name does not count."""
    x = {"_type": "uniform", "_value": [0, 1]}
    space = {"arm": {"_type": "choice", "_value": [{"_name": "left", "x": x}, {"_name": "right", "x": x}]}}
    tuner = tpe(space)
    run(tuner, lambda c: abs(c["arm"]["x"] - (0.1 if c["arm"]["_name"] == "left" else 0.9)), 60)
    late = [tuner.get_suggestion()["arm"] for _ in range(60)]
    left = [arm["x"] for arm in late if arm["_name"] == "left"]
    right = [arm["x"] for arm in late if arm["_name"] == "right"]
    assert np.median(left or [0.1]) < 0.3
    assert np.median(right or [0.9]) > 0.7


def test_small_randint_has_no_order_and_large_randint_has():
    """HPO-216: a value that is good says nothing about its neighbours, unless there are too many values to try."""

    def distance_from_best(size):
        tuner = tpe({"n": {"_type": "randint", "_value": [0, size]}})
        tried = range(0, size, size // 20)
        tuner.import_data([{"parameter": {"n": n}, "value": abs(n - size // 2)} for n in tried])
        return np.mean([abs(tuner.get_suggestion()["n"] - size // 2) / size for _ in range(100)])

    assert distance_from_best(60) > 0.2  # of untried values, all alike
    assert distance_from_best(10_000) < 0.1


def test_a_huge_randint_costs_nothing():
    tuner = tpe({"n": {"_type": "randint", "_value": [0, 10**12]}})
    values = run(tuner, lambda c: abs(c["n"] - 7e11) / 1e12, 60)
    assert min(values[-20:]) < 0.01


def test_results_are_read_in_the_right_direction():
    up = tpe(optimize_mode="maximize")
    run(up, lambda c: -branin(c), 60)
    assert np.median([branin(up.get_suggestion()) for _ in range(30)]) < 10


def test_a_place_where_trials_fail_is_avoided():
    space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    tuner = tpe(space)
    for number in range(60):
        configuration = tuner.generate_parameters(number)
        if configuration["x"] > 0.5:
            tuner.trial_end(number, success=False)
        else:
            tuner.receive_trial_result(number, configuration, 1.0)
            tuner.trial_end(number, success=True)
    assert np.mean([tuner.get_suggestion()["x"] > 0.5 for _ in range(100)]) < 0.1


@pytest.mark.parametrize("outcome", ["nan", "failure"])
def test_nothing_but_failures_leaves_a_tuner_that_works(outcome):
    tuner = tpe(MIXED)
    for number in range(30):
        configuration = tuner.generate_parameters(number)
        assert contains(parse(MIXED), configuration)
        if outcome == "nan":
            tuner.receive_trial_result(number, configuration, math.nan)
        tuner.trial_end(number, success=outcome == "nan")


ODD = {
    "constant": {"_type": "uniform", "_value": [4, 4]},
    "log constant": {"_type": "qloguniform", "_value": [4, 4, 3]},
    "one value": {"_type": "quniform", "_value": [0, 0.4, 1]},
    "one option": {"_type": "choice", "_value": ["only"]},
    "tiny": {"_type": "uniform", "_value": [0, 5e-324]},
    "wide": {"_type": "loguniform", "_value": [1e-300, 1e300]},
    "endless": {"_type": "qlognormal", "_value": [600, 50, 0.5]},
}


@pytest.mark.parametrize("space", [{}, *({name: entry} for name, entry in ODD.items()), ODD])
def test_odd_spaces_are_searched_like_any(space):
    tuner = tpe(space)
    for number in range(25):
        configuration = tuner.generate_parameters(number)
        assert contains(parse(space), configuration)
        tuner.receive_trial_result(number, configuration, number % 5)


# ------------------------------------------------------------------------------------------------ finite spaces


def test_no_configuration_is_tried_twice_before_all_have_been():
    tuner = tpe(FINITE)
    seen = set()
    for number in range(15):
        configuration = tuner.generate_parameters(number)
        seen.add(json_key(configuration))
        tuner.receive_trial_result(number, configuration, configuration["b"])
    assert len(seen) == 15
    assert contains(parse(FINITE), tuner.generate_parameters(15))  # and then it goes on


def test_the_last_untried_configuration_of_a_large_space_is_found():
    tuner = tpe({"x": {"_type": "randint", "_value": [0, 3000]}})
    tuner.import_data([{"parameter": {"x": x}, "value": x} for x in range(3000) if x != 1234])
    assert tuner.generate_parameters(0) == {"x": 1234}


def test_running_trials_are_not_tried_again_either():
    found = tpe(FINITE).generate_multiple_parameters(list(range(15)))
    assert len({json_key(configuration) for configuration in found}) == 15


# ------------------------------------------------------------------------------------------------ liar


def test_running_trials_count_on_when_the_space_is_told_again():
    told_twice, told_once = (tpe(parallel_optimize=True) for _ in range(2))
    for tuner in (told_twice, told_once):
        run(tuner, branin, 20)
        tuner.generate_multiple_parameters(list(range(20, 30)))
    told_twice.update_search_space(BRANIN)
    assert told_twice.generate_parameters(30) == told_once.generate_parameters(30)


def mean_distance(tuner, count=20):
    batch = np.array([list(tuner.generate_parameters(1000 + i).values()) for i in range(count)]) / 15
    return np.mean([np.linalg.norm(one - other) for one, other in itertools.combinations(batch, 2)])


def spread(seeds=12, **kwargs):
    distances = []
    for seed in range(seeds):
        tuner = tpe(seed=seed, **kwargs)
        run(tuner, branin, 30)
        distances.append(mean_distance(tuner))
    return np.array(distances)


def test_a_liar_spreads_a_batch_and_worse_lies_spread_it_more():
    """Z-11, Z-12, X-30."""
    off = spread()
    lies = {lie: spread(parallel_optimize=True, constant_liar_type=lie) for lie in ("min", "mean", "max")}
    for lie, distances in lies.items():
        assert stats.wilcoxon(distances, off, alternative="greater").pvalue < 0.01, lie
    assert lies["min"].mean() < lies["mean"].mean() < lies["max"].mean()


@pytest.mark.parametrize("ending", ["result", "failure", "success without result"])
def test_a_lie_is_gone_when_its_trial_ends(ending):
    """X-41: a tuner that lied and one that never did suggest the same once the trials have ended."""
    lying, honest = tpe(parallel_optimize=True), tpe(parallel_optimize=True)
    run(lying, branin, 20)
    run(honest, branin, 20)
    batch = lying.generate_multiple_parameters(list(range(20, 26)))
    assert lying.generate_parameters(30) != honest.generate_parameters(30)
    for tuner in (lying, honest):
        tuner.trial_end(30, success=True)
    for number, configuration in enumerate(batch, 20):
        if ending == "result":
            lying.receive_trial_result(number, configuration, branin(configuration))
            honest.receive_trial_result(number, configuration, branin(configuration))
        if ending == "failure":
            honest.import_data([{"parameter": configuration, "value": math.nan}])
        lying.trial_end(number, success=ending != "failure")
    assert lying.generate_parameters(40) == honest.generate_parameters(40)


def test_without_parallel_optimize_running_trials_change_nothing():
    one, other = tpe(), tpe()
    run(one, branin, 20)
    run(other, branin, 20)
    one.generate_multiple_parameters(list(range(20, 30)))
    assert one.generate_parameters(50) == other.generate_parameters(50)


# ------------------------------------------------------------------------------------------------ import


def test_imported_results_are_learnt_from():
    rng = np.random.default_rng(0)
    points = [{"x": float(x), "y": float(y)} for x, y in rng.uniform([-5, 0], [10, 15], (60, 2))]
    tuner = tpe()
    tuner.import_data([{"parameter": p, "value": {"default": abs(p["x"] - 2) + abs(p["y"] - 9)}} for p in points])
    suggested = [tuner.get_suggestion() for _ in range(30)]
    assert np.median([abs(c["x"] - 2) + abs(c["y"] - 9) for c in suggested]) < 3


def test_imported_results_that_do_not_fit_are_skipped_with_a_warning(caplog):
    tuner = tpe()
    bad = [
        {"parameter": {"x": 1.0}, "value": 1},
        {"parameter": {"x": 1.0, "y": 99}, "value": 1},
        {"parameter": {"x": 1.0, "y": 9}, "value": "good"},
        {"value": 3},
        "nothing",
    ]
    with caplog.at_level(logging.WARNING):
        tuner.import_data(bad)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 5
    assert "data[0].parameter.y: missing" in caplog.text
    assert "data[1].parameter.y: 99 is not a value of uniform [0, 15]" in caplog.text
    assert tuner._results == []


def test_results_of_an_old_space_count_in_a_wider_one():
    tuner = tpe({"x": {"_type": "uniform", "_value": [0, 1]}})
    run(tuner, lambda c: (c["x"] - 0.2) ** 2, 40)
    tuner.update_search_space({"x": {"_type": "uniform", "_value": [0, 1.2]}})
    assert np.mean([0.9 < tuner.get_suggestion()["x"] < 1 for _ in range(100)]) < 0.02  # known to be bad


def test_a_custom_type_is_refused():
    with pytest.raises(NniError, match="unknown type 'mine'"):
        tpe({"x": {"_type": "mine", "_value": 1}})


def test_the_model_starts_after_the_start_up_trials(monkeypatch):
    monkeypatch.setattr(_sampler, "STARTUP", 5)
    tuner, blind = tpe(), tpe_random(0)
    pairs = []
    for number in range(8):
        configuration = tuner.generate_parameters(number)
        pairs.append(configuration == blind.generate_parameters(number))
        tuner.receive_trial_result(number, configuration, branin(configuration))
    assert pairs == [True] * 5 + [False] * 3


def test_a_trial_that_the_system_took_away_says_nothing_about_its_configuration():
    """It was stopped with the experiment; after a resume it must not count as a failure."""
    events = [
        {"kind": "parameters", "parameter_id": 0, "parameters": {"x": 0.5}, "parameter_source": "algorithm"},
        {"kind": "end", "parameter_id": 0, "event": "SYS_CANCELED"},
    ]
    taken, failed = (HyperoptTuner("tpe", seed=1) for _ in range(2))
    for tuner, event in ((taken, "SYS_CANCELED"), (failed, "FAILED")):
        tuner.update_search_space({"x": {"_type": "uniform", "_value": [0, 1]}})
        tuner.replay([events[0], {**events[1], "event": event}])
    assert (taken._results, len(failed._results)) == ([], 1)
