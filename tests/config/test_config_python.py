"""Building a configuration in Python, as the documented examples do."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from nni.config import (
    AlgorithmConfig,
    ConfigError,
    CustomAlgorithmConfig,
    ExperimentConfig,
    LocalConfig,
    NfsConfig,
    OpenpaiConfig,
    RemoteConfig,
    RemoteMachineConfig,
)


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = ExperimentConfig("local")
    config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    config.trial_command = "python3 trial.py"
    config.trial_concurrency = 2
    config.tuner.name = "TPE"
    return config


def test_the_documented_example_works_on_a_fresh_object(config, tmp_path):
    config.experiment_name = "Example"
    config.max_trial_number = 10
    config.trial_code_directory = "./"
    config.tuner.class_args["optimize_mode"] = "maximize"
    config.training_service.use_active_gpu = True

    assert config.canonical() == {
        "experimentName": "Example",
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "python3 trial.py",
        "trialCodeDirectory": str(tmp_path),
        "trialConcurrency": 2,
        "maxTrialNumber": 10,
        "useAnnotation": False,
        "debug": False,
        "experimentWorkingDirectory": str(Path.home() / "nni-experiments"),
        "tuner": {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}},
        "trainingService": {"platform": "local", "useActiveGpu": True, "maxTrialNumberPerGpu": 1},
    }


def test_the_documented_defaults():
    config = ExperimentConfig("local")
    assert config.trial_gpu_number is None
    assert config.max_trial_number is None
    assert config.use_annotation is False
    assert config.debug is False
    assert config.log_level is None
    assert config.training_service == LocalConfig(use_active_gpu=None, max_trial_number_per_gpu=1, gpu_indices=None)
    machine = RemoteMachineConfig()
    assert (machine.port, machine.use_active_gpu, machine.max_trial_number_per_gpu) == (22, False, 1)
    assert RemoteConfig().reuse_mode is True
    assert OpenpaiConfig().docker_image == "msranni/nni:latest"


def test_a_list_of_platforms_gives_a_hybrid_configuration():
    services = ExperimentConfig(["remote", "local"]).training_service
    assert [service.platform for service in services] == ["remote", "local"]


def test_an_unknown_platform_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown platform 'locl', did you mean 'local'"):
        ExperimentConfig("locl")


def test_fields_can_be_given_to_the_constructor():
    config = ExperimentConfig("local", trial_concurrency=4, tuner=AlgorithmConfig(name="Random"))
    assert (config.trial_concurrency, config.tuner.name) == (4, "Random")


def test_platform_and_service_cannot_both_be_given():
    with pytest.raises(ConfigError, match="training_service: given twice"):
        ExperimentConfig("local", training_service=LocalConfig())


def test_an_unknown_attribute_is_refused_with_the_nearest(config):
    with pytest.raises(ConfigError, match=r"^trial_concurency: unknown name, did you mean 'trial_concurrency'\?$"):
        config.trial_concurency = 2
    with pytest.raises(ConfigError, match=r"^use_active_gpus: unknown name, did you mean 'use_active_gpu'\?$"):
        config.training_service.use_active_gpus = True


def test_an_unknown_argument_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match=r"^gpu_indicies: unknown name, did you mean 'gpu_indices'\?$"):
        LocalConfig(gpu_indicies=[0])


def test_reading_an_unknown_attribute_names_the_nearest(config):
    with pytest.raises(AttributeError, match="did you mean 'trial_command'"):
        config.trial_comand  # noqa: B018


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("trial_concurrency", 0, "expected at least 1, got 0"),
        ("trial_concurrency", "two", "expected a whole number, got 'two'"),
        ("trial_concurrency", 1.5, "expected a whole number, got 1.5"),
        ("trial_concurrency", True, "expected a whole number, got true"),
        ("trial_gpu_number", -1, "expected at least 0, got -1"),
        ("trial_command", 3, r"expected text, got 3 \(put it in quotes\)"),
        ("trial_command", "", "expected text, got ''"),
        ("trial_code_directory", 3, "expected a path, got 3"),
        ("max_experiment_duration", "1 h", "such as '1h', got '1 h'"),
        ("max_trial_duration", "0s", "expected more than zero"),
        ("trial_log_limit", "100", "expected a size such as '100mb', of 64kb or more, or 'unlimited', got '100'"),
        ("trial_log_limit", "63kb", "of 64kb or more"),
        ("trial_log_limit", 100, "expected a size"),
        ("log_level", "warn", "expected one of 'trace', .* got 'warn', did you mean 'warning'"),
        ("debug", "perhaps", "expected true or false, got 'perhaps'"),
        ("tuner_gpu_indices", [0, 0], "names a GPU twice"),
        ("tuner", "TPE", r"expected a mapping \(key: value\), got 'TPE'"),
        ("training_service", 5, "expected a mapping with a platform"),
        ("shared_storage", 5, "expected a mapping with a storage_type"),
    ],
)
def test_a_wrong_value_is_refused_when_it_is_assigned(config, name, value, problem):
    before = getattr(config, name)
    with pytest.raises(ConfigError, match=f"^{name}: .*{problem}") as caught:
        setattr(config, name, value)
    assert len(caught.value.faults) == 1
    assert getattr(config, name) == before


def test_none_is_the_same_as_not_set(config, tmp_path):
    config.trial_code_directory = "/other"
    config.trial_code_directory = None
    config.max_trial_number = None
    assert config.trial_code_directory == tmp_path
    assert "maxTrialNumber" not in config.canonical()


def test_no_gpu_is_not_the_same_as_no_number_of_gpus(config):
    assert "trialGpuNumber" not in config.canonical()
    config.trial_gpu_number = 0
    assert config.canonical()["trialGpuNumber"] == 0


def test_an_untouched_algorithm_counts_as_absent(config):
    assert not config.assessor.is_configured
    assert "assessor" not in config.canonical()
    config.assessor = AlgorithmConfig(name="Medianstop")
    assert config.canonical()["assessor"] == {"name": "Medianstop"}
    config.assessor = None
    assert "assessor" not in config.canonical()


def test_arguments_without_an_algorithm_are_a_mistake(config):
    config.assessor.class_args["start_step"] = 5
    config.tuner = None
    config.tuner.class_args["optimize_mode"] = "maximize"
    with pytest.raises(ConfigError, match=r"tuner: name or class_name is required"):
        config.canonical()


def test_relative_paths_are_relative_to_the_current_directory(config, tmp_path, monkeypatch):
    config.search_space = None
    config.search_space_file = Path("space.json")
    monkeypatch.chdir("/")
    assert config.canonical()["searchSpaceFile"] == str(tmp_path / "space.json")


def test_a_custom_algorithm_lies_in_the_current_directory_by_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert CustomAlgorithmConfig(class_name="a.B").code_directory == tmp_path


def test_algorithms_are_equal_by_content_whichever_class_was_used(config):
    assert config.tuner == AlgorithmConfig(name="TPE")
    assert config.tuner != AlgorithmConfig(name="Random")


def test_machines_are_filled_step_by_step(config):
    machine = RemoteMachineConfig()
    machine.host = "192.0.2.1"
    machine.user = "alice"
    machine.gpu_indices = "0,1"
    config.training_service = RemoteConfig(machine_list=[machine])
    assert config.canonical()["trainingService"]["machineList"] == [
        {
            "host": "192.0.2.1",
            "port": 22,
            "user": "alice",
            "useActiveGpu": False,
            "maxTrialNumberPerGpu": 1,
            "gpuIndices": [0, 1],
        }
    ]


def test_what_is_missing_is_told_all_at_once():
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig("remote").canonical()
    assert str(caught.value).splitlines() == [
        "trial_command: required, such as 'python3 mnist.py'",
        "trial_concurrency: required, such as 2",
        "training_service.machine_list: required, such as '[{host: 192.0.2.1, user: alice}]'",
    ]


def test_what_was_put_into_a_list_behind_the_models_back_is_still_checked():
    config = ExperimentConfig("local", trial_command="x", trial_concurrency=1)
    config.training_service = RemoteConfig(machine_list=[])
    config.training_service.machine_list.append({"host": "a", "user": "b", "port": 0})
    with pytest.raises(ConfigError, match=r"training_service.machine_list\[0\].port: expected at least 1, got 0"):
        config.canonical()


def test_the_log_level_follows_debug_unless_it_is_given(config):
    assert config.effective_log_level == "info"
    config.debug = True
    assert config.effective_log_level == "debug"
    config.log_level = "error"
    assert config.effective_log_level == "error"


@pytest.mark.parametrize(
    ("limit", "size"), [(None, 1 << 30), ("100mb", 100 << 20), ("64KB", 64 << 10), ("unlimited", None)]
)
def test_logs_of_trials_are_limited_to_a_gigabyte_unless_another_limit_is_given(config, limit, size):
    config.trial_log_limit = limit
    assert config.effective_trial_log_limit == size
    assert config.canonical().get("trialLogLimit") == limit


def test_values_of_python_become_json(config):
    numpy = pytest.importorskip("numpy")
    config.search_space = {"x": {"_type": "choice", "_value": tuple(numpy.arange(3))}, "y": numpy.float64(0.5)}
    config.tuner.class_args["path"] = Path("/a/b")
    written = config.canonical()
    assert written["searchSpace"] == {"x": {"_type": "choice", "_value": [0, 1, 2]}, "y": 0.5}
    assert type(written["searchSpace"]["y"]) is float
    assert written["tuner"]["classArgs"] == {"path": "/a/b"}


@pytest.mark.parametrize(
    ("space", "problem"),
    [
        ({"x": [1, {2, 3}]}, r"search_space.x\[1\]: expected a value that JSON knows"),
        ({"x": object()}, r"search_space.x: expected a value that JSON knows"),
        ({1: 2}, r"search_space: expected keys that are text, got the key 1"),
    ],
)
def test_what_json_does_not_know_is_refused_with_its_path(config, space, problem):
    config.search_space = space
    with pytest.raises(ConfigError, match=problem):
        config.canonical()


def test_a_structure_that_contains_itself_is_refused(config):
    config.search_space = {}
    config.search_space["x"] = config.search_space
    with pytest.raises(ConfigError, match="contains itself"):
        config.canonical()


def test_null_inside_of_free_form_values_is_kept(config):
    config.search_space = {"x": {"_type": "choice", "_value": [None, 1]}}
    config.tuner.class_args["seed"] = None
    written = config.canonical()
    assert written["searchSpace"]["x"]["_value"] == [None, 1]
    assert written["tuner"]["classArgs"] == {"seed": None}
    assert ExperimentConfig.from_dict(written) == config


def test_configurations_can_be_copied_and_sent(config):
    for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert twin == config
        twin.tuner.class_args["a"] = 1
        assert twin != config


def test_a_subclass_may_add_fields_and_leave_the_command_out():
    class Own(ExperimentConfig):
        trial_command: str | None = None
        own_field: int = 3

    config = Own("local", trial_concurrency=1)
    assert config.canonical()["ownField"] == 3
    with pytest.raises(ConfigError, match="own_feild: unknown name, did you mean 'own_field'"):
        config.own_feild = 4


def test_secrets_are_shown_nowhere():
    config = ExperimentConfig("local", trial_command="x", trial_concurrency=1)
    machine = RemoteMachineConfig(host="a", user="b", password="hunter2", ssh_passphrase="hunter3")
    config.training_service = RemoteConfig(machine_list=[machine])
    assert "hunter" not in repr(config)
    hidden = config.redacted()["trainingService"]["machineList"][0]
    assert (hidden["password"], hidden["sshPassphrase"], hidden["user"]) == ("******", "******", "b")
    assert config.canonical()["trainingService"]["machineList"][0]["password"] == "hunter2"


def test_a_wrong_secret_is_not_shown_in_the_error():
    with pytest.raises(ConfigError, match="password: expected text, got a value of type list") as caught:
        RemoteMachineConfig(password=["hunter2"])
    with pytest.raises(ConfigError, match="password: expected text, got a value of type int"):
        RemoteMachineConfig(password=12345)
    assert "hunter2" not in str(caught.value)


def test_secrets_inside_of_an_openpai_job_are_redacted():
    service = OpenpaiConfig(openpai_config={"secrets": {"a": "hunter2"}, "name": "job", "x": [{"my_token": "hunter3"}]})
    config = ExperimentConfig(trial_command="x", trial_concurrency=1, training_service=service)
    text = str(config.redacted())
    assert "hunter" not in text
    assert "job" in text


def test_shared_storage_is_chosen_by_its_type():
    config = ExperimentConfig("remote")
    config.shared_storage = {"storage_type": "NFS", "nfs_server": "a"}
    assert isinstance(config.shared_storage, NfsConfig)
