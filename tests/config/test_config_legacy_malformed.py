"""However wrong a configuration of NNI 1.x is, the answer is a `ConfigError` that names where."""

from __future__ import annotations

import copy
import json
import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nni.config import ConfigError, ExperimentConfig, key_path_text, load

TRIAL = {"command": "python3 trial.py", "codeDir": "."}
COMMON = {
    "authorName": "a",
    "experimentName": "e",
    "trialConcurrency": 2,
    "maxExecDuration": "1h",
    "maxTrialNum": 10,
    "searchSpacePath": "space.json",
    "nniManagerIp": "10.1.1.1",
    "debug": True,
    "logLevel": "info",
    "tuner": {"builtinTunerName": "TPE", "classArgs": {"optimize_mode": "maximize"}, "gpuIndices": "0,1"},
    "assessor": {"codeDir": ".", "classFileName": "mine.py", "className": "Mine"},
}
POD = {"command": "x", "memoryMB": 8192, "image": "i", "cpuNum": 1, "gpuNum": 0}
NFS = {"nfs": {"server": "a", "path": "/"}}
PLATFORMS = [
    {"trainingServicePlatform": "local", "trial": TRIAL, "localConfig": {"gpuIndices": "0,1", "useActiveGpu": True}},
    {
        "trainingServicePlatform": "remote",
        "trial": TRIAL,
        "machineList": [{"ip": "a", "username": "b", "passwd": "c"}, {"ip": "d", "username": "e", "sshKeyPath": "f"}],
        "remoteConfig": {"reuse": True},
    },
    {
        "trainingServicePlatform": "pai",
        "trial": {
            **TRIAL,
            "cpuNum": 1,
            "memoryMB": 1,
            "image": "i",
            "shmMB": 3,
            "paiStorageConfigName": "a",
            "nniManagerNFSMountPath": "/b",
            "containerNFSMountPath": "/c",
            "portList": [{"label": "a", "beginAt": 0, "portNumber": 1}],
        },
        "paiConfig": {"userName": "a", "passWord": "b", "host": "c"},
    },
    {
        "trainingServicePlatform": "kubeflow",
        "trial": {"codeDir": ".", "worker": {"replicas": 1, **POD}, "ps": {"replicas": 1, **POD}},
        "kubeflowConfig": {"operator": "tf-operator", "apiVersion": "v1", "storage": "nfs", **NFS},
    },
    {
        "trainingServicePlatform": "frameworkcontroller",
        "trial": {
            "codeDir": ".",
            "taskRoles": [{"name": "a", "taskNum": 1, **POD}, {"name": "b", "taskNum": 1, **POD}],
        },
        "frameworkcontrollerConfig": {"storage": "pvc", "pvc": {"path": "/"}},
    },
    {
        "trainingServicePlatform": "adl",
        "trial": {**TRIAL, "image": "i", "nfs": {"server": "a", "path": "/", "containerMountPath": "/n"}},
    },
    {
        "trainingServicePlatform": "aml",
        "trial": TRIAL,
        "amlConfig": {"subscriptionId": "a", "resourceGroup": "b", "workspaceName": "c", "computeTarget": "d"},
    },
    {
        "trainingServicePlatform": "dlts",
        "trial": {**TRIAL, "image": "i"},
        "dltsConfig": {"dashboard": "https://dlts.example.com"},
    },
]
CONFIGURATIONS = [{**COMMON, **platform} for platform in PLATFORMS]

junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.dates()
    | st.just(object())
    | st.just(5000).map(lambda digits: 10**digits)
    | st.sampled_from(["\0", "\ud800", "~nobody-of-that-name", "9" * 5000, math.inf, "a" * 10**5, ".py", "/"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.integers() | st.none(), inner, max_size=3)
        | st.tuples(inner)
    ),
    max_leaves=5,
)
names = st.text(max_size=8) | st.integers() | st.sampled_from(["trainingService", "name", "host", "maxTrialNumber"])


def places(value, path=()):
    """Return the path of every part of a nested value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in items for place in places(item, (*path, key)))]


@st.composite
def damaged(draw):
    data = copy.deepcopy(draw(st.sampled_from(CONFIGURATIONS)))
    for _ in range(draw(st.integers(1, 3))):
        *around, key = draw(st.sampled_from(places(data)[1:]))
        parent = data
        for step in around:
            parent = parent[step]
        kind = draw(st.sampled_from(["replace", "remove", "add", "misspell"]))
        if kind == "replace":
            parent[key] = draw(junk)
        elif kind == "remove":
            del parent[key]
        elif isinstance(key, str):
            parent[draw(names) if kind == "add" else key[1:] + key[:1]] = draw(junk)
    return data


def error_of(data):
    """Return the ConfigError of a configuration, or None; anything else that it raises is a failure."""
    try:
        ExperimentConfig.from_dict(data, directory="/project").canonical()
    except ConfigError as error:
        return error
    return None


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_a_damaged_configuration_is_right_or_a_config_error_with_a_key_path(data):
    error = error_of(data)
    if error is None:
        written = ExperimentConfig.from_dict(data, directory="/project").canonical()
        assert json.dumps(ExperimentConfig.from_dict(written).canonical()) == json.dumps(written)
    else:
        assert error.faults
        assert all(key_path_text(fault.path) and fault.message for fault in error.faults)
        assert len(str(error).splitlines()) == len(error.faults)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(damaged())
def test_before_a_start_too_whatever_is_wrong_is_a_config_error_with_a_key_path(data):
    try:
        ExperimentConfig.from_dict(data, directory="/project").validate()
    except ConfigError as error:
        faults = error.faults
    else:
        faults = []
    assert all(key_path_text(fault.path) and fault.message for fault in faults)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(CONFIGURATIONS), st.data())
def test_a_wrong_value_anywhere_is_named_where_it_stands(data, draw):
    """Something that is right nowhere gives a fault at its own place, in the words of the old schema."""
    path = draw.draw(st.sampled_from(places(data)[1:]))
    broken = copy.deepcopy(data)
    parent = broken
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = object()
    error = error_of(broken)
    assert error is not None
    spelled = tuple("password" if key == "passWord" else key for key in path)
    assert any(fault.path[: len(spelled)] == spelled for fault in error.faults), error


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(alphabet=" \n:-{}[]&*'\"#,a1", min_size=1, max_size=3),
    at=st.floats(0, 1),
    which=st.sampled_from(CONFIGURATIONS),
)
def test_a_damaged_file_is_right_or_a_config_error_with_its_place(tmp_path_factory, text, at, which):
    file = tmp_path_factory.mktemp("damaged") / "config.yml"
    written = json.dumps(which, indent=1)
    position = int(at * len(written))
    file.write_text(written[:position] + text + written[position:], encoding="utf-8")
    try:
        load(file)
    except ConfigError as error:
        found = error.faults
    else:
        found = []
    assert all(str(fault.place).startswith(f"{file}:") for fault in found)
