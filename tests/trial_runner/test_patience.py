"""Work that does not come back holds nobody up."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from nni.trial_runner.patience import in_time


async def test_what_comes_back_is_returned_or_raised():
    assert await in_time(60, "it", "text".upper) == "TEXT"
    with pytest.raises(ValueError, match="invalid literal"):
        await in_time(60, "it", int, "x")


async def test_what_does_not_come_back_is_an_error_of_the_system():
    done = threading.Event()
    with pytest.raises(OSError, match="the storage does not answer within 0 s"):
        await in_time(0.05, "the storage", done.wait)
    done.set()


def test_a_process_ends_although_its_work_does_not():
    program = (
        "import asyncio, threading\nfrom nni.trial_runner.patience import in_time\n"
        "try:\n    asyncio.run(in_time(0.05, 'it', threading.Event().wait))\nexcept OSError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout == "it does not answer within 0 s\n"
