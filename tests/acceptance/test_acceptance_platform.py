"""The acceptance checks of the platform, by their numbers: which test shows that each of them holds.

`SHOWN` is the table. What no other test shows is shown here, with real commands, managers and trials.
"""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

TESTS = Path(__file__).resolve().parent.parent
HERE = "acceptance/test_acceptance_platform.py"
SHOWN = {
    "PLT-408": [
        "tools/test_nnictl_entry.py::test_the_version_is_printed",
        "tools/test_nnictl_entry.py::test_create_help_lists_the_documented_options",
    ],
    "PLT-409": ["tools/test_nnictl_road.py::test_an_experiment_from_create_to_stop"],
    "PLT-410": ["config/test_config_legacy_road.py::test_the_same_experiment_in_both_schemas_comes_to_the_same"],
    "PLT-411": ["tools/test_nnictl_road.py::test_an_experiment_from_create_to_stop"],
    "PLT-412": [
        "reliability/test_limits_and_changes.py::test_a_trial_finds_its_surroundings_as_documented",
        "reliability/test_limits_and_changes.py::test_without_a_gpu_number_the_gpus_stay_as_they_are",
    ],
    "PLT-413": [f"{HERE}::test_a_failed_trial_is_recorded_and_the_others_go_on"],
    "PLT-414": [
        "trial/test_trial_standalone.py::test_a_script_run_by_hand_uses_its_own_defaults_and_has_standalone_ids",
        "trial/test_trial_standalone.py::test_its_reports_are_printed_on_standard_output_and_leave_no_file",
    ],
    "PLT-415": [
        "tools/test_nnictl_road.py::test_two_experiments_side_by_side",
        "tools/test_nnictl_stop.py::test_without_an_id_and_two_running_none_is_stopped_and_both_are_listed",
        "tools/test_nnictl_stop.py::test_the_beginning_of_exactly_one_id_stops_it",
        "tools/test_nnictl_stop.py::test_the_beginning_of_several_ids_stops_none_and_names_them",
        "tools/test_nnictl_stop.py::test_a_pattern_stops_all_that_match",
        "tools/test_nnictl_stop.py::test_a_port_stops_the_experiment_on_it",
        "tools/test_nnictl_stop.py::test_all_stops_every_one",
    ],
    "PLT-416": [
        "tools/test_nnictl_road.py::test_stop_leaves_no_process_of_a_trial",
        "reliability/test_trials_that_misbehave.py::test_stop_ends_trials_their_children_and_the_dispatcher",
    ],
    "PLT-417": [
        "tools/test_nnictl_road.py::test_a_killed_manager_is_shown_stopped_and_resume_takes_its_trials_over",
        "reliability/test_manager_killed.py::test_nothing_is_lost_doubled_or_run_twice_when_the_manager_is_killed",
    ],
    "PLT-418": [
        "tools/test_nnictl_view.py::test_the_page_and_every_route_that_reads_answer",
        "tools/test_nnictl_view.py::test_every_route_that_writes_is_refused_and_nothing_changes",
        "tools/test_nnictl_view.py::test_a_copy_that_is_in_no_list_can_be_viewed_and_is_in_no_list_afterwards",
    ],
    "PLT-419": [
        "tools/test_nnictl_changes.py::test_an_update_is_shown_and_counted",
        "tools/test_nnictl_changes.py::test_the_tuner_gets_a_new_search_space",
        "tools/test_nnictl_changes.py::test_a_duration_without_a_unit_is_refused_by_name",
    ],
    "PLT-420": [
        "tools/test_nnictl_road.py::test_an_experiment_from_create_to_stop",
        "tools/test_nnictl_road.py::test_a_trial_is_killed_by_its_id",
        "tools/test_nnictl_log.py::test_h_is_head_and_not_help",
    ],
    "PLT-421": [
        "tools/test_nnictl_road.py::test_an_experiment_from_create_to_stop",
        "tools/test_nnictl_changes.py::test_what_export_wrote_is_imported_by_another_road",
    ],
    "PLT-422": [
        "tools/test_nnictl_package.py::test_a_loaded_experiment_goes_on_in_another_place_with_its_own_code",
        "tools/test_nnictl_package.py::test_delete_all_removes_every_one",
    ],
    "PLT-423": [
        "reliability/test_limits_and_changes.py::test_an_endless_trial_is_stopped_after_its_time_and_the_others_are_not",
        "reliability/test_limits_and_changes.py::test_the_experiment_s_duration_stops_new_trials_and_not_the_running_one",
    ],
    "PLT-424": [f"{HERE}::test_a_tuner_that_cannot_be_built_is_an_error_that_one_sees_everywhere"],
    "PLT-425": [f"{HERE}::test_a_wrong_file_starts_nothing_and_names_what_is_wrong"],
    "PLT-426": [f"{HERE}::test_relative_paths_are_those_of_the_file_wherever_one_is"],
    "PLT-427": [
        "tools/test_nnictl_algo.py::test_the_example_of_a_tuner_is_installed_registered_used_and_unregistered",
        "algorithms/test_algorithms_registration.py::test_nni_s_own_algorithms_cannot_be_unregistered",
    ],
    "PLT-428": [
        f"{HERE}::test_trials_share_the_gpu_that_is_free_and_the_next_one_waits_and_says_why",
        f"{HERE}::test_only_the_listed_gpu_is_used",
        "config/test_config_rules.py::test_gpus_need_the_decision_whether_to_use_active_ones",
    ],
    "PLT-435": [
        "experiment/test_experiment_road.py::test_the_documented_interactive_session",
        "experiment/test_experiment_road.py::test_connect_attaches_to_an_experiment_started_elsewhere",
        "experiment/test_experiment_road.py::test_a_stopped_experiment_is_resumed_and_goes_on",
        "experiment/test_experiment_road.py::test_run_returns_by_itself_when_the_experiment_is_done",
    ],
}
PROGRAM = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"


def nnictl(*arguments: str, code: int = 0) -> str:
    """Run nnictl as a shell does; returns what it prints, on standard error if it is to fail."""
    command = [sys.executable, "-c", PROGRAM, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert result.returncode == code, result.stdout + result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr if code else result.stdout


def wait_for(condition, what: str):
    for _ in range(1200):
        if value := condition():
            return value
        time.sleep(0.05)
    pytest.fail(f"waited in vain for: {what}")
    return None


class Project:
    """A folder with an experiment, and what its REST API says."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        folder.mkdir()

    def write(self, trial: str, **changes) -> str:
        """Write trial and config; returns the path of the config."""
        config = {
            "searchSpace": {"x": {"_type": "choice", "_value": [1, 2, 3, 4]}},
            "trialCommand": f"{sys.executable} trial.py",
            "trialConcurrency": 2,
            "maxTrialNumber": 4,
            "tuner": {"name": "GridSearch"},
            "trainingService": {"platform": "local"},
            **changes,
        }
        (self.folder / "trial.py").write_text(trial)
        path = self.folder / "config.yml"
        path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))
        return str(path)

    def create(self, trial: str, **changes) -> None:
        nnictl("create", "-c", self.write(trial, **changes), "-p", str(self.port))

    def get(self, path: str):
        return httpx.get(f"http://127.0.0.1:{self.port}{path}", trust_env=False)

    def ask(self, path: str):
        return self.get(f"/api/v1/nni{path}").json()

    def trials(self) -> list[dict]:
        return self.ask("/trials")["items"]

    def wait_for_status(self, status: str) -> None:
        wait_for(lambda: self.ask("/check-status")["status"] == status, status)


@pytest.fixture
def project(isolated_home: Path, free_port: int):
    yield Project(isolated_home / "project", free_port)
    nnictl("stop", "--all")


def functions(path: Path) -> set[str]:
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}


def test_every_check_is_shown_by_tests_that_exist():
    assert list(SHOWN) == [f"PLT-{number}" for number in range(408, 429)] + ["PLT-435"]
    for name in (name for names in SHOWN.values() for name in names):
        path, _, function = name.partition("::")
        assert function in functions(TESTS / path), name


@pytest.mark.slow
def test_a_failed_trial_is_recorded_and_the_others_go_on(project):
    """PLT-413."""
    project.create("import nni, sys\nif nni.get_next_parameter()['x'] == 2: sys.exit(1)\nnni.report_final_result(1)")
    project.wait_for_status("DONE")
    trials = project.trials()
    assert sorted(trial["status"] for trial in trials) == ["FAILED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]
    (failed,) = (trial for trial in trials if trial["status"] == "FAILED")
    assert re.fullmatch(r"1 \d{13}\n", (Path(failed["directory"]) / ".nni" / "state").read_text())


@pytest.mark.slow
def test_a_tuner_that_cannot_be_built_is_an_error_that_one_sees_everywhere(project):
    """PLT-424."""
    tuner = "from nni.tuner import Tuner\nclass Mine(Tuner):\n    def __init__(self, needed): ...\n"
    (project.folder / "mine.py").write_text(tuner)
    project.create("", tuner={"className": "mine.Mine", "codeDirectory": "."})
    project.wait_for_status("ERROR")
    profile = json.loads(nnictl("experiment", "status", "--json"))
    assert profile["status"] == "ERROR"
    assert "missing required argument 'needed'" in profile["errors"][0]
    assert "missing required argument" in project.get("/oview").text
    log = project.get("/api/v1/nni/logs/dispatcher.log").text
    assert re.search(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] ERROR \(\S+/\S+\) .*needed", log, re.MULTILINE)
    assert "Traceback (most recent call last)" in log


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tuner": {"name": "TPE", "classArgs": {"optimize_mode": "best"}}}, ["tuner.classArgs.optimize_mode", "best"]),
        ({"trialConcurency": 3}, ["trialConcurency: unknown key, did you mean 'trialConcurrency'?"]),
        ({"trainingService": {"platform": "local", "gpuIndice": 0}}, ["trainingService.gpuIndice: unknown key"]),
        ({"searchSpaceFile": "space.json"}, ["searchSpace", "searchSpaceFile"]),
        ({"advisor": {"className": "a.B"}}, ["advisor", "tuner"]),
        ({"trialGpuNumber": 1}, ["trainingService.useActiveGpu"]),
    ],
    ids=["classArgs", "unknown key", "unknown key of a section", "two search spaces", "advisor and tuner", "GPUs"],
)
def test_a_wrong_file_starts_nothing_and_names_what_is_wrong(isolated_home, capsys, changes, words):
    """PLT-425, PLT-428."""
    from nni.tools.nnictl._app import run

    path = Project(isolated_home / "project", 8080).write("", **changes)
    assert run(["create", "-c", path]) == 1
    told = capsys.readouterr().err
    assert all(word in told for word in words), told
    assert "Traceback" not in told
    assert not (isolated_home / "nni-experiments").exists()


@pytest.mark.slow
def test_relative_paths_are_those_of_the_file_wherever_one_is(project, monkeypatch):
    """PLT-426."""
    monkeypatch.chdir("/")
    (project.folder / "space.json").write_text('{"x": {"_type": "choice", "_value": [1, 2]}}')
    files = {"searchSpace": None, "searchSpaceFile": "space.json", "trialCodeDirectory": "."}
    project.create("import os\nprint(os.getcwd())", **files, maxTrialNumber=1)
    project.wait_for_status("DONE")
    (trial,) = project.trials()
    assert (Path(trial["directory"]) / "trial.log").read_text() == f"{project.folder}\n"
    profile = json.loads(nnictl("experiment", "show", "--json"))
    assert profile["params"]["trialCodeDirectory"] == str(project.folder)


# PLT-428: a real program named nvidia-smi that tells of two GPUs, the first of which somebody else uses.

SMI = """#!/bin/sh
cat <<END
<nvidia_smi_log>
<gpu id="0"><processes><process_info><pid>{pid}</pid></process_info></processes></gpu>
<gpu id="1"><processes></processes></gpu>
</nvidia_smi_log>
END
"""
WAITS = """
import os, time
print(os.environ["CUDA_VISIBLE_DEVICES"], flush=True)
while not os.path.exists("go"):
    time.sleep(0.02)
"""


@pytest.fixture
def two_gpus(project, tmp_path, monkeypatch):
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        pass
    else:
        pytest.skip("the driver of this machine tells of its own GPUs")
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text(SMI.format(pid=os.getpid()))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return project


def seen(project: Project) -> list[str]:
    """What running trials found in ``CUDA_VISIBLE_DEVICES``."""
    logs = [Path(trial["directory"]) / "trial.log" for trial in project.trials() if trial["status"] == "RUNNING"]
    return [log.read_text().strip() for log in logs if log.is_file() and log.read_text()]


@pytest.mark.slow
def test_trials_share_the_gpu_that_is_free_and_the_next_one_waits_and_says_why(two_gpus):
    project = two_gpus
    local = {"platform": "local", "useActiveGpu": False, "maxTrialNumberPerGpu": 2}
    project.create(WAITS, trialGpuNumber=1, trialConcurrency=3, maxTrialNumber=3, trainingService=local)
    wait_for(lambda: seen(project) == ["1", "1"], "two trials on the second GPU")
    waiting = wait_for(lambda: [trial for trial in project.trials() if trial["status"] == "WAITING"], "the third")
    why = "no free GPU (GPU 0 is used by somebody else; GPU 1 runs 2 of 2)"
    assert [trial["message"] for trial in waiting] == [why]
    assert project.ask("/summary")["waiting"] == why
    assert json.loads(nnictl("experiment", "status", "--json"))["waiting"] == why
    assert why in nnictl("top")
    (project.folder / "go").touch()
    project.wait_for_status("DONE")
    assert [trial["status"] for trial in project.trials()] == ["SUCCEEDED"] * 3


@pytest.mark.slow
def test_only_the_listed_gpu_is_used(two_gpus):
    project = two_gpus
    local = {"platform": "local", "useActiveGpu": True, "gpuIndices": "0"}
    project.create(WAITS, trialGpuNumber=1, trialConcurrency=2, trainingService=local)
    wait_for(lambda: seen(project) == ["0"], "one trial on the first GPU")
    wait_for(lambda: project.ask("/summary")["waiting"] == "no free GPU (GPU 0 runs 1 of 1)", "the reason")
