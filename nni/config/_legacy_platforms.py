"""The schema of NNI 1.x: what each platform has of its own (PLT-135…144)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from nni.config._adl import AdlCheckpointConfig, AdlNfsConfig, AdlPullSecretConfig
from nni.config._errors import Fault
from nni.config._fields import Count, GpuIndices, NonNegative, Port, Text, optional, required, secret
from nni.config._legacy_kubernetes import LegacyFrameworkController, LegacyKubeflow
from nni.config._legacy_model import LegacyConfig, WrittenPath
from nni.config._model import ConfigModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class LegacyTrial(ConfigModel):
    """A trial on this machine or on a remote one."""

    command: Text = required("Command of a trial.", "python3 mnist.py")
    code_dir: WrittenPath = required("Directory of the trial's files.", ".")
    gpu_num: NonNegative = optional("GPUs of a trial.", 0)


class LegacyGpus(ConfigModel):
    """How trials use the GPUs of a machine."""

    gpu_indices: GpuIndices | None = optional("The GPUs that trials may use; absent: all.")
    max_trial_num_per_gpu: Count | None = optional("How many trials may share a GPU; absent: 1.")
    use_active_gpu: bool = optional("Whether trials may use GPUs on which other programs run.", default=False)


class LegacyLocal(LegacyConfig):
    """Trials on this machine (PLT-138)."""

    trial: LegacyTrial = required("What a trial is.", "{command: python3 mnist.py, codeDir: .}")
    local_config: LegacyGpus = optional("How trials use the GPUs.", {})

    moves: ClassVar[Mapping[str, str]] = {
        "localConfig.useActiveGpu": "useActiveGpu",
        "localConfig.maxTrialNumPerGpu": "maxTrialNumberPerGpu",
        "localConfig.gpuIndices": "gpuIndices",
    }


class LegacyMachine(LegacyGpus):
    """One machine of the list (PLT-139)."""

    ip: Text = required("Address or host name.", "192.0.2.1")
    port: Port | None = optional("Port of SSH; absent: 22.")
    username: Text = required("Login name.", "alice")
    passwd: Text | None = secret("Login password.")
    ssh_key_path: WrittenPath | None = optional("Private key.")
    passphrase: Text | None = secret("Passphrase of the key.")
    python_path: Text | None = optional("Directory of the Python environment.")


class LegacyRemoteSection(ConfigModel):
    """What holds for all machines (PLT-140)."""

    reuse: bool = optional("Whether a job runs trial after trial.", default=False)


class LegacyRemote(LegacyConfig):
    """Trials on other machines."""

    trial: LegacyTrial = required("What a trial is.", "{command: python3 mnist.py, codeDir: .}")
    machine_list: list[LegacyMachine] = required("The machines.", "[{ip: 192.0.2.1, username: alice}]")
    remote_config: LegacyRemoteSection = optional("What holds for all machines.", {})

    moves: ClassVar[Mapping[str, str]] = {
        "remoteConfig.reuse": "reuseMode",
        "machineList[].ip": "machineList[].host",
        "machineList[].port": "machineList[].port",
        "machineList[].username": "machineList[].user",
        "machineList[].passwd": "machineList[].password",
        "machineList[].sshKeyPath": "machineList[].sshKeyFile",
        "machineList[].passphrase": "machineList[].sshPassphrase",
        "machineList[].pythonPath": "machineList[].pythonPath",
        "machineList[].useActiveGpu": "machineList[].useActiveGpu",
        "machineList[].maxTrialNumPerGpu": "machineList[].maxTrialNumberPerGpu",
        "machineList[].gpuIndices": "machineList[].gpuIndices",
    }

    def _faults(self) -> Iterator[Fault]:
        yield from super()._faults()
        if self.machine_list is not None and not self.machine_list:
            yield Fault(("machineList",), "expected at least one machine, got an empty list")


class LegacyPaiPort(ConfigModel):
    """One port of a job."""

    label: Text = required("Name of the port.", "metrics")
    begin_at: NonNegative = required("First port; 0 for any.", 0)
    port_number: Count = required("How many ports.", 1)


class LegacyPaiTrial(LegacyTrial):
    """A trial on OpenPAI (PLT-136)."""

    cpu_num: Count = required("CPUs of a trial.", 1)
    memory_mb: Count = required("Memory of a trial in megabytes.", 8192, alias="memoryMB")
    image: Text = required("Image in which trials run.", "msranni/nni:latest")
    auth_file: WrittenPath | None = optional("File with the login of a Docker registry.")
    shm_mb: Count | None = optional("Shared memory in megabytes.", alias="shmMB")
    port_list: list[LegacyPaiPort] | None = optional("Ports of the job.")
    virtual_cluster: Text | None = optional("Virtual cluster; absent: the default one.")
    pai_storage_config_name: Text = required("Name of the storage in OpenPAI.", "confignfs-data")
    nni_manager_nfs_mount_path: WrittenPath = required(
        "Where the storage is mounted on this machine.", "/local/mnt", alias="nniManagerNFSMountPath"
    )
    container_nfs_mount_path: Text = required(
        "Where it is mounted in the container.", "/mnt/data", alias="containerNFSMountPath"
    )


class LegacyPaiSection(ConfigModel):
    """How to reach OpenPAI (PLT-142)."""

    user_name: Text = required("User name in OpenPAI.", "alice")
    password: Text | None = secret("Password of the user.")
    token: Text | None = secret("Token of the user.")
    host: Text = required("Host of OpenPAI.", "10.10.10.10")
    reuse: bool = optional("Whether a job runs trial after trial.", default=False)

    _other_names: ClassVar[Mapping[str, str]] = {"passWord": "password"}  # as the documentation's example has it

    def _faults(self) -> Iterator[Fault]:
        if self.token is None and self.password is None:
            yield Fault(("token",), "required, or password")


_IN_JOB = "only an OpenPAI job (openpaiConfig) can say it"


class LegacyPai(LegacyConfig):
    """Trials on OpenPAI."""

    trial: LegacyPaiTrial = required("What a trial is.", "{command: python3 mnist.py, codeDir: ., cpuNum: 1, ...}")
    pai_config: LegacyPaiSection = required("How to reach OpenPAI.", "{userName: alice, token: ..., host: 10.10.10.10}")

    moves: ClassVar[Mapping[str, str]] = {
        "paiConfig.host": "host",
        "paiConfig.userName": "username",
        "paiConfig.token": "token",
        "paiConfig.password": "password",
        "paiConfig.reuse": "reuseMode",
        "trial.image": "dockerImage",
        "trial.cpuNum": "trialCpuNumber",
        "trial.memoryMB": "trialMemorySize",
        "trial.virtualCluster": "virtualCluster",
        "trial.paiStorageConfigName": "storageConfigName",
        "trial.nniManagerNFSMountPath": "localStorageMountPoint",
        "trial.containerNFSMountPath": "containerStorageMountPoint",
    }
    dropped: ClassVar[Mapping[str, str]] = dict.fromkeys(("trial.authFile", "trial.shmMB", "trial.portList"), _IN_JOB)


class LegacyAmlTrial(ConfigModel):
    """A trial on Azure Machine Learning."""

    command: Text = required("Command of a trial.", "python3 mnist.py")
    code_dir: WrittenPath = required("Directory of the trial's files.", ".")
    gpu_num: NonNegative | None = optional("GPUs of a trial.")
    image: Text | None = optional("Image in which trials run.")


class LegacyAmlSection(ConfigModel):
    """The cluster of Azure Machine Learning (PLT-144)."""

    subscription_id: Text = required("Azure subscription.", "00000000-0000-0000-0000-000000000000")
    resource_group: Text = required("Azure resource group.", "my-group")
    workspace_name: Text = required("Workspace.", "my-workspace")
    compute_target: Text = required("Name of the compute cluster.", "my-cluster")
    max_trial_num_per_gpu: Count | None = optional("How many trials may share a GPU; absent: 1.")
    use_active_gpu: bool | None = optional("Whether trials may use GPUs on which other programs run.")

    # The platform's page has the name of the current schema.
    _other_names: ClassVar[Mapping[str, str]] = {"maxTrialNumberPerGpu": "max_trial_num_per_gpu"}


class LegacyAml(LegacyConfig):
    """Trials on Azure Machine Learning."""

    trial: LegacyAmlTrial = required("What a trial is.", "{command: python3 mnist.py, codeDir: .}")
    aml_config: LegacyAmlSection = required("The cluster.", "{subscriptionId: ..., ...}")

    moves: ClassVar[Mapping[str, str]] = {
        "amlConfig.subscriptionId": "subscriptionId",
        "amlConfig.resourceGroup": "resourceGroup",
        "amlConfig.workspaceName": "workspaceName",
        "amlConfig.computeTarget": "computeTarget",
        "trial.image": "dockerImage",
        "amlConfig.maxTrialNumPerGpu": "maxTrialNumberPerGpu",
        "amlConfig.useActiveGpu": "useActiveGpu",
    }


class LegacyDltsTrial(LegacyTrial):
    """A trial on DLTS (PLT-297)."""

    image: Text = required("Image in which trials run.", "msranni/nni")


class LegacyDltsSection(ConfigModel):
    """The cluster of DLTS."""

    dashboard: Text = required("URL of the cluster's dashboard.", "https://dlts.example.com")


class LegacyDlts(LegacyConfig):
    """Trials on DLTS."""

    trial: LegacyDltsTrial = required("What a trial is.", "{command: python3 mnist.py, codeDir: ., image: msranni/nni}")
    dlts_config: LegacyDltsSection = required("The cluster.", "{dashboard: https://dlts.example.com}")

    moves: ClassVar[Mapping[str, str]] = {"dltsConfig.dashboard": "dashboard", "trial.image": "dockerImage"}


class LegacyAdlTrial(ConfigModel):
    """A trial on AdaptDL (PLT-289, 354, 355)."""

    command: Text = required("Command of a trial.", "python3 main.py")
    code_dir: Text = required("Working directory in the container.", ".")
    image: Text = required("Image in which trials run.", "my/image:1")
    gpu_num: NonNegative = optional("GPUs of a trial.", 0)
    cpu_num: NonNegative | None = optional("CPUs of a trial.")
    memory_size: Text | None = optional("Memory of a trial as Kubernetes writes it.")
    namespace: Text | None = optional("Namespace; absent: default.")
    adaptive: bool | None = optional("Whether a job may be preempted and resized.")
    image_pull_secrets: list[AdlPullSecretConfig] | None = optional("Secrets for a private registry.")
    nfs: AdlNfsConfig | None = optional("An NFS export to mount.")
    checkpoint: AdlCheckpointConfig | None = optional("Storage for checkpoints.")

    _other_names: ClassVar[Mapping[str, str]] = {"imagePullSecret": "image_pull_secrets"}


class LegacyAdl(LegacyConfig):
    """Trials on AdaptDL; their code is in the image, so that no directory is sent."""

    trial: LegacyAdlTrial = required("What a trial is.", "{command: python3 main.py, codeDir: ., image: my/image:1}")

    moves: ClassVar[Mapping[str, str]] = {
        "trial.image": "dockerImage",
        "trial.imagePullSecrets": "imagePullSecrets",
        "trial.namespace": "namespace",
        "trial.adaptive": "adaptive",
        "trial.codeDir": "codeDirectory",
        "trial.cpuNum": "cpuNumber",
        "trial.memorySize": "memorySize",
        "trial.nfs": "nfs",
        "trial.checkpoint": "checkpoint",
    }


_CLASSES: dict[str, type[LegacyConfig]] = {
    "local": LegacyLocal,
    "remote": LegacyRemote,
    "pai": LegacyPai,
    "kubeflow": LegacyKubeflow,
    "frameworkcontroller": LegacyFrameworkController,
    "adl": LegacyAdl,
    "aml": LegacyAml,
    "dlts": LegacyDlts,
}


def legacy_class(data: dict[Any, Any]) -> type[LegacyConfig]:
    """Return the class for the platform of a configuration; the base class if it names none that there is."""
    platform = data.get("trainingServicePlatform", data.get("training_service_platform"))
    return _CLASSES.get(platform, LegacyConfig) if isinstance(platform, str) else LegacyConfig
