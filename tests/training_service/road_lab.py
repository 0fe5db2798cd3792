"""What the tests need that take an experiment the whole road, from ``nnictl create`` to ``stop``."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import httpx

PROGRAM = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"


def nnictl(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run nnictl in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False, timeout=180
    )


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return the first answer that says yes."""
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.05)
    return found


def get(port: int, path: str) -> Any:
    """Return what a manager answers."""
    return httpx.get(f"http://127.0.0.1:{port}/api/v1/nni{path}", trust_env=False).json()
