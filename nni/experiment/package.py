"""An experiment in one file, to be kept or carried to another machine (PLT-047, 048, 391).

A zip file: ``nni_package.json`` (what it is), ``experiment/`` (the experiment's directory: database, logs, checkpoints,
trials) and, if wanted, ``code/`` (its ``trialCodeDirectory``). It may hold secrets of the config, so it is private.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nni.common.errors import NniError
from nni.common.paths import absolute, default_experiments_directory
from nni.common.version import __version__
from nni.experiment._unpack import Unpacker, members
from nni.experiment.stop import leftovers
from nni.store import Batch, Store
from nni.store.registry import ExperimentRegistry, RegistryEntry
from nni.store.salvage import entry_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["PackageError", "load", "save"]

_MANIFEST = "nni_package.json"
_FORMAT = 1
_OF_A_PROCESS = {".lock", ".doorbell"}  # mean something only while a manager runs
_ALGORITHMS = ("tuner", "assessor", "advisor")


class PackageError(NniError):
    """A package cannot be written or read."""


def save(entry: RegistryEntry, folder: Path, *, with_code: bool = False) -> Path:
    """Write a stopped experiment into one file.

    Parameters
    ----------
    entry
        The experiment.
    folder
        Where to put the file; it is made if it is not there.
    with_code
        Whether to put the trials' code directory into it. Default False.

    Returns
    -------
    Path
        ``nni_experiment_<id>.zip`` in the folder. It is there whole or not at all.

    Raises
    ------
    PackageError
        The experiment runs, or processes of it do, or the file exists already.
    StoreError
        Its database cannot be read.
    """
    if entry.alive:
        raise PackageError(f"experiment {entry.id} is running; stop it first: nnictl stop {entry.id}")
    if leftovers(entry.directory):
        raise PackageError(f"trials of experiment {entry.id} still run without a manager: nnictl stop {entry.id}")
    config = _config_of(entry.directory)
    folder = absolute(folder)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"nni_experiment_{entry.id}.zip"
    if target.exists():
        raise PackageError(f"{target}: exists already; remove it, or give another folder with --path")
    partial = target.with_suffix(".zip.part")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            _write(stream, entry, Path(config["trialCodeDirectory"]) if with_code else None, {target, partial})
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    return target


def load(
    package: Path,
    code_directory: Path,
    *,
    log_directory: Path | None = None,
    search_space_path: Path | None = None,
    registry: ExperimentRegistry | None = None,
) -> RegistryEntry:
    """Put a saved experiment back, under the id that it had; afterwards it can be viewed, exported and resumed.

    Parameters
    ----------
    package
        The file.
    code_directory
        Where its trials find their code from now on. Code in the package is put there, but over no other file.
    log_directory
        The directory in which the experiment's own one is made. Default ``~/nni-experiments``.
    search_space_path
        A file to write the search space to. Default ``search_space.json`` in the code directory, unless there is one;
        the experiment itself has its search space in its database.
    registry
        Default: the user's registry.

    Raises
    ------
    PackageError
        It is no package, a newer version wrote it, it would leave its target, the experiment is there already, or a
        file stands in the way. Nothing is left behind.
    """
    registry = registry or ExperimentRegistry()
    code, root = absolute(code_directory), absolute(log_directory or default_experiments_directory())
    with _opened(package) as archive:
        manifest = _manifest(archive, package)
        identifier = manifest["id"]
        target = root / identifier
        _require_free(identifier, target, registry)
        if not manifest["code"] and not code.is_dir():
            raise PackageError(f"codeDir: {code} is no directory, and the package has no code to put there")
        staging = root / f".{identifier}.loading"
        shutil.rmtree(staging, ignore_errors=True)
        try:
            with Unpacker(package) as unpacker:
                unpacker.extract(archive, "experiment/", staging)
                space = _move_config(staging, identifier, code, root)
                unpacker.extract(archive, "code/", code)
                _write_space(unpacker, space, code, search_space_path)
                staging.rename(target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    entry = entry_of(target)
    registry.add(entry)
    return entry


def _config_of(directory: Path) -> dict[str, Any]:
    entry_of(directory)  # raises where there is nothing to read
    with contextlib.closing(Store(directory / "db" / "nni.sqlite", read_only=True, at_rest=True)) as store:
        profile = store.profile()
    assert profile is not None
    return profile.config


def _write(stream: Any, entry: RegistryEntry, code: Path | None, skipped: set[Path]) -> None:
    manifest = {
        "format": _FORMAT,
        "nni": __version__,
        "id": entry.id,
        "name": entry.name,
        "saved": time.time_ns() // 1_000_000,
        "code": code is not None,
    }
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as archive:
        archive.writestr(_MANIFEST, json.dumps(manifest, indent=1))
        for file in _files(entry.directory, skipped):
            if file.name not in _OF_A_PROCESS:
                archive.write(file, Path("experiment") / file.relative_to(entry.directory))
        if code is None:
            return
        if not code.is_dir():
            raise PackageError(f"trialCodeDirectory: {code} is not there any more; save without --saveCodeDir")
        for file in _files(code, {*skipped, entry.directory}):
            archive.write(file, Path("code") / file.relative_to(code))


def _files(directory: Path, skipped: set[Path]) -> Iterator[Path]:
    """Yield the plain files below a directory, a link to one as its content; what links to directories is left out."""
    for folder, names, files in os.walk(directory):
        names[:] = sorted(name for name in names if Path(folder, name) not in skipped)
        for path in (Path(folder, name) for name in sorted(files)):
            with contextlib.suppress(FileNotFoundError):  # a link to nothing
                if path not in skipped and stat.S_ISREG(path.stat().st_mode):
                    yield path


@contextlib.contextmanager
def _opened(package: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(package.expanduser()) as archive:
            yield archive
    except FileNotFoundError as error:
        if error.filename is not None and Path(error.filename) == package.expanduser():
            raise PackageError(f"{package}: no such file") from None
        raise
    except zipfile.BadZipFile as error:
        raise PackageError(f"{package}: no package, or a damaged one ({error})") from None


def _manifest(archive: zipfile.ZipFile, package: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(archive.read(_MANIFEST))
        identifier, version, _ = str(manifest["id"]), int(manifest["format"]), manifest["code"]
    except (KeyError, ValueError, TypeError):
        raise PackageError(f"{package}: no experiment that 'nnictl experiment save' of this nni wrote") from None
    if version > _FORMAT:
        raise PackageError(f"{package}: written by a newer version of nni (format {version}, this one knows {_FORMAT})")
    if not identifier.isalnum() or not identifier.isascii():
        raise PackageError(f"{package}: {identifier!r} is no id of an experiment")
    if not members(archive, "experiment/"):
        raise PackageError(f"{package}: there is no experiment in it")
    return {**manifest, "id": identifier}


def _require_free(identifier: str, target: Path, registry: ExperimentRegistry) -> None:
    known = registry.find(identifier)
    if known is not None:
        raise PackageError(
            f"experiment {identifier} is in the list already ({known.directory}); nnictl experiment delete removes it"
        )
    if target.exists():
        raise PackageError(f"{target}: exists already; remove it, or give another folder with --logDir")


def _move_config(directory: Path, identifier: str, code: Path, root: Path) -> Any:
    """Point the stored config at its new places, and return the search space."""
    path = directory / "db" / "nni.sqlite"
    if entry_of(directory).id != identifier:
        raise PackageError(f"the package says that it is experiment {identifier}, but its database does not")
    with contextlib.closing(Store(path)) as store:
        profile = store.profile()
        assert profile is not None
        old = Path(profile.config["trialCodeDirectory"])
        config = {**profile.config, "trialCodeDirectory": str(code), "experimentWorkingDirectory": str(root)}
        for kind in _ALGORITHMS:
            if config.get(kind, {}).get("codeDirectory"):
                config[kind] = {**config[kind], "codeDirectory": _moved(config[kind]["codeDirectory"], old, code)}
        profile.config = config
        store.commit(Batch(profile=profile))
    return config.get("searchSpace")


def _moved(path: str, old: Path, new: Path) -> str:
    """Return where a path is that lay in a directory which has moved; others are as they were."""
    return str(new / Path(path).relative_to(old)) if Path(path).is_relative_to(old) else path


def _write_space(unpacker: Unpacker, space: Any, code: Path, wanted: Path | None) -> None:
    target = absolute(wanted) if wanted is not None else code / "search_space.json"
    if space is None or (wanted is None and target.exists()):
        return
    unpacker.write(target, json.dumps(space, indent=2).encode() + b"\n")
