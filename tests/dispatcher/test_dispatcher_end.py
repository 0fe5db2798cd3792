"""How a dispatcher ends: told to, left alone, or killed; idle, busy or hanging."""

import os
import signal
import subprocess
import sys

import pytest

BUSY = """
import os, time
from nni.tuner import Tuner

class Busy(Tuner):
    def __init__(self, construct=0, generate=0, receive=0):
        self.generate, self.receive = generate, receive
        time.sleep(construct)
    def update_search_space(self, search_space):
        pass
    def generate_parameters(self, parameter_id, **kwargs):
        time.sleep(self.generate)
        return {}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        print("received", value)
        time.sleep(self.receive)
"""


@pytest.fixture
def busy(peer):
    peer.write("busy.py", BUSY)
    return lambda **seconds: peer.start(tuner=peer.custom("busy.Busy", **seconds))


def test_terminate_ends_an_idle_dispatcher(peer, busy):
    busy()
    peer.initialize()
    assert peer.terminate() == 0


def test_terminate_lets_the_tuner_have_what_was_sent_before(peer, busy):
    busy(receive=0.2)
    peer.initialize()
    peer.request(2)
    peer.report("A", 0, 1)
    peer.report("B", 1, 2)
    assert peer.terminate() == 0
    assert [line for line in peer.text().splitlines() if line.startswith("received")] == ["received 1", "received 2"]


@pytest.mark.parametrize("where", ["construct", "generate"])
def test_closed_channel_ends_a_busy_dispatcher(peer, busy, where):
    busy(**{where: 600})
    peer.tell("Initialize", {})
    if where == "generate":
        peer.expect("Initialized")
        peer.tell("RequestTrialJobs", 1)
    peer.socket.shutdown(2)
    assert peer.wait() == 0
    assert "the manager closed the channel" in peer.text()


def test_closed_channel_before_setup_ends_it(peer, busy):
    busy()
    peer.socket.shutdown(2)
    assert peer.wait() == 0


@pytest.mark.slow
@pytest.mark.parametrize("where", ["construct", "generate"])
def test_terminate_ends_a_hanging_dispatcher_after_a_while(peer, busy, where):
    busy(**{where: 600})
    peer.tell("Initialize", {})
    peer.tell("RequestTrialJobs", 1)
    assert peer.terminate() == 0


@pytest.mark.slow
def test_thread_that_a_tuner_left_does_not_keep_the_process(peer):
    peer.write(
        "threading_tuner.py",
        BUSY.replace(
            "time.sleep(construct)", "import threading; threading.Thread(target=time.sleep, args=(600,)).start()"
        ),
    )
    peer.start(tuner=peer.custom("threading_tuner.Busy"))
    peer.initialize()
    assert peer.terminate() == 0


def test_thread_that_a_failing_tuner_left_does_not_keep_the_process(peer):
    thread = "import threading; threading.Thread(target=time.sleep, args=(600,)).start()"
    peer.write("threading_tuner.py", BUSY.replace("time.sleep(construct)", f"{thread}; raise ValueError"))
    peer.start(tuner=peer.custom("threading_tuner.Busy"))
    assert peer.expect("Error")["fatal"] is True
    assert peer.wait() == 1


def test_sigterm_ends_it_at_once(peer, busy):
    busy(generate=600)
    peer.initialize()
    peer.tell("RequestTrialJobs", 1)
    peer.process.send_signal(signal.SIGTERM)
    assert peer.wait() == -signal.SIGTERM


def test_ctrl_c_is_left_to_the_manager(peer, busy):
    busy()
    peer.initialize()
    peer.process.send_signal(signal.SIGINT)
    peer.request()
    assert peer.terminate() == 0


def test_line_that_is_no_message_ends_it_with_an_error(peer, busy):
    busy()
    peer.initialize()
    peer.socket.sendall(b"nonsense\n")
    error = peer.expect("Error")
    assert error["message"].startswith("the manager sent what is no message")
    assert error["fatal"] is True
    assert peer.wait() == 1


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"type": "Initialize"}\n'])
def test_first_message_must_be_setup(peer, line):
    peer.start(first=line)
    error = peer.expect("Error")
    assert error["command"] == "Setup"
    assert error["fatal"] is True
    assert peer.wait() == 1


def test_without_a_manager_it_says_what_it_is():
    environment = {key: value for key, value in os.environ.items() if key != "NNI_DISPATCHER_FD"}
    done = subprocess.run(
        [sys.executable, "-m", "nni"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "nnictl create" in done.stderr
    assert "Traceback" not in done.stderr
