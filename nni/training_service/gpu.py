"""Which GPUs a trial gets: reading the devices of a machine, and the documented rules of sharing them (PLT-258).

The rules are a pure object, so that they are tested with devices that are not there.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Gpu:
    """One device: its index as CUDA counts them, and the processes that use it."""

    index: int
    processes: frozenset[int] = frozenset()


Reader = Callable[[], list[Gpu]]


def read_devices() -> list[Gpu]:
    """Return this machine's NVIDIA devices; none where there is no driver."""
    import pynvml  # noqa: PLC0415  (only where GPUs are asked for)

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        _logger.debug("the NVIDIA driver's library cannot be used: %s", error)
        from nni.training_service.nvidia_smi import processes_by_gpu  # noqa: PLC0415  (a last resort)

        return [Gpu(index, processes) for index, processes in enumerate(processes_by_gpu())]
    try:
        return [_read_device(pynvml, index) for index in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()


def _read_device(nvml: object, index: int) -> Gpu:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)  # type: ignore[attr-defined]  # the library is untyped
    processes: set[int] = set()
    for kind in ("Compute", "Graphics"):
        try:
            running = getattr(nvml, f"nvmlDeviceGet{kind}RunningProcesses")(handle)
        except nvml.NVMLError:  # type: ignore[attr-defined]  # not every device tells both
            continue
        processes.update(process.pid for process in running)
    return Gpu(index, frozenset(processes))


@dataclass(frozen=True, slots=True)
class GpuRules:
    """What the configuration says.

    Parameters
    ----------
    number
        GPUs for each trial, at least 1 (``trialGpuNumber``).
    indices
        The devices that may be used; None for all (``gpuIndices``).
    per_gpu
        How many trials may share a device (``maxTrialNumberPerGpu``).
    use_active
        Whether devices may be used on which others run something (``useActiveGpu``).
    """

    number: int
    indices: tuple[int, ...] | None = None
    per_gpu: int = 1
    use_active: bool = False


@dataclass(slots=True)
class GpuSchedule:
    """Gives devices to trials and takes them back."""

    rules: GpuRules
    _trials: dict[str, tuple[int, ...]] = field(default_factory=dict)
    _idle_since: OrderedDict[int, None] = field(default_factory=OrderedDict)
    """Devices in the order in which they were last given back; those never used do not appear."""

    def impossible(self, devices: Iterable[Gpu]) -> str | None:
        """Return why no trial could ever run on these devices, None if one could."""
        eligible = [gpu.index for gpu in devices if self._allowed(gpu.index)]
        if len(eligible) >= self.rules.number:
            return None
        allowed = "" if self.rules.indices is None else f" among gpuIndices {list(self.rules.indices)}"
        return f"trialGpuNumber: {self.rules.number} wanted, but this machine has {len(eligible)}{allowed}"

    def place(self, trial_id: str, devices: Iterable[Gpu], is_ours: Callable[[int], bool]) -> tuple[int, ...] | None:
        """Return devices for a trial, None if it must wait: the least used first, then the most recently idle.

        Parameters
        ----------
        devices
            As just read.
        is_ours
            Tells whether a process belongs to a trial of this experiment; any other makes its device active.
        """
        used = self._use()
        free = [
            gpu.index
            for gpu in devices
            if self._allowed(gpu.index)
            and used.get(gpu.index, 0) < self.rules.per_gpu
            and (self.rules.use_active or all(is_ours(process) for process in gpu.processes))
        ]
        if len(free) < self.rules.number:
            return None
        recent = {index: place for place, index in enumerate(reversed(self._idle_since))}
        free.sort(key=lambda index: (used.get(index, 0), recent.get(index, len(recent)), index))
        chosen = tuple(sorted(free[: self.rules.number]))
        self._trials[trial_id] = chosen
        return chosen

    def adopt(self, trial_id: str, indices: tuple[int, ...]) -> None:
        """Take note of devices that a former manager gave to a trial which still runs."""
        self._trials[trial_id] = indices

    def release(self, trial_id: str) -> None:
        """Take a trial's devices back."""
        for index in self._trials.pop(trial_id, ()):
            self._idle_since.pop(index, None)
            self._idle_since[index] = None

    def why_waiting(self, devices: Iterable[Gpu], is_ours: Callable[[int], bool]) -> str:
        """Return, for a person, why a trial gets no device at present."""
        used = self._use()
        reasons = []
        for gpu in devices:
            if not self._allowed(gpu.index):
                continue
            if used.get(gpu.index, 0) >= self.rules.per_gpu:
                reasons.append(f"GPU {gpu.index} runs {used[gpu.index]} of {self.rules.per_gpu}")
            elif not self.rules.use_active and not all(is_ours(process) for process in gpu.processes):
                reasons.append(f"GPU {gpu.index} is used by somebody else")
        return f"no free GPU ({'; '.join(reasons) or 'none found'})"

    def _allowed(self, index: int) -> bool:
        return self.rules.indices is None or index in self.rules.indices

    def _use(self) -> dict[int, int]:
        used: dict[int, int] = {}
        for indices in self._trials.values():
            for index in indices:
                used[index] = used.get(index, 0) + 1
        return used
