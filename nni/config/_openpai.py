"""Trials as jobs of OpenPAI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from nni.config._errors import Fault
from nni.config._fields import Count, MemorySize, PathField, Text, optional, required, secret
from nni.config._training_service import TrainingServiceConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNLESS_IN_JOB = {"trial_cpu_number": "1", "trial_memory_size": "8gb", "storage_config_name": "my-storage"}
"""Fields that an OpenPAI job description may give instead (PLT-276, 341), with an example each."""


class OpenpaiConfig(TrainingServiceConfig):
    """
    Trials run as jobs of OpenPAI (PLT-102, 276).

    With `openpai_config` or `openpai_config_file`, a whole OpenPAI job, what that job says about image, resources
    and storage need not be repeated; what is given here goes before it.
    """

    platform: Literal["openpai"] = optional("Run trials on OpenPAI.", "openpai")
    host: Text = required("Host of OpenPAI; https unless it starts with http://.", "https://pai.example.com")
    username: Text = required("User name in OpenPAI.", "alice")
    token: Text = secret("Token from the user's settings page in OpenPAI.", is_required=True)
    password: Text | None = secret("Password with which a token is requested; from configurations of NNI 1.x.")
    trial_cpu_number: Count | None = optional("CPUs for each trial; required unless the OpenPAI job gives it.")
    trial_memory_size: MemorySize | None = optional("Memory for each trial; required unless the OpenPAI job gives it.")
    storage_config_name: Text | None = optional(
        "Name of the storage in OpenPAI; required unless the OpenPAI job gives it."
    )
    docker_image: Text = optional("Image in which trials run.", "msranni/nni:latest")
    virtual_cluster: Text | None = optional("Virtual cluster of OpenPAI; absent: the default one.")
    local_storage_mount_point: PathField = required("Where the storage is mounted on this machine.", "/mnt/pai")
    container_storage_mount_point: Text = required("Where it is mounted in the container; absolute.", "/mnt/pai")
    reuse_mode: bool = optional("Whether one long-running job runs trial after trial.", default=True)
    openpai_config: dict[str, Any] | None = optional("An OpenPAI job.")
    openpai_config_file: PathField | None = optional("YAML file with an OpenPAI job; instead of openpaiConfig.")

    @property
    def has_job(self) -> bool:
        """Whether an OpenPAI job is given, inline or as a file."""
        return self.openpai_config is not None or self.openpai_config_file is not None

    def _is_needed(self, name: str) -> bool:
        return name != "token" or self.password is None  # PLT-142

    def _is_written(self, name: str) -> bool:
        # The default image must not override the job's own one, also after saving and loading.
        is_default_image = name == "docker_image" and name not in self.model_fields_set
        return super()._is_written(name) and not (is_default_image and self.has_job)

    def _faults(self) -> Iterator[Fault]:
        if self.openpai_config is not None and self.openpai_config_file is not None:
            yield Fault(("openpaiConfigFile",), "give either openpaiConfig or openpaiConfigFile, not both")
        for name, example in _UNLESS_IN_JOB.items():
            if getattr(self, name) is None and not self.has_job:
                alias = type(self).model_fields[name].alias or name
                yield Fault(
                    (alias,), f"required unless openpaiConfig or openpaiConfigFile gives it, such as {example!r}"
                )
        mount = self.container_storage_mount_point
        if mount is not None and not mount.startswith("/"):
            yield Fault(("containerStorageMountPoint",), f"expected an absolute path, got {mount!r}")
