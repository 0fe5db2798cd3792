"""Files in the schema of NNI 1.x: how they are recognised and read, and what is wrong with them in their own words."""

from __future__ import annotations

import logging

import pytest

from nni.config import ConfigError, ExperimentConfig, PlatformNotAvailableError, check_available, load

V1 = """\
authorName: default
experimentName: example_mnist
trialConcurrency: 1
maxExecDuration: 1h
maxTrialNum: 10
trainingServicePlatform: local
searchSpacePath: search_space.json
useAnnotation: false
tuner:
  builtinTunerName: TPE
  classArgs:
    optimize_mode: maximize
trial:
  command: python3 mnist.py
  codeDir: .
  gpuNum: 0
"""


def without(text: str, *keys: str) -> str:
    """Leave out lines, and what is indented beneath them."""
    kept, leaving = [], False
    for line in text.splitlines():
        leaving = line.partition(":")[0] in keys or (leaving and line.startswith(" "))
        kept += [] if leaving else [line]
    return "\n".join(kept) + "\n"


@pytest.fixture
def old(directory):
    """Load the example with some keys replaced by others."""
    (directory / "search_space.json").write_text('{"x": {"_type": "uniform", "_value": [0, 1]}}')

    def load_old(more: str = "", *removed: str) -> ExperimentConfig:
        keys = [line.partition(":")[0] for line in more.splitlines() if not line.startswith(" ")]
        (directory / "config.yml").write_text(without(V1, *keys, *removed) + more)
        return load(directory / "config.yml")

    return load_old


@pytest.fixture
def refused(old):
    """Load the example with mistakes, and return ``path: message`` of each."""

    def load_wrong(more: str, *removed: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            old(more, *removed)
        assert all(fault.place for fault in caught.value.faults)
        return [str(fault).split(": ", 1)[1] for fault in caught.value.faults]

    return load_wrong


def test_a_file_is_read_with_the_defaults_of_its_schema(old, directory):
    written = old("", "maxExecDuration", "maxTrialNum", "useAnnotation").canonical()
    assert written.pop("trainingService").items() >= {"platform": "local", "useActiveGpu": False}.items()
    assert written == {
        "experimentName": "example_mnist",
        "searchSpaceFile": str(directory / "search_space.json"),
        "trialCommand": "python3 mnist.py",
        "trialCodeDirectory": str(directory),
        "trialConcurrency": 1,
        "trialGpuNumber": 0,
        "maxExperimentDuration": "999d",
        "maxTrialNumber": 99999,
        "maxTrialDuration": "999d",
        "useAnnotation": False,
        "debug": False,
        "experimentWorkingDirectory": str(directory.parent / "home" / "nni-experiments"),
        "tuner": {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}},
    }


def test_a_file_is_ready_to_start(old):
    old().validate()


@pytest.mark.parametrize(
    ("more", "key", "value"),
    [
        ("maxTrialDuration: 5m", "maxTrialDuration", "5m"),
        ("nniManagerIp: 10.1.1.1", "nniManagerIp", "10.1.1.1"),
        ("logLevel: trace", "logLevel", "trace"),
        ("logDir: /data/nni", "experimentWorkingDirectory", "/data/nni"),
        ("multiThread: true", "multiThread", True),
        ("debug: true", "debug", True),
        ("tuner: {builtinTunerName: TPE, gpuIndices: '0,1'}", "tunerGpuIndices", [0, 1]),
        ("tuner: {builtinTunerName: TPE, gpuIndices: 1}", "tunerGpuIndices", [1]),
        (
            "tuner: {builtinTunerName: TPE, includeIntermediateResults: true}",
            "includeIntermediateResults",
            True,
        ),
        ("advisor: {builtinAdvisorName: BOHB, gpuIndices: '2'}", "tunerGpuIndices", [2]),
    ],
)
def test_a_key_has_its_effect(old, more, key, value):
    assert old(more).canonical()[key] == value


@pytest.mark.parametrize(
    ("more", "key"),
    [
        ("versionCheck: false", "versionCheck"),
        ("logCollection: http", "logCollection"),
        ("multiThread: false", "multiThread"),
        ("tuner: {builtinTunerName: TPE, includeIntermediateResults: false}", "includeIntermediateResults"),
    ],
)
def test_a_key_without_effect_is_read_and_leaves_no_trace(old, more, key):
    assert key not in old(more).canonical()


def test_debug_decides_the_log_level(old, caplog):
    config = old("debug: true\nlogLevel: warning\n")
    assert config.effective_log_level == "debug"
    assert "config.yml:18: logLevel: is ignored" in caplog.text


def test_a_class_of_the_users_own_is_found_by_directory_file_and_name(old, directory):
    (directory / "tuners").mkdir()
    (directory / "tuners" / "mine.py").write_text("class Mine: ...\n")
    config = old("tuner: {codeDir: tuners, classFileName: mine.py, className: Mine, classArgs: {a: 1}}")
    config.validate()
    assert config.canonical()["tuner"] == {
        "className": "mine.Mine",
        "codeDirectory": str(directory / "tuners"),
        "classArgs": {"a": 1},
    }


def test_a_class_in_a_file_further_down_is_in_a_module_of_a_package(old):
    config = old("tuner: {codeDir: ., classFileName: search/mine.py, className: Mine}")
    assert config.tuner.class_name == "search.mine.Mine"


def test_the_directory_of_a_class_may_have_its_name_of_today(old, directory):
    config = old("tuner: {codeDirectory: tuners, classFileName: mine.py, className: Mine}")
    assert config.tuner.code_directory == directory / "tuners"


def test_tuner_and_assessor_beside_an_advisor_are_ignored_with_a_warning(old, caplog):
    config = old("advisor: {builtinAdvisorName: Hyperband}\nassessor: {builtinAssessorName: Medianstop}\n")
    assert not {"tuner", "assessor"} & set(config.canonical())
    assert "config.yml:9: tuner: is ignored: an advisor is tuner and assessor in one" in caplog.text
    assert "config.yml:18: assessor: is ignored" in caplog.text


def test_nothing_is_said_about_a_file_that_keeps_its_meaning(old, caplog):
    with caplog.at_level(logging.DEBUG, "nni"):
        old()
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("maxTrialNumm: 3", "maxTrialNumm: unknown key, did you mean 'maxTrialNum'?"),
        ("trialConcurrency: 0", "trialConcurrency: expected at least 1, got 0"),
        ("trialConcurrency: 100000", "trialConcurrency: expected at most 99999, got 100000"),
        ("maxTrialNum: 100000", "maxTrialNum: expected at most 99999, got 100000"),
        ("maxExecDuration: 1 h", "maxExecDuration: expected a number directly followed by s, m, h or d"),
        ("logCollection: ftp", "logCollection: expected one of 'none', 'http', got 'ftp'"),
        ("versionCheck: maybe", "versionCheck: expected true or false, got 'maybe'"),
        ("trainingServicePlatform: lokal", "trainingServicePlatform: expected one of 'local', 'remote', 'pai', "),
        ("searchSpacePath: 3", "searchSpacePath: expected a path, got 3"),
        ("searchSpacePath:", "searchSpacePath: required, unless useAnnotation is true"),
        ("tuner:", "tuner: required, such as 'builtinTunerName: TPE', or an advisor"),
        ("tuner: {builtinTunerNam: TPE}", "tuner.builtinTunerNam: unknown key, did you mean 'builtinTunerName'?"),
        ("tuner: {classArgs: {a: 1}}", "tuner.builtinTunerName: required, or codeDir, classFileName and className"),
        ("tuner: {codeDir: ., className: A}", "tuner.classFileName: required with codeDir"),
        (
            "tuner: {builtinTunerName: TPE, className: A}",
            "tuner.className: is for a class of yours; give either it or builtinTunerName",
        ),
        (
            "tuner: {codeDir: ., classFileName: my-tuner.py, className: A}",
            "tuner.classFileName: expected a Python file that can be imported, such as 'my.py', got 'my-tuner.py'",
        ),
        (
            "tuner: {codeDir: ., classFileName: a.py, className: a.A}",
            "tuner.className: expected the name of a class alone, such as 'Mine', got 'a.A'",
        ),
        ("assessor: {builtinAssessorName: Medianstop, gpuIndices: 1}", "assessor.gpuIndices: unknown key"),
        ("trial: {command: x, codeDir: ., gpuNumber: 1}", "trial.gpuNumber: unknown key, did you mean 'gpuNum'?"),
        ("trial: {command: x, codeDir: ., gpuNum: -1}", "trial.gpuNum: expected at least 0, got -1"),
        ("trial: {codeDir: .}", "trial.command: required, such as 'python3 mnist.py'"),
        ("trial:", "trial: required, such as '{command: python3 mnist.py, codeDir: .}'"),
        (
            "localConfig: {maxTrialNumberPerGpu: 2}",
            "localConfig.maxTrialNumberPerGpu: unknown key, did you mean 'maxTrialNumPerGpu'?",
        ),
        ("localConfig: {gpuIndices: a}", "localConfig.gpuIndices: expected GPU numbers such as"),
        ("paiConfig: {host: a}", "paiConfig: is for trainingServicePlatform: pai only, not for local"),
        ("useAnnotation: true", "searchSpacePath: must not be given with useAnnotation: "),
        ("sharedStorage: {storageType: FTP}", "sharedStorage.storageType: unknown storage type 'FTP'"),
    ],
)
def test_a_mistake_is_named_in_the_words_of_the_file(refused, more, fault):
    (found,) = refused(more)
    assert found.startswith(fault)


def test_the_place_of_a_mistake_is_its_line(old):
    with pytest.raises(ConfigError, match=r"config\.yml:14: trial\.gpuNum: expected at least 0, got -1") as caught:
        old("trial:\n  gpuNum: -1\n  command: x\n  codeDir: .\n")
    assert len(caught.value.faults) == 1


def test_all_mistakes_are_told_at_once(refused):
    found = refused("maxTrialNum: 0\ntrial: {comand: x, codeDir: .}\nlocalConfig: {useActiveGpu: 7}\n")
    assert [fault.split(":")[0] for fault in found] == ["maxTrialNum", "trial.comand", "localConfig.useActiveGpu"]


def test_a_number_where_text_is_expected_is_taken_as_it_is_written(old):
    assert old("experimentName: 0123").experiment_name == "0123"


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ("searchSpacePath: nowhere.json", "searchSpacePath: "),
        ("tuner: {builtinTunerName: TEP}", "tuner.builtinTunerName: "),
        ("tuner: {builtinTunerName: TPE, classArgs: {optimise: 1}}", "tuner.classArgs.optimise: "),
        ("tuner: {codeDir: nowhere, classFileName: a.py, className: A}", "tuner.codeDir: no such directory"),
        ("tuner: {codeDir: ., classFileName: a.py, className: A}", "tuner.className: no a.py in "),
        ("trial: {command: x, codeDir: nowhere}", "trial.codeDir: no such directory"),
    ],
)
def test_what_keeps_it_from_starting_is_named_in_the_words_of_the_file(old, more, fault):
    with pytest.raises(ConfigError) as caught:
        old(more).validate()
    (found,) = caught.value.faults
    assert str(found).split(": ", 1)[1].startswith(fault)
    assert found.place.partition(":")[0].endswith("config.yml")


def test_a_rule_between_keys_is_told_in_the_words_of_the_file(refused):
    (found,) = refused("trial: {command: x, codeDir: ., gpuNum: 2}\nlocalConfig: {gpuIndices: 1}\n")
    assert found == (
        "localConfig.gpuIndices: names 1 GPUs, fewer than the 2 of trial.gpuNum: no trial could ever start"
    )


def test_what_this_version_cannot_run_is_named_in_the_words_of_the_file(old):
    keys = "{subscriptionId: a, resourceGroup: b, workspaceName: c, computeTarget: d}"
    trial = "trial: {command: x, codeDir: ., image: i}"
    config = old(f"trainingServicePlatform: aml\namlConfig: {keys}\n{trial}\n")
    with pytest.raises(PlatformNotAvailableError, match=r"^trainingServicePlatform: the training service 'aml'"):
        check_available(config)


def test_a_mapping_in_python_may_be_in_the_old_schema_too(directory):
    data = {
        "experimentName": "a",
        "trialConcurrency": 2,
        "trainingServicePlatform": "local",
        "searchSpacePath": "space.json",
        "tuner": {"builtinTunerName": "TPE"},
        "trial": {"command": "x", "codeDir": "code"},
    }
    config = ExperimentConfig.from_dict(data, directory=directory)
    assert config.trial_code_directory == directory / "code"
    with pytest.raises(ConfigError, match=r"^maxTrialNum: expected at least 1, got 0$"):
        ExperimentConfig.from_dict({**data, "maxTrialNum": 0})


@pytest.mark.parametrize(
    "marks",
    ["authorName: a", "trainingServicePlatform: local", "tuner: {builtinTunerName: TPE}", "maxTrialNum: 3"],
)
def test_each_key_of_the_old_schema_is_enough_to_recognise_it(faults, marks):
    found = faults(f"trialConcurrency: 1\n{marks}", whole=True)
    assert any(fault.startswith(("searchSpacePath: required", "trial: required")) for fault in found)


@pytest.mark.parametrize(
    ("more", "stray", "other", "advice"),
    [
        ("maxTrialNumber: 3", "maxTrialNumber", "trainingServicePlatform", "write 'maxTrialNum' instead"),
        ("searchSpaceFile: a.json", "searchSpaceFile", "trainingServicePlatform", "write 'searchSpacePath' instead"),
        ("trialCommand: x", "trialCommand", "trainingServicePlatform", "write 'command' in 'trial' instead"),
        ("tuner: {name: TPE}", "tuner.name", "trainingServicePlatform", "write 'builtinTunerName' instead"),
        (
            "trainingService: {platform: local}",
            "trainingServicePlatform",
            "trainingService",
            "leave it out",
        ),
    ],
)
def test_a_mixture_of_both_schemas_is_one_error_that_names_both_keys(refused, more, stray, other, advice):
    (found,) = refused(more)
    assert found.startswith(f"{stray}: '{stray}' belongs to the ")
    assert f"but '{other}' to " in found
    assert found.endswith(f"and a file is in one of them: {advice}")


def test_an_old_section_in_a_new_file_is_a_mixture(faults):
    (found,) = faults("trial: {command: x, codeDir: .}")
    assert found == (
        "trial: 'trial' belongs to the schema of NNI 1.x, but 'trainingService' to the current one, and a file is in "
        "one of them: write 'trialCommand', 'trialCodeDirectory' and 'trialGpuNumber' instead"
    )
