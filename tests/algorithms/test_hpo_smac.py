"""SMAC: the forest against brute force, the local search, what is suggested, and how trials count."""

from __future__ import annotations

import inspect
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nni.algorithms.hpo._gp._arms import may_catch_up
from nni.algorithms.hpo._history import History
from nni.algorithms.hpo._smac import _sampler
from nni.algorithms.hpo._smac._forest import MISSING, grow
from nni.algorithms.hpo._smac._neighbours import Neighbourhood
from nni.algorithms.hpo._smac._sampler import log_scaled
from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner
from nni.algorithms.hpo.smac_tuner import SMACTuner
from nni.common.errors import NniError, NoMoreTrialError
from nni.experiment import Experiment
from nni.search_space import contains, json_key, parse
from nni.testing.tuner import TunerConformance

DISCRETE = {
    "leaves": {"_type": "choice", "_value": [2**n for n in range(2, 10)]},
    "rate": {"_type": "choice", "_value": [1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01]},
    "depth": {"_type": "randint", "_value": [1, 21]},
    "share": {"_type": "quniform", "_value": [0.2, 1, 0.1]},
    "kind": {"_type": "choice", "_value": ["p", "q", "r", "s", "t"]},
}
X = {"_type": "uniform", "_value": [0, 1]}
KIND = {"_type": "choice", "_value": [{"_name": "a", "x": X}, {"_name": "b"}]}
SMALL = {"b": {"_type": "randint", "_value": [0, 20]}, "a": {"_type": "choice", "_value": [1, 2, 3, 4]}}
NESTED = {
    "lr": {"_type": "loguniform", "_value": [1e-5, 1]},
    "model": {
        "_type": "choice",
        "_value": [
            {"_name": "linear"},
            {"_name": "net", "depth": {"_type": "randint", "_value": [1, 9]}, "drop": X},
            {"_name": "forest", "share": X, "kind": KIND},
        ],
    },
}
FINITE = {"a": {"_type": "choice", "_value": list("pqr")}, "b": {"_type": "quniform", "_value": [0, 1, 0.25]}}


def discrete(c):
    kind = "prqst".index(c["kind"]) if c["leaves"] < 64 else "tsqrp".index(c["kind"])  # no order, and it depends
    numbers = (math.log2(c["leaves"]) - 7) ** 2 + 2 * (math.log10(c["rate"]) + 1.3) ** 2
    return numbers + 0.02 * (c["depth"] - 14) ** 2 + 4 * (c["share"] - 0.7) ** 2 + 0.5 * kind


def nested(c):
    lr, model = (math.log10(c["lr"]) + 3) ** 2, c["model"]
    if model["_name"] == "net":
        return lr + 0.1 * (model["depth"] - 6) ** 2 + 2 * (model["drop"] - 0.3) ** 2
    return lr + (1 if model["_name"] == "linear" else 0.5 + model["share"] + model["kind"].get("x", 0.5))


def smac(space, seed=0, **kwargs):
    tuner = SMACTuner("minimize", seed=seed, **kwargs)
    tuner.update_search_space(space)
    return tuner


def blind(space, seed):
    tuner = HyperoptTuner("random_search", seed=seed)
    tuner.update_search_space(space)
    return tuner


def run(tuner, function, trials):
    values = []
    for number in range(trials):
        configuration = tuner.generate_parameters(number)
        values.append(function(configuration))
        tuner.receive_trial_result(number, configuration, values[-1])
        tuner.trial_end(number, success=True)
    return values


class TestConformance(TunerConformance):
    types = ("choice", "randint", "uniform", "loguniform", "quniform")

    def make(self, optimize_mode):
        return SMACTuner(optimize_mode, seed=3)


class TestConformanceOnFiniteSpace(TunerConformance):
    types = ("choice", "randint", "uniform", "loguniform", "quniform")
    space = SMALL

    def make(self, optimize_mode):
        return SMACTuner(optimize_mode, config_dedup=True, seed=3)


# ------------------------------------------------------------------------------------------------ forest


def spread(targets):
    return float(np.sum((targets - targets.mean()) ** 2)) if len(targets) else 0.0


def first_split_is_best(rows, targets, options, tree, sample):
    """Compare the first split with every other one that is possible."""
    rows, targets = rows[sample], targets[sample]
    best = min(
        spread(targets[left]) + spread(targets[~left])
        for column, count in enumerate(options)
        for left in ways(rows[:, column], count)
    )
    goes_left = tree.leaves(rows)[:, 0]
    for _ in range(100):  # walk up from the leaves to the children of the root
        parent = np.full(len(tree.column), -1)
        split = np.flatnonzero(tree.column >= 0)
        parent[tree.left[split]] = parent[tree.left[split] + 1] = split
        goes_left = np.where(parent[goes_left] > 0, parent[goes_left], goes_left)
    left = goes_left == tree.left[0]
    assert spread(targets[left]) + spread(targets[~left]) == pytest.approx(best, abs=1e-9)


def ways(values, count):
    if count == 0:
        yield from (values <= value for value in np.unique(values)[:-1])
        return
    seen = np.unique(values)
    for size in range(1, len(seen)):
        yield from (np.isin(values, subset) for subset in itertools.combinations(seen, size))


@pytest.mark.parametrize("seed", range(8))
def test_the_first_split_is_the_best_of_all_thresholds_and_all_subsets_of_options(seed):
    rng = np.random.default_rng(seed)
    options = [0, 5, 0, 4]
    columns = [rng.random(14), rng.integers(5, size=14), rng.integers(3, size=14) / 2, rng.integers(4, size=14)]
    rows = np.column_stack(columns)
    targets = rng.standard_normal(14)
    tree = grow(rows, targets, np.array(options), np.random.default_rng(100 + seed), trees=1, column_share=1.0)
    sample = np.random.default_rng(100 + seed).integers(14, size=(1, 14))[0]  # the bootstrap sample of the tree
    first_split_is_best(rows, targets, options, tree, sample)


def test_a_forest_predicts_what_it_has_learnt():
    rng = np.random.default_rng(0)
    options = np.array([0, 0, 6])

    def f(rows):
        return 3 * rows[:, 0] ** 2 + np.sin(5 * rows[:, 1]) * (rows[:, 2] % 2)

    def draw(n):
        return np.column_stack([rng.random((n, 2)), rng.integers(6, size=n)])

    rows, new = draw(500), draw(500)
    mean, variance = grow(rows, f(rows), options, rng, trees=20).predict(new)
    assert np.corrcoef(mean, f(new))[0, 1] > 0.98
    errors = np.abs(mean - f(new))
    sure = variance < np.median(variance)
    assert errors[~sure].mean() > 1.5 * errors[sure].mean()  # it knows where it does not know


def test_mean_and_variance_are_those_of_the_mixture_of_the_leaves():
    rng = np.random.default_rng(1)
    rows, targets = rng.random((60, 3)), rng.random(60)
    forest = grow(rows, targets, np.zeros(3, int), rng, trees=7, smallest_split=12)
    new = rng.random((5, 3))
    mean, variance = forest.predict(new)
    leaves = forest.leaves(new)
    for index in range(5):
        parts = leaves[index]
        second = np.mean(forest.variance[parts] + forest.mean[parts] ** 2)
        assert mean[index] == pytest.approx(np.mean(forest.mean[parts]))
        assert variance[index] == pytest.approx(second - mean[index] ** 2)


def test_a_split_can_tell_an_inactive_column():
    rng = np.random.default_rng(2)
    rows = rng.random((80, 1))
    rows[::2] = np.nan
    targets = np.where(np.isnan(rows[:, 0]), 5.0, 1.0)
    mean, _ = grow(rows, targets, np.array([0]), rng, trees=10).predict(np.array([[np.nan], [0.01], [0.9]]))
    assert mean == pytest.approx([5, 1, 1], abs=1e-9)
    assert MISSING < 0


def test_an_option_that_was_not_seen_is_uncertain():
    rng = np.random.default_rng(3)
    rows = rng.integers(4, size=(40, 1)).astype(float)
    forest = grow(rows, rows[:, 0], np.array([5]), rng, trees=30)
    _, variance = forest.predict(np.arange(5.0)[:, None])
    assert variance[4] > 10 * variance[:4].max()


def test_constant_targets_make_trees_of_one_leaf():
    rows = np.random.default_rng(0).random((20, 2))
    forest = grow(rows, np.ones(20), np.zeros(2, int), np.random.default_rng(0), trees=3)
    assert len(forest.column) == 3
    mean, variance = forest.predict(rows)
    assert (mean == 1).all()
    assert variance == pytest.approx(0)


def test_the_scale_of_losses_does_not_matter_and_order_is_kept():
    losses = np.random.default_rng(0).lognormal(0, 3, 50)
    assert log_scaled(100 * losses - 7) == pytest.approx(log_scaled(losses))
    assert (np.argsort(log_scaled(losses)) == np.argsort(losses)).all()
    assert (log_scaled(np.ones(4)) == 0).all()


# ------------------------------------------------------------------------------------------------ local search


def test_a_neighbour_differs_in_one_variable_and_what_depends_on_it():
    history = History(parse(NESTED))
    rng = np.random.default_rng(0)
    rows = history.draw(20, rng)
    neighbours, origin = Neighbourhood(history).of(rows, rng)
    changed = set()
    for neighbour, row in zip(neighbours, rows[origin], strict=True):
        assert contains(parse(NESTED), history.configuration(neighbour))
        same = np.isclose(neighbour, row, equal_nan=True)
        free = [d for d in history.encoder.dimensions if not same[d.index] and (d.parent is None or same[d.parent])]
        assert len(free) <= 1
        changed |= {dimension.name for dimension in free}
    assert changed == {dimension.name for dimension in history.encoder.dimensions}


def test_a_climb_ends_no_lower_than_it_began_and_finds_the_top_of_a_hill():
    history = History(parse({"x": X, "y": X, "k": {"_type": "choice", "_value": list("abc")}}))
    rng = np.random.default_rng(0)
    starts = history.draw(8, rng)

    def hill(rows):
        return -((rows[:, 0] - 0.3) ** 2) - (rows[:, 1] - 0.8) ** 2 + (rows[:, 2] == 1)

    found, scores = Neighbourhood(history).climb(starts, hill, 60, rng)
    assert (scores >= hill(starts)).all()
    assert scores == pytest.approx(hill(found))
    assert scores.max() > 0.995


# ------------------------------------------------------------------------------------------------ the tuner


def test_signature_is_the_documented_one_and_a_seed():
    parameters = inspect.signature(SMACTuner).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "optimize_mode": "maximize",
        "config_dedup": False,
        "seed": None,
    }


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"optimize_mode": "max"}, r"classArgs\.optimize_mode: expected 'maximize' or 'minimize', got 'max'"),
        ({"config_dedup": "yes"}, r"classArgs\.config_dedup: expected true or false, got 'yes'"),
        ({"seed": -1}, r"classArgs\.seed"),
    ],
)
def test_wrong_arguments_are_named(arguments, problem):
    with pytest.raises(NniError, match=problem):
        SMACTuner(**arguments)


@pytest.mark.parametrize(("space", "function"), [(DISCRETE, discrete), (NESTED, nested)])
def test_smac_beats_random(space, function):
    """Z-14."""
    smart = np.array([min(run(smac(space, seed), function, 50)) for seed in range(5)])
    random = np.array([min(run(blind(space, seed), function, 50)) for seed in range(5)])
    assert np.median(smart) < np.median(random) / 2
    assert stats.wilcoxon(smart, random, alternative="less").pvalue < 0.05


def test_the_model_starts_after_the_start_up_trials_and_some_suggestions_stay_random(monkeypatch):
    monkeypatch.setattr(_sampler, "RANDOM_SHARE", 0.0)
    tuner = smac(DISCRETE)
    values = run(tuner, discrete, 40)
    assert np.median(values[25:]) < np.median(values[:10]) / 2
    monkeypatch.setattr(_sampler, "RANDOM_SHARE", 1.0)
    late = [discrete(tuner.generate_parameters(number)) for number in range(100, 140)]
    assert np.median(late) > np.median(values[25:]) * 2


@pytest.mark.parametrize("dedup", [True, False])
def test_no_configuration_is_tried_twice_before_all_have_been(dedup):
    """HPO-231, HPO-234: imported ones are known too, by their bin."""
    tuner = smac(FINITE, config_dedup=dedup)
    tuner.import_data([{"parameter": {"a": "p", "b": 0.25 + 1e-12}, "value": 0.1}])
    seen = {json_key({"a": "p", "b": 0.25})}
    for number in range(14):
        configuration = tuner.generate_parameters(number)
        seen.add(json_key(configuration))
        tuner.receive_trial_result(number, configuration, configuration["b"])
    assert len(seen) == 15
    if dedup:
        with pytest.raises(NoMoreTrialError, match="all 15 configurations"):
            tuner.generate_parameters(14)
        assert tuner.generate_multiple_parameters([14, 15]) == []
    else:
        assert contains(parse(FINITE), tuner.generate_parameters(14))


def test_a_batch_of_suggestions_has_no_two_alike_and_knows_of_those_that_run():
    space = {"x": X, "y": X}
    tuner = smac(space)
    run(tuner, lambda c: (c["x"] - 0.3) ** 2 + (c["y"] - 0.6) ** 2, 30)
    alone = smac_after(tuner, 111)
    batch = tuner.generate_multiple_parameters(list(range(100, 112)))
    assert len({json_key(configuration) for configuration in batch}) == 12
    assert batch[-1] != alone  # the same id, with others running


def smac_after(tuner, number):
    """Return a suggestion, and let its trial end without a word."""
    configuration = tuner.generate_parameters(number)
    tuner.trial_end(number, success=True)
    return configuration


DECEPTIVE = {
    "model": {
        "_type": "choice",
        "_value": [{"_name": "plain", "x": X}, {"_name": "deep", "a": X, "b": X, "c": X}, {"_name": "poor", "x": X}],
    }
}


def deceptive(c):
    """A branch that is good at once, one that is the best after some tuning, and one that never is."""
    model = c["model"]
    if model["_name"] == "deep":
        return 8 * ((model["a"] - 0.2) ** 2 + (model["b"] - 0.7) ** 2 + (model["c"] - 0.4) ** 2)
    return 0.2 + 0.05 * model["x"] + (model["_name"] == "poor")


def test_a_branch_that_takes_tuning_is_not_given_up_for_one_that_is_good_at_once():
    assert np.median([min(run(smac(DECEPTIVE, seed), deceptive, 60)) for seed in range(5)]) < 0.15


def test_a_branch_that_cannot_catch_up_gets_few_trials():
    tuner = smac(DECEPTIVE, 1)
    tried = []
    for number in range(80):
        configuration = tuner.generate_parameters(number)
        tried.append(configuration["model"]["_name"])
        tuner.receive_trial_result(number, configuration, deceptive(configuration))
    assert tried[40:].count("poor") < 5


@pytest.mark.parametrize(
    ("own", "best", "may"),
    [
        ([5.0] * 20, 0.0, False),  # nothing gained any more
        ([5.0] * 10 + [4.9] * 10, 0.0, False),  # too little
        ([5.0] * 10 + [3.0] * 10, 0.0, True),  # 0.13 a trial
        ([5.0] * 7, 0.0, True),  # too few to tell
        ([5.0] * 7 + [math.inf] * 13, 0.0, True),  # those that run tell nothing
        ([1.0] * 20, 1.0, True),  # as good as the best
    ],
)
def test_an_arm_may_catch_up_if_it_would_at_its_own_pace(own, best, may):
    losses = np.array([*own, best, *own])
    assert may_catch_up(np.array(own), losses) is may


def test_a_place_where_trials_fail_is_avoided():
    tuner = smac({"x": X})
    for number in range(40):
        configuration = tuner.generate_parameters(number)
        if configuration["x"] > 0.5:
            tuner.trial_end(number, success=False)
        else:
            tuner.receive_trial_result(number, configuration, 1 + configuration["x"])
            tuner.trial_end(number, success=True)
    assert np.mean([smac_after(tuner, number)["x"] > 0.5 for number in range(100, 140)]) < 0.3


def test_imported_results_are_learnt_from():
    tuner = smac(DISCRETE)
    donor = blind(DISCRETE, 9)
    tuner.import_data([{"parameter": c, "value": discrete(c)} for c in map(donor.generate_parameters, range(80))])
    suggested = [discrete(smac_after(tuner, number)) for number in range(20)]
    assert np.median(suggested) < np.median([discrete(donor.generate_parameters(n)) for n in range(100)]) / 3


@pytest.mark.parametrize(
    "space",
    [
        {},
        {"constant": {"_type": "uniform", "_value": [4, 4]}},
        {"one": {"_type": "choice", "_value": ["only"]}},
        {"twice": {"_type": "choice", "_value": [1, 1, 2]}, "x": X},
        {"many": {"_type": "choice", "_value": list(range(3000))}, "x": X},
        {"huge": {"_type": "randint", "_value": [0, 10**12]}},
        {f"x{n}": X for n in range(80)},
    ],
)
def test_odd_spaces_are_searched_like_any(space):
    tuner = smac(space)
    for number in range(16):
        configuration = tuner.generate_parameters(number)
        assert contains(parse(space), configuration)
        tuner.receive_trial_result(number, configuration, number % 5)


TRIAL = """
import nni
p = nni.get_next_parameter()
nni.report_final_result((p["x"] - 0.3) ** 2 + (0 if p["k"] == "good" else 1))
"""


@pytest.mark.slow
def test_smac_runs_by_its_documented_name(isolated_home: Path, tmp_path: Path, free_port: int):
    (tmp_path / "trial.py").write_text(TRIAL)
    experiment = Experiment("local")
    config = experiment.config
    config.search_space = {"x": X, "k": {"_type": "choice", "_value": ["good", "bad"]}}
    config.trial_command, config.trial_code_directory = "python3 trial.py", tmp_path
    config.trial_concurrency, config.max_trial_number = 2, 14
    config.tuner = {"name": "SMAC", "class_args": {"optimize_mode": "minimize"}}
    assert experiment.run(free_port), experiment.get_status()
    results = experiment.export_data()
    assert len(results) == 14
    for result in results:
        assert result.value == (result.parameter["x"] - 0.3) ** 2 + (result.parameter["k"] != "good")
