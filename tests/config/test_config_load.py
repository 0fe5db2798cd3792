"""Reading YAML files."""

from __future__ import annotations

import copy
import pickle
import stat

import pytest

from nni.config import ConfigError, ExperimentConfig, RemoteConfig, load, save

HEAD = "trialCommand: x\ntrialConcurrency: 1\nsearchSpace: {}\ntuner: {name: TPE}\n"


def test_the_documented_local_example(loaded, directory):
    config = loaded(
        """
        experimentName: MNIST
        searchSpaceFile: search_space.json
        trialCommand: python mnist.py
        trialCodeDirectory: .
        trialGpuNumber: 1
        trialConcurrency: 2
        maxExperimentDuration: 24h
        maxTrialNumber: 100
        tuner:
          name: TPE
          classArgs:
            optimize_mode: maximize
        trainingService:
          platform: local
          useActiveGpu: True
        """,
        whole=True,
    )
    assert config.search_space_file == directory / "search_space.json"
    assert config.trial_code_directory == directory
    assert config.max_experiment_duration == "24h"
    assert config.tuner.class_args == {"optimize_mode": "maximize"}
    assert config.training_service.use_active_gpu is True


def test_the_documented_remote_example_with_snake_case_keys(loaded, tmp_path):
    config = loaded(
        """
        trainingService:
          platform: remote
          machineList:
            - host: 192.0.2.1
              user: alice
              ssh_key_file: ~/.ssh/id_rsa
            - host: 192.0.2.2
              port: 10022
              user: bob
              password: bob123
              pythonPath: /usr/bin
        """
    )
    assert isinstance(config.training_service, RemoteConfig)
    first, second = config.training_service.machine_list
    assert first.ssh_key_file == tmp_path / "home" / ".ssh" / "id_rsa"
    assert (second.port, second.password, second.python_path) == (10022, "bob123", "/usr/bin")
    assert config.training_service.reuse_mode is True


def test_both_spellings_are_one_key(faults):
    assert faults("trial_command: x\ntrialCommand: y\n" + "trainingService: {platform: local}", whole=False) == [
        "trialCommand: given twice, also as 'trialCommand'"
    ]


def test_paths_are_relative_to_the_file(loaded, directory, tmp_path):
    config = loaded("trialCodeDirectory: sub/code\nexperimentWorkingDirectory: ~/work\nsearchSpace: {}")
    assert config.trial_code_directory == directory / "sub" / "code"
    assert config.experiment_working_directory == tmp_path / "home" / "work"


def test_absent_paths_have_defaults_beside_the_file(loaded, directory, tmp_path):
    config = loaded("")
    assert config.trial_code_directory == directory
    assert config.experiment_working_directory == tmp_path / "home" / "nni-experiments"


def test_the_file_may_be_named_relative_to_the_current_directory(loaded, directory, monkeypatch):
    loaded("")
    monkeypatch.chdir(directory.parent)
    assert load("project/config.yml").trial_code_directory == directory


def test_null_is_the_same_as_absent(loaded):
    config = loaded("maxTrialNumber: null\nassessor: ~\ntrialGpuNumber:\nsearchSpaceFile: null\nlogLevel: null")
    assert config == loaded("")


def test_an_empty_search_space_is_not_absent(loaded):
    assert loaded("searchSpace: {}").search_space == {}


def test_numbers_with_an_exponent_are_numbers(loaded):
    config = loaded("searchSpace: {x: {_type: loguniform, _value: [1e-6, 1e+2]}}")
    assert config.search_space["x"]["_value"] == [1e-6, 100.0]


def test_an_integer_may_be_written_as_a_float(loaded):
    assert loaded("maxTrialNumber: 1e3").max_trial_number == 1000


def test_words_of_yaml_1_1_are_still_booleans_where_one_is_expected(loaded):
    assert loaded("debug: yes").debug is True
    assert loaded("searchSpace: {x: {_type: choice, _value: [yes, no]}}").search_space["x"]["_value"] == ["yes", "no"]


@pytest.mark.parametrize("text", ["0123", "1e5", "2021-03-05", "true", "12.50", "0x1F"])
def test_where_text_is_expected_a_plain_value_is_taken_as_it_is_written(loaded, text):
    assert loaded(f"experimentName: {text}").experiment_name == text
    service = f"{{platform: remote, machineList: [{{host: a, user: b, password: {text}}}]}}"
    assert loaded(f"trainingService: {service}").training_service.machine_list[0].password == text


@pytest.mark.parametrize(
    ("text", "indices"), [("[0, 1, 3]", [0, 1, 3]), ('"0,1,3"', [0, 1, 3]), ("1", [1]), ('""', [])]
)
def test_the_three_forms_of_gpu_indices(loaded, text, indices):
    config = loaded(f"tunerGpuIndices: {text}\ntrainingService: {{platform: local, gpuIndices: {text}}}")
    assert config.tuner_gpu_indices == indices
    assert config.training_service.gpu_indices == indices


@pytest.mark.parametrize("text", ["-1", "a", "[0, x]", "[[0]]", "1.5", "{a: 1}", "'0;1'", "[true]", "0,1,"])
def test_other_gpu_indices_are_refused(faults, text):
    (fault,) = faults(f"tunerGpuIndices: {text}")
    assert fault.startswith("tunerGpuIndices: expected GPU numbers such as [0, 1], '0,1' or 0, got ")


def test_anchors_and_merge_keys(loaded):
    config = loaded(
        """
        tuner: &base {name: TPE, classArgs: {seed: 1}}
        assessor: {<<: *base, name: Medianstop}
        """
    )
    assert (config.assessor.name, config.assessor.class_args) == ("Medianstop", {"seed": 1})


def test_of_a_key_that_is_given_twice_the_last_counts_with_a_warning(loaded, caplog, directory):
    config = loaded("maxTrialNumber: 1\nmaxTrialNumber: 2")
    assert config.max_trial_number == 2
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.message == f"{directory}/config.yml:7: 'maxTrialNumber' is given twice, the last one counts"


def test_the_same_value_behind_an_alias_warns_once(loaded, caplog):
    loaded("tuner: &t {name: TPE, name: TPE}\nassessor: *t")
    assert len(caplog.records) == 1


def test_faults_name_file_line_and_key_path(directory):
    (directory / "config.yml").write_text(
        HEAD + "trainingService:\n  platform: remote\n  machineList:\n    - host: a\n      user: b\n      prot: 22\n"
    )
    with pytest.raises(ConfigError) as caught:
        load(directory / "config.yml")
    assert (
        str(caught.value)
        == f"{directory}/config.yml:10: trainingService.machineList[0].prot: unknown key, did you mean 'port'?"
    )


def test_all_faults_are_reported_together_in_the_order_of_the_file(faults):
    assert faults(
        """
        trialComand: x
        trialConcurrency: two
        searchSpaceFile: a.json
        searchSpace: {}
        useAnnotation: 3
        tuner: {nam: TPE}
        advisor: {name: BOHB, className: a.B}
        trainingService: {platform: local, gpuIndices: x, useActiveGPU: true}
        """,
        whole=True,
    ) == [
        "trialComand: unknown key, did you mean 'trialCommand'?",
        "trialConcurrency: expected a whole number, got 'two'",
        "searchSpaceFile: give either searchSpace or searchSpaceFile, not both",
        "useAnnotation: expected true or false, got 3",
        "tuner.nam: unknown key, did you mean 'name'?",
        "advisor: give either name (built-in or registered) or className (a class of yours), not both",
        "trainingService.useActiveGPU: unknown key, did you mean 'useActiveGpu'?",
        "trainingService.gpuIndices: expected GPU numbers such as [0, 1], '0,1' or 0, got 'x'",
    ]


def test_what_is_wrong_around_a_faulty_file_is_reported_with_it(faults, directory):
    assert faults("trialConcurrency: two\ntrialCodeDirectory: nowhere\ntuner: {name: TPF}")[:2] == [
        "trialConcurrency: expected a whole number, got 'two'",
        f"trialCodeDirectory: no such directory: '{directory}/nowhere'",
    ]


def test_a_loaded_configuration_can_be_copied_and_sent(loaded, directory):
    config = loaded("trialCodeDirectory: nowhere")
    for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config))):
        assert twin == config
        with pytest.raises(ConfigError, match=r"config.yml:6: trialCodeDirectory"):
            twin.validate()


def test_missing_keys_are_named_with_an_example(faults):
    assert faults("searchSpace: {}\ntuner: {name: TPE}", whole=True) == [
        "trialCommand: required, such as 'python3 mnist.py'",
        "trialConcurrency: required, such as 2",
        "trainingService: required, such as '{platform: local}'",
    ]


def test_an_unknown_key_that_resembles_nothing_gets_the_list_of_keys(faults):
    (fault,) = faults("tuner: {name: TPE, xyz: 1}")
    assert fault == "tuner.xyz: unknown key, expected one of 'name', 'className', 'codeDirectory', 'classArgs'"


def test_keys_that_are_not_text_are_unknown_keys(faults):
    found = [fault.partition(": ")[0] for fault in faults("1: x\ntrue: y\n2020-01-01: z\n~: w")]
    assert found == ["1", "true", "2020-01-01", "~"]


def test_keys_of_free_form_values_are_text_as_they_are_written(loaded):
    assert loaded("searchSpace: {1: {}, on: {}}").search_space == {"1": {}, "on": {}}


def test_keys_of_a_python_mapping_must_be_text():
    with pytest.raises(ConfigError) as caught:
        ExperimentConfig.from_dict({1: "x", None: "y", (2, 3): "z"})
    assert [str(fault).partition(":")[0] for fault in caught.value.faults[:3]] == ["1", "None", "'(2, 3)'"]


@pytest.mark.parametrize(
    ("old", "new"), [("maxTrialNum", "maxTrialNumber"), ("maxExecDuration", "maxExperimentDuration")]
)
def test_a_key_of_the_old_schema_is_an_unknown_key_with_its_new_name(faults, old, new):
    assert faults(f"{old}: 1") == [f"{old}: unknown key, did you mean '{new}'?"]


def test_old_names_inside_of_sections_are_known_too(faults):
    service = "{platform: remote, machineList: [{ip: a, username: b, passwd: c}]}"
    assert faults(f"trainingService: {service}") == [
        "trainingService.machineList[0].ip: unknown key, did you mean 'host'?",
        "trainingService.machineList[0].username: unknown key, did you mean 'user'?",
        "trainingService.machineList[0].passwd: unknown key, did you mean 'password'?",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: b: c\n", "config.yml:1:5: not valid YAML: a ':' cannot stand here"),
        ("searchSpaceFile ~/space.json\ntrailCommand: x\n", "config.yml:2:13: not valid YAML: a ':' cannot stand here"),
        ("a: 1\n\tb: 2\n", "config.yml:2:1: not valid YAML: a value cannot start with this character"),
        ("a: [1, 2\nb: 3\n", "config.yml:2:2: not valid YAML: expected ',' or ']'"),
        ("a: {b: 1\nc: [\n", "not valid YAML: "),
        ("a: 'x\n", "config.yml:2:1: not valid YAML: expected a closing quote"),
        ("a: *b\n", "config.yml:1:4: not valid YAML: refers to an anchor (&name) that is not defined above"),
        ("a: 1\n---\nb: 2\n", "not valid YAML: expected one document, but a second one starts here"),
        ("a: !!python/object:os.system x\n", "not valid YAML: "),
        ("a: 1\n  b: 2\n", "config.yml:2:4: not valid YAML: a ':' cannot stand here"),
        ("- a\nb: 1\n", "not valid YAML: expected a key like those above"),
        ("a: &x [*x]\n", "config.yml:1: a[0]: contains itself"),
        ("? [a]\n: 1\n", "expected a key that is text"),
        ("<<: 3\n", "expected a mapping after '<<:'"),
        ("a: \x01\n", "not valid YAML: "),
        ("a: 2020-13-45\n", "config.yml:1: a: "),
        ("a: " + "[" * 5000, "is nested too deeply"),
        ("", "is empty; expected an experiment configuration"),
        ("# only a comment\n", "is empty; expected an experiment configuration"),
        ("just text\n", "expected a mapping of keys and values"),
        ("maxExecDuration:500h\n", "expected a mapping of keys and values"),
        ("- 1\n", "expected a mapping of keys and values"),
    ],
)
def test_what_is_not_a_mapping_in_yaml_is_one_line_with_its_place(directory, text, message):
    (directory / "config.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(directory / "config.yml")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{directory}/config.yml")
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_cannot_be_read_is_named(directory):
    with pytest.raises(ConfigError, match=r"missing\.yml: no such file"):
        load(directory / "missing.yml")
    with pytest.raises(ConfigError, match=r"project: cannot be read: Is a directory"):
        load(directory)
    (directory / "latin.yml").write_bytes(b"experimentName: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"latin.yml: is not UTF-8 text \(byte 19\)"):
        load(directory / "latin.yml")
    with pytest.raises(ConfigError, match="NUL"):
        load("a\0b")


def test_a_byte_order_mark_does_not_matter(directory):
    (directory / "config.yml").write_bytes(b"\xef\xbb\xbf" + f"{HEAD}trainingService: {{platform: local}}".encode())
    assert load(directory / "config.yml").trial_concurrency == 1


def test_faults_found_later_still_name_the_line(loaded, directory):
    config = loaded("trialCodeDirectory: nowhere")
    with pytest.raises(ConfigError) as caught:
        config.validate()
    assert str(caught.value).startswith(f"{directory}/config.yml:6: trialCodeDirectory: no such directory: ")


def test_a_saved_configuration_loads_back_from_another_directory(loaded, directory, tmp_path):
    config = loaded(
        """
        searchSpace: {x: {_type: choice, _value: ["0123", 1e-6, null, "yes"]}}
        assessor: {name: Medianstop, classArgs: {start_step: 5}}
        trainingService: {platform: remote, machineList: [{host: a, user: b, sshKeyFile: key}]}
        """
    )
    target = tmp_path / "saved.yml"
    save(config, target)
    assert load(target) == config
    assert f"sshKeyFile: {directory}/key" in target.read_text()


def test_a_saved_file_is_for_its_owner_only(loaded, tmp_path):
    target = tmp_path / "saved.yml"
    target.touch(mode=0o644)
    save(loaded(""), target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_from_dict_takes_both_spellings_and_a_directory(directory):
    data = {"trialCommand": "x", "trial_concurrency": 1, "trainingService": {"platform": "local"}}
    assert ExperimentConfig.from_dict(data, directory=directory).trial_code_directory == directory
