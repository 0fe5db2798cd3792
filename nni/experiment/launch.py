"""Start the manager of an experiment, and wait until it answers or says why not.

Light on purpose: the manager is spawned before the launcher imports anything that talks HTTP or draws tables.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import string
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nni.experiment._manager_process import (
    Launched,
    LaunchError,
    LaunchOptions,
    LaunchStep,
    ManagerCrashError,
    ManagerProcess,
)
from nni.experiment._port import require_free_port
from nni.store.registry import ExperimentRegistry, RegistryEntry
from nni.store.salvage import entry_of, platform_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LaunchError", "LaunchOptions", "LaunchStep", "Launched", "ManagerCrashError", "create", "resume", "view"]

_ID_LENGTH = 8


def create(
    config: Mapping[str, Any],
    options: LaunchOptions | None = None,
    *,
    notify: Callable[[LaunchStep, str], None] | None = None,
    registry: ExperimentRegistry | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Launched:
    """Create an experiment and start its manager.

    Parameters
    ----------
    config
        Canonical v2 config: camelCase keys, absolute paths, already validated. With ``useAnnotation``, what is started
        is a converted copy of the trial code, in the experiment's directory.
    options
        How to start the manager. Default: port 8080.
    notify
        Called with each step and the experiment id, for progress.
    registry
        Default: the user's registry.
    files
        What to put into the experiment's directory first, by path in it; for this user's eyes only. Default: nothing.

    Returns
    -------
    Launched
        Once REST answers. There is no time limit while the manager process lives.

    Raises
    ------
    LaunchError
        The port is taken or the manager refused the config; nothing is left behind.
    ManagerCrashError
        The manager died; directory and logs are kept for a look.
    """
    options, registry = options or LaunchOptions(), registry or ExperimentRegistry()
    require_free_port(options.port, registry, options.host)
    config = {**config, "debug": True} if options.debug else dict(config)
    entry = _reserve(config, options, registry)
    try:
        (entry.directory / "log").mkdir()
        _put_files(entry.directory, files or {})
        config = _without_annotations(config, entry.directory)
        registry.add(entry)
        if notify:
            notify(LaunchStep.CREATED, entry.id)
        return ManagerProcess(entry, "create", _with_level(options, config), registry, notify).run(json.dumps(config))
    except ManagerCrashError:
        raise
    except BaseException:
        # A user error or Ctrl-C: the experiment never was.
        registry.remove(entry.id)
        shutil.rmtree(entry.directory, ignore_errors=True)
        raise


def _put_files(directory: Path, files: Mapping[str, bytes]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)  # for nobody else, from its first moment
        path.write_bytes(content)


def resume(
    experiment_id: str,
    options: LaunchOptions | None = None,
    *,
    directory: Path | None = None,
    notify: Callable[[LaunchStep, str], None] | None = None,
    registry: ExperimentRegistry | None = None,
) -> Launched:
    """Start the manager of a stopped experiment again.

    Parameters
    ----------
    experiment_id
        Id of the experiment.
    options
        How to start the manager. Default: port 8080.
    directory
        The experiment's own directory, or the directory that holds it, when it is not in the registry (PLT-028).
    notify, registry
        As for :func:`create`.

    Raises
    ------
    LaunchError
        Unknown or running experiment, no such directory, port taken, or the manager refused.
    ManagerCrashError
        The manager died while starting.
    """
    options, registry = options or LaunchOptions(), registry or ExperimentRegistry()
    before = registry.find(experiment_id)
    entry = _stopped_entry(experiment_id, before, directory, registry)
    require_free_port(options.port, registry, options.host)
    entry = replace(_starting(entry, options), end_time=None)
    registry.put(entry)
    try:
        return _start_again(entry, "resume", options, registry, notify)
    except ManagerCrashError:
        raise
    except BaseException:
        registry.put(before) if before else registry.remove(experiment_id)
        raise


def view(
    experiment_id: str,
    options: LaunchOptions | None = None,
    *,
    directory: Path | None = None,
    notify: Callable[[LaunchStep, str], None] | None = None,
    registry: ExperimentRegistry | None = None,
) -> Launched:
    """Serve a stopped experiment without changing anything of it (PLT-029, PLT-389).

    While it is viewed it stands in the list of experiments as VIEWED; afterwards the list is as it was before, also if
    `directory` is a copy of an experiment that is in the list.

    Parameters
    ----------
    experiment_id, options, directory, notify, registry
        As for :func:`resume`.

    Raises
    ------
    LaunchError
        Unknown or running experiment, no such directory, port taken, or its database cannot be read.
    ManagerCrashError
        The process died while starting.
    """
    options, registry = options or LaunchOptions(), registry or ExperimentRegistry()
    before = registry.find(experiment_id)
    if before is not None and before.alive:  # its place in the list is taken, whichever directory is asked for
        raise LaunchError(_busy(before, "view"))
    entry = _stopped_entry(experiment_id, before, directory, registry, "view")
    require_free_port(options.port, registry, options.host)
    entry = _starting(entry, options).as_view(before)
    registry.put(entry)
    try:
        return _start_again(entry, "view", options, registry, notify)
    except BaseException:
        registry.end_view(experiment_id)
        raise


def _starting(entry: RegistryEntry, options: LaunchOptions) -> RegistryEntry:
    return replace(
        entry, status="INITIALIZED", port=options.port, pid=os.getpid(), urls=[], url_prefix=options.url_prefix
    )


def _start_again(
    entry: RegistryEntry,
    action: str,
    options: LaunchOptions,
    registry: ExperimentRegistry,
    notify: Callable[[LaunchStep, str], None] | None,
) -> Launched:
    try:
        (entry.directory / "log").mkdir(exist_ok=True)
        if not os.access(entry.directory / "log", os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise LaunchError(
            f"{entry.directory}: cannot be written ({error.strerror}), and a lock has to be put there; "
            f"copy it, and name the copy with --experiment_dir"
        ) from None
    if notify:
        notify(LaunchStep.CREATED, entry.id)
    return ManagerProcess(entry, action, _with_level(options, {}), registry, notify).run(None)


def _with_level(options: LaunchOptions, config: Mapping[str, Any]) -> LaunchOptions:
    level = "debug" if options.debug else options.log_level or config.get("logLevel")
    return replace(options, log_level=level)


def _reserve(config: Mapping[str, Any], options: LaunchOptions, registry: ExperimentRegistry) -> RegistryEntry:
    """Make the directory of an experiment under an id that is new, and return its entry for the registry."""
    root = Path(config["experimentWorkingDirectory"])
    while True:
        experiment_id = _new_id()
        if registry.find(experiment_id):
            continue
        try:
            (root / experiment_id).mkdir(parents=True)
        except FileExistsError as error:
            if root.is_dir():
                continue
            raise LaunchError(f"experimentWorkingDirectory: {root} is not a directory") from error
        except OSError as error:
            raise LaunchError(f"experimentWorkingDirectory: cannot create {root}: {error.strerror}") from error
        return RegistryEntry(
            id=experiment_id,
            directory=root / experiment_id,
            port=options.port,
            start_time=time.time_ns() // 1_000_000,
            platform=platform_of(config),
            name=config.get("experimentName") or "",
            pid=os.getpid(),
            url_prefix=options.url_prefix,
        )


def _without_annotations(config: dict[str, Any], directory: Path) -> dict[str, Any]:
    """Convert annotated code into the experiment's directory, and return the config that runs it (HPO-097, PLT-385)."""
    if not config.get("useAnnotation"):
        return config
    from nni.annotation import read_directory  # noqa: PLC0415 - few experiments have annotations

    code, target = Path(config["trialCodeDirectory"]), directory / "annotated"
    annotated = read_directory(code)
    try:
        annotated.convert_to(target, leave_out=[directory])
    except OSError as error:
        raise LaunchError(f"trialCodeDirectory: cannot copy {code} to {target}: {error.strerror or error}") from error
    return {
        **config,
        "useAnnotation": False,
        "searchSpace": annotated.search_space,
        "trialCodeDirectory": str(target),
    }


def _new_id() -> str:
    """Return 8 letters and digits, some of each, such as ``egchD4qy`` (PLT-149)."""
    while True:
        text = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(_ID_LENGTH))
        if not text.isalpha() and not text.isdigit():
            return text


def _stopped_entry(
    experiment_id: str,
    known: RegistryEntry | None,
    directory: Path | None,
    registry: ExperimentRegistry,
    action: str = "resume",
) -> RegistryEntry:
    if directory is not None:
        known = _external_entry(experiment_id, _find_directory(experiment_id, directory))
    elif known is None:
        known = registry.get(experiment_id)  # raises with similar ids
    if known.alive:
        raise LaunchError(_busy(registry.find(experiment_id) or known, action))
    if not _is_experiment(known.directory):
        raise LaunchError(
            f"experiment {experiment_id}: {known.directory} holds no db/nni.sqlite, so there is nothing to {action}; "
            f"if the directory was moved, name it with --experiment_dir"
        )
    return known


def _busy(entry: RegistryEntry, action: str) -> str:
    if entry.is_view:
        return f"experiment {entry.id} is being viewed on port {entry.port}; end that first: nnictl stop {entry.id}"
    where = f"; its page: {entry.urls[0].partition('?')[0]}" if action == "view" and entry.urls else ""
    return f"experiment {entry.id} is running on port {entry.port}; nothing to {action}{where}"


def _find_directory(experiment_id: str, directory: Path) -> Path:
    """Accept the experiment's own directory as well as its parent: both are called 'experiment folder'."""
    directory = directory.expanduser().absolute()
    for candidate in (directory / experiment_id, directory):
        if _is_experiment(candidate):
            return candidate
    raise LaunchError(f"experiment_dir: {directory} is no experiment directory (expected db/nni.sqlite in it)")


def _external_entry(experiment_id: str, directory: Path) -> RegistryEntry:
    """Return an entry made of what the experiment's own database says."""
    entry = entry_of(directory)
    if entry.id != experiment_id:
        raise LaunchError(f"experiment_dir: {directory} holds experiment {entry.id}, not {experiment_id}")
    return entry


def _is_experiment(directory: Path) -> bool:
    return (directory / "db" / "nni.sqlite").is_file()
