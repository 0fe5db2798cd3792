"""What must hold between the fields of an experiment configuration, whatever the surroundings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nni.config._errors import Fault
from nni.config._function import is_function
from nni.config._local import LocalConfig
from nni.config._training_service import HYBRID_PLATFORMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from nni.config._errors import KeyPath
    from nni.config._experiment import ExperimentConfig
    from nni.config._training_service import TrainingServiceConfig


def faults(config: ExperimentConfig) -> Iterator[Fault]:
    """Yield everything that is contradictory."""
    yield from _search_space(config)
    yield from _algorithms(config)
    yield from _optimize_mode(config)
    yield from _function(config)
    yield from _hybrid(config)
    for path, service in services(config):
        yield from _gpus(config, path, service)
        yield from _platform(config, path, service)
    yield from _shared_storage(config)


def services(config: ExperimentConfig) -> list[tuple[KeyPath, TrainingServiceConfig]]:
    """Return the training services with their key paths."""
    found = config.training_services
    if isinstance(config.training_service, list):
        return [(("trainingService", index), service) for index, service in enumerate(found)]
    return [(("trainingService",), service) for service in found]


def _search_space(config: ExperimentConfig) -> Iterator[Fault]:
    """PLT-076, 077, 086."""
    given = [
        name
        for name, value in (("searchSpace", config.search_space), ("searchSpaceFile", config.search_space_file))
        if value is not None
    ]
    if len(given) == 2:
        yield Fault(("searchSpaceFile",), "give either searchSpace or searchSpaceFile, not both")
    if config.use_annotation:
        for name in given:
            yield Fault((name,), "must not be given with useAnnotation: the search space comes from the annotations")


def _algorithms(config: ExperimentConfig) -> Iterator[Fault]:
    """PLT-091, 360; HPO-187, 448."""
    if config.tuner and config.tuner.name == "PBTTuner" and config.assessor and config.assessor.is_configured:
        yield Fault(("assessor",), "must not be given with PBTTuner, which needs all of its trials to finish")
    if config.advisor is None or not config.advisor.is_configured:
        return
    for name, algorithm in (("tuner", config.tuner), ("assessor", config.assessor)):
        if algorithm is not None and algorithm.is_configured:
            yield Fault((name,), "must not be given with an advisor, which is tuner and assessor in one")


def _optimize_mode(config: ExperimentConfig) -> Iterator[Fault]:
    """Yield where the best trial would be another one than what an algorithm looks for."""
    if config.optimize_mode is None:
        return
    for name in ("tuner", "assessor", "advisor"):
        algorithm = getattr(config, name)
        told = algorithm.class_args.get("optimize_mode") if algorithm else None
        if told not in (None, config.optimize_mode):
            yield Fault(
                ("optimizeMode",),
                f"{config.optimize_mode!r} contradicts {name}.classArgs.optimize_mode, which is {told!r}",
            )


def _function(config: ExperimentConfig) -> Iterator[Fault]:
    """Yield what a Python function as trial command cannot have."""
    if config.trial_command is None or not is_function(config.trial_command):
        return
    for path, service in services(config):
        if service.platform != "local":
            yield Fault((*path, "platform"), "a Python function runs on this machine only: 'local'")
        elif getattr(service, "preload", None):
            yield Fault((*path, "preload"), "is for scripts; what a function imports stays loaded between its trials")
    if config.trial_gpu_number:
        yield Fault(
            ("trialGpuNumber",),
            "GPUs are not scheduled for a Python function, which sees all of them (or none, with 0); "
            "give a trialCommand to have them assigned",
        )


def _hybrid(config: ExperimentConfig) -> Iterator[Fault]:
    """PLT-108."""
    if not isinstance(config.training_service, list):
        return
    if not config.training_service:
        yield Fault(("trainingService",), "expected at least one training service, got an empty list")
    platforms = [service.platform for service in config.training_service]
    for index, platform in enumerate(platforms):
        path = ("trainingService", index, "platform")
        if platform not in HYBRID_PLATFORMS:
            allowed = ", ".join(map(repr, HYBRID_PLATFORMS))
            yield Fault(path, f"{platform!r} cannot be one of several training services, only {allowed} can")
        elif platform == "local" and "local" in platforms[:index]:
            yield Fault(path, "'local' is in the list already; both would use the same machine")
        elif platform == "ray":
            yield from _same_ray(config.training_service[: index + 1])


def _same_ray(sections: list[TrainingServiceConfig]) -> Iterator[Fault]:
    """Tell if the last section is one that would get the runners, or the Ray, of an earlier one."""
    from nni.config._ray import RayConfig  # noqa: PLC0415  (loaded already: one of them is one)

    path = ("trainingService", len(sections) - 1)
    *earlier, last = [section for section in sections if isinstance(section, RayConfig)]
    if last in earlier:
        yield Fault((*path, "platform"), "the same 'ray' is in the list already")
    elif last.address is None and any(other.address is None for other in earlier):
        yield Fault((*path, "address"), "required: a Ray of its own is started for an earlier one in the list already")


def _gpus(config: ExperimentConfig, path: KeyPath, service: TrainingServiceConfig) -> Iterator[Fault]:
    """PLT-081, 263, 338, 340: only a missing choice is wrong, false is a choice; 0 GPUs is not absent."""
    if not isinstance(service, LocalConfig) or not config.trial_gpu_number:
        return
    if service.use_active_gpu is None:
        yield Fault(
            (*path, "useActiveGpu"),
            "must be true or false when trialGpuNumber is greater than 0 "
            "(true: trials may use GPUs on which other programs run)",
        )
    indices = service.gpu_indices
    if indices is not None and len(indices) < config.trial_gpu_number:
        yield Fault(
            (*path, "gpuIndices"),
            f"names {len(indices)} GPUs, fewer than the {config.trial_gpu_number} of trialGpuNumber: "
            "no trial could ever start",
        )


def _platform(config: ExperimentConfig, path: KeyPath, service: TrainingServiceConfig) -> Iterator[Fault]:
    """Yield what single platforms demand of the whole experiment."""
    if service.platform == "adl" and config.nni_manager_ip is None:
        yield Fault(("nniManagerIp",), "required by adl: its trials report to this address")  # PLT-288
    mount = getattr(service, "local_storage_mount_point", None) if service.platform == "dlc" else None
    if mount is not None and mount not in (directory := config.experiment_working_directory).parents:
        yield Fault(
            ("experimentWorkingDirectory",),  # PLT-300
            f"must lie inside of the storage that dlc mounts ({path[0]}.localStorageMountPoint: {mount}), "
            f"got '{directory}'",
        )


def _shared_storage(config: ExperimentConfig) -> Iterator[Fault]:
    """PLT-093, 110, 318."""
    storage = config.shared_storage
    if storage is None:
        return
    for path, service in services(config):
        if getattr(service, "reuse_mode", True) is False:
            yield Fault((*path, "reuseMode"), "must be true with sharedStorage")
    if config.training_services and all(isinstance(service, LocalConfig) for service in config.training_services):
        yield Fault(("sharedStorage",), "is for other machines; local trials share this one's disk already")
    mount, code = storage.local_mount_point, config.trial_code_directory
    if mount is not None and (mount == code or code in mount.parents):
        yield Fault(
            ("sharedStorage", "localMountPoint"),
            f"must lie outside of trialCodeDirectory ('{code}'), because the code is copied into it, got '{mount}'",
        )
