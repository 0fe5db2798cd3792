"""A custom tuner in a real dispatcher process."""

import json
import math
import os
import signal

import pytest

RECORDER = """
from nni.tuner import Tuner

class Recorder(Tuner):
    def __init__(self, start=0):
        self.n = start
        self.calls = []
    def update_search_space(self, search_space):
        self.space = search_space
    def generate_parameters(self, parameter_id, **kwargs):
        self.n += 1
        return {"n": self.n, "space": self.space, "calls": self.calls}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.calls.append(["result", parameter_id, parameters["n"], value])
    def trial_end(self, parameter_id, success, **kwargs):
        self.calls.append(["end", parameter_id, success])
    def import_data(self, data):
        self.calls.append(["import", data])
"""


@pytest.fixture
def recorder(peer):
    peer.write("my_tuner.py", RECORDER)
    peer.start(tuner=peer.custom("my_tuner.Recorder", start=5))
    peer.initialize({"lr": {"_type": "uniform", "_value": [0, 1]}})
    return peer


def calls(peer):
    """Return what the tuner heard so far."""
    return peer.request()[0]["parameters"]["calls"]


def test_tuner_lives_its_documented_life(recorder):
    first, second = recorder.request(2)
    assert [first["parameter_id"], second["parameter_id"]] == [0, 1]
    assert first["parameters"]["n"] == 6
    assert first["parameters"]["space"] == {"lr": {"_type": "uniform", "_value": [0, 1]}}
    assert first["parameter_source"] == "algorithm"
    recorder.report("A", 0, 0.9)
    recorder.end("A", first)
    recorder.end("B", second, "FAILED")
    assert calls(recorder) == [["result", 0, 6, 0.9], ["end", 0, True], ["end", 1, False]]
    assert recorder.terminate() == 0


@pytest.mark.parametrize("value", [0.93, 1, "text", None, [1, {"a": 2}], {"default": 0.5, "extra": [1]}])
def test_result_is_exactly_what_the_trial_reported(recorder, value):
    recorder.request()
    recorder.report("A", 0, value)
    assert calls(recorder) == [["result", 0, 6, value]]


def test_nan_and_infinity_reach_the_tuner(recorder):
    recorder.request(2)
    recorder.report("A", 0, math.nan)
    recorder.report("B", 1, -math.inf)
    (_, _, _, nan), (_, _, _, infinity) = calls(recorder)
    assert math.isnan(nan)
    assert infinity == -math.inf


def test_search_space_may_change_while_running(recorder):
    recorder.tell("UpdateSearchSpace", {"new": 1})
    assert recorder.request()[0]["parameters"]["space"] == {"new": 1}


def test_imported_data_reaches_the_tuner(recorder):
    recorder.tell("ImportData", [{"parameter": {"lr": 1}, "value": 2}])
    assert calls(recorder) == [["import", [{"parameter": {"lr": 1}, "value": 2}]]]


@pytest.mark.parametrize("parameter_id", [None, 40])
def test_customized_trial_is_not_told_to_the_tuner(recorder, parameter_id):
    recorder.tell("AddCustomizedTrialJob", {"parameter_id": parameter_id, "parameters": {"mine": 1}})
    recorder.report("A", parameter_id, 0.5)
    recorder.end("A", {"parameter_id": parameter_id, "parameters": {"mine": 1}, "parameter_source": "customized"})
    (job,) = recorder.request()
    assert job["parameter_id"] == (0 if parameter_id is None else 41)
    assert job["parameters"]["calls"] == []
    assert "WARNING" not in recorder.text()


def test_end_of_an_unknown_trial_is_ignored_with_a_warning(recorder):
    recorder.end("X", {"parameter_id": 77, "parameters": {}})
    assert calls(recorder) == []
    assert "WARNING (nni.main/MainThread) end of a trial with unknown parameter 77 ignored" in recorder.text()


def test_space_of_50_megabytes_passes(recorder):
    space = {f"x{i}": {"_type": "choice", "_value": ["y" * 1000] * 50} for i in range(1000)}
    recorder.tell("UpdateSearchSpace", space)
    assert recorder.request()[0]["parameters"]["space"] == space


NUMPY = """
import numpy
from nni.tuner import Tuner

class NumpyTuner(Tuner):
    def update_search_space(self, search_space):
        pass
    def generate_parameters(self, parameter_id, **kwargs):
        return {"f": numpy.float64(0.1), "h": numpy.float32(0.5), "i": numpy.int64(3), "b": numpy.bool_(True),
                "a": numpy.arange(3), "z": numpy.array(7), "n": {"_name": "conv", "k": [numpy.int32(5)]}, "t": (1, 2)}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        assert isinstance(parameters["i"], numpy.int64) and isinstance(parameters["t"], tuple), parameters
        print("the object that was generated came back")
"""


def test_numpy_values_reach_the_trial_as_plain_ones_and_come_back_as_they_were(peer):
    peer.write("numpy_tuner.py", NUMPY)
    peer.start(tuner=peer.custom("numpy_tuner.NumpyTuner"))
    peer.initialize()
    (job,) = peer.request()
    assert json.dumps(job["parameters"]) == (
        '{"f": 0.1, "h": 0.5, "i": 3, "b": true, "a": [0, 1, 2], "z": 7, "n": {"_name": "conv", "k": [5]}, "t": [1, 2]}'
    )
    peer.report("A", 0, 1.0)
    peer.request()
    assert "the object that was generated came back\n" in peer.text()


EXHAUSTED = """
import nni.tuner
from nni.common.errors import NoMoreTrialError

class ThreeTimes(nni.tuner.Tuner):
    left = 3
    def update_search_space(self, search_space):
        pass
    def generate_parameters(self, parameter_id):
        if not self.left:
            raise NoMoreTrialError
        self.left -= 1
        return {"left": self.left}

class ThreeInOne(ThreeTimes):
    def generate_multiple_parameters(self, parameter_id_list):
        return super().generate_multiple_parameters(parameter_id_list)

class EmptyList(ThreeTimes):
    def generate_multiple_parameters(self, parameter_id_list, **kwargs):
        return []
"""


@pytest.mark.parametrize(("name", "count"), [("ThreeTimes", 3), ("ThreeInOne", 3), ("EmptyList", 0)])
def test_exhausted_tuner_sends_what_there_is_then_no_more(peer, name, count):
    peer.write("exhausted.py", EXHAUSTED)
    peer.start(tuner=peer.custom(f"exhausted.{name}"))
    peer.initialize()
    peer.tell("RequestTrialJobs", 5)
    assert [peer.expect("NewTrialJob")["parameters"]["left"] for _ in range(count)] == [2, 1, 0][:count]
    peer.expect("NoMoreTrialJobs")
    peer.tell("RequestTrialJobs", 1)
    peer.expect("NoMoreTrialJobs")


LATE = """
from nni.common.errors import NoMoreTrialError
from nni.tuner import Tuner

class Late(Tuner):
    '''Delivers the second of two sets when a result comes, as Evolution does with its credits.'''
    delivers_late = DELIVERS_LATE
    def update_search_space(self, search_space):
        self.owed = []
    def generate_multiple_parameters(self, parameter_id_list, st_callback, **kwargs):
        if self.owed:
            raise NoMoreTrialError
        self.st_callback, self.owed = st_callback, parameter_id_list[1:]
        return [{"id": parameter_id_list[0]}]
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        for owed in self.owed:
            self.st_callback(owed, {"id": owed, "because": value})
"""


def test_tuner_may_deliver_late(peer):
    peer.write("late.py", LATE.replace("DELIVERS_LATE", "True"))
    peer.start(tuner=peer.custom("late.Late"))
    peer.initialize()
    peer.tell("RequestTrialJobs", 2)
    assert peer.expect("NewTrialJob")["parameter_id"] == 0
    peer.report("A", 0, 0.5)
    job = peer.expect("NewTrialJob")
    assert job == {"parameter_id": 1, "parameters": {"id": 1, "because": 0.5}, "parameter_source": "algorithm"}
    peer.tell("RequestTrialJobs", 1)
    peer.expect("NoMoreTrialJobs")


def test_short_answer_of_a_tuner_that_does_not_say_so_means_no_more_until_it_delivers(peer):
    peer.write("late.py", LATE.replace("DELIVERS_LATE", "False"))
    peer.start(tuner=peer.custom("late.Late"))
    peer.initialize()
    peer.tell("RequestTrialJobs", 2)
    peer.expect("NewTrialJob")
    peer.expect("NoMoreTrialJobs")
    peer.report("A", 0, 0.5)
    assert peer.expect("NewTrialJob")["parameters"] == {"id": 1, "because": 0.5}


def test_parameters_cannot_be_delivered_twice_under_one_id(peer):
    peer.write("late.py", LATE.replace("DELIVERS_LATE", "True").replace("in self.owed:", "in self.owed * 2:"))
    peer.start(tuner=peer.custom("late.Late"))
    peer.initialize()
    peer.tell("RequestTrialJobs", 2)
    peer.expect("NewTrialJob")
    peer.report("A", 0, 0.5)
    assert peer.expect("NewTrialJob")["parameter_id"] == 1
    assert peer.expect("Error")["message"] == "Late delivered parameter 1 twice (trial A, parameter 0)"


ENVIRONMENT = """
import os, sys, threading
from nni.tuner import Tuner
import neighbour

class Environment(Tuner):
    def __init__(self):
        self.thread = threading.current_thread().name
    def update_search_space(self, search_space):
        pass
    def generate_parameters(self, parameter_id, **kwargs):
        return {"cwd": os.getcwd(), "log": os.environ["NNI_LOG_DIRECTORY"], "file": __file__, "neighbour": neighbour.x,
                "threads": [self.thread, threading.current_thread().name], "channel": "NNI_DISPATCHER_FD" in os.environ}
"""


def test_tuner_works_in_the_log_directory_and_imports_its_neighbours(peer):
    peer.write("environment.py", ENVIRONMENT)
    peer.write("neighbour.py", "x = 42")
    peer.start(tuner=peer.custom("environment.Environment"))
    peer.initialize()
    assert peer.request()[0]["parameters"] == {
        "cwd": str(peer.log),
        "log": str(peer.log),
        "file": str(peer.code / "environment.py"),
        "neighbour": 42,
        "threads": ["MainThread", "MainThread"],
        "channel": False,
    }


PRINTING = """
import os, subprocess, sys, logging, warnings
from nni.tuner import Tuner

class Printing(Tuner):
    def update_search_space(self, search_space):
        print("printed \\u00e9")
        sys.stderr.write("written to stderr\\n")
        os.write(1, b"from C code\\n")
        subprocess.run(["echo", "from a program"])
        subprocess.run(["cat"])  # would wait for ever if the standard input were the manager's
        logging.getLogger("my.tuner").info("logged")
        warnings.warn("deprecated thing")
    def generate_parameters(self, parameter_id, **kwargs):
        return {}
"""


def test_what_a_tuner_prints_goes_to_the_log_and_not_to_the_channel(peer):
    peer.write("printing.py", PRINTING)
    peer.start(tuner=peer.custom("printing.Printing"))
    peer.initialize()
    peer.request()
    lines = peer.text().splitlines()
    printed = ["printed é", "written to stderr", "from C code", "from a program"]
    assert [line for line in lines if line in printed] == printed
    assert any(line.endswith("INFO (my.tuner/MainThread) logged") for line in lines)
    assert any("WARNING (py.warnings/MainThread)" in line and "deprecated thing" in line for line in lines)


def test_parallel_processes_of_a_tuner_do_not_keep_the_channel_open(peer):
    peer.write(
        "forking.py",
        """
import multiprocessing, os, time
from nni.tuner import Tuner

class Forking(Tuner):
    def update_search_space(self, search_space):
        self.child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        self.child.start()
    def generate_parameters(self, parameter_id, **kwargs):
        return {"child": self.child.pid, "me": os.getpid()}
""",
    )
    peer.start(tuner=peer.custom("forking.Forking"))
    peer.initialize()
    child = peer.request()[0]["parameters"]["child"]
    peer.process.kill()
    assert peer.hear() is None  # although the child lives on
    os.kill(child, signal.SIGKILL)


def test_programs_that_a_tuner_starts_do_not_keep_the_channel_open(peer, end_afterwards):
    peer.write(
        "shell.py",
        """
import os
from pathlib import Path
from nni.tuner import Tuner

class Shell(Tuner):
    def update_search_space(self, search_space):
        os.system("sleep 600 & echo $! > pid")
    def generate_parameters(self, parameter_id, **kwargs):
        return {"child": int(Path("pid").read_text())}
""",
    )
    peer.start(tuner=peer.custom("shell.Shell"))
    peer.initialize()
    end_afterwards(peer.request()[0]["parameters"]["child"])
    peer.process.kill()
    assert peer.hear() is None


@pytest.mark.parametrize("peer", [{"NNI_LOG_LEVEL": "warning"}], indirect=True)
def test_log_level_of_the_experiment_holds(peer):
    peer.write("my_tuner.py", RECORDER)
    peer.start(tuner=peer.custom("my_tuner.Recorder"))
    peer.initialize()
    assert peer.terminate() == 0
    assert peer.text() == ""


def test_integer_keys_reach_the_trial_as_text_with_a_warning(peer):
    peer.write("keys.py", RECORDER.replace('"n": self.n,', '"layers": [{3: "conv"}],'))
    peer.start(tuner=peer.custom("keys.Recorder"))
    peer.initialize()
    assert peer.request(2)[0]["parameters"]["layers"] == [{"3": "conv"}]
    assert peer.text().count("keys of parameters reach the trial as text: parameters.layers[0][3]") == 1
