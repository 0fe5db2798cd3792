"""Delete an experiment for good: its directory and its place in the list (PLT-044)."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from nni.common.errors import NniError
from nni.experiment.stop import leftovers
from nni.store import StoreError
from nni.store.salvage import entry_of

if TYPE_CHECKING:
    from nni.store.registry import ExperimentRegistry, RegistryEntry

__all__ = ["DeleteError", "delete", "require_stopped"]


class DeleteError(NniError):
    """The experiment cannot be deleted."""


def require_stopped(entry: RegistryEntry) -> None:
    """Raise :class:`DeleteError` if a manager or a trial of an experiment still runs."""
    if entry.alive:
        what = "being viewed" if entry.is_view else "running"
        raise DeleteError(f"experiment {entry.id} is {what}; stop it first: nnictl stop {entry.id}")
    if leftovers(entry.directory):
        raise DeleteError(f"trials of experiment {entry.id} still run without a manager: nnictl stop {entry.id}")


def delete(entry: RegistryEntry, registry: ExperimentRegistry) -> bool:
    """Delete a stopped experiment.

    Parameters
    ----------
    entry
        The experiment.
    registry
        The list it is taken from.

    Returns
    -------
    bool
        Whether there was a directory that is the experiment's own. Any other one (an entry of NNI 2.x may name the
        directory of all experiments) is left alone, and only the place in the list is given up.

    Raises
    ------
    DeleteError
        It runs.
    OSError
        A file cannot be removed; what is left of the directory is beside it, named ``.<id>.deleted``.
    """
    require_stopped(entry)
    own = _is_own(entry)
    if own:
        # First out of the way as a whole, so that nothing half deleted can be resumed.
        doomed = entry.directory.with_name(f".{entry.directory.name}.deleted")
        shutil.rmtree(doomed, ignore_errors=True)
        entry.directory.rename(doomed)
        registry.remove(entry.id)
        shutil.rmtree(doomed)
    registry.remove(entry.id)
    return own


def _is_own(entry: RegistryEntry) -> bool:
    directory = entry.directory
    if not directory.is_dir() or directory.is_symlink():
        return False
    if directory.name == entry.id:
        return True
    try:
        return entry_of(directory).id == entry.id
    except StoreError:
        return False
