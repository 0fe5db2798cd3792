"""The JSON Schema for editors: it must agree with what `load` accepts."""

from __future__ import annotations

import json

import pytest
from jsonschema import Draft202012Validator

from nni.config import ConfigError, ExperimentConfig, json_schema

VALID = {
    "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
    "trialCommand": "x",
    "trialConcurrency": 1,
    "tuner": {"name": "TPE", "classArgs": {"optimize_mode": "maximize"}},
    "trainingService": {"platform": "local"},
}
MACHINES = [{"host": "a", "user": "b", "gpuIndices": "0,1"}]
REMOTE = {"platform": "remote", "machineList": MACHINES}
STORAGE = {
    "storageType": "NFS",
    "localMountPoint": "/m",
    "remoteMountPoint": "m",
    "localMounted": "nnimount",
    "nfsServer": "a",
    "exportedDirectory": "/x",
}


@pytest.fixture(scope="module")
def schema():
    return json_schema()


@pytest.fixture(scope="module")
def is_valid(schema):
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema).is_valid


def is_loaded(data) -> bool:
    try:
        ExperimentConfig.from_dict(data)
    except ConfigError:
        return False
    return True


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"maxExperimentDuration": "0.5h", "logLevel": "debug", "trialGpuNumber": None, "tunerGpuIndices": [0, 1]},
        {"trialLogLimit": "100mb"},
        {"trialLogLimit": "unlimited"},
        {"optimizeMode": "maximize"},
        {"constraints": ["x < 1", {"function": "rules.fits", "codeDirectory": "."}]},
        {"searchSpace": None, "searchSpaceFile": "a.json"},
        {"trainingService": REMOTE, "sharedStorage": STORAGE},
        {"trainingService": [REMOTE, {"platform": "local", "gpuIndices": 0}]},
        {"tuner": None, "advisor": {"name": "BOHB"}},
        {"assessor": {"className": "a.B", "codeDirectory": "."}},
    ],
)
def test_what_loads_is_valid(is_valid, more):
    data = {**VALID, **more}
    assert is_loaded(data)
    assert is_valid(data)


@pytest.mark.parametrize(
    "more",
    [
        {"trialComand": "x"},
        {"trialCommand": None},
        {"trialCommand": ""},
        {"trialConcurrency": 0},
        {"trialGpuNumber": -1},
        {"maxTrialDuration": "1 h"},
        {"logLevel": "warn"},
        {"trialLogLimit": "much"},
        {"optimizeMode": "min"},
        {"searchSpaceFile": "a.json"},
        {"advisor": {"name": "BOHB"}},
        {"tuner": {"nam": "TPE"}},
        {"trainingService": None},
        {"trainingService": {}},
        {"trainingService": []},
        {"trainingService": {"platform": "nowhere"}},
        {"trainingService": {"platform": "local", "machineList": []}},
        {"trainingService": {"platform": "remote", "machineList": [{"host": "a", "user": "b", "port": 0}]}},
        {"trainingService": {"platform": "remote", "machineList": [{"host": "a"}]}},
        {"trainingService": [{"platform": "kubeflow"}]},
        {"tunerGpuIndices": "a"},
        {"sharedStorage": {**STORAGE, "localMounted": "auto"}},
    ],
)
def test_what_does_not_load_is_not_valid(is_valid, more):
    data = {**VALID, **more}
    assert not is_loaded(data)
    assert not is_valid(data)


@pytest.mark.parametrize("missing", ["trialCommand", "trialConcurrency", "trainingService"])
def test_required_keys_are_required(is_valid, missing):
    assert not is_valid({name: value for name, value in VALID.items() if name != missing})


def test_what_canonical_writes_is_valid(is_valid):
    config = ExperimentConfig.from_dict({**VALID, "trainingService": REMOTE, "sharedStorage": STORAGE})
    assert is_valid(config.canonical())


def objects(schema):
    return [schema, *schema["$defs"].values()]


def test_every_key_has_a_description(schema):
    for definition in objects(schema):
        assert definition["description"]
        for name, key in definition["properties"].items():
            assert key.get("description"), name


def test_keys_are_in_camel_case_and_no_others_are_allowed(schema):
    for definition in objects(schema):
        assert definition["additionalProperties"] is False
        assert all("_" not in name for name in definition["properties"])


def test_nothing_of_the_making_is_left_in_it(schema):
    text = json.dumps(schema)
    assert not any(trace in text for trace in ("x-required", "x-secret", "PLT-", ">>>"))
