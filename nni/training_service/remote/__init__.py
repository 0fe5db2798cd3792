"""Trials on machines that are reached by SSH (PLT-266 … PLT-272). The library for it is loaded here only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nni.common.errors import NniError
from nni.config import RemoteConfig, RemoteMachineConfig
from nni.training_service.gpu import GpuRules
from nni.training_service.pool import PoolSettings, PoolTrainingService
from nni.training_service.remote.login import Login

if TYPE_CHECKING:
    from nni.training_service.remote.site import SshSite

__all__ = ["Login", "remote_service", "remote_sites"]


def remote_service(settings: PoolSettings, config: RemoteConfig) -> PoolTrainingService:
    """
    Return the service for a configuration.

    Parameters
    ----------
    settings
        What does not depend on the machines.
    config
        The ``trainingService`` section.

    Raises
    ------
    NniError
        asyncssh is not installed, or the code directory cannot be sent.
    """
    return PoolTrainingService(settings, remote_sites(settings, config))


def remote_sites(settings: PoolSettings, config: RemoteConfig) -> list[SshSite]:
    """Return the machines of a configuration."""
    try:
        from nni.training_service.remote.site import SshSite  # noqa: PLC0415  (an extra, and slow to import)
    except ImportError as error:
        raise NniError(
            f"trainingService: platform remote needs asyncssh ({error}); install it: pip install 'nni[remote]'"
        ) from error
    sites = []
    for machine in config.machine_list:
        site = SshSite(_login(machine, config), settings.experiment_id, machine.python_path)
        site.gpus = _rules(settings.gpu_number, machine)
        site.is_reused = config.reuse_mode
        sites.append(site)
    return sites


def _login(machine: RemoteMachineConfig, config: RemoteConfig) -> Login:
    return Login(
        machine.host,
        machine.port,
        machine.user,
        machine.password,
        machine.ssh_key_file,
        machine.ssh_passphrase,
        config.accept_new_host_keys,
    )


def _rules(number: int | None, machine: RemoteMachineConfig) -> GpuRules | None:
    if not number:
        return None
    indices = None if machine.gpu_indices is None else tuple(machine.gpu_indices)
    return GpuRules(number, indices, machine.max_trial_number_per_gpu, machine.use_active_gpu)
