"""A file in the schema of NNI 1.x and its twin of today: the same complete configuration, on every platform."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from nni.config import ConfigError, ExperimentConfig, load

OLD = """\
authorName: default
experimentName: twin
trialConcurrency: 2
maxExecDuration: 1h
maxTrialNum: 20
maxTrialDuration: 10m
searchSpacePath: search_space.json
logDir: results
logLevel: warning
nniManagerIp: 10.1.1.1
tuner:
  builtinTunerName: TPE
  classArgs: {optimize_mode: maximize}
  gpuIndices: 0,1
assessor:
  codeDir: assessors
  classFileName: mine.py
  className: Mine
"""
NEW = """\
experimentName: twin
trialConcurrency: 2
maxExperimentDuration: 1h
maxTrialNumber: 20
maxTrialDuration: 10m
searchSpaceFile: search_space.json
experimentWorkingDirectory: results
logLevel: warning
nniManagerIp: 10.1.1.1
tunerGpuIndices: [0, 1]
tuner:
  name: TPE
  classArgs: {optimize_mode: maximize}
assessor:
  className: mine.Mine
  codeDirectory: assessors
"""


class Twins(NamedTuple):
    old: str
    new: str


TWINS = {
    "local": Twins(
        """
trainingServicePlatform: local
trial: {command: python3 mnist.py, codeDir: code}
""",
        """
trialCommand: python3 mnist.py
trialCodeDirectory: code
trialGpuNumber: 0
trainingService: {platform: local, useActiveGpu: false}
""",
    ),
    "local with GPUs": Twins(
        """
trainingServicePlatform: local
trial: {command: python3 mnist.py, codeDir: code, gpuNum: 1}
localConfig: {gpuIndices: "0,1", maxTrialNumPerGpu: 2, useActiveGpu: true}
""",
        """
trialCommand: python3 mnist.py
trialCodeDirectory: code
trialGpuNumber: 1
trainingService: {platform: local, useActiveGpu: true, maxTrialNumberPerGpu: 2, gpuIndices: [0, 1]}
""",
    ),
    "remote": Twins(
        """
trainingServicePlatform: remote
trial: {command: python3 mnist.py, codeDir: .}
machineList:
  - {ip: 10.10.10.10, username: alice, passwd: secret, gpuIndices: 0, maxTrialNumPerGpu: 3, useActiveGpu: true}
  - {ip: b.example.com, port: 2222, username: bob, sshKeyPath: keys/id, passphrase: qwert, pythonPath: /opt/py/bin}
""",
        """
trialCommand: python3 mnist.py
trialGpuNumber: 0
trainingService:
  platform: remote
  reuseMode: false
  machineList:
    - host: 10.10.10.10
      user: alice
      password: secret
      gpuIndices: 0
      maxTrialNumberPerGpu: 3
      useActiveGpu: true
    - host: b.example.com
      port: 2222
      user: bob
      sshKeyFile: keys/id
      sshPassphrase: qwert
      pythonPath: /opt/py/bin
""",
    ),
    "remote with reuse and shared storage": Twins(
        """
trainingServicePlatform: remote
trial: {command: python3 mnist.py, codeDir: .}
machineList: [{ip: a, username: b}]
remoteConfig: {reuse: true}
sharedStorage:
  storageType: NFS
  localMountPoint: /mnt/nni
  remoteMountPoint: ./nni
  localMounted: usermount
  nfsServer: 10.0.0.1
  exportedDirectory: /exports
""",
        """
trialCommand: python3 mnist.py
trialGpuNumber: 0
trainingService: {platform: remote, reuseMode: true, machineList: [{host: a, user: b}]}
sharedStorage:
  storageType: NFS
  localMountPoint: /mnt/nni
  remoteMountPoint: ./nni
  localMounted: usermount
  nfsServer: 10.0.0.1
  exportedDirectory: /exports
""",
    ),
    "pai": Twins(
        """
trainingServicePlatform: pai
trial:
  command: python3 mnist.py
  codeDir: .
  gpuNum: 1
  cpuNum: 4
  memoryMB: 8196
  image: my/image
  virtualCluster: vc
  paiStorageConfigName: confignfs-data
  nniManagerNFSMountPath: mounted/here
  containerNFSMountPath: /mnt/confignfs-data
paiConfig: {userName: alice, token: secret, host: 10.10.10.10}
""",
        """
trialCommand: python3 mnist.py
trialGpuNumber: 1
trainingService:
  platform: openpai
  reuseMode: false
  host: 10.10.10.10
  username: alice
  token: secret
  trialCpuNumber: 4
  trialMemorySize: 8196mb
  dockerImage: my/image
  virtualCluster: vc
  storageConfigName: confignfs-data
  localStorageMountPoint: mounted/here
  containerStorageMountPoint: /mnt/confignfs-data
""",
    ),
    "kubeflow with NFS": Twins(
        """
trainingServicePlatform: kubeflow
trial:
  codeDir: .
  worker:
    replicas: 2
    command: python3 worker.py
    gpuNum: 1
    cpuNum: 2
    memoryMB: 8196
    image: my/image
    privateRegistryAuthPath: auth/config.json
  ps: {replicas: 1, command: python3 ps.py, gpuNum: 0, memoryMB: 1024, image: my/image}
kubeflowConfig:
  operator: tf-operator
  apiVersion: v1alpha2
  nfs: {server: 10.10.10.10, path: /var/nfs/nni}
""",
        """
trialCommand: python3 worker.py
trainingService:
  platform: kubeflow
  reuseMode: false
  operator: tf-operator
  apiVersion: v1alpha2
  worker:
    replicas: 2
    command: python3 worker.py
    gpuNumber: 1
    cpuNumber: 2
    memorySize: 8196mb
    dockerImage: my/image
    privateRegistryAuthPath: auth/config.json
  ps: {replicas: 1, command: python3 ps.py, gpuNumber: 0, memorySize: 1024, dockerImage: my/image}
  storage: {storageType: nfs, server: 10.10.10.10, path: /var/nfs/nni}
""",
    ),
    "kubeflow with Azure": Twins(
        """
trainingServicePlatform: kubeflow
trial:
  codeDir: .
  master: {replicas: 1, command: python3 master.py, gpuNum: 1, cpuNum: 1, memoryMB: 2048, image: my/image}
  worker: {replicas: 1, command: python3 worker.py, memoryMB: 2048, image: my/image}
kubeflowConfig:
  operator: pytorch-operator
  keyVault: {vaultName: vault, name: entry}
  azureStorage: {accountName: account, azureShare: share}
  uploadRetryCount: 3
""",
        """
trialCommand: python3 master.py
trainingService:
  platform: kubeflow
  reuseMode: false
  operator: pytorch-operator
  apiVersion: v1
  master: {command: python3 master.py, gpuNumber: 1, cpuNumber: 1, memorySize: 2048mb, dockerImage: my/image}
  worker: {command: python3 worker.py, memorySize: 2048mb, dockerImage: my/image}
  storage:
    storageType: azureStorage
    azureAccount: account
    azureShare: share
    keyVaultName: vault
    keyVaultKey: entry
    uploadRetryCount: 3
""",
    ),
    "frameworkcontroller with roles": Twins(
        """
trainingServicePlatform: frameworkcontroller
trial:
  codeDir: .
  taskRoles:
    - name: worker
      taskNum: 2
      command: python3 worker.py
      gpuNum: 1
      cpuNum: 2
      memoryMB: 8192
      image: my/image
      frameworkAttemptCompletionPolicy: {minFailedTaskCount: 1, minSucceededTaskCount: 2}
    - {name: ps, taskNum: 1, command: python3 ps.py, image: my/image}
frameworkcontrollerConfig:
  storage: nfs
  serviceAccountName: framework
  nfs: {server: 10.10.10.10, path: /var/nfs/nni}
""",
        """
trialCommand: python3 worker.py
trainingService:
  platform: frameworkcontroller
  reuseMode: false
  serviceAccountName: framework
  taskRoles:
    - name: worker
      taskNumber: 2
      command: python3 worker.py
      gpuNumber: 1
      cpuNumber: 2
      memorySize: 8192
      dockerImage: my/image
      frameworkAttemptCompletionPolicy: {minFailedTaskCount: 1, minSucceedTaskCount: 2}
    - {name: ps, taskNumber: 1, command: python3 ps.py, dockerImage: my/image}
  storage: {storageType: nfs, server: 10.10.10.10, path: /var/nfs/nni}
""",
    ),
    "frameworkcontroller with a template": Twins(
        """
trainingServicePlatform: frameworkcontroller
trial: {codeDir: .}
frameworkcontrollerConfig: {configPath: fc_template.yml, storage: pvc, namespace: pipelines, pvc: {path: /mnt/data}}
""",
        """
trainingService:
  platform: frameworkcontroller
  reuseMode: false
  configPath: fc_template.yml
  namespace: pipelines
  storage: {storageType: pvc, path: /mnt/data}
""",
    ),
    "adl": Twins(
        """
trainingServicePlatform: adl
logCollection: http
trial:
  command: python main.py
  codeDir: work
  gpuNum: 1
  cpuNum: 1
  memorySize: 8Gi
  image: my/image
  imagePullSecret: [{name: stagingsecret}]
  namespace: experiments
  adaptive: true
  nfs: {server: 10.20.41.55, path: /, containerMountPath: /nfs}
  checkpoint: {storageClass: dfs, storageSize: 1Gi}
""",
        """
trialCommand: python main.py
trialGpuNumber: 1
trainingService:
  platform: adl
  codeDirectory: work
  cpuNumber: 1
  memorySize: 8Gi
  dockerImage: my/image
  imagePullSecrets: [{name: stagingsecret}]
  namespace: experiments
  adaptive: true
  nfs: {server: 10.20.41.55, path: /, containerMountPath: /nfs}
  checkpoint: {storageClass: dfs, storageSize: 1Gi}
""",
    ),
    "aml": Twins(
        """
trainingServicePlatform: aml
trial: {command: python3 mnist.py, codeDir: ., image: my/image}
amlConfig:
  subscriptionId: subscription
  resourceGroup: group
  workspaceName: workspace
  computeTarget: target
  maxTrialNumPerGpu: 2
  useActiveGpu: true
""",
        """
trialCommand: python3 mnist.py
trainingService:
  platform: aml
  dockerImage: my/image
  subscriptionId: subscription
  resourceGroup: group
  workspaceName: workspace
  computeTarget: target
  maxTrialNumberPerGpu: 2
  useActiveGpu: true
""",
    ),
    "dlts": Twins(
        """
trainingServicePlatform: dlts
trial: {command: python3 mnist.py, codeDir: ., gpuNum: 1, image: my/image}
dltsConfig: {dashboard: "https://dlts.example.com"}
""",
        """
trialCommand: python3 mnist.py
trialGpuNumber: 1
trainingService: {platform: dlts, dashboard: "https://dlts.example.com", dockerImage: my/image}
""",
    ),
}


@pytest.mark.parametrize("name", TWINS)
def test_a_file_and_its_twin_are_the_same_configuration(loaded, name):
    old = loaded(OLD + TWINS[name].old, whole=True).canonical()
    assert old == loaded(NEW + TWINS[name].new, whole=True).canonical()
    assert ExperimentConfig.from_dict(old).canonical() == old


@pytest.mark.parametrize("name", TWINS)
def test_secrets_are_hidden_wherever_they_come_from(loaded, name):
    shown = str(loaded(OLD + TWINS[name].old, whole=True).redacted())
    assert "'secret'" not in shown
    assert "qwert" not in shown


@pytest.mark.parametrize("name", TWINS)
def test_whatever_is_removed_from_a_section_the_fault_is_in_the_words_of_the_file(directory, name):
    """Removing any line gives a configuration that is right, or faults whose keys are of the old schema."""
    lines = (OLD + TWINS[name].old).splitlines()
    new_words = ("trainingService.", "trialCommand", "trialCodeDirectory", "trialGpuNumber", "searchSpaceFile")
    for index in range(len(lines)):
        (directory / "config.yml").write_text("\n".join([*lines[:index], *lines[index + 1 :]]))
        found = faults_in(directory / "config.yml")
        assert not any(word in fault for fault in found for word in new_words), found


def faults_in(file: Path) -> list[str]:
    try:
        load(file)
    except ConfigError as error:
        return [str(fault) for fault in error.faults]
    return []


@pytest.mark.parametrize(
    ("platform", "more", "fault"),
    [
        ("remote", "machineList: []", "machineList: expected at least one machine, got an empty list"),
        ("remote", "machineList: [{username: b}]", "machineList[0].ip: required"),
        ("remote", "machineList: [{host: a, username: b}]", "machineList[0].host: unknown key, did you mean 'ip'?"),
        ("remote", "machineList: [{ip: a, username: b, port: 0}]", "machineList[0].port: expected at least 1, got 0"),
        ("remote", "machineList: [{ip: a}]", "machineList[0].username: required"),
        ("remote", "localConfig: {useActiveGpu: true}", "localConfig: is for trainingServicePlatform: local only"),
        ("remote", "remoteConfig: {reuseMode: true}", "remoteConfig.reuseMode: unknown key, did you mean 'reuse'?"),
        ("pai", "paiConfig: {userName: a, host: b}", "paiConfig.token: required, or password"),
        ("pai", "paiConfig: {userName: a, host: b, token: c, username: d}", "paiConfig.username: unknown key"),
        ("pai", "trial: {command: x}", "trial.codeDir: required"),
        ("kubeflow with NFS", "trial: {codeDir: .}", "trial.worker: required: a job needs at least one role"),
        (
            "kubeflow with NFS",
            "kubeflowConfig: {operator: mpi-operator}",
            "kubeflowConfig.operator: expected one of 'tf-operator', 'pytorch-operator'",
        ),
        (
            "kubeflow with NFS",
            "kubeflowConfig: {operator: tf-operator, storage: azureStorage}",
            "kubeflowConfig.keyVault: required for storage: azureStorage",
        ),
        (
            "kubeflow with NFS",
            "kubeflowConfig: {operator: tf-operator, nfs: {server: a, path: /}, azureStorage: {azureShare: b}}",
            "kubeflowConfig.azureStorage: is for storage: azureStorage only, not for nfs",
        ),
        (
            "kubeflow with NFS",
            "kubeflowConfig: {operator: pytorch-operator, nfs: {server: a, path: /}}",
            "trial.ps: pytorch-operator has no such role, only worker and master",
        ),
        (
            "kubeflow with NFS",
            "sharedStorage: {storageType: NFS}",
            "sharedStorage: needs the reuse mode of kubeflow, which only the current schema has",
        ),
        (
            "frameworkcontroller with a template",
            "frameworkcontrollerConfig: {storage: pvc, pvc: {path: /}}",
            "trial.taskRoles: required: at least one role, or a template (configPath)",
        ),
        (
            "frameworkcontroller with roles",
            "frameworkcontrollerConfig: {configPath: a.yml, storage: pvc, pvc: {path: /}}",
            "frameworkcontrollerConfig.configPath: give either taskRoles or configPath, not both",
        ),
        ("frameworkcontroller with roles", "frameworkcontrollerConfig: {}", "frameworkcontrollerConfig.nfs: required"),
        ("adl", "nniManagerIp:", "nniManagerIp: required by adl"),
        ("aml", "amlConfig: {subscriptionId: a}", "amlConfig.resourceGroup: required"),
        ("dlts", "dltsConfig: {dashboard: }", "dltsConfig.dashboard: required"),
        (
            "remote with reuse and shared storage",
            "remoteConfig: {reuse: false}",
            "remoteConfig.reuse: must be true with sharedStorage",
        ),
    ],
)
def test_a_mistake_in_a_section_is_named_in_the_words_of_the_file(faults, platform, more, fault):
    text = "".join(
        f"{key}{block}" for key, block in blocks(OLD + TWINS[platform].old).items() if key != more.partition(":")[0]
    )
    found = faults(f"{text}{more}\n", whole=True)
    assert any(one.startswith(fault) for one in found), found


def blocks(text: str) -> dict[str, str]:
    """Return the rest of each top-level key by its name."""
    found: dict[str, str] = {}
    key = ""
    for line in filter(None, text.splitlines()):
        if not line.startswith(" "):
            key = line.partition(":")[0]
            found[key] = ""
        found[key] += line.removeprefix(key) + "\n"
    return found


def test_what_only_an_openpai_job_could_say_is_a_warning(loaded, caplog):
    text = TWINS["pai"].old.replace("  virtualCluster", "  shmMB: 512\n  authFile: auth\n  virtualCluster")
    text = text.replace("  virtualCluster", "  portList: [{label: a, beginAt: 0, portNumber: 1}]\n  virtualCluster")
    loaded(OLD + text, whole=True)
    for key in ("shmMB", "authFile", "portList"):
        assert f"trial.{key}: has no place in the current schema" in caplog.text


def test_a_password_of_openpai_is_kept_for_requesting_a_token(loaded):
    text = TWINS["pai"].old.replace("token: secret", "passWord: secret")
    service = loaded(OLD + text, whole=True).training_service
    assert (service.password, service.token) == ("secret", None)


def test_the_version_of_kubeflow_that_is_assumed_is_told(loaded, caplog):
    loaded(OLD + TWINS["kubeflow with Azure"].old, whole=True)
    assert "kubeflowConfig.apiVersion: not given, 'v1' is assumed" in caplog.text
