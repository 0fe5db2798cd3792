"""Stop an experiment: ask its manager, wait for its lock, and clean up where the manager no longer can (PLT-068).

A signal and not a REST call, so that it works when REST is wedged. A process is signalled only after its command line
has shown that it is this experiment's manager: a reused process id harms nobody.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from nni.common.errors import NniError
from nni.store.registry import ExperimentRegistry, RegistryEntry, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["StopError", "find_manager", "leftovers", "stop_experiment", "terminate"]

GRACE_S = 60.0
"""Seconds for a manager to cancel its trials; they get their own grace period within it."""

_TRIAL_GRACE_S = 5.0
_POLL_S = 0.02


class StopError(NniError):
    """The experiment could not be stopped."""


def stop_experiment(
    entry: RegistryEntry,
    *,
    grace: float = GRACE_S,
    registry: ExperimentRegistry | None = None,
    on_wait: Callable[[float], None] | None = None,
) -> bool:
    """Stop the manager of an experiment and everything it started.

    Parameters
    ----------
    entry
        The experiment.
    grace
        Seconds until a manager that does not end is killed, together with its trials. Default 60.
    registry
        Default: the user's registry.
    on_wait
        Called now and then with the seconds waited so far.

    Returns
    -------
    bool
        True if the manager ended by itself, False if it had to be killed.

    Raises
    ------
    StopError
        It runs, but where cannot be found out, for instance as another user.
    """
    manager = find_manager(entry)
    if manager is None and entry.alive:
        raise StopError(
            f"experiment {entry.id}: a manager holds {entry.directory / '.lock'}, but its process cannot be found; "
            "does it run as another user or in a container?"
        )
    clean = manager is None or _end(manager, entry, grace, on_wait)
    registry = registry or ExperimentRegistry()
    if entry.is_view:  # it has started nothing; trials that outlived their manager are not its own
        registry.end_view(entry.id)
        return clean
    # None after a clean end, but a manager may die of SIGTERM before it listens for it, and a trial's child may have
    # left the trial's process group.
    terminate(leftovers(entry.directory))
    _mark_stopped(entry, registry)
    return clean


def find_manager(entry: RegistryEntry) -> psutil.Process | None:
    """Return the manager process of an experiment: the recorded one if it is that, else by search."""
    if entry.pid is not None:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(entry.pid)
            if _is_manager(process, entry.directory):
                return process
    return next((process for process in psutil.process_iter() if _is_manager(process, entry.directory)), None)


def leftovers(directory: Path) -> list[psutil.Process]:
    """Return the processes of an experiment other than its manager: trials with all their children, and the dispatcher.

    They are known by the environment they were given, which children inherit and no reused process id has.
    """
    own = os.getpid()
    return [
        process for process in psutil.process_iter() if process.pid != own and _belongs(process, directory.absolute())
    ]


def terminate(processes: list[psutil.Process], grace: float = _TRIAL_GRACE_S) -> None:
    """SIGTERM, grace, SIGKILL (PLT-369)."""
    if not processes:
        return
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    for process in psutil.wait_procs(processes, grace)[1]:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, grace)


def _is_manager(process: psutil.Process, directory: Path) -> bool:
    with contextlib.suppress(psutil.Error):
        arguments = process.cmdline()
        if "nni.server" in arguments and "--directory" in arguments:
            named = arguments[arguments.index("--directory") + 1 :][:1]
            return bool(named) and os.path.realpath(named[0]) == os.path.realpath(directory)
    return False


def _belongs(process: psutil.Process, directory: Path) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        environment = process.environ()
        places = (environment.get(name) for name in ("NNI_SYS_DIR", "NNI_LOG_DIRECTORY"))
        return any(place and directory in Path(place).parents for place in places)
    return False


def _end(manager: psutil.Process, entry: RegistryEntry, grace: float, on_wait: Callable[[float], None] | None) -> bool:
    """Send SIGTERM and wait; after the grace period SIGKILL. Returns whether SIGTERM was enough."""
    with contextlib.suppress(psutil.NoSuchProcess):
        manager.terminate()
    if _gone(manager, entry, grace, on_wait):
        return True
    with contextlib.suppress(psutil.NoSuchProcess):
        manager.kill()
    if not _gone(manager, entry, _TRIAL_GRACE_S, None):
        raise StopError(f"experiment {entry.id}: its manager (pid {manager.pid}) survives even SIGKILL")
    return False


def _gone(
    manager: psutil.Process, entry: RegistryEntry, seconds: float, on_wait: Callable[[float], None] | None
) -> bool:
    start = time.monotonic()
    while (waited := time.monotonic() - start) < seconds:
        if not entry.alive and not _runs(manager):
            return True
        if on_wait:
            on_wait(waited)
        time.sleep(_POLL_S)
    return False


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _mark_stopped(entry: RegistryEntry, registry: ExperimentRegistry) -> None:
    """Record the end for a manager that could not do it itself."""
    with contextlib.suppress(RegistryError):
        now = registry.get(entry.id)
        if now.end_time is None:
            registry.update(entry.id, status="STOPPED", end_time=time.time_ns() // 1_000_000)
