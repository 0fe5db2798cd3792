"""``Experiment.view`` and ``best``, with the real manager (PLT-212)."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

import pytest

from nni.common.errors import NniError
from nni.experiment import BestTrial, Experiment
from nni.store.registry import ExperimentRegistry

pytestmark = pytest.mark.slow

TRIAL = "import nni; x = nni.get_next_parameter()['x']; nni.report_final_result({'default': x, 'note': 'fine'})"
TUNER = """
from nni.tuner import Tuner

class Counting(Tuner):
    def update_search_space(self, search_space): ...
    def generate_parameters(self, parameter_id, **kwargs):
        return {"x": parameter_id + 1}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs): ...
"""


@pytest.fixture
def finished(home, free_port):
    """An experiment of three trials that has come to its end."""
    (home / "code").mkdir()
    (home / "code" / "trial.py").write_text(TRIAL)
    (home / "code" / "counting.py").write_text(TUNER)
    experiment = Experiment("local")
    config = experiment.config
    config.trial_command, config.trial_code_directory = "python3 trial.py", home / "code"
    config.trial_concurrency, config.max_trial_number = 1, 3
    config.search_space = {"x": {"_type": "uniform", "_value": [0, 9]}}
    config.tuner.class_name, config.tuner.code_directory = "counting.Counting", home / "code"
    experiment.url_prefix = "proxy/nni"
    assert experiment.run(free_port) is True
    return experiment


def test_a_view_shows_everything_and_refuses_changes(finished, free_port, caplog):
    caplog.set_level(logging.INFO)
    view = Experiment.view(finished.id, free_port, non_blocking=True)
    try:
        assert view.get_status() == "VIEWED"
        assert view.config.max_trial_number == 3
        assert view.export_data() == finished.export_data()
        assert view.list_trial_jobs() == finished.list_trial_jobs()
        assert view.get_job_metrics() == finished.get_job_metrics()
        assert view.best == finished.best
        with pytest.raises(NniError, match="only being viewed"):
            view.update_max_trial_number(9)
        with pytest.raises(NniError, match="only being viewed"):
            view.add_trial({"x": 1})
    finally:
        view.stop()
    assert view.get_status() == "STOPPED"
    assert len(view.export_data()) == 3
    assert ExperimentRegistry().get(finished.id).status == "STOPPED"


def test_without_non_blocking_it_stays_until_ctrl_c(finished, free_port):
    caller = threading.get_ident()

    def waits() -> bool:
        """Whether the view is open and nothing is done but wait, however long it took to come so far."""
        return sys._current_frames()[caller].f_code.co_name == "_show_until_interrupted"

    def interrupt() -> None:
        while not waits():
            time.sleep(0.05)
        time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    view = Experiment.view(finished.id, free_port)
    assert view.get_status() == "STOPPED"


def test_the_words_of_resume_are_understood_too(finished, free_port):
    view = Experiment.view(finished.id, free_port, wait_completion=False)
    assert view.get_status() == "VIEWED"
    view.stop()


def test_the_best_trial_is_typed_and_survives_the_stop(finished):
    best = finished.best
    assert isinstance(best, BestTrial)
    assert (best.parameters, best.value) == ({"x": 3}, {"default": 3, "note": "fine"})
    assert best.trial_id == finished.list_trial_jobs()[2].trialJobId


def test_a_running_experiment_cannot_be_viewed(finished, free_port):
    resumed = Experiment.resume(finished.id, free_port, wait_completion=False)
    try:
        with pytest.raises(NniError, match="nothing to view; its page: http://127"):
            Experiment.view(finished.id, free_port + 1)
    finally:
        resumed.stop()


def test_a_platform_that_is_missing_is_said_to_be_so_before_anything_else():
    with pytest.raises(NniError, match=r"^trainingService.platform: .* is not available"):
        Experiment("aml").start()


def test_an_experiment_that_was_moved_is_resumed_where_it_is(finished, home, free_port):
    there = home / "elsewhere" / finished.id
    there.parent.mkdir()
    (home / "nni-experiments" / finished.id).rename(there)
    resumed = Experiment.resume(finished.id, free_port, wait_completion=False, experiment_dir=there)
    try:
        assert resumed.get_experiment_profile()["logDir"] == str(there)
        assert resumed.export_data() == finished.export_data()
    finally:
        resumed.stop()
