"""Metis: the predicted optimum, three kinds of proposals, and what decides between them."""

from __future__ import annotations

import inspect
import logging
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from nni.algorithms.hpo._gp import GaussianProcess, Kernel
from nni.algorithms.hpo._metis import MetisSampler
from nni.algorithms.hpo._metis._mixture import GoodAndBad
from nni.algorithms.hpo._metis._model import information_gain, lowest, surprises
from nni.algorithms.hpo._metis._sampler import standardised
from nni.algorithms.hpo._numeric import NumericHistory
from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner
from nni.algorithms.hpo.metis_tuner import MetisTuner
from nni.common.errors import NniError
from nni.experiment import Experiment
from nni.search_space import contains, json_key, parse
from nni.testing.tuner import TunerConformance

X = {"_type": "uniform", "_value": [0, 1]}
LINE = {"x": X}
SPACE = {
    "a": {"_type": "uniform", "_value": [-5, 10]},
    "b": {"_type": "quniform", "_value": [0, 15, 0.5]},
    "c": {"_type": "randint", "_value": [0, 12]},
    "d": {"_type": "choice", "_value": [64, 16, 32]},
}


def bowl(c):
    wave = 1 - math.cos(c["a"])
    return 0.1 * (c["a"] - 3) ** 2 + wave + 0.1 * (c["b"] - 9) ** 2 + 0.2 * (c["c"] - 8) ** 2 + abs(c["d"] - 32) / 8


def metis(space=None, seed=0, **kwargs):
    tuner = MetisTuner("minimize", seed=seed, **kwargs)
    tuner.update_search_space(SPACE if space is None else space)
    return tuner


def run(tuner, function, trials, first=0):
    values = []
    for number in range(first, first + trials):
        configuration = tuner.generate_parameters(number)
        values.append(function(configuration))
        tuner.receive_trial_result(number, configuration, values[-1])
        tuner.trial_end(number, success=True)
    return values


class TestConformance(TunerConformance):
    types = ("choice", "randint", "uniform", "quniform")
    nested = False

    def make(self, optimize_mode):
        return MetisTuner(optimize_mode, selection_num_starting_points=20, seed=3)


class TestConformanceWithResampling(TunerConformance):
    types = ("choice", "randint", "uniform", "quniform")
    nested = False

    def make(self, optimize_mode):
        return MetisTuner(
            optimize_mode, no_resampling=False, selection_num_starting_points=20, exploration_probability=0.4, seed=3
        )


# ------------------------------------------------------------------------------------------------ interface


def test_signature_is_the_documented_one_and_a_seed():
    parameters = inspect.signature(MetisTuner).parameters
    assert [(name, p.default) for name, p in parameters.items()] == [
        ("optimize_mode", "maximize"),
        ("no_resampling", True),
        ("no_candidates", False),
        ("selection_num_starting_points", 600),
        ("cold_start_num", 10),
        ("exploration_probability", 0.9),
        ("seed", None),
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"optimize_mode": "max"}, r"optimize_mode: expected 'maximize' or 'minimize'"),
        ({"no_resampling": 1}, r"no_resampling: expected true or false, got 1"),
        ({"no_candidates": "no"}, r"no_candidates: expected true or false"),
        ({"selection_num_starting_points": 0}, r"selection_num_starting_points: expected an integer of at least 1"),
        ({"cold_start_num": 2.5}, r"cold_start_num: expected an integer"),
        ({"exploration_probability": 1.5}, r"exploration_probability: expected a number between 0 and 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, problem):
    with pytest.raises(NniError, match=problem):
        MetisTuner(**arguments)


def test_options_that_are_no_numbers_are_refused():
    with pytest.raises(NniError, match=r"searchSpace\.k: MetisTuner supports choice only among numbers"):
        metis({"k": {"_type": "choice", "_value": [1, "two"]}})


def test_bounds_and_types_are_told():
    """HPO-267."""
    tuner = metis()
    assert tuner.x_bounds == [[-5, 10], [0, 15], [0, 12], [16, 32, 64]]
    assert tuner.x_types == ["range_continuous", "discrete", "range_int", "discrete"]


# ------------------------------------------------------------------------------------------------ quality


def test_metis_beats_random():
    smart = [min(run(metis(seed=seed, selection_num_starting_points=50), bowl, 26)) for seed in range(5)]
    random = []
    for seed in range(5):
        blind = HyperoptTuner("random_search", seed=seed)
        blind.update_search_space(SPACE)
        random.append(min(run(blind, bowl, 26)))
    assert np.median(smart) < np.median(random) / 2
    assert stats.wilcoxon(smart, random, alternative="less").pvalue < 0.05


def test_the_predicted_optimum_is_the_other_output(caplog):
    """Z-16: of a function that was tried at few places, it lies between them."""
    tuner = MetisTuner(seed=0, cold_start_num=7)
    tuner.update_search_space(LINE)
    assert tuner.predicted_optimum() is None
    data = [{"parameter": {"x": x}, "value": 5 - (x - 0.37) ** 2} for x in np.linspace(0, 1, 7).tolist()]
    tuner.import_data(data)
    found = tuner.predicted_optimum()
    assert found["parameter"]["x"] == pytest.approx(0.37, abs=0.02)
    assert found["value"] == pytest.approx(5, abs=0.01)
    assert 0 <= found["deviation"] < 0.05
    with caplog.at_level(logging.INFO, "nni.algorithms.hpo.metis_tuner"):
        tuner.generate_parameters(0)
    assert "predicted optimum: {'x': 0.3" in caplog.text


# ------------------------------------------------------------------------------------------------ arguments


def test_cold_start_is_random_and_ends_with_enough_results():
    blind = HyperoptTuner("random_search", seed=0)
    blind.update_search_space(SPACE)
    tuner = metis(cold_start_num=6)
    alike = []
    for number in range(9):
        configuration = tuner.generate_parameters(number)
        alike.append(configuration == blind.generate_parameters(number))
        tuner.receive_trial_result(number, configuration, bowl(configuration))
    assert alike == [True] * 6 + [False] * 3


def test_without_candidates_the_predicted_optimum_is_tried():
    tuner = metis(no_candidates=True)
    run(tuner, bowl, 20)
    expected = tuner.predicted_optimum()["parameter"]
    assert tuner.generate_parameters(20) == pytest.approx(expected, rel=0.05)
    curious = metis()
    curious.import_data([{"parameter": c, "value": loss} for c, loss in tuner._results])
    assert curious.generate_parameters(20) != pytest.approx(expected, rel=0.05)


def outlier(**kwargs):
    """Return a tuner with a smooth history, but one result that cannot be right."""
    tuner = metis(LINE, **kwargs)
    places = np.linspace(0, 1, 24).tolist()
    values = [(x - 0.4) ** 2 for x in places]
    values[9] = 0.6  # next to the optimum
    tuner.import_data([{"parameter": {"x": x}, "value": value} for x, value in zip(places, values, strict=True)])
    return tuner, {"x": places[9]}


def test_only_with_resampling_a_doubtful_result_is_measured_again():
    """X-08: ``no_resampling`` means what it says."""
    tuner, place = outlier(no_resampling=False)
    suggested = tuner.generate_multiple_parameters(list(range(8)))
    assert place in suggested
    assert suggested.count(place) == 1  # it is being measured
    tuner, place = outlier()
    assert place not in tuner.generate_multiple_parameters(list(range(8)))


def test_exploitation_stays_near_good_results_whatever_is_unknown_elsewhere():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(0, 0.5, (30, 2)), [[0.95, 0.05]]])  # most of the square was never tried
    data = [{"parameter": {"x": x, "y": y}, "value": abs(x - 0.2) + abs(y - 0.2)} for x, y in points.tolist()]

    def suggestions(share):
        tuner = metis({"x": X, "y": X}, exploration_probability=share, cold_start_num=5)
        tuner.import_data(data)
        return [tuner.generate_parameters(number) for number in range(6)]

    assert all(c["x"] < 0.4 and c["y"] < 0.4 for c in suggestions(0.0))
    assert suggestions(0.0) != suggestions(1.0)


def test_more_starting_points_find_a_lower_optimum():
    rng = np.random.default_rng(0)
    history = NumericHistory(parse({f"x{n}": X for n in range(6)}))
    points = rng.random((80, 6))
    process = GaussianProcess(Kernel.numeric(6)).fit(points, np.sin(9 * points).sum(axis=1))

    def depth(starts):
        found = [lowest(process, history, np.random.default_rng(s).random((starts, 6)))[:1] for s in range(5)]
        return np.mean(process.predict_mean(np.concatenate(found)))

    assert depth(400) < depth(1)


# ------------------------------------------------------------------------------------------------ the mathematics


def test_the_information_gain_is_what_simulated_results_teach():
    rng = np.random.default_rng(1)
    points = rng.random((8, 1))
    values = np.sin(7 * points[:, 0])
    process = GaussianProcess(Kernel.numeric(1), noise=0.01).fit(points, values)
    where, candidate = np.linspace(0, 1, 40)[:, None], np.array([0.77])
    mean, variance = process.predict(candidate[None])
    everywhere = np.concatenate([where, candidate[None]])
    lows = []
    for result in rng.normal(mean[0], np.sqrt(variance[0] + process.hyperparameters.noise), 400):
        again = GaussianProcess(Kernel.numeric(1), noise=0.01)
        again.hyperparameters = process.hyperparameters
        again.condition(np.concatenate([points, candidate[None]]), np.append(values, result))
        lows.append(again.predict_mean(everywhere).min())
    expected = process.predict_mean(everywhere).min() - np.mean(lows)
    gain = information_gain(process, values, candidate, where)
    assert gain == pytest.approx(expected, abs=4 * np.std(lows) / 20)
    assert gain >= 0


def test_nothing_is_to_be_learnt_where_all_is_known():
    points = np.linspace(0, 1, 12)[:, None]
    values = (points[:, 0] - 0.4) ** 2
    process = GaussianProcess(Kernel.numeric(1)).fit(points, values)
    gains = [information_gain(process, values, np.array([x]), points) for x in (0.0, 1.0)]
    assert max(gains) < 1e-3


def test_how_surprising_a_result_is_follows_from_leaving_it_out():
    rng = np.random.default_rng(2)
    points = rng.random((20, 2))
    values = points.sum(axis=1)
    values[[3, 11]] += [2.0, -1.0]
    process = GaussianProcess(Kernel.numeric(2), noise=1e-3).fit(points, values)
    distance, deviations = surprises(process, points, values)
    for out in range(20):
        others = np.arange(20) != out
        again = GaussianProcess(Kernel.numeric(2), noise=1e-3)
        again.hyperparameters = process.hyperparameters
        mean, variance = again.condition(points[others], values[others]).predict(points[[out]])
        assert distance[out] == pytest.approx(abs(values[out] - mean[0]), rel=1e-6, abs=1e-9)
        assert deviations[out] == pytest.approx(
            distance[out] / np.sqrt(variance[0] + process.hyperparameters.noise), rel=1e-6
        )
    assert np.argmax(deviations) == 3


def test_the_ratio_of_mixtures_is_high_among_good_results_and_low_where_others_run():
    rng = np.random.default_rng(3)
    points = rng.random((80, 2))
    losses = np.minimum(np.hypot(*(points - 0.2).T), np.hypot(*(points - 0.8).T))  # two good places
    places = np.array([[0.2, 0.2], [0.8, 0.8], [0.2, 0.8]])
    mixtures = GoodAndBad(points, losses, np.empty((0, 2)), seed=0)
    ratio = mixtures.log_ratio(places)
    assert ratio[:2].min() > ratio[2] + 1
    drawn = mixtures.sample(300, rng)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert np.mean(np.minimum(np.hypot(*(drawn - 0.2).T), np.hypot(*(drawn - 0.8).T)) < 0.25) > 0.8
    busy = GoodAndBad(points, losses, np.full((15, 2), 0.2), seed=0).log_ratio(places)
    assert busy[0] - busy[1] < ratio[0] - ratio[1] - 0.5


def test_one_absurd_loss_does_not_hide_the_others():
    losses = np.append(np.arange(30.0), 1e12)
    values = standardised(losses)
    assert (np.argsort(values) == np.arange(31)).all()
    assert values[29] - values[0] > 2
    assert standardised(np.full(5, 3.0)).tolist() == [0.0] * 5


def test_options_of_a_choice_are_evenly_spaced_in_ascending_order():
    history = NumericHistory(parse({"k": {"_type": "choice", "_value": [1000, 1, 30]}}))
    rows = history.encoder.encode([{"k": 1}, {"k": 30}, {"k": 1000}])
    assert history.points(rows)[:, 0].tolist() == [0.0, 0.5, 1.0]
    assert [history.configuration(row)["k"] for row in history.nearest(np.array([[0.2], [0.6], [1.0]]))] == [
        1,
        30,
        1000,
    ]


# ------------------------------------------------------------------------------------------------ trials


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_batch_has_no_two_alike(share):
    tuner = metis(exploration_probability=share)
    run(tuner, bowl, 15)
    batch = tuner.generate_multiple_parameters(list(range(15, 27)))
    assert len({json_key(configuration) for configuration in batch}) == 12


@pytest.mark.parametrize(
    "space", [{}, {"c": {"_type": "uniform", "_value": [4, 4]}}, {"k": {"_type": "choice", "_value": [7]}, "x": X}]
)
def test_odd_spaces_are_searched_like_any(space):
    tuner = metis(space)
    for number in range(14):
        configuration = tuner.generate_parameters(number)
        assert contains(parse(space), configuration)
        tuner.receive_trial_result(number, configuration, number % 5)
    assert isinstance(tuner.sampler, MetisSampler)


TRIAL = """
import nni
p = nni.get_next_parameter()
nni.report_final_result((p["x"] - 0.3) ** 2)
"""


@pytest.mark.slow
def test_metis_runs_by_its_documented_name_and_logs_the_predicted_optimum(
    isolated_home: Path, tmp_path: Path, free_port: int
):
    (tmp_path / "trial.py").write_text(TRIAL)
    experiment = Experiment("local")
    config = experiment.config
    config.search_space = LINE
    config.trial_command, config.trial_code_directory = "python3 trial.py", tmp_path
    config.trial_concurrency, config.max_trial_number = 2, 12
    config.tuner = {"name": "MetisTuner", "class_args": {"optimize_mode": "minimize", "cold_start_num": 5}}
    assert experiment.run(free_port), experiment.get_status()
    results = experiment.export_data()
    assert [result.value for result in results] == [(result.parameter["x"] - 0.3) ** 2 for result in results]
    logs = [path.read_text() for path in isolated_home.rglob("dispatcher.log")]
    assert any("predicted optimum: {'x': 0." in log for log in logs)
