"""Frees this machine of what experiments left: their directories, and the files that are kept to be used again."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from pathlib import Path

from nni.trial_runner.code_store import cache_directory
from nni.trial_runner.lock import is_held
from nni.trial_runner.mount_programs import MountError
from nni.trial_runner.mounts import sweep
from nni.trial_runner.runner import LOCK


def clean(directory: Path) -> int:
    """Remove all but what belongs to a living runner, and tell about it in a JSON line; returns the exit code."""
    removed, kept, size = [], [], 0
    with contextlib.suppress(MountError, OSError):  # what a runner that was killed had mounted
        sweep()
    for root in sorted(directory.glob("*/*")):
        name = f"{root.parent.name}/{root.name}"
        if is_held(root / LOCK):
            kept.append(name)
        else:
            size += _size(root)
            shutil.rmtree(root, ignore_errors=True)
            removed.append(name)
    if not kept:  # a runner would need the files of its code directory for its next trial
        size += _size(cache_directory())
        shutil.rmtree(cache_directory(), ignore_errors=True)
    for empty in (*directory.glob("*"), directory):
        try:
            empty.rmdir()
        except OSError:
            continue
    sys.stdout.write(json.dumps({"removed": removed, "kept": kept, "bytes": size}) + "\n")
    return 0


def _size(directory: Path) -> int:
    size = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            try:
                size += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118  (there may be many)
            except OSError:
                continue
    return size
