"""Whatever is valid is written and read back as the same configuration."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from nni.config import ExperimentConfig, load, save

text = st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1, max_size=20)
path = st.builds("/".join, st.lists(st.sampled_from(["a", "b c", "x~", "ü", "."]), min_size=1, max_size=3))
count = st.integers(1, 10**6)
duration = st.builds("{}{}".format, st.sampled_from(["1", "0.5", "10.25", "99999"]), st.sampled_from("smhd"))
gpus = st.lists(st.integers(0, 64), unique=True, max_size=4)
json_value = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
algorithm = st.one_of(
    st.fixed_dictionaries({"name": text}, optional={"classArgs": st.dictionaries(text, json_value, max_size=3)}),
    st.fixed_dictionaries({"className": st.just("pkg.my_tuner.MyTuner")}, optional={"codeDirectory": path}),
)
machine = st.fixed_dictionaries(
    {"host": text, "user": text},
    optional={"port": st.integers(1, 65535), "password": text, "sshKeyFile": path, "gpuIndices": gpus},
)
local = st.fixed_dictionaries(
    {"platform": st.just("local"), "useActiveGpu": st.booleans()}, optional={"maxTrialNumberPerGpu": count}
)
machines = st.lists(machine, min_size=1, max_size=3, unique_by=lambda login: (login["host"], login["user"]))
remote = st.fixed_dictionaries(
    {"platform": st.just("remote"), "machineList": machines},
    optional={"reuseMode": st.booleans()},
)
service = local | remote | st.tuples(local, remote).map(list)
configuration = st.fixed_dictionaries(
    {"trialCommand": text, "trialConcurrency": count, "tuner": algorithm, "trainingService": service},
    optional={
        "experimentName": text,
        "searchSpace": st.dictionaries(text, json_value, max_size=3),
        "trialCodeDirectory": path,
        "trialGpuNumber": st.integers(0, 8),
        "maxExperimentDuration": duration,
        "maxTrialDuration": duration,
        "maxTrialNumber": count,
        "debug": st.booleans(),
        "logLevel": st.sampled_from(["trace", "debug", "info", "warning", "error", "fatal"]),
        "experimentWorkingDirectory": path,
        "tunerGpuIndices": gpus,
        "assessor": algorithm,
    },
)


@given(configuration)
def test_canonical_loads_back_to_an_equal_configuration(data):
    config = ExperimentConfig.from_dict(data, directory="/project")
    written = config.canonical()
    again = ExperimentConfig.from_dict(json.loads(json.dumps(written)), directory="/elsewhere")
    assert again == config
    assert again.canonical() == written


@settings(max_examples=50, deadline=None)
@given(configuration)
def test_a_saved_file_loads_back_to_an_equal_configuration(tmp_path_factory, data):
    file = tmp_path_factory.mktemp("saved") / "config.yml"
    config = ExperimentConfig.from_dict(data, directory="/project")
    save(config, file)
    assert load(file) == config


def nulls(value):
    """Return the key paths at which a value holds null."""
    if isinstance(value, dict):
        return [key for key, item in value.items() if item is None or nulls(item)]
    return [item for item in value if item is None or nulls(item)] if isinstance(value, list) else []


@given(configuration)
def test_canonical_has_no_null_outside_of_free_form_values(data):
    written = ExperimentConfig.from_dict(data, directory="/project").canonical()
    free = {"searchSpace", "tuner", "assessor"}
    assert not nulls({key: value for key, value in written.items() if key not in free})


@given(configuration)
def test_absent_and_null_are_the_same(data):
    config = ExperimentConfig.from_dict(data, directory="/project")
    names = [field.alias for field in ExperimentConfig.model_fields.values()]
    assert ExperimentConfig.from_dict({**dict.fromkeys(names), **data}, directory="/project") == config
