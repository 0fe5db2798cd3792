"""Where a command that only looks gets its answers: the manager, or the disk of an experiment that has none."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from nni.tools.nnictl import _output
from nni.tools.nnictl._resolve import any_experiment, is_running

if TYPE_CHECKING:
    from nni.experiment.client import NniClient
    from nni.experiment.stored import StoredExperiment
    from nni.store.registry import RegistryEntry

Source: TypeAlias = "NniClient | StoredExperiment"


def choose(experiment_id: str | None) -> RegistryEntry:
    """Return the experiment that a looking command means; says so where it is a stopped one that was not named."""
    entry = any_experiment(experiment_id)
    if experiment_id is None and not is_running(entry):
        _output.notice(f"no experiment is running; this is {entry.id}, which was created last")
    return entry


def of(entry: RegistryEntry) -> Source:
    """Return what answers for an experiment; both kinds have the same methods and are context managers."""
    if is_running(entry):
        from nni.experiment.client import NniClient

        return NniClient.of(entry)
    from nni.experiment.stored import StoredExperiment

    return StoredExperiment(entry.directory)
