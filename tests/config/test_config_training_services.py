"""The sections of the training services, from the examples of the documentation."""

from __future__ import annotations

import pytest

from nni.config import (
    ConfigError,
    ExperimentConfig,
    OpenpaiConfig,
    PlatformNotAvailableError,
    RemoteMachineConfig,
    check_available,
)

OPENPAI = """
trainingService:
  platform: openpai
  host: http://123.123.123.123
  username: alice
  token: secret
  dockerImage: msranni/nni
  trialCpuNumber: 1
  trialMemorySize: 8GB
  storageConfigName: store
  localStorageMountPoint: /local
  containerStorageMountPoint: /container
"""
AML = """
trainingService:
  platform: aml
  dockerImage: msranni/nni
  subscriptionId: sub
  resourceGroup: group
  workspaceName: workspace
  computeTarget: target
"""
AML_KEYS = ", subscriptionId: a, resourceGroup: b, workspaceName: c, computeTarget: d"
DLC = """
experimentWorkingDirectory: /home/admin/workspace/work
trainingService:
  platform: dlc
  type: Worker
  image: registry.example.com/pytorch-training:1.6
  jobType: PyTorchJob
  podCount: 1
  ecsSpec: ecs.c6.large
  region: cn-hangzhou
  nasDataSourceId: data
  accessKeyId: id
  accessKeySecret: secret
  nasDataSourceId: data2
  localStorageMountPoint: /home/admin/workspace/
  containerStorageMountPoint: /root/data/
"""
KUBEFLOW = """
trainingService:
  reuseMode: true
  platform: kubeflow
  worker:
    command: python3 mnist.py
    code_directory: .
    dockerImage: msranni/nni
    cpuNumber: 1
    gpuNumber: 0
    memorySize: 8192
    replicas: 1
  operator: tf-operator
  storage:
    storageType: azureStorage
    azureAccount: account
    azureShare: share
    keyVaultName: vault
    keyVaultKey: key
  apiVersion: v1
"""
FRAMEWORKCONTROLLER = """
trainingService:
  reuseMode: true
  platform: frameworkcontroller
  taskRoles:
    - name: worker
      dockerImage: 'msranni/nni:latest'
      taskNumber: 1
      command:
      gpuNumber:
      cpuNumber:
      memorySize:
      frameworkAttemptCompletionPolicy:
        minFailedTaskCount: 1
        minSucceedTaskCount: 2
  storage:
    storageType: azureStorage
    azureAccount: account
    azureShare: share
    keyVaultName: vault
    keyVaultKey: key
"""
ADL = """
nniManagerIp: 10.1.10.11
trainingService:
  platform: adl
  dockerImage: my/image
  imagePullSecrets:
    - name: stagingsecret
  cpuNumber: 1
  memorySize: 8Gi
  nfs: {server: 10.20.41.55, path: /, containerMountPath: /nfs}
  checkpoint: {storageClass: dfs, storageSize: 1Gi}
"""
ALL = {
    "openpai": OPENPAI,
    "aml": AML,
    "dlc": DLC,
    "kubeflow": KUBEFLOW,
    "frameworkcontroller": FRAMEWORKCONTROLLER,
    "adl": ADL,
}


@pytest.mark.parametrize("platform", ALL)
def test_the_documented_example_is_valid_and_written_completely(loaded, platform):
    config = loaded(ALL[platform])
    assert config.training_service.platform == platform
    assert ExperimentConfig.from_dict(config.canonical()) == config


@pytest.mark.parametrize("platform", ["remote", *ALL])
def test_what_is_missing_in_a_section_is_named(faults, platform):
    found = faults(f"trainingService: {{platform: {platform}}}")
    assert found
    assert all("required" in fault for fault in found if not fault.startswith("experimentWorkingDirectory"))


@pytest.mark.parametrize("platform", [name for name in ALL if name != "remote"])
def test_an_experiment_cannot_be_created_on_it_yet(loaded, platform):
    with pytest.raises(PlatformNotAvailableError) as caught:
        check_available(loaded(ALL[platform]))
    sentence = f"the training service '{platform}' is not available in this version"
    assert str(caught.value) == f"trainingService.platform: {sentence}"


def test_local_experiments_can_be_created(loaded):
    check_available(loaded(""))


def test_remote_experiments_can_be_created(loaded):
    check_available(loaded("trainingService: {platform: remote, machineList: [{host: a, user: b}]}"))


def test_a_machine_cannot_be_in_the_list_twice(faults):
    (found,) = faults("trainingService: {platform: remote, machineList: [{host: a, user: b}, {host: a, user: b}]}")
    assert "machineList[1]" in found
    assert "already" in found


def test_a_hybrid_experiment_needs_all_of_its_platforms(loaded):
    service = f"[{{platform: local}}, {{platform: aml{AML_KEYS}}}]"
    with pytest.raises(PlatformNotAvailableError, match=r"trainingService\[1\].platform: the training service 'aml'"):
        check_available(loaded(f"trainingService: {service}"))


def test_pai_is_another_name_of_openpai(loaded):
    config = loaded(OPENPAI.replace("platform: openpai", "platform: pai"))
    assert isinstance(config.training_service, OpenpaiConfig)
    assert config.canonical()["trainingService"]["platform"] == "openpai"


def without(text: str, *names: str) -> str:
    return "\n".join(line for line in text.splitlines() if line.strip().partition(":")[0] not in names)


def test_openpai_resources_are_required_without_a_job(faults):
    found = faults(without(OPENPAI, "trialCpuNumber", "trialMemorySize", "storageConfigName"))
    assert [fault.partition(":")[0] for fault in found] == [
        "trainingService.trialCpuNumber",
        "trainingService.trialMemorySize",
        "trainingService.storageConfigName",
    ]
    assert all("required unless openpaiConfig or openpaiConfigFile gives it" in fault for fault in found)


def test_an_openpai_job_gives_what_is_not_configured(loaded):
    text = without(OPENPAI, "trialCpuNumber", "trialMemorySize", "storageConfigName", "dockerImage")
    config = loaded(text + "\n  openpaiConfig: {name: job}")
    written = config.canonical()["trainingService"]
    assert "dockerImage" not in written, "the default image must not go before the job's own"
    assert ExperimentConfig.from_dict(config.canonical()).canonical() == config.canonical()


def test_a_given_image_goes_before_the_one_of_the_job(loaded):
    written = loaded(OPENPAI + "  openpaiConfig: {name: job}").canonical()["trainingService"]
    assert written["dockerImage"] == "msranni/nni"


def test_an_openpai_job_is_inline_or_a_file(faults):
    assert faults(OPENPAI + "  openpaiConfig: {}\n  openpaiConfigFile: a.yml") == [
        "trainingService.openpaiConfigFile: give either openpaiConfig or openpaiConfigFile, not both"
    ]


def test_the_mount_point_in_a_container_is_absolute(faults):
    assert faults(OPENPAI.replace("/container", "container")) == [
        "trainingService.containerStorageMountPoint: expected an absolute path, got 'container'"
    ]


@pytest.mark.parametrize("size", ["8", "8 GB", "lots", "1.5"])
def test_a_memory_size_needs_a_unit(faults, size):
    (fault,) = faults(OPENPAI.replace("8GB", f"'{size}'"))
    assert fault.startswith("trainingService.trialMemorySize: expected a number directly followed by tb, gb, mb or kb")


def test_the_repeated_key_of_the_documented_dlc_example_counts_last(loaded, caplog):
    assert loaded(DLC).training_service.nas_data_source_id == "data2"
    assert "'nasDataSourceId' is given twice" in caplog.text


@pytest.mark.parametrize("count", ["1", '"1"'])
def test_the_pod_count_is_a_number_or_text(loaded, count):
    assert loaded(DLC.replace("podCount: 1", f"podCount: {count}")).training_service.pod_count == "1"


def test_dlc_experiments_live_on_the_mounted_storage(faults):
    (fault,) = faults(DLC.replace("/home/admin/workspace/work", "/home/admin/work"))
    assert fault.startswith("experimentWorkingDirectory: must lie inside of the storage that dlc mounts")


def test_numbers_of_megabytes_get_their_unit(loaded):
    assert loaded(KUBEFLOW).training_service.worker.memory_size == "8192mb"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("tf-operator", "mpi-operator", "operator: expected one of 'tf-operator', 'pytorch-operator'"),
        ("  worker:", "  master:", "master: tf-operator has no such role, only worker and ps"),
        ("    azureShare: share\n", "", "storage.azureShare: required for the storage type azureStorage"),
        ("azureStorage", "nfs", "storage.server: required for the storage type nfs"),
        ("azureStorage", "nfs", "storage.azureShare: is not for the storage type nfs, got 'share'"),
        ("azureStorage", "azure", "storage.storageType: expected one of 'nfs', 'azureStorage', got 'azure'"),
    ],
)
def test_faults_of_a_kubeflow_section(faults, old, new, expected):
    assert any(fault.startswith(f"trainingService.{expected}") for fault in faults(KUBEFLOW.replace(old, new)))


def test_a_kubeflow_job_needs_a_role(faults):
    service = (
        "{platform: kubeflow, operator: tf-operator, apiVersion: v1, storage: {storageType: nfs, server: a, path: /}}"
    )
    assert faults(f"trainingService: {service}") == [
        "trainingService.worker: required: a job needs at least one role (worker, ps or master)"
    ]


@pytest.mark.parametrize("name", ["minSucceedTaskCount", "minSucceededTaskCount"])
def test_both_spellings_of_the_completion_policy(loaded, name):
    config = loaded(FRAMEWORKCONTROLLER.replace("minSucceedTaskCount", name))
    policy = config.training_service.task_roles[0].framework_attempt_completion_policy
    assert policy.min_succeed_task_count == 2
    assert "minSucceedTaskCount" in str(config.canonical())


def test_frameworkcontroller_takes_a_template_and_a_claim(loaded, faults, directory):
    service = (
        "{platform: frameworkcontroller, configPath: fc.yml, namespace: n, storage: {storageType: pvc, path: /mnt}}"
    )
    assert loaded(f"trainingService: {service}").training_service.config_path == directory / "fc.yml"
    assert faults(f"trainingService: {service.replace('configPath: fc.yml,', '')}") == [
        "trainingService.taskRoles: required: at least one role, or a template in configPath"
    ]


def test_adl_needs_the_address_of_the_manager(faults):
    assert faults(without(ADL, "nniManagerIp")) == ["nniManagerIp: required by adl: its trials report to this address"]


def test_adl_knows_both_spellings_of_the_pull_secrets(loaded):
    config = loaded(ADL.replace("imagePullSecrets", "imagePullSecret"))
    assert [secret.name for secret in config.training_service.image_pull_secrets] == ["stagingsecret"]


def test_adl_secrets_have_a_name_and_nothing_else(faults):
    assert faults(ADL.replace("name: stagingsecret", "nam: stagingsecret"))[0].startswith(
        "trainingService.imagePullSecrets[0].nam: unknown key, did you mean 'name'?"
    )


@pytest.mark.parametrize("port", [0, 65536, "ssh"])
def test_a_port_is_a_port(port):
    with pytest.raises(ConfigError, match="port: expected"):
        RemoteMachineConfig(port=port)


def test_a_list_of_machines_is_not_empty(faults):
    assert faults("trainingService: {platform: remote, machineList: []}") == [
        "trainingService.machineList: expected at least one machine, got an empty list"
    ]
