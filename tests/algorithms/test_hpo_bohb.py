"""BOHB: the estimates, the model, the brackets, the messages (HPO-340 … HPO-358)."""

from __future__ import annotations

import inspect
import json
import math
from collections import Counter
from statistics import median

import numpy as np
import pytest
from scipy.stats import truncnorm
from tuning_lab import BRANIN, NESTED, PROBLEMS, experiment

from nni.algorithms import registry
from nni.algorithms.hpo._bohb import Density, Variables
from nni.algorithms.hpo.bohb_advisor import BOHB
from nni.algorithms.hpo.config_generator import ConfigGenerator
from nni.algorithms.hpo.hyperband_advisor import Hyperband
from nni.common.errors import NniError
from nni.runtime.protocol import CommandType
from nni.search_space import Encoder, parse
from nni.testing.advisor import AdvisorConformance, ManagerSide, disconnecting

UNIT = {"x": {"_type": "uniform", "_value": [0, 1]}}
TWO = {**UNIT, "k": {"_type": "choice", "_value": ["a", "b", "c"]}}
FINITE = {"a": {"_type": "choice", "_value": [1, 2, 3, 4]}, "b": {"_type": "randint", "_value": [0, 15]}}


class TestBohb(AdvisorConformance):
    extra_keys = ("TRIAL_BUDGET",)

    def make(self, optimize_mode):
        return BOHB(optimize_mode, 1, 9, 3, seed=3)


class TestBohbOnFiniteSpace(AdvisorConformance):
    extra_keys = ("TRIAL_BUDGET",)
    space = FINITE

    def make(self, optimize_mode):
        return BOHB(optimize_mode, 1, 4, 2, random_fraction=0.1, seed=3)


@pytest.fixture
def started():
    """Return a function that makes an advisor and gives it a space."""
    with disconnecting():

        def start(advisor, space=UNIT):
            side = ManagerSide(advisor)
            side.tell(CommandType.Initialize, space)
            return side

        yield start


def test_signature_is_the_documented_one():
    parameters = inspect.signature(BOHB).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "optimize_mode": "maximize",
        "min_budget": 1,
        "max_budget": 3,
        "eta": 3,
        "min_points_in_model": None,
        "top_n_percent": 15,
        "num_samples": 64,
        "random_fraction": 0.33,
        "bandwidth_factor": 3.0,
        "min_bandwidth": 0.001,
        "config_space": None,
        "seed": None,
    }


# ------------------------------------------------------------------------------------------------ the estimates


def density(space, configurations, min_bandwidth=0.001):
    encoder = Encoder(parse(space))
    variables = Variables(encoder)
    return variables, Density(variables, variables.to_unit(encoder.encode(configurations)), min_bandwidth)


def random_points(space, count, seed=0):
    encoder = Encoder(parse(space))
    return encoder.decode(encoder.sample(count, np.random.default_rng(seed)))


def test_a_density_is_the_mean_of_product_kernels():
    data = random_points(TWO, 7)
    _, estimate = density(TWO, data)
    width, blur = estimate.bandwidths[0], estimate.blurs[0]
    xs, options = [p["x"] for p in data], [TWO["k"]["_value"].index(p["k"]) for p in data]
    for x, k in ((0.1, 0), (0.5, 1), (0.95, 2)):
        kernels = [
            truncnorm.pdf(x, -c / width, (1 - c) / width, c, width) * 3 * (1 - blur if k == o else blur / 2)
            for c, o in zip(xs, options, strict=True)
        ]
        expected = (sum(kernels) + 1) / 8  # the prior is one more kernel
        assert estimate.log_ratio(np.array([[x, k]])) == pytest.approx(math.log(expected))


def test_bandwidths_follow_the_normal_reference_rule():
    data = random_points(TWO, 20)
    _, estimate = density(TWO, data)
    rule = 1.06 * 20 ** (-1 / 6)
    assert estimate.bandwidths == pytest.approx([rule * np.std([p["x"] for p in data], ddof=1)])
    shares = np.array(list(Counter(p["k"] for p in data).values())) / 20
    assert estimate.blurs == pytest.approx([min(2 / 3, rule * math.sqrt((1 - (shares**2).sum()) / 2))])


def test_no_bandwidth_is_below_the_least():
    _, estimate = density(TWO, [{"x": 0.5, "k": "a"}] * 9, min_bandwidth=0.02)
    assert estimate.bandwidths.tolist() == [0.02]
    assert estimate.blurs.tolist() == [0.02]


def test_options_have_no_order():
    """X-51: renaming the options changes nothing."""
    data = [{"x": 0.5, "k": k} for k in "aaab"]
    renamed = [{"x": 0.5, "k": {"a": "b", "b": "c"}[p["k"]]} for p in data]
    (_, one), (_, other) = density(TWO, data), density(TWO, renamed)
    assert one.blurs == pytest.approx(other.blurs)
    assert one.log_ratio(np.array([[0.5, 0]])) == pytest.approx(other.log_ratio(np.array([[0.5, 1]])))


def test_what_goes_together_is_learnt_together():
    """X-51: one density in all dimensions; a product of one-dimensional ones could not tell these apart."""
    data = [{"x": 0.1, "k": "a"}, {"x": 0.9, "k": "b"}] * 10
    _, estimate = density(TWO, data)
    together, apart = estimate.log_ratio(np.array([[0.1, 0], [0.1, 1]]))
    assert together > apart + 0.5


def test_draws_are_distributed_as_the_density_says():
    data = random_points(TWO, 5)
    _, estimate = density(TWO, data)
    points = estimate.sample(20000, np.random.default_rng(0))
    edges = np.linspace(0, 1, 11)
    middle = (edges[:-1] + edges[1:]) / 2
    for k in range(3):
        counts, _ = np.histogram(points[points[:, 1] == k, 0], edges)
        fine = np.stack([np.linspace(0, 1, 1001), np.full(1001, k)], axis=1)
        values = (np.exp(estimate.log_ratio(fine)) * 6 - 1) / 5 / 3  # without the prior's kernel
        expected = [values[(fine[:, 0] >= m - 0.05) & (fine[:, 0] < m + 0.05)].mean() * 0.1 for m in middle]
        assert counts / 20000 == pytest.approx(expected, abs=0.01)


def test_a_factor_widens_what_is_drawn():
    _, estimate = density(TWO, [{"x": 0.5, "k": "a"}] * 9, min_bandwidth=0.01)
    narrow, wide = (estimate.sample(4000, np.random.default_rng(0), factor) for factor in (1.0, 3.0))
    assert narrow[:, 0].std() == pytest.approx(0.01, rel=0.1)
    assert wide[:, 0].std() == pytest.approx(0.03, rel=0.1)
    assert (narrow[:, 1] != 0).mean() == pytest.approx(0.01, abs=0.006)
    assert (wide[:, 1] != 0).mean() == pytest.approx(0.03, abs=0.01)


def test_a_variable_that_is_not_active_counts_as_drawn_from_the_prior():
    data = [{"model": {"_name": "linear", "slope": 1.0}}] * 5 + [{"model": {"_name": "none"}}] * 5
    variables, estimate = density(NESTED, data)
    encoder = Encoder(parse(NESTED))
    rounds = [{"model": {"_name": "round", "radius": r, "centre": 0.0}} for r in (1.0, 9.0)]
    first, second = estimate.log_ratio(variables.to_unit(encoder.encode(rounds)))
    assert first == pytest.approx(second)  # no round model was seen: all of them are alike
    drawn = variables.snap(estimate.sample(2000, np.random.default_rng(0), 3.0))
    radii = [p["model"]["radius"] for p in encoder.decode(drawn) if p["model"]["_name"] == "round"]
    assert np.mean(radii) == pytest.approx(5, abs=0.5)
    assert np.std(radii) == pytest.approx(10 / math.sqrt(12), rel=0.15)


# ------------------------------------------------------------------------------------------------ the model


def taught(results, budget=1, space=UNIT, **arguments):
    generator = ConfigGenerator(parse(space), random_fraction=0.0, **arguments)
    for parameters, loss in results:
        generator.new_result(loss, budget, parameters)
    return generator


def suggestions(generator, count, key="x"):
    return np.array([generator.get_config(1, np.random.default_rng(seed))[key] for seed in range(count)])


VALLEY = [({"x": x / 40}, abs(x / 40 - 0.25)) for x in range(41)]


def test_suggestions_are_where_results_are_good():
    found = suggestions(taught(VALLEY), 100)
    assert np.median(np.abs(found - 0.25)) < 0.06


@pytest.mark.parametrize(("least", "expected"), [(None, 3), (1, 3), (5, 5)])
def test_a_budget_has_a_model_from_enough_results_on_not_counting_failures(least, expected):
    space = {**UNIT, "y": UNIT["x"]}
    results = [({"x": 0.5, "y": n / 10}, float(n)) for n in range(8)]
    failures = [({"x": 0.5, "y": 0.5}, loss) for loss in (math.inf, math.nan)] * 5
    ready = [n for n in range(8) if taught(failures + results[:n], 1, space, min_points_in_model=least)._observations]
    assert ready
    first = next(
        n
        for n in range(9)
        if taught(failures + results[:n], 1, space, min_points_in_model=least).largest_modelled_budget is not None
    )
    assert first == expected


def test_the_model_of_the_largest_budget_that_has_one_is_used():
    generator = taught(VALLEY, 1)
    for x in range(41):
        generator.new_result(abs(x / 40 - 0.8), 3, {"x": x / 40})
    generator.new_result(0.0, 9, {"x": 0.5})
    assert generator.largest_modelled_budget == 3
    assert np.median(np.abs(suggestions(generator, 100) - 0.8)) < 0.06


def test_good_and_bad_are_the_documented_shares():
    generator = taught([({"x": n / 100}, float(n)) for n in range(100)], top_n_percent=15)
    good, bad = generator._model(generator._observations[1])
    assert sorted(good._rows[:, 0]) == pytest.approx([n / 100 for n in range(15)])
    assert sorted(bad._rows[:, 0]) == pytest.approx([n / 100 for n in range(15, 100)])


def test_failures_are_bad_and_never_good():
    generator = taught([({"x": 0.1}, math.inf)] * 50 + [({"x": 0.8 + n / 100}, 1.0) for n in range(4)])
    good, bad = generator._model(generator._observations[1])
    assert good._rows.min() > 0.5
    assert len(bad._rows) == 50
    assert suggestions(generator, 50).min() > 0.3


def test_a_share_of_configurations_is_random():
    generator = taught(VALLEY)
    generator._random = 0.5
    far = np.abs(suggestions(generator, 300) - 0.25) > 0.3
    assert far.mean() == pytest.approx(0.5 * 0.45, abs=0.07)


def test_the_best_of_more_draws_is_better():
    few, many = (suggestions(taught(VALLEY, num_samples=count), 60) for count in (1, 64))
    assert np.mean(np.abs(many - 0.25)) < 0.7 * np.mean(np.abs(few - 0.25))


def test_a_finite_space_is_suggested_without_repetition():
    generator = taught([], space=FINITE)
    seen = set()
    for number in range(60):
        p = generator.get_config(1, np.random.default_rng(number))
        seen.add((p["a"], p["b"]))
        generator.new_result(abs(p["a"] - 2) + abs(p["b"] - 7), 1, p)
    assert len(seen) == 60


# ------------------------------------------------------------------------------------------------ the advisor


def run(advisor, problem, units, start):
    """Spend a budget on a problem whose results are noisy for small budgets; return the best with the largest."""
    space, loss = PROBLEMS[problem]
    side, rng = start(advisor, space), np.random.default_rng(0)
    spent, best = 0, math.inf
    while spent < units:
        side.request(max(0, 4 - len(side.running) - side.owed))
        number = next(iter(side.running))
        p = side.running[number]
        value, budget = loss(p), p["TRIAL_BUDGET"]
        spent += budget
        best = min(best, value) if budget == 9 else best
        side.finish(number, value if budget == 9 else value + rng.normal() / budget)
    return best


@pytest.mark.parametrize("problem", ["mixed", "nested"])
def test_it_beats_hyperband_clearly(started, problem):
    modelled = median(run(BOHB("minimize", 1, 9, 3, seed=seed), problem, 700, started) for seed in range(5))
    random = median(run(Hyperband(9, 3, "minimize", seed=seed), problem, 700, started) for seed in range(5))
    assert modelled < 0.8 * random


def test_the_brackets_of_the_example_follow_each_other(started):
    side = started(BOHB("maximize", 1, 9, 3, seed=0))
    firsts = []
    for _ in range(3 * 13 + 3 * 4 + 3 * 3):
        side.request(1)
        (number,) = side.running
        if side.trials[number] not in [{**p, "TRIAL_BUDGET": p["TRIAL_BUDGET"] * 3} for p in side.trials.values()]:
            firsts.append(side.trials[number]["TRIAL_BUDGET"])
        side.finish(number, side.trials[number]["x"])
    order = [budget for place, budget in enumerate(firsts) if place == 0 or firsts[place - 1] != budget]
    assert order == [1, 3, 9, 1, 3, 9, 1, 3, 9]


def test_minimising_seeks_the_good_ones_too(started):
    """X-07: the largest l(x) / g(x) whichever way."""
    side = started(BOHB("minimize", 1, 3, 3, random_fraction=0.0, seed=0))
    for _ in range(60):
        side.request(1)
        (number,) = side.running
        side.finish(number, abs(side.trials[number]["x"] - 0.25))
    assert median(abs(p["x"] - 0.25) for p in list(side.trials.values())[40:]) < 0.05


def test_imported_results_count_for_their_budget_and_else_for_the_largest(started):
    side = started(BOHB("maximize", 1, 9, 3, seed=0))
    data = [{"parameter": {"x": n / 10, "TRIAL_BUDGET": 3}, "value": n} for n in range(3)]
    data += [{"parameter": {"x": 0.5}, "value": {"default": 1.0}}]
    data += [{"parameter": {"x": 0.5, "TRIAL_BUDGET": "3"}, "value": 1.0}, {"parameter": 7, "value": 1.0}]
    side.tell(CommandType.ImportData, data)
    seen = side.advisor._generator._observations
    assert {budget: len(each.rows) for budget, each in seen.items()} == {3: 3, 9: 1}
    assert seen[3].order[0] == (-2.0, 2)
    assert side.errors == []


def test_results_that_fit_into_a_changed_space_still_count(started):
    side = started(BOHB(seed=0))
    side.tell(CommandType.ImportData, [{"parameter": {"x": n / 10}, "value": n} for n in range(10)])
    side.tell(CommandType.UpdateSearchSpace, {"x": {"_type": "uniform", "_value": [0.45, 2]}})
    assert len(side.advisor._generator._observations[3].rows) == 5


@pytest.mark.parametrize(
    ("args", "argument"),
    [
        ({"optimize_mode": "max"}, "optimize_mode"),
        ({"min_budget": 0}, "min_budget"),
        ({"min_budget": 1.5}, "min_budget"),
        ({"min_budget": 3, "max_budget": 3}, "max_budget"),
        ({"min_budget": 5}, "max_budget"),
        ({"eta": 1}, "eta"),
        ({"min_points_in_model": 0}, "min_points_in_model"),
        ({"top_n_percent": 0}, "top_n_percent"),
        ({"top_n_percent": 100}, "top_n_percent"),
        ({"num_samples": 0}, "num_samples"),
        ({"random_fraction": 1.1}, "random_fraction"),
        ({"bandwidth_factor": 0}, "bandwidth_factor"),
        ({"min_bandwidth": -1}, "min_bandwidth"),
        ({"config_space": "space.pcs"}, "config_space"),
        ({"seed": -1}, "seed"),
        ({"budget": 3}, "budget"),
    ],
)
def test_wrong_arguments_are_refused_by_name(args, argument):
    with pytest.raises(NniError, match=rf"^classArgs\.{argument}: "):
        registry.validate_class_args("BOHB", args, "advisor")
    if argument != "budget":
        with pytest.raises(NniError, match=rf"^classArgs\.{argument}: "):
            BOHB(**args)


# ------------------------------------------------------------------------------------------------ pcs files

PCS = """
# an example
optimizer categorical {adam, sgd} [adam]
lr real [0.0001, 0.1] [0.001] log
layers integer [1, 4] [2]
units integer [8, 512] [64] log
size ordinal {small, medium, large} [small]
momentum real [0, 1] [0.9]          # of sgd only
nesterov categorical {yes, no} [no]
damping real [0, 1]
momentum | optimizer in {sgd}
nesterov | optimizer == sgd
damping | nesterov in {yes, no}
{optimizer=adam, layers=4}
"""


def test_a_file_gives_the_space_and_trials_get_flat_parameters(started, tmp_path):
    (tmp_path / "space.pcs").write_text(PCS)
    side = started(BOHB(config_space=str(tmp_path / "space.pcs"), random_fraction=0.5, seed=0), {})
    for _ in range(60):
        side.request(1)
        (number,) = side.running
        side.finish(number, -math.log10(side.trials[number]["lr"]))
    everywhere = {"optimizer", "lr", "layers", "units", "size", "TRIAL_BUDGET"}
    for p in side.trials.values():
        sgd = {"momentum", "nesterov", "damping"} if p["optimizer"] == "sgd" else set()
        assert p.keys() == everywhere | sgd
        assert 1e-4 <= p["lr"] <= 0.1
        assert isinstance(p["layers"], int)
        assert isinstance(p["units"], int)
        assert (p["optimizer"], p["layers"]) != ("adam", 4)
    assert {p["optimizer"] for p in side.trials.values()} == {"adam", "sgd"}
    assert {p["layers"] for p in side.trials.values()} == {1, 2, 3, 4}
    assert median(p["lr"] for p in list(side.trials.values())[30:]) < 1e-3  # it learns from flat parameters
    flat = {"optimizer": "adam", "lr": 0.01, "layers": 1, "units": 8, "size": "small"}
    wrong = [{**flat, "momentum": 0.5}, {**flat, "optimizer": "sgd"}, {**flat, "size": "tiny"}]
    before = len(side.advisor._results)
    side.tell(CommandType.ImportData, [{"parameter": p, "value": 1.0} for p in (flat, *wrong)])
    assert len(side.advisor._results) == before + 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x something [1]", ":1: expected a categorical"),
        ("x real [a, 2] [1]", ":1: expected two numbers"),
        ("x integer [0.5, 2] [1]", ":1: expected two integers"),
        ("x real [2, 1] [1]", "searchSpace.x"),
        ("x real [1, 2] [1]\nx real [1, 2] [1]", ":2: 'x' is defined on line 1"),
        ("x real [1, 2] [1]\nx | y in {a}", ":2: there is no parameter 'y'"),
        ("y categorical {a} [a]\nx real [1, 2] [1]\nx | y in {b}", ":3: 'b' is no option of 'y'"),
        ("x categorical {a} [a]\ny categorical {a} [a]\nx | y in {a}\ny | x in {a}", ":1: the conditions of 'x'"),
        ("y categorical {a} [a]\nx real [1, 2] [1]\nx | y in {a}\nx | y in {a}", ":4: 'x' has a second condition"),
        ("y categorical {a} [a]\nx real [1, 2] [1]\nx | y in {a} && y in {a}", ":3: expected"),
    ],
)
def test_a_fault_in_a_file_is_named_with_its_line(tmp_path, text, says):
    (tmp_path / "space.pcs").write_text(text)
    with pytest.raises(NniError) as caught:
        BOHB(config_space=str(tmp_path / "space.pcs"))
    assert says in str(caught.value)
    assert str(tmp_path / "space.pcs") in str(caught.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(
        NniError, match=r"classArgs\.config_space: expected the absolute path of a \.pcs file that is there"
    ):
        BOHB(config_space=str(tmp_path / "none.pcs"))
    (tmp_path / "binary.pcs").write_bytes(b"\xff\xfe")
    with pytest.raises(NniError, match=r"config_space: cannot read .*binary\.pcs"):
        BOHB(config_space=str(tmp_path / "binary.pcs"))


def test_a_file_that_forbids_everything_ends_the_experiment(started, tmp_path):
    (tmp_path / "space.pcs").write_text("a categorical {b} [b]\n{a=b}")
    side = started(BOHB(config_space=str(tmp_path / "space.pcs")))
    side.request(1)
    assert "were forbidden ones" in side.errors[0]["message"]
    assert side.errors[0]["fatal"]


@pytest.mark.slow
def test_an_experiment_needs_no_search_space_beside_a_file(isolated_home, tmp_path, free_port):
    (tmp_path / "space.pcs").write_text("x real [0, 1] [0.5]\nkind categorical {a, b} [a]\n")
    trial = "import nni\np = nni.get_next_parameter()\nassert p['kind'] in 'ab'\nnni.report_final_result(p['x'])\n"
    advisor = {"name": "BOHB", "class_args": {"config_space": str(tmp_path / "space.pcs"), "seed": 1}}
    done = experiment(tmp_path, free_port, trial, None, advisor=advisor, max_trial_number=3)
    assert [result.parameter.keys() for result in done.export_data()] == [{"x", "kind", "TRIAL_BUDGET"}] * 3


@pytest.mark.slow
def test_it_runs_by_its_documented_name(isolated_home, tmp_path, free_port):
    trial = """
import nni
p = nni.get_next_parameter()
for step in range(p["TRIAL_BUDGET"]):
    nni.report_intermediate_result({"default": p["x"] + step})
nni.report_final_result({"default": p["x"] * p["y"], "steps": p["TRIAL_BUDGET"]})
"""
    arguments = {"optimize_mode": "minimize", "min_budget": 1, "max_budget": 4, "eta": 2, "seed": 1}
    advisor = {"name": "BOHB", "class_args": arguments}
    done = experiment(tmp_path, free_port, trial, BRANIN, advisor=advisor, trial_concurrency=2, max_trial_number=12)
    results = done.export_data()
    assert len(results) == 12
    assert {result.parameter["TRIAL_BUDGET"] for result in results} == {1, 2, 4}
    assert all(json.loads(json.dumps(result.value))["steps"] in {1, 2, 4} for result in results)
