"""However wrong a configuration is, the answer is a `ConfigError` that names where."""

from __future__ import annotations

import copy
import json
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nni.config import ConfigError, ExperimentConfig, key_path_text, load

LOCAL = {
    "experimentName": "MNIST",
    "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
    "trialCommand": "python3 trial.py",
    "trialCodeDirectory": ".",
    "trialConcurrency": 2,
    "trialGpuNumber": 1,
    "maxExperimentDuration": "24h",
    "maxTrialNumber": 100,
    "nniManagerIp": "192.0.2.1",
    "useAnnotation": False,
    "logLevel": "info",
    "tunerGpuIndices": [0],
    "tuner": {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}},
    "assessor": {"className": "my.Assessor", "codeDirectory": "."},
    "trainingService": {"platform": "local", "useActiveGpu": True, "gpuIndices": "0,1"},
}
OTHERS = [
    {
        "platform": "remote",
        "reuseMode": True,
        "machineList": [{"host": "a", "port": 22, "user": "b", "password": "c", "gpuIndices": [0]}],
    },
    {"platform": "openpai", "host": "a", "username": "b", "token": "c", "openpaiConfig": {"x": 1}},
    {
        "platform": "kubeflow",
        "operator": "tf-operator",
        "worker": {"replicas": 1, "memorySize": 8192},
        "storage": {"storageType": "nfs", "server": "a", "path": "/"},
    },
    {"platform": "frameworkcontroller", "taskRoles": [{"name": "a"}], "storage": {"storageType": "pvc", "path": "/"}},
    {"platform": "adl", "dockerImage": "x", "imagePullSecrets": [{"name": "s"}], "nfs": {"server": "a"}},
    [{"platform": "local", "useActiveGpu": False}, {"platform": "remote", "machineList": [{"host": "a"}]}],
]
CONFIGURATIONS = [LOCAL, *({**LOCAL, "trainingService": service} for service in OTHERS)]

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.binary(max_size=3)
    | st.dates()
    | st.just(object())
    | st.sampled_from(["\0", "\ud800", "~nobody-of-that-name", "9" * 5000, "1" * 400 + "d", math.inf, "a" * 10**5])
    | st.just(5000).map(lambda digits: 10**digits),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers() | st.none(), inner, max_size=3)
        | st.tuples(inner)
    ),
    max_leaves=5,
)


def places(value, path=()):
    """Return the path of every part of a nested value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


def replace(value, path, change):
    """Change a nested value in place at a path."""
    for key in path[:-1]:
        value = value[key]
    change(value, path[-1])


@st.composite
def damaged(draw):
    data = copy.deepcopy(draw(st.sampled_from(CONFIGURATIONS)))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(data)[1:]))
        kind = draw(st.sampled_from(["replace", "remove", "add", "misspell"]))
        key = path[-1]
        if kind == "replace":
            value = draw(junk)
            replace(data, path, lambda parent, key, value=value: parent.__setitem__(key, value))
        elif kind == "remove":
            replace(data, path, lambda parent, key: parent.__delitem__(key))
        elif isinstance(key, str):
            name = draw(st.text(max_size=8) | st.integers()) if kind == "add" else key[1:] + key[:1]
            value = draw(junk)
            replace(data, path, lambda parent, key, name=name, value=value: parent.update({name: value}))
    return data


def error_of(action):
    """Return the ConfigError of an action, or None; anything else that it raises is a failure."""
    try:
        action()
    except ConfigError as error:
        return error
    return None


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_a_damaged_configuration_is_right_or_a_config_error_with_a_key_path(data):
    error = error_of(lambda: ExperimentConfig.from_dict(data, directory="/project"))
    if error is None:
        written = ExperimentConfig.from_dict(data, directory="/project").canonical()
        assert json.dumps(ExperimentConfig.from_dict(written).canonical()) == json.dumps(written)
    else:
        assert error.faults
        assert all(key_path_text(fault.path) and fault.message for fault in error.faults)
        assert len(str(error).splitlines()) == len(error.faults)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged(), st.sampled_from(["searchSpace", "tuner", "classArgs", "nothing"]), junk)
def test_before_a_start_too_whatever_is_wrong_is_a_config_error_with_a_key_path(data, where, value):
    """The search space, algorithms and their arguments are looked at only then."""
    if where == "classArgs":
        data["tuner"] = {"name": "TPE", "classArgs": value}
    elif where != "nothing":
        data[where] = value
    error = error_of(lambda: ExperimentConfig.from_dict(data, directory="/project").validate())
    if error is not None:
        assert error.faults
        assert all(key_path_text(fault.path) and fault.message for fault in error.faults)
        assert len(str(error).splitlines()) == len(error.faults)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(sorted(ExperimentConfig.model_fields)), junk)
def test_assigning_anything_works_or_is_a_config_error_with_the_name(name, value):
    config = ExperimentConfig("local")
    error = error_of(lambda: setattr(config, name, value))
    assert error is None or all(fault.path[0] == name for fault in error.faults)


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=60) | st.text(alphabet=" \t\n:-{}[]&*!|>'\"%@`#,?ab01~<", max_size=60))
def test_any_text_as_a_file_is_a_config_error_of_one_line_for_each_fault(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("any") / "config.yml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert len(str(caught.value).splitlines()) == len(caught.value.faults)


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet=" \n:-{}[]&*'\"#,a1", min_size=1, max_size=3), at=st.floats(0, 1))
def test_a_damaged_file_is_right_or_a_config_error_with_its_place(tmp_path_factory, text, at):
    file = tmp_path_factory.mktemp("damaged") / "config.yml"
    written = YAML_TEXT
    position = int(at * len(written))
    file.write_text(written[:position] + text + written[position:], encoding="utf-8")
    error = error_of(lambda: load(file))
    assert error is None or all(str(fault.place).startswith(f"{file}:") for fault in error.faults)


YAML_TEXT = """\
trialCommand: python3 trial.py
trialConcurrency: 2
tuner:
  name: TPE
  classArgs: {optimize_mode: maximize}
trainingService:
  - platform: local
  - platform: remote
    machineList:
      - host: a
        user: b
"""
