"""What is around an experiment: levels of logs, machines that are slow to start, proxies (PLT-088, 187, 193)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from reliability_lab import Lab

pytestmark = pytest.mark.slow

QUICK = "import witness\nwitness.start()\nwitness.report('FINAL', 1)\n"
TALKS = """
import logging
from recorder import Recorder

class Talks(Recorder):
    def update_search_space(self, search_space):
        super().update_search_space(search_space)
        for level in (5, 10, 20, 30, 40, 50):
            logging.getLogger("mine").log(level, "a line of level %d", level)
"""
LEVELS = ["trace", "debug", "info", "warning", "error", "fatal"]
NAMES = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
SLOW = """
import os, sys, time
if "nni.server" in sys.orig_argv:
    while not os.path.exists(os.environ["SLOW_UNTIL"]):
        time.sleep(0.05)
"""
PROGRAM = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"


@pytest.mark.parametrize("level", ["trace", "info", "fatal"])
def test_manager_and_tuner_log_from_the_level_on_that_the_file_names(lab: Lab, level: str):
    lab.write("trial.py", QUICK)
    lab.write("talks.py", TALKS)
    lab.start(maxTrialNumber=1, logLevel=level, tuner={"className": "talks.Talks", "codeDirectory": str(lab.code)})
    lab.wait_for_end()
    log = (lab.directory / "log" / "dispatcher.log").read_text()
    said = [line.split(" ")[2] for line in log.splitlines() if "a line of level" in line]
    assert said == NAMES[LEVELS.index(level) :]
    manager = (lab.directory / "log" / "nnimanager.log").read_text()
    assert (" INFO (" in manager) == (level != "fatal")
    assert (" DEBUG (" in manager) == (level == "trace")


def test_a_tuner_that_is_slow_to_import_is_waited_for(lab: Lab):
    lab.write("trial.py", QUICK)
    lab.write("slow.py", "import os, time\nwhile not os.path.exists(__file__ + '.go'):\n    time.sleep(0.05)\n")
    lab.write("late.py", "import slow\nfrom recorder import Recorder\n")
    lab.start(maxTrialNumber=1, tuner={"className": "late.Recorder", "codeDirectory": str(lab.code)})
    assert lab.status() == "INITIALIZED"
    assert lab.get("/summary")["waiting"] == "tuner and assessor are starting"
    lab.write("slow.py.go", "")
    assert [trial["status"] for trial in lab.wait_for_end()] == ["SUCCEEDED"]


def create(lab: Lab) -> subprocess.Popen[str]:
    """Start ``nnictl create`` on the laboratory's experiment."""
    from nni.config import ExperimentConfig, save

    lab.write("trial.py", QUICK)
    config = ExperimentConfig.from_dict(lab.config(maxTrialNumber=1, experimentWorkingDirectory="~/nni-experiments"))
    save(config, lab.root / "config.yml")
    command = [sys.executable, "-u", "-c", PROGRAM, "create", "-c", str(lab.root / "config.yml"), "-p", str(lab.port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_manager_that_is_slow_to_start_is_waited_for_as_long_as_it_lives(lab: Lab, monkeypatch, tmp_path: Path):
    (tmp_path / "slow").mkdir()
    (tmp_path / "slow" / "sitecustomize.py").write_text(SLOW)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "slow"))
    monkeypatch.setenv("SLOW_UNTIL", str(tmp_path / "go"))
    with create(lab) as nnictl:
        assert nnictl.stderr is not None
        assert "still starting; the log is shown by: nnictl log stderr" in nnictl.stderr.readline()
        (tmp_path / "go").touch()
        banner, errors = nnictl.communicate()
        assert nnictl.returncode == 0, errors
    assert "Successfully started experiment!" in banner
    lab.wait_for_end()


def test_proxies_of_the_surroundings_are_not_asked_for_the_own_machine(lab: Lab, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # where nobody answers
    with create(lab) as nnictl:
        banner, errors = nnictl.communicate()
        assert nnictl.returncode == 0, errors
    assert "Successfully started experiment!" in banner
    lab.wait_for_end()
    for name in ("best", "show", "status"):
        command = [sys.executable, "-c", PROGRAM, "experiment", name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
