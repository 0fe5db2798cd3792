"""``nni.tune`` and functions as ``trial_command``, with real workers (PLT-202 … PLT-218)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path

import pytest

import nni
from nni.common.errors import NniError
from nni.config import AlgorithmConfig, ConfigError, CustomAlgorithmConfig
from nni.experiment import Experiment, ExperimentConfig, TrialRecord, TuneResult
from nni.experiment import tune_result as results
from nni.experiment.stored import StoredExperiment

SPACE = {"x": {"_type": "uniform", "_value": [0, 10]}}


def run_script(home: Path, text: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    (home / "script.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "script.py", *arguments],
        cwd=home,
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


# A script as people write them: no guard, a helper module beside it, globals, classes, and a closure.
SCRIPT = """
import json, sys
from dataclasses import dataclass
import nni
import helper

OFFSET = 2

@dataclass
class Wrong(Exception):
    text: str

def near(x):
    return helper.square(x - OFFSET)

def make(scale):
    def objective(config):
        assert config == nni.get_current_parameter() == nni.get_next_parameter()
        assert nni.get_next_parameter() is None
        for step in range(3):
            nni.report_intermediate_result(step * scale)
        if nni.get_sequence_id() == 4:
            print("this one goes wrong")
            raise Wrong("on purpose")
        return {"default": near(config["x"]), "id": nni.get_trial_id(), "experiment": nni.get_experiment_id()}
    return objective

space = {"x": {"_type": "uniform", "_value": [0, 10]}}
result = nni.tune(make(2), space, optimize_mode="minimize", max_trials=12, concurrency=2, seed=3, name="from a script")
print("result", json.dumps([result.id, result.best_score, result.best_config]))
"""


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """The result of the script, read from the disk, and what it said itself."""
    home = tmp_path_factory.mktemp("tuned")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        (home / "helper.py").write_text("def square(x):\n    return x * x\n")
        said = run_script(home, SCRIPT).stdout.splitlines()[-1].partition(" ")[2]
        yield TuneResult.load(json.loads(said)[0], status="DONE"), json.loads(said)


@pytest.mark.slow
def test_a_script_without_a_guard_tunes_a_closure(tuned):
    result, (_, score, config) = tuned
    assert isinstance(result, TuneResult)
    assert (result.status, result.optimize_mode, len(result.history)) == ("DONE", "minimize", 12)
    assert score == min(trial.score for trial in result.history if trial.score is not None) == result.best_score
    assert score == pytest.approx((config["x"] - 2) ** 2)
    assert result.best_config == config == result.best_trial.config


@pytest.mark.slow
def test_each_trial_has_its_own_score_ids_and_intermediate_results(tuned):
    result, _ = tuned
    assert [trial.number for trial in result.history] == list(range(12))
    for trial in result.history:
        assert isinstance(trial, TrialRecord)
        assert trial.intermediates == (0, 2, 4)
        assert trial.duration is not None
        if trial.number != 4:
            assert trial.result == {"default": trial.score, "id": trial.id, "experiment": result.id}
            assert trial.score == pytest.approx((trial.config["x"] - 2) ** 2)
            assert not Path(trial.directory).exists(), "a trial that printed nothing leaves nothing"


@pytest.mark.slow
def test_an_exception_fails_its_trial_and_its_log_has_the_traceback(tuned):
    result, _ = tuned
    failed = result.history[4]
    assert (failed.status, failed.score, failed.result) == ("FAILED", None, None)
    assert failed.message.startswith("exit code 1: Wrong: ")
    assert (Path(failed.directory) / "trial.log").read_text() == "this one goes wrong\n"
    text = (Path(failed.directory) / "stderr").read_text()
    assert text.startswith("Traceback (most recent call last):\n  File")
    assert 'raise Wrong("on purpose")' in text


@pytest.mark.slow
@pytest.mark.requires_module("pandas")
def test_the_history_as_a_table(tuned):
    result, _ = tuned
    frame = result.to_pandas()
    assert list(frame.columns) == [
        *("number", "id", "status", "score", "start", "end", "duration", "config.x", "message")
    ]
    assert len(frame) == 12
    assert frame.score.min() == result.best_score
    assert frame.score.isna().sum() == 1
    assert str(frame.start.dt.tz) == "UTC"
    assert frame["config.x"].tolist() == [trial.config["x"] for trial in result.history]


@pytest.mark.slow
@pytest.mark.requires_module("matplotlib")
def test_the_history_as_a_picture(tuned):
    from matplotlib.figure import Figure

    result, _ = tuned
    ax = result.plot(Figure().subplots())
    (best,) = ax.get_lines()
    assert best.get_ydata()[-1] == result.best_score
    assert len(ax.collections[0].get_offsets()) == 11


def test_what_is_missing_is_named(monkeypatch):
    empty = TuneResult("abc", "DONE", "maximize", (), (), Path())
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(NniError, match=r"pip install 'nni\[pandas\]'"):
        empty.to_pandas()
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NniError, match=r"pip install 'nni\[plot\]'"):
        empty.plot()


def trial(number: int, score: float | None, message: str = "") -> TrialRecord:
    status = "FAILED" if score is None else "SUCCEEDED"
    return TrialRecord(number, f"t{number}", status, {"x": number}, score, score, (), 1000, 3500, message, "/d")


@pytest.mark.parametrize(
    ("mode", "best", "so_far"), [("maximize", 1, [None, 5, 5, 5]), ("minimize", 3, [None, 5, 5, 1])]
)
def test_the_best_trial_is_the_first_of_the_best(mode, best, so_far):
    result = TuneResult("abc", "DONE", mode, (trial(0, None), trial(1, 5), trial(2, 5), trial(3, 1)), (), Path())
    assert result.best_trial.number == best
    assert result.best_so_far() == so_far
    assert repr(result).startswith("TuneResult(DONE, 4 trials, best ")
    assert result.history[0].duration == 2.5


def test_without_any_score_the_first_failure_is_told():
    result = TuneResult("abc", "DONE", "maximize", (trial(0, None, "exit code 1: ValueError: x"),), (), Path())
    with pytest.raises(NniError, match="no trial of experiment abc has a score; trial t0: exit code 1: ValueError: x"):
        _ = result.best_config
    assert "none with a score" in repr(result)


def test_nested_configurations_become_dotted_columns():
    assert results._flat({"a": {"_name": "b", "c": 1}, "d": 2}, "config") == {
        "config.a._name": "b",
        "config.a.c": 1,
        "config.d": 2,
    }


# Ctrl-C

INTERRUPTED = """
import sys, time
import nni

def objective(config):
    if nni.get_sequence_id() < 3:
        return config["x"]
    time.sleep(600)

space = {"x": {"_type": "uniform", "_value": [0, 10]}}
result = nni.tune(objective, space, tuner="Random", max_trials=50, concurrency=2)
print(result.status, len([t for t in result.history if t.score is not None]), result.best_score > 0, flush=True)
print({t.status for t in result.history})
"""


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_stops_everything_and_returns_the_best_so_far(home, end_afterwards):
    (home / "script.py").write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=home,
        env={**os.environ, "HOME": str(home)},
        stdout=subprocess.PIPE,
        bufsize=0,
        start_new_session=True,
    )
    end_afterwards(process)
    assert process.stdout is not None
    while b"Web UI URLs" not in process.stdout.readline():  # from here on there is something to stop
        assert process.poll() is None
    (directory,) = (home / "nni-experiments").glob("*/")
    end_afterwards(json.loads((home / "nni-experiments" / ".experiment").read_text())[directory.name]["pid"])
    wait_for(lambda: ended_trials(directory) == 3)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group
    said = process.communicate(timeout=120)[0].decode()
    assert process.returncode == 0
    assert "INTERRUPTED 3 True\n" in said
    assert "'SYS_CANCELED'" in said
    assert left_over(directory) == []


def ended_trials(directory: Path) -> int:
    return sum(path.read_bytes().count(b'"type":"END"') for path in directory.glob("workers/*/*.spool"))


def left_over(directory: Path) -> list[int]:
    from nni.experiment.stop import leftovers

    return [process.pid for process in leftovers(directory)]


def wait_for(condition):
    for _ in range(1200):
        if found := condition():
            return found
        time.sleep(0.05)
    return pytest.fail("waited in vain")


@pytest.mark.slow
def test_everybody_ranks_trials_of_a_tuner_of_ones_own_as_asked(home):
    (home / "counting.py").write_text(
        "from nni.tuner import Tuner\n"
        "class Counting(Tuner):\n"
        "    def update_search_space(self, search_space): ...\n"
        "    def generate_parameters(self, parameter_id, **kwargs): return {'x': parameter_id}\n"
        "    def receive_trial_result(self, *arguments, **kwargs): ...\n"
    )
    tuner = CustomAlgorithmConfig(class_name="counting.Counting", code_directory=home)
    result = nni.tune(lambda config: config["x"], SPACE, tuner=tuner, optimize_mode="minimize", max_trials=3)
    assert (result.best_score, TuneResult.load(result.id).best_score) == (0, 0)
    with StoredExperiment(result.directory) as stored:
        summary = stored.summary()
    assert (summary["optimizeMode"], summary["best"]["value"]) == ("minimize", 0)


# Other ways to hand over a function


class Scorer:
    """An object that can be called, with a state."""

    def __init__(self, scale):
        self.scale = scale

    def __call__(self, config):
        return config["x"] * self.scale


@pytest.fixture
def by_value(monkeypatch):
    """Send what this module defines along with the function: its workers cannot import a test module."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    yield
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


@pytest.mark.slow
def test_an_experiment_takes_a_function_and_can_be_resumed_by_nnictl(home, by_value, free_port):
    experiment = Experiment("local")
    experiment.config.trial_command = Scorer(3)
    experiment.config.trial_concurrency = 1
    experiment.config.max_trial_number = 3
    experiment.config.search_space = SPACE
    experiment.config.tuner.name = "Random"
    assert experiment.run(free_port)
    assert [result.value == result.parameter["x"] * 3 for result in experiment.export_data()] == [True] * 3
    command = experiment.get_experiment_profile()["params"]["trialCommand"]
    assert command.startswith("<function Scorer.__call__ (")
    assert f"{Path(__file__).name}:" in command
    stored = home / "nni-experiments" / experiment.id / "function"
    assert [oct(path.stat().st_mode & 0o777) for path in sorted(stored.iterdir())] == ["0o600", "0o600"]
    assert "class Scorer" in json.loads((stored / "function.json").read_text())["source"]

    nnictl = Path(sys.executable).parent / "nnictl"
    subprocess.run(
        [nnictl, "resume", experiment.id, "--port", str(free_port)], check=True, cwd="/", capture_output=True
    )
    again = Experiment.connect(free_port)
    again.update_max_trial_number(5)
    wait_for(lambda: again.get_status() == "DONE")
    again.stop()
    assert [result.value == result.parameter["x"] * 3 for result in again.export_data()] == [True] * 5


CELL = """
def objective(config):
    if nni.get_sequence_id() == 1:
        raise ValueError("in a cell")
    return -config["x"]
"""


@pytest.mark.slow
def test_a_cell_of_a_notebook_tunes_while_an_event_loop_runs_and_its_tracebacks_show_it(home, monkeypatch):
    import asyncio
    import linecache

    names = {"nni": nni, "__name__": "__main__"}
    monkeypatch.setitem(linecache.cache, "<cell 1>", (len(CELL), None, CELL.splitlines(keepends=True), "<cell 1>"))
    exec(compile(CELL, "<cell 1>", "exec"), names)

    async def cell():
        return nni.tune(names["objective"], SPACE, tuner=AlgorithmConfig(name="Random"), max_trials=3)

    result = asyncio.run(cell())
    assert result.status == "DONE"
    assert result.best_score == -min(trial.config["x"] for trial in result.history if trial.score is not None)
    failed = result.history[1]
    assert 'raise ValueError("in a cell")' in (Path(failed.directory) / "stderr").read_text()


@pytest.mark.slow
def test_an_assessor_stops_a_function_at_its_next_report_and_the_worker_lives_on(home, by_value):
    def objective(config):
        from time import sleep

        good = nni.get_sequence_id() < 3
        for step in range(40):
            sleep(0.02)
            nni.report_intermediate_result(step if good else -step)
        return os.getpid()

    result = nni.tune(objective, SPACE, tuner="Random", assessor="Medianstop", max_trials=6, max_duration="2h")
    assert [trial.status for trial in result.history] == ["SUCCEEDED"] * 3 + ["EARLY_STOPPED"] * 3
    assert len({trial.score for trial in result.history[:3]}) == 1
    assert all(0 < len(trial.intermediates) < 40 for trial in result.history[3:])
    assert len(list(result.directory.glob("workers/*/*.spool"))) == 1, "no worker was lost"


@pytest.mark.slow
def test_a_function_that_cannot_be_loaded_is_an_error_of_the_caller(home):
    script = """
import nni, sys, types
module = types.ModuleType("ghost")
exec("def objective(config): return 1", module.__dict__)
sys.modules["ghost"] = module
nni.tune(module.objective, {"x": {"_type": "uniform", "_value": [0, 1]}}, max_trials=1000)
"""
    done = run_script(home, script, check=False)
    assert done.returncode == 1
    assert "the function cannot be loaded: ModuleNotFoundError: No module named 'ghost'" in done.stderr


@pytest.mark.slow
def test_a_module_that_tunes_when_it_is_imported_starts_no_experiments_without_end(home):
    module = """
import nni
def objective(config):
    return 1
nni.tune(objective, {"x": {"_type": "uniform", "_value": [0, 1]}}, max_trials=1)
"""
    (home / "module.py").write_text(module)
    done = run_script(home, "import module", check=False)
    assert done.returncode == 1
    assert "must not start another experiment: put the start under `if __name__ == '__main__':`" in done.stderr
    assert len(list((home / "nni-experiments").glob("*/"))) == 1


# What is refused before anything starts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"function": 3}, "function: expected something to call"),
        ({"function": lambda: 1}, "function: it is called with the configuration alone: too many positional"),
        ({"function": lambda config, y: 1}, "missing a required argument: 'y'"),
        ({"optimize_mode": "max"}, "optimize_mode: expected 'maximize' or 'minimize', got 'max'"),
        ({"max_trials": None}, "max_trials or max_duration is required"),
        ({"tuner": "GridSearch", "seed": 1}, "seed: the tuner GridSearch has no argument of that name"),
        ({"tuner": 7}, "tuner: expected a name such as 'TPE'"),
        ({"tuner": "TPEE"}, "tuner.name: .*TPE"),
        ({"seed": -1}, "tuner.class_args.seed: expected"),
        ({"concurrency": 0}, "trial_concurrency"),
        ({"search_space": {"x": {"_type": "uniform", "_value": [0]}}}, "search_space.x"),
        ({"max_duration": "soon"}, "max_experiment_duration"),
        (
            {"tuner": AlgorithmConfig(name="TPE", class_args={"optimize_mode": "minimize"})},
            "optimize_mode: 'maximize' contradicts tuner.class_args, which says 'minimize'",
        ),
    ],
)
def test_wrong_arguments_are_named(home, changes, message):
    arguments = {"function": lambda config: 1, "search_space": SPACE, "max_trials": 1, **changes}
    with pytest.raises(NniError, match=message):
        nni.tune(arguments.pop("function"), arguments.pop("search_space"), **arguments)
    assert not (home / "nni-experiments").exists()


def test_an_async_function_is_refused():
    async def objective(config):
        return 1

    with pytest.raises(NniError, match="an async function or a generator does not"):
        nni.tune(objective, SPACE, max_trials=1)


def test_what_cannot_be_copied_into_a_process_is_named(home):
    lock = threading.Lock()

    def objective(config):
        with lock:
            return 1

    with pytest.raises(NniError, match="the variable 'lock' cannot be copied into another process"):
        nni.tune(objective, SPACE, max_trials=1)
    assert not list((home / "nni-experiments").glob("*")), "nothing is left of it"


@pytest.mark.parametrize(("given", "written"), [(90, "90.000000s"), ("2h", "2h"), (timedelta(minutes=1), "60.000000s")])
def test_durations_come_in_three_forms(given, written):
    from nni.experiment._tune import _duration

    assert _duration(given) == written


def test_a_config_with_a_function_is_written_as_what_it_is_and_not_started_from_a_file():
    config = ExperimentConfig("local", trial_command=Scorer(1), trial_concurrency=1, search_space=SPACE)
    config.tuner.name = "TPE"
    config.validate()
    again = ExperimentConfig.from_dict(config.canonical())
    assert again.trial_command == config.trial_command
    with pytest.raises(ConfigError, match="stands for a Python function, which only its own program can start"):
        again.validate()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("trial_gpu_number", 1, "trial_gpu_number: GPUs are not scheduled for a Python function"),
        ("training_service", {"platform": "local", "preload": ["json"]}, "training_service.preload: is for scripts"),
    ],
)
def test_what_functions_cannot_have_is_refused(name, value, message):
    config = ExperimentConfig("local", trial_command=Scorer(1), trial_concurrency=1, search_space=SPACE)
    config.tuner.name = "TPE"
    setattr(config, name, value)
    with pytest.raises(ConfigError, match=message):
        config.validate()


def test_the_name_of_a_function_says_where_it_is():
    import functools

    config = ExperimentConfig("local")
    config.trial_command = functools.partial(trial, 1)
    assert config.trial_command.startswith(f"<function trial ({Path(__file__)}:")
    config.trial_command = lambda c: 1
    assert config.trial_command.startswith(f"<function lambda ({Path(__file__)}:")
    config.trial_command = print
    assert config.trial_command == "<function print>"
