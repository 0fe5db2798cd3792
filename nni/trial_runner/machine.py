"""What there is on this machine: GPUs and who uses them, processors, memory, disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

from nni.trial_runner.process import group_of
from nni.trial_runner.protocol import Machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

_PATIENCE = 20.0  # seconds; nvidia-smi may have to wake the driver


def look(directory: Path, groups: AbstractSet[int]) -> Machine:
    """Return what there is; processes of `groups` (this experiment's trials) are not told as users of a GPU."""
    pages, free_pages, size = (_sysconf(name) for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES", "SC_PAGE_SIZE"))
    return Machine(
        gpus=[[pid for pid in gpu if group_of(pid) not in {None, *groups}] for gpu in _gpus()],
        cpus=os.cpu_count() or 1,
        memory=pages * size,
        free_memory=free_pages * size,
        load=os.getloadavg()[0],
        free_disk=shutil.disk_usage(directory).free,
    )


def nni_version() -> str | None:
    """Return the version of NNI that trials will import with this Python; None if there is none."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415  (once, and it takes long)

    try:
        return version("nni")
    except PackageNotFoundError:
        return None


def _sysconf(name: str) -> int:
    try:
        return max(0, os.sysconf(name))
    except (ValueError, OSError):
        return 0


def _gpus() -> list[list[int]]:
    """Return, for each GPU in the order of its index, the processes that use it."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run([program, "-q", "-x"], capture_output=True, timeout=_PATIENCE, check=True).stdout
        return [_processes(gpu) for gpu in ET.fromstring(answer).iter("gpu")]  # noqa: S314  (of the driver)
    except (OSError, subprocess.SubprocessError, ET.ParseError):
        return []


def _processes(gpu: ET.Element) -> list[int]:
    found = (pid.text for pid in gpu.iterfind("processes/process_info/pid"))
    return [int(text) for text in found if text is not None and text.strip().isdigit()]
