"""``Experiment`` against the real manager, with real trials (PLT-202…216, PLT-435)."""

from __future__ import annotations

import logging
import os
import re
import signal
import sys
import threading
import time

import pytest

from nni.common.errors import NniError
from nni.experiment import Experiment, ExperimentConfig, LocalConfig, NniClient, NoAnswerError, TrialResult
from nni.store.registry import ExperimentRegistry

TRIAL = """
import time, nni
x = nni.get_next_parameter()["x"]
nni.report_intermediate_result(x / 2)
time.sleep({seconds})
nni.report_final_result(x)
"""

# One of the test's own, so that the road does not depend on the built-in algorithms.
TUNER = """
from nni.tuner import Tuner

class Counting(Tuner):
    def __init__(self, start=0):
        self.next = start
    def update_search_space(self, search_space):
        pass
    def generate_parameters(self, parameter_id, **kwargs):
        self.next += 1
        return {"x": self.next}
    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        pass
"""


def configure(experiment: Experiment, code, seconds: float = 0.0, trials: int = 3) -> Experiment:
    code.mkdir(exist_ok=True)
    (code / "trial.py").write_text(TRIAL.format(seconds=seconds))
    (code / "counting.py").write_text(TUNER)
    config = experiment.config
    config.experiment_name = "Example"
    config.trial_command = f"{sys.executable} trial.py"
    config.trial_code_directory = code
    config.trial_concurrency = 2
    config.max_trial_number = trials
    config.search_space = {"x": {"_type": "uniform", "_value": [0, 100]}}
    config.tuner.class_name = "counting.Counting"
    config.tuner.code_directory = code
    return experiment


@pytest.fixture
def code(home):
    return home / "code"


@pytest.fixture
def experiment(code):
    """An experiment that is stopped after the test, whatever happens in it."""
    experiment = configure(Experiment("local"), code)
    yield experiment
    experiment.stop()


def wait_for(condition, what: str) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    pytest.fail(f"waited in vain for: {what}")


def once_trials_run(action) -> None:
    """Do something beside a ``run()`` as soon as the experiment it started has trials."""

    def watch() -> None:
        wait_for(lambda: list(ExperimentRegistry().path.parent.glob("*/trials/*/run.sh")), "a trial")
        wait_for(lambda: all(entry.urls for entry in ExperimentRegistry().entries()), "an address")
        time.sleep(0.5)  # run() is waiting by now
        action()

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.slow
def test_run_returns_by_itself_when_the_experiment_is_done(experiment, free_port, caplog):
    caplog.set_level(logging.INFO)
    assert experiment.run(free_port) is True
    assert experiment.get_status() == "STOPPED"
    assert sorted(result.value for result in experiment.export_data()) == [1, 2, 3]
    assert ExperimentRegistry().get(experiment.id).status == "STOPPED"
    with pytest.raises(NoAnswerError), NniClient(free_port) as client:
        client.check_status()
    lines = [record.getMessage() for record in caplog.records if record.name == "nni.experiment"]
    assert lines[:4] == [
        f"Creating experiment, Experiment ID: {experiment.id}",
        "Starting web server...",
        "Setting up...",
        f"Web UI URLs: http://127.0.0.1:{free_port}",
    ]
    assert lines[-2:] == ["Stopping experiment, please wait...", "Experiment stopped"]


@pytest.mark.slow
def test_the_documented_interactive_session(experiment, free_port, caplog):
    caplog.set_level(logging.INFO)
    experiment.start(free_port)
    assert re.fullmatch(r"[0-9A-Za-z]{8}", experiment.id)
    assert experiment.port == free_port
    assert experiment.get_status() in {"RUNNING", "NO_MORE_TRIAL", "DONE"}
    wait_for(lambda: experiment.get_status() == "DONE", "DONE")

    results = experiment.export_data()
    assert sorted(result.value for result in results) == [1, 2, 3]
    assert results[0] == TrialResult({"x": results[0].value}, results[0].value, results[0].trialJobId)

    metrics = experiment.get_job_metrics()
    assert set(metrics) == {result.trialJobId for result in results}
    one = {metric.type: metric for metric in metrics[results[0].trialJobId]}
    assert one["FINAL"].data == results[0].value
    assert one["PERIODICAL"].data == results[0].value / 2
    assert isinstance(one["FINAL"].parameterId, str)
    assert experiment.get_job_metrics(results[0].trialJobId) == {results[0].trialJobId: list(one.values())}

    assert experiment.get_job_statistics() == {"SUCCEEDED": 3}
    assert [job.sequenceId for job in experiment.list_trial_jobs()] == [0, 1, 2]
    assert experiment.get_trial_job(results[0].trialJobId).status == "SUCCEEDED"
    with pytest.raises(NniError, match="no trial"):
        experiment.get_trial_job("nosuch")

    profile = experiment.get_experiment_profile()
    assert (profile["id"], profile["params"]["maxTrialNumber"]) == (experiment.id, 3)
    experiment.update_max_trial_number(5)
    assert "Successfully update maxTrialNum." in caplog.text
    changed = experiment.get_experiment_profile()
    assert (changed["revision"], changed["params"]["maxTrialNumber"]) == (profile["revision"] + 1, 5)
    wait_for(lambda: experiment.get_job_statistics() == {"SUCCEEDED": 5}, "two more trials")


@pytest.mark.slow
async def test_it_works_where_an_event_loop_runs_as_in_notebooks(experiment, free_port):
    experiment.start(free_port)
    assert experiment.get_experiment_profile()["id"] == experiment.id
    experiment.stop()
    assert experiment.get_status() == "STOPPED"


@pytest.mark.slow
def test_results_can_be_read_after_the_stop(experiment, free_port):
    experiment.start(free_port)
    wait_for(lambda: experiment.get_status() == "DONE", "DONE")
    before = (
        experiment.export_data(),
        experiment.get_job_metrics(),
        experiment.list_trial_jobs(),
        experiment.get_job_statistics(),
        experiment.get_trial_job(experiment.list_trial_jobs()[0].trialJobId),
    )
    experiment.stop()
    experiment.stop()  # a second time it does nothing
    assert before == (
        experiment.export_data(),
        experiment.get_job_metrics(),
        experiment.list_trial_jobs(),
        experiment.get_job_statistics(),
        experiment.get_trial_job(experiment.list_trial_jobs()[0].trialJobId),
    )
    with pytest.raises(NniError, match="has been stopped"):
        experiment.update_trial_concurrency(3)


@pytest.mark.slow
def test_connect_attaches_to_an_experiment_started_elsewhere(experiment, free_port, caplog):
    caplog.set_level(logging.INFO)
    experiment.start(free_port)
    other = Experiment.connect(free_port)
    assert other.id == experiment.id
    assert re.search(rf"Connect to port {free_port} success, experiment id is {other.id}, status is \w+\.", caplog.text)
    assert other.config.experiment_name == "Example"
    assert other.get_experiment_metadata()["id"] == other.id
    assert [entry["id"] for entry in other.get_all_experiments_metadata()] == [other.id]
    other.stop()
    assert ExperimentRegistry().get(experiment.id).status == "STOPPED"


@pytest.mark.slow
def test_a_stopped_experiment_is_resumed_and_goes_on(experiment, free_port):
    experiment.run(free_port)
    resumed = Experiment.resume(experiment.id, free_port, wait_completion=False)
    try:
        assert resumed.config.max_trial_number == 3
        assert len(resumed.export_data()) == 3
        resumed.update_max_trial_number(4)
        wait_for(lambda: len(resumed.export_data()) == 4, "one more trial")
        assert [job.sequenceId for job in resumed.list_trial_jobs()] == [0, 1, 2, 3]
    finally:
        resumed.stop()


@pytest.mark.slow
def test_ctrl_c_stops_the_experiment_and_its_trials(code, free_port):
    experiment = configure(Experiment("local"), code, seconds=300)
    once_trials_run(lambda: os.kill(os.getpid(), signal.SIGINT))
    assert experiment.run(free_port) is False
    assert ExperimentRegistry().get(experiment.id).status == "STOPPED"
    # Not what they were when the stop began: what became of them.
    assert {job.status for job in experiment.list_trial_jobs()} == {"SYS_CANCELED"}
    assert set(experiment.get_job_statistics()) == {"SYS_CANCELED"}
    assert all(job.endTime is not None for job in experiment.list_trial_jobs())


@pytest.mark.slow
def test_a_second_ctrl_c_does_not_wait_but_leaves_nothing_running(code, free_port, monkeypatch):
    experiment = configure(Experiment("local"), code, seconds=300)
    experiment.start(free_port)
    monkeypatch.setattr(NniClient, "profile", lambda self: os.kill(os.getpid(), signal.SIGINT) or time.sleep(9))
    with pytest.raises(KeyboardInterrupt):
        experiment.stop()
    wait_for(lambda: ExperimentRegistry().get(experiment.id).status == "STOPPED", "STOPPED")


@pytest.mark.slow
def test_run_notices_that_the_experiment_was_stopped_from_elsewhere(code, free_port, caplog):
    experiment = configure(Experiment("local"), code, seconds=300)
    once_trials_run(lambda: Experiment.connect(free_port).stop())
    assert experiment.run(free_port) is False


@pytest.mark.slow
def test_an_experiment_whose_tuner_fails_is_stopped_and_false(code, free_port, caplog):
    experiment = configure(Experiment("local"), code)
    (code / "counting.py").write_text(TUNER.replace("self.next += 1", "raise RuntimeError('no idea')"))
    assert experiment.run(free_port) is False
    assert "no idea" in caplog.text


@pytest.mark.slow
def test_a_trial_can_be_killed_and_limits_changed_while_it_runs(code, free_port):
    experiment = configure(Experiment("local"), code, seconds=300, trials=2)
    experiment.start(free_port)
    try:
        wait_for(lambda: experiment.get_job_statistics().get("RUNNING") == 2, "two running trials")
        victim = experiment.list_trial_jobs()[0].trialJobId
        experiment.kill_trial(victim)
        wait_for(lambda: experiment.get_trial_job(victim).status == "USER_CANCELED", "USER_CANCELED")
        experiment.update_trial_concurrency(1)
        experiment.update_max_experiment_duration("2h")
        params = experiment.get_experiment_profile()["params"]
        assert (params["trialConcurrency"], params["maxExperimentDuration"]) == (1, "2h")
        with pytest.raises(NniError):
            experiment.update_max_experiment_duration("5")
    finally:
        experiment.stop()


def test_an_incomplete_config_is_refused_with_python_names_before_anything_starts(free_port, home):
    experiment = Experiment("local")
    with pytest.raises(NniError, match="trial_command"):
        experiment.start(free_port)
    assert not (home / "nni-experiments").exists()


def test_before_the_start_there_is_nothing_to_ask():
    experiment = Experiment("local")
    assert (experiment.id, experiment.port) == (None, None)
    experiment.stop()
    with pytest.raises(NniError, match="not been started"):
        experiment.export_data()


def test_nothing_to_connect_to_is_an_error(free_port):
    with pytest.raises(NoAnswerError, match=str(free_port)):
        Experiment.connect(free_port)


def test_a_fresh_experiment_can_be_filled_by_assignment():
    experiment = Experiment("local")
    experiment.config.tuner.name = "TPE"
    experiment.config.tuner.class_args["optimize_mode"] = "maximize"
    experiment.config.training_service.use_active_gpu = True
    assert isinstance(experiment.config.training_service, LocalConfig)


def test_the_platform_may_be_a_name_a_list_of_names_a_config_or_left_out():
    assert [type(item).__name__ for item in Experiment(["local", "remote"]).config.training_service] == [
        "LocalConfig",
        "RemoteConfig",
    ]
    assert Experiment(LocalConfig(use_active_gpu=True)).config.training_service.use_active_gpu is True
    assert [item.platform for item in Experiment([LocalConfig(), "remote"]).config.training_service] == [
        "local",
        "remote",
    ]
    config = ExperimentConfig("local")
    assert Experiment(config).config is config
    assert Experiment().config.training_service is None


def test_lines_are_printed_in_the_documented_format(capsys):
    from nni.experiment import _console

    logger, before = _console.logger, _console.logger.handlers[:]
    logger.handlers, logger.propagate = [_console._StdoutHandler()], False
    try:
        logger.info("Experiment stopped")
    finally:
        logger.handlers, logger.propagate = before, True
    assert re.fullmatch(r"\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] Experiment stopped\n", capsys.readouterr().out)
