"""``nnictl config convert``: a file of NNI 1.x, written in the schema of today."""

from __future__ import annotations

import json
import stat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nni.config import ConfigError, ExperimentConfig, current_yaml, load
from nni.tools.nnictl._app import run

OLD = """\
# how we used to do it
authorName: alice
experimentName: mnist
trialConcurrency: 2
maxExecDuration: 1h
trainingServicePlatform: remote
searchSpacePath: space/search_space.json
logDir: ~/results
logCollection: http
trial:
  command: python3 mnist.py --data "a b"
  codeDir: code
tuner:
  codeDir: ../tuners
  classFileName: mine.py
  className: Mine
machineList:
  - {ip: 10.1.1.1, username: bob, passwd: "0123", gpuIndices: "0,1"}
  - {ip: 10.1.1.2, username: bob, sshKeyPath: keys/id}
"""
NEW = """\
# Converted from old.yml, which is in the schema of NNI 1.x.
#
# Not taken over, or assumed:
#   authorName: has no place in the current schema: NNI has no use for it
#   logCollection: has no place in the current schema: logs of trials always come back

experimentName: mnist
searchSpaceFile: space/search_space.json
trialCommand: python3 mnist.py --data "a b"
trialCodeDirectory: code
trialGpuNumber: 0
trialConcurrency: 2
maxTrialNumber: 99999
maxExperimentDuration: 1h
maxTrialDuration: 999d
experimentWorkingDirectory: ~/results
tuner:
  className: mine.Mine
  codeDirectory: ../tuners
trainingService:
  platform: remote
  reuseMode: false
  machineList:
  - host: 10.1.1.1
    user: bob
    password: '0123'
    useActiveGpu: false
    gpuIndices:
    - 0
    - 1
  - host: 10.1.1.2
    user: bob
    sshKeyFile: keys/id
    useActiveGpu: false
"""


@pytest.fixture
def old(directory):
    file = directory / "old.yml"
    file.write_text(OLD)
    return file


@pytest.fixture
def convert(capsys):
    def run_convert(*arguments: object) -> tuple[int, str, str]:
        code = run(["config", "convert", *map(str, arguments)])
        return (code, *capsys.readouterr())

    return run_convert


def test_the_new_file_is_printed(old, convert):
    assert convert(old) == (0, NEW, "")


def test_the_new_file_means_the_same(old, convert):
    code, _, _ = convert(old, "-o", old.with_name("new.yml"))
    assert code == 0
    assert load(old.with_name("new.yml")).canonical() == load(old).canonical()


def test_beside_the_old_file_relative_paths_stay_as_they_are(old, convert, monkeypatch):
    monkeypatch.chdir(old.parent)
    convert("old.yml", "-o", "new.yml")
    assert old.with_name("new.yml").read_text() == NEW


def test_elsewhere_relative_paths_become_absolute_and_mean_the_same(old, convert, tmp_path):
    new = tmp_path / "elsewhere" / "new.yml"
    code, _, _ = convert(old, "-o", new)
    assert code == 0
    assert f"trialCodeDirectory: {old.parent}/code\n" in new.read_text()
    assert "python3 mnist.py" in new.read_text()
    assert load(new).canonical() == load(old).canonical()


def test_the_file_is_for_its_owner_because_of_the_passwords(old, convert):
    convert(old, "-o", old.with_name("new.yml"))
    assert stat.S_IMODE(old.with_name("new.yml").stat().st_mode) == 0o600


def test_a_file_that_exists_is_not_overwritten(old, convert):
    code, _, error = convert(old, "-o", old)
    assert (code, error) == (1, f"ERROR: {old}: exists already; remove it, or give another name\n")
    assert old.read_text() == OLD


def test_a_file_with_mistakes_is_not_converted(old, convert):
    old.write_text(OLD.replace("gpuIndices", "gpuIndex").replace("trialConcurrency: 2", "trialConcurrency: 0"))
    code, output, error = convert(old, "-o", old.with_name("new.yml"))
    assert (code, output) == (1, "")
    assert f"{old}:4: trialConcurrency: expected at least 1, got 0" in error
    assert f"{old}:18: machineList[0].gpuIndex: unknown key, did you mean 'gpuIndices'?" in error
    assert not old.with_name("new.yml").exists()


def test_a_file_of_today_needs_no_conversion(directory, convert):
    (directory / "new.yml").write_text(NEW)
    code, _, error = convert(directory / "new.yml")
    assert (code, error) == (1, f"ERROR: {directory}/new.yml: is in the current schema already\n")


def test_a_file_that_is_not_there_is_one_line(directory, convert):
    code, _, error = convert(directory / "none.yml")
    assert (code, error) == (1, f"ERROR: {directory}/none.yml: no such file\n")


def test_what_is_ignored_is_told_in_the_new_file(directory):
    (directory / "old.yml").write_text(OLD + "advisor: {builtinAdvisorName: BOHB}\n")
    text = current_yaml(directory / "old.yml")
    assert "#   tuner: is ignored: an advisor is tuner and assessor in one\n" in text
    assert "tuner:\n" not in text.replace("#   tuner:", "")


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12) | st.sampled_from(
    ["0123", "1e-4", "true", "no", "null", "~", "2020-01-01", "0x1f", "a: b", "- a", "# a", " a ", "{a}", "'", "${a b}"]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(command=texts, name=texts, password=texts, arguments=st.dictionaries(texts, values, max_size=3))
def test_any_texts_survive_the_conversion(tmp_path_factory, command, name, password, arguments):
    data = {
        "experimentName": name,
        "trialConcurrency": 1,
        "trainingServicePlatform": "remote",
        "searchSpacePath": "space.json",
        "trial": {"command": command, "codeDir": "."},
        "tuner": {"builtinTunerName": "TPE", "classArgs": arguments},
        "machineList": [{"ip": "a", "username": name, "passwd": password}],
    }
    folder = tmp_path_factory.mktemp("convert")
    (folder / "old.yml").write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    try:
        expected = ExperimentConfig.from_dict(data, directory=folder).canonical()
    except ConfigError:
        return
    assert load(folder / "old.yml").canonical() == expected
    (folder / "new.yml").write_text(current_yaml(folder / "old.yml"), encoding="utf-8")
    assert load(folder / "new.yml").canonical() == expected
