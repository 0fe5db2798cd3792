"""Commands that change a running experiment, with a real manager: update, import, rerun; and what they refuse."""

from __future__ import annotations

import json

import pytest
from nnictl_lab import wait_until

from nni.store.registry import ExperimentRegistry
from nni.tools.nnictl._app import run

pytestmark = pytest.mark.slow


@pytest.fixture
def running(finished, free_port):
    """The finished experiment, resumed: it has a manager and nothing to do."""
    assert run(["resume", finished.id, "-p", str(free_port)]) == 0
    wait_until(lambda: ExperimentRegistry().get(finished.id).status == "DONE", "DONE")
    return ExperimentRegistry().get(finished.id)


@pytest.fixture
def shown(running, capsys):
    """Return a function that gives what ``experiment show --json`` prints."""

    def show() -> dict:
        capsys.readouterr()
        assert run(["experiment", "show", "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return show


@pytest.fixture
def refusal(running, capsys):
    """Return a function that runs a command which is refused, and gives its one line of reason."""

    def refused(*arguments: str) -> str:
        capsys.readouterr()
        assert run([*arguments]) == 1
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return refused


def told(entry) -> list:
    return [json.loads(line) for line in (entry.directory / "checkpoint" / "told").read_text().splitlines()]


@pytest.mark.parametrize(
    ("command", "value", "field", "expected"),
    [
        ("concurrency", "4", "trialConcurrency", 4),
        ("duration", "0.5h", "maxExperimentDuration", "0.5h"),
        ("trialnum", "5", "maxTrialNumber", 5),
    ],
)
def test_an_update_is_shown_and_counted(running, shown, command, value, field, expected):
    before = shown()
    assert run(["update", command, running.id, "--value", value]) == 0
    after = shown()
    assert after["params"][field] == expected
    assert after["revision"] == before["revision"] + 1


def test_the_tuner_gets_a_new_search_space(running, shown, tmp_path):
    space = {"x": {"_type": "uniform", "_value": [0, 7]}}
    (tmp_path / "space.json").write_text(json.dumps(space))
    before = shown()["revision"]
    assert run(["update", "searchspace", "-f", str(tmp_path / "space.json")]) == 0
    wait_until(lambda: ["space", space] in told(running), "the tuner to be told")
    assert shown()["params"]["searchSpace"] == space
    assert shown()["revision"] == before + 1


def test_a_duration_without_a_unit_is_refused_by_name(refusal):
    assert "maxExperimentDuration: expected a number directly followed by s, m, h or d" in refusal(
        "update", "duration", "-v", "5"
    )


def test_numbers_below_one_are_wrong_usage(running):
    assert run(["update", "concurrency", "-v", "0"]) == 2
    assert run(["update", "trialnum", "-v", "-3"]) == 2


def test_a_search_space_file_that_is_none_is_refused_with_its_place(refusal, tmp_path):
    (tmp_path / "space.json").write_text('{"x": \n')
    assert f"{tmp_path}/space.json:2" in refusal("update", "searchspace", "-f", str(tmp_path / "space.json"))


def test_what_export_wrote_is_imported_by_another_road(running, tmp_path, capsys):
    file = str(tmp_path / "results.json")
    run(["experiment", "export", "-f", file, "--type", "json", "-i"])
    assert run(["experiment", "import", running.id, "-f", file]) == 0
    assert "Imported 3 results" in capsys.readouterr().out
    wait_until(lambda: told(running)[-1][0] == "import", "the tuner to be told")
    assert sorted(item["parameter"]["x"] for item in told(running)[-1][1]) == [1, 2, 4]


def test_results_are_taken_from_an_experiment_by_its_id(running, capsys):
    assert run(["experiment", "import", running.id, "--from", running.id]) == 0
    assert "Imported 3 results" in capsys.readouterr().out
    wait_until(lambda: told(running)[-1][0] == "import", "the tuner to be told")
    assert sorted(item["parameter"]["x"] for item in told(running)[-1][1]) == [1, 2, 4]


@pytest.mark.parametrize("options", [[], ["-f", "results.json", "--from", "abcdefgh"]])
def test_an_import_has_one_source(running, options):
    assert run(["experiment", "import", *options]) == 2


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ("[{]", ":1:3: not valid JSON"),
        ('{"parameter": {}}', ": imported data must be a list"),
        (None, ": no such file"),
    ],
)
def test_a_file_that_cannot_be_imported_is_one_line_with_the_place(refusal, tmp_path, content, place):
    file = tmp_path / "data.json"
    if content is not None:
        file.write_text(content)
    assert f"{file}{place}" in refusal("experiment", "import", "-f", str(file))


def test_a_trial_is_run_once_more_with_its_parameters(running, capsys):
    run(["update", "trialnum", "-v", "5"])
    wait_until(lambda: ExperimentRegistry().get(running.id).status == "DONE", "the fifth trial")
    run(["update", "trialnum", "-v", "6"])
    capsys.readouterr()
    failed = next(row for row in trials(capsys) if row["status"] == "FAILED")
    code = run(["trial", "rerun", failed["id"]])
    if code == 1:  # the tuner was quicker, and took the sixth place
        run(["update", "trialnum", "-v", "50"])
        assert run(["trial", "rerun", failed["id"]]) == 0
    wait_until(lambda: any(row["source"] == "customized" for row in trials(capsys)), "the repetition")
    (again,) = (row for row in trials(capsys) if row["source"] == "customized")
    assert again["parameters"] == failed["parameters"]


def trials(capsys) -> list[dict]:
    capsys.readouterr()
    assert run(["trial", "ls", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_all_failed_trials_are_repeated(running, capsys):
    run(["update", "trialnum", "-v", "500"])
    capsys.readouterr()
    assert run(["trial", "rerun", "--failed"]) == 0
    assert "Queued 1 trial " in capsys.readouterr().out


def test_a_misspelt_trial_repeats_nothing_and_names_the_one_that_is_meant(running, refusal, capsys):
    first, second = [row["id"] for row in trials(capsys)][:2]
    assert f"did you mean {second}" in refusal("trial", "rerun", first, second[:4])
    assert len(trials(capsys)) == 4


def test_a_used_up_budget_is_the_reason_why_nothing_is_repeated(refusal, running, capsys):
    first = trials(capsys)[0]["id"]
    assert "maxTrialNumber is reached; raise it first; queued 0 of 1 trials" in refusal("trial", "rerun", first)


def test_rerun_wants_to_know_which(running):
    assert run(["trial", "rerun"]) == 2
    assert run(["trial", "rerun", "--failed", "--all"]) == 2


def test_the_address_of_the_page_is_printed(running, capsys, free_port):
    capsys.readouterr()
    assert run(["webui", "url"]) == 0
    assert capsys.readouterr().out == f"http://127.0.0.1:{free_port}\n"
    assert run(["webui", "url", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [f"http://127.0.0.1:{free_port}"]


def test_a_running_experiment_can_neither_be_deleted_nor_saved(running, refusal, tmp_path):
    assert f"nnictl stop {running.id}" in refusal("experiment", "delete", running.id)
    assert f"nnictl stop {running.id}" in refusal("experiment", "delete", "--all")
    assert f"nnictl stop {running.id}" in refusal("experiment", "save", running.id, "-p", str(tmp_path / "out"))
    assert running.directory.is_dir()
    assert not (tmp_path / "out").exists()
