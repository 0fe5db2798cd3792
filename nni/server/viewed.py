"""A stopped experiment that is only looked at: no dispatcher, no training service, nothing written (PLT-029, 389)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

from nni.experiment.stored import read_profile
from nni.manager.queries import Standing
from nni.server.refused import RefusedError
from nni.server.served import ServedExperiment
from nni.store import ExperimentStatus


class ViewedExperiment(ServedExperiment):
    """Answers every question and refuses every change.

    Parameters
    ----------
    directory
        The experiment's directory.

    Raises
    ------
    StoreError
        There is no database, or it cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        profile, self._counts = read_profile(directory)
        super().__init__(directory, profile, at_rest=True)

    @property
    def standing(self) -> Standing:
        """As it was left, except for the status."""
        return Standing(ExperimentStatus.VIEWED.value, self.profile.errors, self._counts)

    @property
    def ended(self) -> bool:
        """Whether the view is being closed."""
        return self.stop_requested.is_set()

    async def update(self, update_type: str, params: dict[str, Any]) -> None:
        """Refuse."""
        del update_type, params
        self._refuse()

    async def kill_trial(self, identifier: str) -> None:
        """Refuse."""
        del identifier
        self._refuse()

    async def add_trial(self, parameters: Any) -> int:
        """Refuse."""
        del parameters
        self._refuse()

    async def annotate(self, identifier: str, note: str, tags: list[str]) -> None:
        """Refuse."""
        del identifier, note, tags
        self._refuse()

    async def import_data(self, data: Any) -> None:
        """Refuse."""
        del data
        self._refuse()

    async def set_cluster_metadata(self, settings: dict[str, Any]) -> None:
        """Refuse."""
        del settings
        self._refuse()

    def _refuse(self) -> NoReturn:
        name = self.profile.id
        raise RefusedError(
            f"experiment {name} is only being viewed, nothing can be changed; "
            f"to go on with it: nnictl stop {name}, then nnictl resume {name}"
        )
