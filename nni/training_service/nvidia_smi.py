"""What ``nvidia-smi`` says of the GPUs, where the driver's library cannot be loaded (WSL, some containers)."""

from __future__ import annotations

import logging
import shutil
import subprocess
from xml.etree import ElementTree as ET

_logger = logging.getLogger(__name__)
_PATIENCE = 20.0  # seconds; it may have to wake the driver


def processes_by_gpu() -> list[frozenset[int]]:
    """Return, for each GPU in the order of its index, the processes that use it; empty where there is no program."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        answer = subprocess.run([program, "-q", "-x"], capture_output=True, timeout=_PATIENCE, check=True).stdout
        return [_processes(gpu) for gpu in ET.fromstring(answer).iter("gpu")]  # noqa: S314  (of the driver)
    except (OSError, subprocess.SubprocessError, ET.ParseError) as error:
        _logger.warning("nvidia-smi tells of no GPU: %s", error)
        return []


def _processes(gpu: ET.Element) -> frozenset[int]:
    found = (pid.text for pid in gpu.iterfind("processes/process_info/pid"))
    return frozenset(int(text) for text in found if text is not None and text.strip().isdigit())
