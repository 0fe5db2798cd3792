"""Population based training: directories, generations, exploration (HPO-290 … HPO-299)."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tuning_lab import NESTED, experiment

from nni.algorithms import registry
from nni.algorithms.hpo._pbt import explore
from nni.algorithms.hpo.pbt_tuner import PBTTuner
from nni.common.errors import NniError, NoMoreTrialError
from nni.search_space import contains, parse, sample
from nni.testing.tuner import ENTRIES, TunerConformance

RATE = {"rate": {"_type": "uniform", "_value": [0, 1]}}
DIRECTORIES = ("load_checkpoint_dir", "save_checkpoint_dir")


def bare(parameters):
    return {key: value for key, value in parameters.items() if key not in DIRECTORIES}


class TestPbt(TunerConformance):
    imports = False

    @pytest.fixture(autouse=True)
    def _in_folder(self, tmp_path):
        self.folder = tmp_path

    def make(self, optimize_mode):
        return PBTTuner(optimize_mode, str(self.folder), 64, seed=3)

    def fits(self, configuration, space):
        return contains(parse(space), bare(configuration)) and all(Path(configuration[d]).is_dir() for d in DIRECTORIES)


class TestPbtOverGenerations(TestPbt):
    space = RATE

    def make(self, optimize_mode):
        return PBTTuner(optimize_mode, str(self.folder), 5, seed=3)

    def test_many_suggestions_may_be_asked_for_at_once(self):
        pytest.skip("a population of 5 has no 8 suggestions")

    def test_a_resumed_run_goes_on_like_one_that_was_not_interrupted(self):
        pytest.skip("a trial that never ends holds all others up")


class Run:
    """Asks for as many trials as there are slots, and ends them."""

    def __init__(self, folder, space=RATE, concurrency=3, **arguments):
        self.tuner = PBTTuner(**{"all_checkpoint_dir": str(folder), "population_size": 3, "seed": 0, **arguments})
        self.tuner.update_search_space(space)
        self.folder, self.concurrency = Path(folder), concurrency
        self.running, self.started, self.asked, self.events = {}, [], 0, []
        self.fill()

    def take(self, number, parameters):
        self.running[number] = parameters
        self.started.append(parameters)
        about = {"parameter_id": number, "parameters": parameters, "parameter_source": "algorithm"}
        self.events.append({"kind": "parameters", **about})

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
        status = "FAILED" if value is None else "SUCCEEDED"
        if value is not None:
            self.events.append({"kind": "result", "parameter_id": number, "value": value})
        self.events.append({"kind": "end", "parameter_id": number, "event": status})
        if value is not None:
            self.tuner.receive_trial_result(number, parameters, value)
        self.tuner.trial_end(number, value is not None)
        self.fill()

    def place(self, number, key="save_checkpoint_dir"):
        return str(Path(self.running[number][key]).relative_to(self.folder))


def test_arguments_are_the_documented_ones():
    parameters = inspect.signature(PBTTuner).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "optimize_mode": "maximize",
        "all_checkpoint_dir": None,
        "population_size": 10,
        "factors": (1.2, 0.8),
        "fraction": 0.2,
        "seed": None,
    }


# ------------------------------------------------------------------------------------------------ exploration


def test_numbers_are_multiplied_with_a_factor_within_their_bounds():
    space = parse({"x": {"_type": "uniform", "_value": [0, 1]}, "r": {"_type": "loguniform", "_value": [1e-4, 1]}})
    found = [explore(space, {"x": 0.9, "r": 0.01}, (1.2, 0.8), np.random.default_rng(n)) for n in range(50)]
    assert {p["x"] for p in found} == {1.0, 0.9 * 0.8}
    assert {p["r"] for p in found} == {0.01 * 1.2, 0.01 * 0.8}


def test_a_number_on_a_grid_moves_by_a_step_at_least():
    space = parse({"n": {"_type": "randint", "_value": [1, 9]}, "q": {"_type": "quniform", "_value": [2, 10, 5]}})
    found = [explore(space, {"n": 2, "q": 5.0}, (1.2, 0.8), np.random.default_rng(n)) for n in range(50)]
    assert {p["n"] for p in found} == {1, 3}
    assert {p["q"] for p in found} == {2.0, 10.0}
    assert all(isinstance(p["n"], int) for p in found)
    lowest = explore(space, {"n": 1, "q": 10.0}, (0.8,), np.random.default_rng(0))
    assert lowest == {"n": 1, "q": 5.0}  # 1 is the bound; 8 would be rounded back to 10


def test_zero_and_options_are_drawn_anew():
    space = parse({"x": {"_type": "uniform", "_value": [-1, 1]}, "k": {"_type": "choice", "_value": [0, "b", None]}})
    found = [explore(space, {"x": 0, "k": 0}, (1.2, 0.8), np.random.default_rng(n)) for n in range(60)]
    assert len({p["x"] for p in found}) == 60
    assert {p["k"] for p in found} == {0, "b", None}


@settings(deadline=None, max_examples=80)
@given(st.integers(0, 10**6))
def test_what_is_explored_is_of_the_space(seed):
    space, rng = parse({**ENTRIES, **NESTED}), np.random.default_rng(seed)
    assert contains(space, explore(space, sample(space, rng), (1.2, 0.8, 5.0, 0.01), rng))


def test_a_branch_that_stays_is_perturbed_and_a_new_one_drawn():
    space = parse(NESTED)
    before = {"model": {"_name": "linear", "slope": 1.0}}
    models = [explore(space, before, (1.2,), np.random.default_rng(n))["model"] for n in range(60)]
    assert {m["slope"] for m in models if m["_name"] == "linear"} == {1.2}
    assert {m["_name"] for m in models} == {"linear", "round", "none"}


# ------------------------------------------------------------------------------------------------ generations


def test_directories_are_of_members_and_steps_and_exist(tmp_path):
    run = Run(tmp_path)
    assert [run.place(n) for n in range(3)] == ["0/1", "1/1", "2/1"]
    assert [run.place(n, "load_checkpoint_dir") for n in range(3)] == ["0/0", "1/0", "2/0"]
    for parameters in run.started:
        assert all(Path(parameters[key]).is_dir() for key in DIRECTORIES)
        assert list(Path(parameters["load_checkpoint_dir"]).iterdir()) == []


def test_the_next_step_begins_when_all_have_taken_this_one(tmp_path):
    run = Run(tmp_path)
    run.end(1, 0.5)
    run.end(0, 0.7)
    assert (list(run.running), run.tuner.credit) == ([2], 2)  # the straggler
    run.end(2, 0.6)
    assert sorted(run.place(n) for n in run.running) == ["0/2", "1/2", "2/2"]
    assert run.tuner.credit == 0
    with pytest.raises(NoMoreTrialError):
        run.tuner.generate_parameters(99)


def test_the_worst_take_over_from_the_best_and_perturb(tmp_path):
    run = Run(tmp_path, concurrency=5, population_size=5, fraction=0.2)
    rates = [p["rate"] for p in run.started]
    for number, value in enumerate((0.5, 0.1, 0.9, 0.4, 0.3)):
        run.end(number, value)
    loads = [run.place(n, "load_checkpoint_dir") for n in sorted(run.running)]
    assert loads == ["0/1", "2/1", "2/1", "3/1", "4/1"]
    now = [p["rate"] for p in run.started[5:]]
    assert [now[m] == rates[m] for m in range(5)] == [True, False, True, True, True]
    assert now[1] in {min(1.0, rates[2] * 1.2), rates[2] * 0.8}


def test_minimising_keeps_the_smallest(tmp_path):
    run = Run(tmp_path, optimize_mode="minimize")
    for number, value in enumerate((0.5, 0.1, 0.9)):
        run.end(number, value)
    assert run.place(5, "load_checkpoint_dir") == "1/1"


def test_a_fraction_of_zero_leaves_all_as_they_are(tmp_path):
    run = Run(tmp_path, fraction=0)
    for number, value in enumerate((0.5, 0.1, 0.9)):
        run.end(number, value)
    assert [bare(p) for p in run.started[3:]] == [bare(p) for p in run.started[:3]]


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_member_that_failed_takes_over_from_a_better_one(tmp_path, value):
    run = Run(tmp_path, fraction=0)
    run.end(0, value)
    run.end(1, 0.5)
    run.end(2, 0.6)
    assert run.place(3, "load_checkpoint_dir") == "2/1"
    assert run.place(3) == "0/2"


def test_a_step_that_all_failed_is_repeated_with_other_hyper_parameters(tmp_path):
    run = Run(tmp_path)
    for number in range(3):
        run.end(number, 0.5)
    second = [run.place(n, "load_checkpoint_dir") for n in sorted(run.running)]
    for number in (3, 4, 5):
        run.end(number)
    assert [run.place(n, "load_checkpoint_dir") for n in sorted(run.running)] == second
    assert sorted(run.place(n) for n in run.running) == ["0/2", "1/2", "2/2"]
    assert not {p["rate"] for p in run.started[6:]} & {p["rate"] for p in run.started[3:6]}


def test_a_result_counts_when_the_trial_has_ended(tmp_path):
    """A trial may save its checkpoint after it has reported."""
    run = Run(tmp_path, population_size=1, concurrency=1)
    run.tuner.receive_trial_result(0, run.running[0], 0.5)
    assert run.tuner._generations.step == 0
    run.tuner.trial_end(0, success=True)
    assert run.tuner._generations.step == 1


@pytest.mark.parametrize("concurrency", [1, 2, 7])
def test_any_number_of_trials_at_a_time_will_do(tmp_path, concurrency):
    run = Run(tmp_path, concurrency=concurrency)
    for _ in range(12):
        number = next(iter(run.running))
        run.end(number, run.running[number]["rate"])
    assert run.tuner._generations.step == 4


def test_members_that_a_changed_space_does_not_have_get_other_hyper_parameters(tmp_path):
    run = Run(tmp_path, concurrency=2)
    run.tuner.update_search_space({"rate": {"_type": "uniform", "_value": [5, 6]}})
    run.end(0, 0.5)
    assert 5 <= run.started[-1]["rate"] <= 6  # had not begun yet
    for number in (1, 2):
        run.end(number, 0.5)
    assert all(5 <= p["rate"] <= 6 for p in run.started[2:])
    assert run.place(3, "load_checkpoint_dir") == "0/1"  # and goes on training


def test_a_resumed_run_goes_on_where_it_stopped(tmp_path):
    run = Run(tmp_path, concurrency=2)
    for turn in range(14):
        number = next(iter(run.running))
        run.end(number, None if turn == 7 else run.running[number]["rate"])
    again = PBTTuner(all_checkpoint_dir=str(tmp_path), population_size=3, seed=0)
    again.update_search_space(RATE)
    again.replay(json.loads(json.dumps(run.events)))
    assert again._generations.step == run.tuner._generations.step == 4
    assert [vars(each) for each in again._generations.members] == [
        vars(each) for each in run.tuner._generations.members
    ]
    unlike = PBTTuner(all_checkpoint_dir=str(tmp_path), population_size=3, seed=77)
    unlike.update_search_space(RATE)
    unlike.replay(json.loads(json.dumps(run.events)))  # another seed: what has begun stands
    waiting = [each for each in unlike._generations.members if each.key is not None]
    assert [each.configuration for each in waiting] == [bare(p) for p in run.running.values()]


def test_a_step_whose_trial_the_system_took_away_is_taken_again_after_a_resume(tmp_path):
    run = Run(tmp_path)
    run.end(0, 0.5)
    run.end(2, 0.6)
    again = PBTTuner(all_checkpoint_dir=str(tmp_path), population_size=3, seed=0)
    again.update_search_space(RATE)
    again.replay([*run.events, {"kind": "end", "parameter_id": 1, "event": "SYS_CANCELED"}])
    assert again.generate_parameters(3) == run.running[1]


# ------------------------------------------------------------------------------------------------ as a whole


def train(parameters):
    """One step of the toy problem of Jaderberg et al. (figure 2): ascend a surrogate of a quality, and save."""
    file = Path(parameters["load_checkpoint_dir"], "theta.json")
    theta = np.array(json.loads(file.read_text()) if file.exists() else [0.9, 0.9])
    h = np.array([parameters["h0"], parameters["h1"]])
    for _ in range(4):
        theta = theta - 0.02 * h * theta
    Path(parameters["save_checkpoint_dir"], "theta.json").write_text(json.dumps(theta.tolist()))
    return 1.2 - float((theta**2).sum())


@pytest.mark.parametrize("seed", range(3))
def test_it_trains_a_better_model_than_any_fixed_hyper_parameters_of_its_first_generation(tmp_path, seed):
    unit = {"_type": "uniform", "_value": [0, 1]}
    results = {}
    for name, fraction in (("fixed", 0.0), ("exploited", 0.25)):
        run = Run(tmp_path / name, {"h0": unit, "h1": unit}, 4, population_size=8, fraction=fraction, seed=seed)
        best = []
        for _ in range(8 * 25):
            number = next(iter(run.running))
            best.append(train(run.running[number]))
            run.end(number, best[-1])
        results[name] = max(best)
    assert results["exploited"] > results["fixed"]


def test_the_default_directory_is_of_the_experiment(isolated_home, monkeypatch):
    monkeypatch.setenv("NNI_LOG_DIRECTORY", str(isolated_home / "nni-experiments" / "abcd1234" / "log"))
    tuner = PBTTuner(seed=0)
    tuner.update_search_space(RATE)
    parameters = tuner.generate_parameters(0)
    assert parameters["save_checkpoint_dir"] == str(isolated_home / "nni" / "checkpoint" / "abcd1234" / "0" / "1")


def test_a_directory_that_cannot_be_made_is_an_error_of_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NniError, match=r"^classArgs\.all_checkpoint_dir: cannot make .*file/x: Not a directory$"):
        PBTTuner(all_checkpoint_dir=str(tmp_path / "file" / "x"))


def test_a_variable_with_the_name_of_a_directory_is_refused(tmp_path):
    with pytest.raises(NniError, match=r"searchSpace\.save_checkpoint_dir: PBTTuner gives trials a directory"):
        PBTTuner(all_checkpoint_dir=str(tmp_path)).update_search_space({"save_checkpoint_dir": RATE["rate"]})


@pytest.mark.parametrize(
    ("args", "argument"),
    [
        ({"optimize_mode": "max"}, "optimize_mode"),
        ({"all_checkpoint_dir": "here"}, "all_checkpoint_dir"),
        ({"population_size": 0}, "population_size"),
        ({"factors": []}, "factors"),
        ({"factors": [1.2, 0]}, "factors"),
        ({"factors": 1.2}, "factors"),
        ({"fraction": 0.6}, "fraction"),
        ({"fraction": -0.1}, "fraction"),
        ({"seed": -1}, "seed"),
        ({"size": 3}, "size"),
    ],
)
def test_wrong_arguments_are_refused_by_name(args, argument):
    with pytest.raises(NniError, match=rf"^classArgs\.{argument}: "):
        registry.validate_class_args("PBTTuner", args)
    if argument != "size":
        with pytest.raises(NniError, match=rf"^classArgs\.{argument}: "):
            PBTTuner(**args)


@pytest.mark.slow
def test_it_runs_by_its_documented_name_and_checkpoints_are_inherited(isolated_home, tmp_path, free_port):
    trial = """
import json, os
import nni
p = nni.get_next_parameter()
load = os.path.join(p["load_checkpoint_dir"], "steps.json")
steps = json.load(open(load)) if os.path.isfile(load) else []
if len(steps) == 1 and nni.get_sequence_id() == 4:
    raise SystemExit("this one fails")
steps.append(p["rate"])
json.dump(steps, open(os.path.join(p["save_checkpoint_dir"], "steps.json"), "w"))
nni.report_final_result(sum(steps))
"""
    base = tmp_path / "checkpoints"
    arguments = {"all_checkpoint_dir": str(base), "population_size": 3, "fraction": 0.34, "seed": 1}
    tuner = {"name": "PBTTuner", "class_args": arguments}
    done = experiment(tmp_path, free_port, trial, RATE, tuner=tuner, trial_concurrency=2, max_trial_number=9)
    results = sorted(done.export_data(), key=lambda each: each.parameter["save_checkpoint_dir"])
    assert len(results) == 8  # one failed
    for result in results:
        saved = json.loads(Path(result.parameter["save_checkpoint_dir"], "steps.json").read_text())
        step = int(Path(result.parameter["save_checkpoint_dir"]).name)
        assert len(saved) == step
        assert saved[-1] == result.parameter["rate"]
        assert result.value == sum(saved)
        loaded = Path(result.parameter["load_checkpoint_dir"], "steps.json")
        assert (json.loads(loaded.read_text()) if step > 1 else []) == saved[:-1]
