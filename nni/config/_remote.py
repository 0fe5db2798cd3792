"""Trials on other machines, reached by SSH."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from nni.config._errors import Fault
from nni.config._fields import Count, GpuIndices, PathField, Port, Text, optional, required, secret
from nni.config._model import ConfigModel
from nni.config._runner_service import RunnerServiceConfig

if TYPE_CHECKING:
    from collections.abc import Iterator


class RemoteMachineConfig(ConfigModel):
    """One machine (PLT-101). A password goes before a key; without either, SSH's own default keys are tried."""

    host: Text = required("IP address or host name.", "192.0.2.1")
    port: Port = optional("Port of the SSH service.", 22)
    user: Text = required("Login name.", "alice")
    password: Text | None = secret("Login password; absent: sshKeyFile is used.")
    ssh_key_file: PathField | None = optional("Private key; only used when there is no password.")
    ssh_passphrase: Text | None = secret("Passphrase of the private key.")
    use_active_gpu: bool = optional("Whether trials may use GPUs on which other programs run.", default=False)
    max_trial_number_per_gpu: Count = optional("How many trials may share one GPU.", 1)
    gpu_indices: GpuIndices | None = optional("The GPUs that trials may use; absent: all.")
    python_path: Text | None = optional(
        "Directory put in front of PATH, to choose a Python environment; several are separated by ';' on Windows.",
        examples=["/opt/python3.11/bin"],
    )


class RemoteConfig(RunnerServiceConfig):
    """Trials run on a list of machines (PLT-100)."""

    platform: Literal["remote"] = optional("Run trials on machines reached by SSH.", "remote")
    machine_list: list[RemoteMachineConfig] = required("The machines.", "[{host: 192.0.2.1, user: alice}]")
    reuse_mode: bool = optional("Whether one long-running job runs trial after trial on a machine.", default=True)
    accept_new_host_keys: bool = optional(
        "Whether the host key of a machine that is not in ~/.ssh/known_hosts yet is noted there instead of refused.",
        default=False,
    )

    def _faults(self) -> Iterator[Fault]:
        if self.machine_list is not None and not self.machine_list:
            yield Fault(("machineList",), "expected at least one machine, got an empty list")
        seen: set[tuple[str | None, int, str | None]] = set()
        for index, machine in enumerate(self.machine_list or []):
            login = (machine.host, machine.port, machine.user)
            if login in seen:
                yield Fault(("machineList", index), "is in the list already: the same host, port and user")
            seen.add(login)
