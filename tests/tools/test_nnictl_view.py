"""Looking at a stopped experiment: with ``nnictl view``, and straight from the disk without any manager."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys

import httpx
import psutil
import pytest
from nnictl_lab import wait_until

from nni.experiment.stop import leftovers
from nni.store.registry import ExperimentRegistry
from nni.tools.nnictl._app import run

pytestmark = pytest.mark.slow


def api(port: int, path: str = "", method: str = "GET", **arguments) -> httpx.Response:
    return httpx.request(method, f"http://127.0.0.1:{port}/api/v1/nni{path}", trust_env=False, **arguments)


def checksum(entry) -> str:
    return hashlib.sha256((entry.directory / "db" / "nni.sqlite").read_bytes()).hexdigest()


def test_the_page_and_every_route_that_reads_answer(finished, free_port, capsys):
    assert run(["view", finished.id, "-p", str(free_port)]) == 0
    assert f"nnictl stop {finished.id}" in capsys.readouterr().out
    assert "VIEWED" in httpx.get(f"http://127.0.0.1:{free_port}/", trust_env=False).text
    assert api(free_port, "/check-status").json() == {"status": "VIEWED", "errors": []}
    jobs = api(free_port, "/trial-jobs").json()
    assert sorted(job["status"] for job in jobs) == ["FAILED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]
    assert api(free_port, f"/trial-file/{jobs[0]['trialJobId']}/trial.log").text == "x is 1\n"
    assert "DONE" in api(free_port, "/logs/nnimanager.log").text
    assert api(free_port, "/summary").json()["best"]["value"] == {"default": 4, "note": "fine"}
    assert len(api(free_port, "/export-data").json()) == 3


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/experiment?update_type=MAX_TRIAL_NUM", {"params": {"maxTrialNumber": 9}}),
        ("POST", "/trial-jobs", {"x": 1}),
        ("POST", "/experiment/import-data", [{"parameter": {"x": 1}, "value": 1}]),
        ("PUT", "/experiment/cluster-metadata", {"a": "b"}),
        ("DELETE", "/trial-jobs/any", None),
    ],
)
def test_every_route_that_writes_is_refused_and_nothing_changes(finished, free_port, method, path, body):
    before = checksum(finished)
    run(["view", finished.id, "-p", str(free_port)])
    answer = api(free_port, path, method, json=body)
    assert answer.status_code == 409
    assert "only being viewed" in answer.json()["error"]
    run(["stop", finished.id])
    assert checksum(finished) == before


def test_no_tuner_and_no_trial_is_started(finished, free_port):
    run(["view", finished.id, "-p", str(free_port)])
    entry = ExperimentRegistry().get(finished.id)
    assert psutil.Process(entry.pid).children() == []
    assert leftovers(entry.directory) == []


def test_stop_ends_the_view_and_the_list_is_as_it_was(finished, free_port, capsys):
    run(["view", finished.id, "-p", str(free_port)])
    assert ExperimentRegistry().get(finished.id).status == "VIEWED"
    assert run(["stop"]) == 0
    assert "Ended the view" in capsys.readouterr().out
    assert ExperimentRegistry().get(finished.id) == finished
    assert not finished.alive


def test_a_stop_by_rest_ends_the_view_too(finished, free_port):
    run(["view", finished.id, "-p", str(free_port)])
    assert api(free_port, "/experiment", "DELETE").status_code == 200
    wait_until(lambda: not finished.alive, "the end of the view")
    assert ExperimentRegistry().get(finished.id) == finished


def test_the_view_of_an_experiment_whose_trials_outlived_it_leaves_them_alone(finished, free_port, end_afterwards):
    trial = finished.directory / "trials" / "someone"
    environment = {**os.environ, "NNI_SYS_DIR": str(trial)}
    orphan = subprocess.Popen(["sleep", "600"], env=environment)
    end_afterwards(orphan)
    run(["view", finished.id, "-p", str(free_port)])
    run(["stop", finished.id])
    assert orphan.poll() is None


def test_a_view_whose_process_was_killed_leaves_the_list_as_it_was(finished, free_port):
    run(["view", finished.id, "-p", str(free_port)])
    viewer = psutil.Process(ExperimentRegistry().get(finished.id).pid)
    viewer.kill()
    viewer.wait(10)
    assert ExperimentRegistry().get(finished.id) == finished


def test_a_copy_that_is_in_no_list_can_be_viewed_and_is_in_no_list_afterwards(finished, free_port, tmp_path):
    copy = tmp_path / "copied" / finished.id
    shutil.copytree(finished.directory, copy)
    ExperimentRegistry().remove(finished.id)
    assert run(["view", finished.id, "-e", str(copy), "-p", str(free_port)]) == 0
    (trial, *_) = api(free_port, "/trials").json()["items"]
    assert trial["directory"].startswith(str(copy))
    run(["stop", "--all"])
    assert ExperimentRegistry().entries() == []


def test_a_copy_of_an_experiment_that_is_in_the_list_does_not_take_its_place(finished, free_port, tmp_path):
    copy = tmp_path / "copied" / finished.id
    shutil.copytree(finished.directory, copy)
    assert run(["view", finished.id, "-e", str(copy.parent), "-p", str(free_port)]) == 0
    assert ExperimentRegistry().get(finished.id).directory == copy
    run(["stop", finished.id])
    assert ExperimentRegistry().get(finished.id) == finished


def test_what_is_viewed_cannot_be_resumed_or_viewed_again(finished, free_port, capsys):
    run(["view", finished.id, "-p", str(free_port)])
    for command in ("resume", "view"):
        capsys.readouterr()
        assert run([command, finished.id, "-p", str(free_port)]) == 1
        assert "is being viewed" in capsys.readouterr().err


def test_a_folder_without_an_experiment_is_refused(finished, free_port, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert run(["view", finished.id, "-e", str(tmp_path / "empty"), "-p", str(free_port)]) == 1
    assert "is no experiment directory" in capsys.readouterr().err


def test_foreground_stays_until_the_view_is_ended(finished, free_port):
    program = f"from nni.tools.nnictl._app import run; run(['view', '{finished.id}', '-p', '{free_port}', '-f'])"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if "To end the view" in line:
            break
    assert process.poll() is None
    run(["stop", finished.id])
    assert process.communicate(timeout=30)[0].endswith("View ended\n")


# Without a manager


def test_show_status_and_trials_of_a_stopped_experiment_have_the_shape_they_have_while_it_runs(
    finished, free_port, capsys
):
    def shapes() -> list[object]:
        found = []
        for command in (["experiment", "show"], ["experiment", "status"], ["trial", "ls"], ["experiment", "best"]):
            assert run([*command, finished.id, "--json"]) == 0
            found.append(json.loads(capsys.readouterr().out))
        return found

    profile, status, trials, best = stopped = shapes()
    assert profile["params"]["maxTrialNumber"] == 4
    assert status == {"status": "STOPPED", "errors": [], "waiting": None}
    assert [trial["parameters"]["x"] for trial in trials] == [1, 2, 3, 4]
    assert best["parameters"] == {"x": 4}
    run(["view", finished.id, "-p", str(free_port)])
    capsys.readouterr()
    served = shapes()
    assert (served[0].pop("status"), served[1].pop("status")) == ("VIEWED", "VIEWED")
    assert (stopped[0].pop("status"), stopped[1].pop("status")) == ("STOPPED", "STOPPED")
    assert served == stopped


def test_show_of_a_stopped_experiment_tells_best_and_failure(finished, capsys):
    assert run(["experiment", "show"]) == 0
    captured = capsys.readouterr()
    assert "4/4" in captured.out
    assert "three is no number" in captured.out
    assert "created last" in captured.err


def test_results_of_a_stopped_experiment_are_exported(finished, tmp_path):
    for kind in ("csv", "json"):
        file = tmp_path / f"results.{kind}"
        assert run(["experiment", "export", "-f", str(file), "--type", kind, "-i"]) == 0
    records = json.loads((tmp_path / "results.json").read_text())
    assert [record["intermediate"] for record in records] == [[0.5], [1.0], [2.0]]
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 4


def test_head_and_tail_of_a_stopped_experiment(finished, capsys):
    run(["trial", "ls", "--head", "2", "--json"])
    assert [row["parameters"]["x"] for row in json.loads(capsys.readouterr().out)] == [4, 2]
    run(["trial", "ls", "--tail", "1", "--json"])
    assert [row["parameters"]["x"] for row in json.loads(capsys.readouterr().out)] == [1]


def test_reading_a_stopped_experiment_changes_no_file(finished):
    def files() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in finished.directory.rglob("*")}

    before = files()
    run(["experiment", "show", finished.id])
    run(["trial", "ls", finished.id])
    assert files() == before


def test_a_damaged_database_is_an_error_in_one_line(finished, capsys):
    (finished.directory / "db" / "nni.sqlite").write_bytes(b"no database at all" * 1000)
    assert run(["trial", "ls", finished.id]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "nni.sqlite" in line
