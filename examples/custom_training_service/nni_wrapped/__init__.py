"""The platform ``wrapped``: trials run wherever a command leads.

``docker exec -i box``, ``sudo -n -u alice -H``, ``kubectl exec -i pod --``, ``nice -n 19``: what is written behind such
a command runs elsewhere, or otherwise. That is all that NNI's trial runner needs.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Literal

from nni.config import Fault
from nni.training_service import TrainingService
from nni.training_service.custom import ConfigModel, Count, CustomServiceConfig, Text, optional, required
from nni.training_service.pool import PoolSettings, PoolTrainingService


class PlaceConfig(ConfigModel):
    """One place to which a command leads."""

    name: Text = required("What people call it.", "box-1")
    command: list[Text] = required(
        "The words in front of a program that shall run there. Standard input and output must be passed through as "
        "they are: no terminal.",
        ["docker", "exec", "-i", "box-1"],
    )
    python: Text = optional("The Python there, 3.8 or later.", "python3")
    trials_at_once: Count | None = optional("How many trials run there at the same time; absent: trialConcurrency.")


class WrappedConfig(CustomServiceConfig):
    """The ``trainingService`` section of an experiment file."""

    platform: Literal["wrapped"] = optional("Run trials behind commands.", "wrapped")
    places: list[PlaceConfig] = required("Where trials run.", "[{name: box-1, command: [docker, exec, -i, box-1]}]")

    def _faults(self) -> Iterator[Fault]:
        """Yield what is wrong between the fields; NNI shows it with file, line and key."""
        names = [place.name for place in self.places or []]
        for index, place in enumerate(self.places or []):
            if place.name in names[:index]:
                yield Fault(("places", index, "name"), f"{place.name!r} is in the list already")
            if place.command and shutil.which(place.command[0]) is None:
                yield Fault(("places", index, "command"), f"there is no program {place.command[0]!r} on PATH")

    def make_service(self, settings: PoolSettings) -> TrainingService:
        """Return a pool of the places; scheduling, results, logs and restarts are the pool's business."""
        from nni_wrapped.site import WrappedSite  # noqa: PLC0415  (only when an experiment starts)

        sites = []
        for place in self.places:
            site = WrappedSite(place.name, place.command, settings.experiment_id, place.python)
            site.capacity = place.trials_at_once
            sites.append(site)
        return PoolTrainingService(settings, sites)
