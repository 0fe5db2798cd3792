"""Builds the training service that a configuration asks for; what a platform brings is loaded only for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nni.common.durations import parse_duration
from nni.common.errors import NniError
from nni.config import ExperimentConfig, LocalConfig, TrainingServiceConfig
from nni.training_service import TrainingService
from nni.training_service.gpu import GpuRules, GpuSchedule, read_devices
from nni.training_service.local import LocalSettings, LocalTrainingService, LogLimit

if TYPE_CHECKING:
    from nni.training_service.shared_storage import SharedStorage


def training_service(experiment_id: str, directory: Path, config: ExperimentConfig) -> TrainingService:
    """
    Return the service of an experiment.

    Parameters
    ----------
    experiment_id
        Its id.
    directory
        Its own directory.
    config
        Checked.

    Raises
    ------
    NniError
        Trials could not run there.
    """
    sections = config.training_services
    if len(sections) == 1:
        return _service(experiment_id, directory, config, sections[0])
    from nni.training_service.hybrid import HybridTrainingService  # noqa: PLC0415

    services = {
        f"{index}-{section.platform}": _service(experiment_id, directory, config, section)
        for index, section in enumerate(sections)
    }
    return HybridTrainingService(directory, services)


def _service(
    experiment_id: str, directory: Path, config: ExperimentConfig, section: TrainingServiceConfig
) -> TrainingService:
    if isinstance(section, LocalConfig):
        return _local(experiment_id, directory, config, section)
    return _pool(experiment_id, directory, config, section)


def _local(experiment_id: str, directory: Path, config: ExperimentConfig, section: LocalConfig) -> TrainingService:
    rules = gpu_rules(config, section)
    if rules is not None and (problem := GpuSchedule(rules).impossible(read_devices())):
        raise NniError(problem)
    settings = LocalSettings(
        experiment_id,
        directory,
        config.trial_command,
        config.trial_code_directory,
        config.trial_gpu_number,
        tuple(section.preload or ()),
        rules,
        log_limit=_log_limit(config),
    )
    return LocalTrainingService(settings)


def _pool(
    experiment_id: str, directory: Path, config: ExperimentConfig, section: TrainingServiceConfig
) -> TrainingService:
    # And what they bring, for those who need it.
    from nni.config import RayConfig, RemoteConfig, RunnerServiceConfig, SlurmConfig  # noqa: PLC0415
    from nni.training_service.custom import CustomServiceConfig  # noqa: PLC0415
    from nni.training_service.pool import PoolSettings  # noqa: PLC0415

    settings = PoolSettings(
        experiment_id,
        directory,
        config.trial_command,
        config.trial_code_directory,
        section.platform,
        config.trial_gpu_number,
        log_limit=_log_limit(config),
        storage=_storage(experiment_id, directory, config),
    )
    if isinstance(section, RunnerServiceConfig):
        lost_after = parse_duration(section.lost_after)
        settings = replace(settings, lost_after=lost_after, reruns=section.rerun_lost_trials)
    if isinstance(section, CustomServiceConfig):
        return section.checked_service(settings)
    if isinstance(section, SlurmConfig):
        from nni.training_service.slurm import slurm_service  # noqa: PLC0415

        return slurm_service(settings, section)
    if isinstance(section, RayConfig):
        from nni.training_service.ray import ray_service  # noqa: PLC0415

        return ray_service(settings, section)
    from nni.training_service.remote import remote_service  # noqa: PLC0415

    assert isinstance(section, RemoteConfig)
    return remote_service(settings, section)


def gpu_rules(config: ExperimentConfig, section: LocalConfig) -> GpuRules | None:
    """Return how a configuration wants GPUs to be given to trials; None where they are not scheduled (PLT-081)."""
    number = config.trial_gpu_number
    if not number:
        return None
    indices = None if section.gpu_indices is None else tuple(section.gpu_indices)
    return GpuRules(number, indices, section.max_trial_number_per_gpu, bool(section.use_active_gpu))


def _storage(experiment_id: str, directory: Path, config: ExperimentConfig) -> SharedStorage | None:
    if config.shared_storage is None:
        return None
    from nni.training_service.shared_storage import SharedStorage  # noqa: PLC0415

    return SharedStorage(experiment_id, directory, config.shared_storage)


def _log_limit(config: ExperimentConfig) -> LogLimit | None:
    size = config.effective_trial_log_limit
    return None if size is None else LogLimit(size, f"trialLogLimit: {config.trial_log_limit or 'by default 1gb'}")
