"""The GPUs of this machine, shared among the trials of one experiment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from nni.training_service.gpu import GpuRules, GpuSchedule, Reader, read_devices
from nni.trial_runner.script import TrialFiles


class LocalGpus:
    """Places trials on devices, and remembers on the disk where, so that the next manager knows it too.

    Parameters
    ----------
    rules
        What the configuration says.
    read
        Returns the devices and their processes; replaced in tests.
    groups
        Returns the process groups of this experiment's running trials: their processes do not make a device active.
    """

    def __init__(self, rules: GpuRules, groups: Callable[[], Iterable[int]], read: Reader = read_devices) -> None:
        self._schedule = GpuSchedule(rules)
        self._groups = groups
        self._read = read

    def place(self, trial_id: str, files: TrialFiles) -> str | None:
        """Give a trial its devices; returns why it has to wait, None if it need not."""
        devices, is_ours = self._read(), self._is_ours()
        chosen = self._schedule.place(trial_id, devices, is_ours)
        if chosen is None:
            return self._schedule.impossible(devices) or self._schedule.why_waiting(devices, is_ours)
        files.gpus.parent.mkdir(parents=True, exist_ok=True)
        files.gpus.write_text(",".join(map(str, chosen)))
        return None

    def adopt(self, trial_id: str, files: TrialFiles) -> None:
        """Take note of what a former manager gave to a trial."""
        text = self.visible(files)
        self._schedule.adopt(trial_id, tuple(int(index) for index in text.split(",") if index))

    def release(self, trial_id: str) -> None:
        """Take a trial's devices back."""
        self._schedule.release(trial_id)

    @staticmethod
    def visible(files: TrialFiles) -> str:
        """Return a placed trial's ``CUDA_VISIBLE_DEVICES``."""
        return files.gpus.read_text() if files.gpus.exists() else ""

    def _is_ours(self) -> Callable[[int], bool]:
        groups = set(self._groups())

        def is_ours(process: int) -> bool:
            try:
                return os.getpgid(process) in groups
            except ProcessLookupError:  # it ended meanwhile, so it uses nothing any more
                return True

        return is_ours
