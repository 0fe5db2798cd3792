"""
Every experiment file that the documentation of NNI 2.x prints.

The files in ``reference_examples`` are named after the line where they stand there, and hold what is printed, without
its comments. Some cannot be read by anybody: they have misprints or places for the user to fill in. `Example.repairs`
lists what has to be changed; as printed, each of those must be refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nni.config import ConfigError, ExperimentConfig, current_yaml, load
from nni.config._load import read_document

FILES = Path(__file__).parent / "reference_examples"


class Example(NamedTuple):
    line: int
    about: str
    base: str = ""
    """What a fragment is put into; whole files need none."""
    repairs: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"L{self.line:05}-{self.about}"

    @property
    def printed(self) -> str:
        return (FILES / f"L{self.line:05}.yml").read_text()

    @property
    def repaired(self) -> str:
        text = self.printed
        for wrong, right in self.repairs:
            assert wrong in text, wrong
            text = text.replace(wrong, right)
        return text


NFS = (("{your_nfs_server_ip}", "10.10.10.10"), ("{your_nfs_server_export_path}", "/var/nfs/nni"))
VAULT = (("{your_vault_name}", "vault"), ("{your_secert_name}", "key"))
AZURE = (("{your_storage_account_name}", "account"), ("{your_azure_share_name}", "share"))
AZURE_NOW = (
    ("{your_account}", "account"),
    ("{your_share}", "share"),
    ("{your_valut_name}", "vault"),
    ("{your_valut_key}", "key"),
)
MOUNT = (("localMountPoint: ${your/local/mount/point}", "localMountPoint: /mnt/nni"),)
PAI_STORAGE = (  # L2576 says that they must be there
    "image: msranni/nni:latest\n",
    """image: msranni/nni:latest
  paiStorageConfigName: confignfs-data
  nniManagerNFSMountPath: /local/mnt
  containerNFSMountPath: /mnt/confignfs-data
""",
)

CURRENT = [
    Example(603, "a search space in the file", "v2 without a space"),
    Example(625, "quick start"),
    Example(2275, "a tuner", "v2"),
    Example(
        2284,
        "a local experiment",
        repairs=(("searchSpaceFile ~", "searchSpaceFile: ~"), ("trailCommand", "trialCommand")),
    ),
    Example(2388, "remote machines"),
    Example(2469, "OpenPAI", repairs=(("${NFS mount point inside Docker container}", "/mnt/data"),)),
    Example(2824, "Kubeflow with reuse", repairs=AZURE_NOW),
    Example(3181, "FrameworkController with reuse", repairs=(("- name:\n", "- name: worker\n"), *AZURE_NOW)),
    Example(3287, "Azure Machine Learning"),
    Example(3382, "DLC"),  # a key that is given twice is a warning (PLT-352)
    Example(3441, "hybrid"),
    Example(3833, "auto-gbdt"),
    Example(15902, "local"),
    Example(15918, "inline search space"),
    Example(15936, "remote"),
    Example(19149, "AzureBlob", "v2 remote", MOUNT),
    Example(19169, "NFS", "v2 remote", MOUNT),
    Example(19295, "ga-squad with a tuner of its own"),
]
LEGACY = [
    Example(776, "search space", "tuner"),
    Example(845, "annotation", "annotated"),
    Example(987, "TPE", "local"),
    Example(1008, "Anneal", "local"),
    Example(1031, "Evolution", "local"),
    Example(1063, "SMAC", "local"),
    Example(1080, "BatchTuner", "local"),
    Example(1122, "Hyperband", "local"),
    Example(1157, "NetworkMorphism", "local", (("    classArgs:", "  classArgs:"),)),
    Example(1184, "MetisTuner", "local"),
    Example(1230, "BOHB", "local"),
    Example(1271, "GPTuner", "local"),
    Example(1307, "PBTTuner", "local"),
    Example(1339, "DNGOTuner", "local"),
    Example(1359, "TPE with constant liar", "local"),
    Example(1446, "NetworkMorphism again", "local"),
    Example(1709, "Hyperband with all of its arguments", "local"),
    Example(1845, "BOHB with all of its arguments", "local"),
    Example(1937, "PBTTuner with a directory", "local"),
    Example(1999, "Medianstop", "tuner"),
    Example(2029, "Curvefitting", "tuner"),
    Example(2080, "Curvefitting again", "tuner"),
    Example(2633, "tf-operator", "kubeflow nfs"),
    Example(2638, "pytorch-operator", "kubeflow nfs"),
    Example(2649, "Kubeflow with NFS", "kubeflow", NFS),
    Example(2659, "Kubeflow with Azure", "kubeflow", (*VAULT, *AZURE)),
    Example(2671, "TensorFlow on Kubeflow", repairs=NFS),
    Example(2721, "PyTorch on Kubeflow", repairs=NFS),
    Example(2885, "AdaptDL"),
    Example(
        3061,
        "FrameworkController",
        repairs=(("{your_nfs_server}", "10.10.10.10"), ("{your_nfs_server_exported_path}", "/var/nfs/nni")),
    ),
    Example(
        3102,
        "FrameworkController with Azure",
        "frameworkcontroller",
        (("{your_frameworkcontroller_service_account_name}", "account"), *VAULT, *AZURE),
    ),
    Example(3114, "FrameworkController with a service account", "frameworkcontroller nfs"),
    Example(3142, "FrameworkController with a template"),
    Example(3223, "DLTS", repairs=(("dashboard:", "dashboard: https://dlts.example.com"),)),
    Example(4318, "a tuner of one's own", "local"),
    Example(4374, "an assessor of one's own", "tuner"),
    Example(4413, "an advisor of one's own", "local"),
    Example(4601, "a registered tuner", "local"),
    Example(4677, "a registered tuner with arguments", "local"),
    Example(17274, "local with annotations"),
    Example(17296, "local with an assessor"),
    Example(17325, "local with a tuner and an assessor of one's own"),
    Example(17357, "remote"),
    Example(17395, "OpenPAI", repairs=(("maxExecDuration:500h", "maxExecDuration: 500h"), PAI_STORAGE)),
    Example(17431, "Kubeflow with NFS"),  # no apiVersion
    Example(17462, "Kubeflow with Azure"),  # neither storage nor apiVersion
]
ALL = [*CURRENT, *LEGACY]

COMMON = {"authorName": "a", "experimentName": "e", "trialConcurrency": 1, "searchSpacePath": "space.json"}
TUNER = {"tuner": {"builtinTunerName": "TPE"}}
TRIAL = {"trial": {"command": "python3 trial.py", "codeDir": "."}}
POD = {"command": "python3 trial.py", "memoryMB": 8192, "image": "msranni/nni:latest"}
IN_NFS = {"nfs": {"server": "10.10.10.10", "path": "/"}}
LOCAL = {**COMMON, **TRIAL, "trainingServicePlatform": "local"}
KUBEFLOW = {
    **COMMON,
    **TUNER,
    "trainingServicePlatform": "kubeflow",
    "trial": {"codeDir": ".", "worker": {"replicas": 1, **POD}},
    "kubeflowConfig": {"operator": "tf-operator", "apiVersion": "v1"},
}
FRAMEWORKCONTROLLER = {
    **COMMON,
    **TUNER,
    "trainingServicePlatform": "frameworkcontroller",
    "trial": {"codeDir": ".", "taskRoles": [{"name": "worker", "taskNum": 1, **POD}]},
}
NOW = {"searchSpaceFile": "space.json", "trialCommand": "x", "trialConcurrency": 1}
TUNER_NOW = {"tuner": {"name": "TPE"}, "trainingService": {"platform": "local"}}
BASES: dict[str, dict[str, Any]] = {
    "": {},
    "local": LOCAL,
    "tuner": {**LOCAL, **TUNER},
    "annotated": {key: value for key, value in {**LOCAL, **TUNER}.items() if key != "searchSpacePath"},
    "kubeflow": KUBEFLOW,
    "kubeflow nfs": {**KUBEFLOW, "kubeflowConfig": {**KUBEFLOW["kubeflowConfig"], **IN_NFS}},
    "frameworkcontroller": FRAMEWORKCONTROLLER,
    "frameworkcontroller nfs": {**FRAMEWORKCONTROLLER, "frameworkcontrollerConfig": IN_NFS},
    "v2": {**NOW, "trainingService": {"platform": "local"}},
    "v2 without a space": {**TUNER_NOW, "trialCommand": "x", "trialConcurrency": 1},
    "v2 remote": {
        **NOW,
        "tuner": {"name": "TPE"},
        "trainingService": {"platform": "remote", "machineList": [{"host": "a", "user": "b"}]},
    },
}


def merged(base: Any, more: Any) -> Any:
    if not isinstance(base, dict) or not isinstance(more, dict):
        return more
    return {**base, **{key: merged(base.get(key), value) for key, value in more.items()}}


def config_of(example: Example, text: str, directory: Path) -> ExperimentConfig:
    """Load a file; a fragment as part of a complete experiment."""
    file = directory / "config.yml"
    file.write_text(text)
    if not example.base:
        return load(file)
    data = merged(BASES[example.base], read_document(file).value)
    return ExperimentConfig.from_dict(data, directory=directory)


@pytest.mark.parametrize("example", ALL, ids=str)
def test_an_example_of_the_documentation_loads(example, tmp_path):
    config = config_of(example, example.repaired, tmp_path)
    assert ExperimentConfig.from_dict(config.canonical()).canonical() == config.canonical()


@pytest.mark.parametrize("example", [example for example in ALL if example.repairs], ids=str)
def test_a_misprint_or_a_place_to_fill_in_is_refused_with_its_place(example, tmp_path):
    with pytest.raises(ConfigError) as caught:
        config_of(example, example.printed, tmp_path)
    assert caught.value.faults
    assert all(fault.path or fault.place for fault in caught.value.faults)


@pytest.mark.parametrize("example", [example for example in LEGACY if not example.base], ids=str)
def test_an_old_example_means_the_same_when_it_is_converted(example, tmp_path):
    old, new = tmp_path / "config.yml", tmp_path / "new.yml"
    old.write_text(example.repaired)
    new.write_text(current_yaml(old))
    assert load(new).canonical() == load(old).canonical()


def test_every_file_is_in_the_table():
    assert sorted(f"L{example.line:05}.yml" for example in ALL) == sorted(file.name for file in FILES.iterdir())


TEMPLATE = """\
authorName:
experimentName: filled in
trialConcurrency: 1
maxExecDuration:
maxTrialNum:
trainingServicePlatform: local
searchSpacePath: space.json
useAnnotation:
multiThread:
tuner:
  builtinTunerName: TPE
  classArgs:
    optimize_mode: maximize
  gpuIndices:
trial:
  command: python3 trial.py
  codeDir: .
  gpuNum:
machineList:
  - ip:
    port:
    username:
    passwd:
"""


def test_the_template_loads_when_only_what_is_required_is_filled_in(tmp_path):
    (tmp_path / "config.yml").write_text(TEMPLATE)
    written = load(tmp_path / "config.yml").canonical()
    assert written["trialGpuNumber"] == 0
    assert written["trainingService"]["platform"] == "local"
