"""Where the configuration classes are found, and what importing them costs."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys

import pytest

import nni.config


def modules_after(code: str) -> set[str]:
    """Return the modules that a fresh interpreter has imported after some code."""
    code += "; import json, sys; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("nni.experiment.config", ["ExperimentConfig", "AlgorithmConfig", "CustomAlgorithmConfig", "LocalConfig"]),
        ("nni.experiment.config", ["RemoteConfig", "RemoteMachineConfig", "OpenpaiConfig", "AmlConfig", "DlcConfig"]),
        ("nni.experiment.config", ["NfsConfig", "AzureBlobConfig", "TrainingServiceConfig", "SharedStorageConfig"]),
        ("nni.experiment.config.common", ["_AlgorithmConfig", "TrainingServiceConfig", "SharedStorageConfig"]),
        ("nni.experiment.config.common", ["ExperimentConfig", "AlgorithmConfig", "CustomAlgorithmConfig"]),
        ("nni.experiment.config.local", ["LocalConfig"]),
        ("nni.experiment.config.remote", ["RemoteConfig", "RemoteMachineConfig"]),
        ("nni.experiment.config.openpai", ["OpenpaiConfig"]),
        ("nni.experiment.config.aml", ["AmlConfig"]),
        ("nni.experiment.config.dlc", ["DlcConfig"]),
        ("nni.experiment.config.kubeflow", ["KubeflowConfig", "KubeflowRoleConfig", "KubeflowStorageConfig"]),
        ("nni.experiment.config.frameworkcontroller", ["FrameworkControllerConfig", "FrameworkControllerRoleConfig"]),
        ("nni.experiment.config.adl", ["AdlConfig"]),
        ("nni.experiment.config.shared_storage", ["NfsConfig", "AzureBlobConfig"]),
    ],
)
def test_classes_are_at_their_documented_place(module, names):
    found = importlib.import_module(module)
    for name in names:
        original = nni.config._algorithm._AlgorithmConfig if name == "_AlgorithmConfig" else getattr(nni.config, name)
        assert getattr(found, name) is original


@pytest.mark.parametrize("module", ["nni.config", "nni.experiment.config"])
def test_every_public_name_exists(module):
    found = importlib.import_module(module)
    for name in found.__all__:
        assert getattr(found, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchConfig'"):
        found.NoSuchConfig  # noqa: B018


def test_a_local_configuration_imports_nothing_that_is_slow_and_not_needed():
    loaded = modules_after("import nni.config; nni.config.ExperimentConfig('local')")
    assert not loaded & {"numpy", "ruamel.yaml", "nni.config._kubeflow", "nni.config._start", "nni.algorithms"}


def test_loading_a_local_configuration_imports_no_numpy_and_no_other_platform(tmp_path):
    file = tmp_path / "config.yml"
    file.write_text(
        "trialCommand: x\n"
        "trialConcurrency: 1\nsearchSpace: {}\ntuner: {name: TPE}\ntrainingService: {platform: local}\n"
    )
    loaded = modules_after(f"import nni.config; nni.config.load({str(file)!r}).validate()")
    assert "ruamel.yaml" in loaded
    assert not loaded & {"numpy", "scipy", "nni.config._remote", "nni.config._kubeflow"}
