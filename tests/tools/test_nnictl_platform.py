"""``platform clean``, and what is said of platforms that are not available."""

from __future__ import annotations

import pytest

from nni.tools.nnictl._app import run

LOCAL = """
searchSpace: {x: {_type: uniform, _value: [0, 1]}}
trialCommand: "true"
trialConcurrency: 1
tuner: {name: Random}
trainingService: {platform: local}
"""


@pytest.fixture
def config(tmp_path):
    """Return a function that writes an experiment file."""

    def write(text: str) -> str:
        (tmp_path / "config.yml").write_text(text)
        return str(tmp_path / "config.yml")

    return write


def test_on_this_machine_there_is_nothing_to_clean_and_it_says_where_it_looked(config, home, capsys):
    assert run(["platform", "clean", "--config", config(LOCAL)]) == 0
    text = capsys.readouterr().out
    assert "nothing remote to clean" in text
    assert f"{home}/nni-experiments does not exist" in text
    (home / "nni-experiments").mkdir()
    run(["platform", "clean", "--config", config(LOCAL)])
    assert "nnictl experiment delete" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["platform", "clean"], ["create"]])
@pytest.mark.parametrize(
    "service",
    ["trainingService: {platform: aml}", "trainingService: [{platform: local}, {platform: aml}]"],
    ids=["one", "hybrid"],
)
def test_a_platform_that_is_not_available_is_said_so_before_anything_else(config, capsys, command, service):
    assert run([*command, "--config", config(LOCAL.replace("trainingService: {platform: local}", service))]) == 1
    first, *_ = capsys.readouterr().err.splitlines()
    assert "'aml' is not available in this version" in first


def test_a_platform_that_there_is_nowhere_is_a_mistake_in_the_file(config, capsys):
    assert run(["create", "--config", config(LOCAL.replace("platform: local", "platform: lokal"))]) == 1
    first, *_ = capsys.readouterr().err.splitlines()
    assert "'local'" in first
    assert "not available" not in first
