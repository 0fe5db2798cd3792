"""What an experiment's own database says of it: for the list of experiments, when the list does not know it."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING, Any

from nni.store.registry import RegistryEntry
from nni.store.schema import StoreError
from nni.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["entry_of", "platform_of"]


def entry_of(directory: Path) -> RegistryEntry:
    """Return a list entry, as a stopped experiment, made of what the database of a directory says.

    Raises
    ------
    StoreError
        There is no database, it cannot be read, or no experiment ever started in it.
    """
    path = directory / "db" / "nni.sqlite"
    try:
        with contextlib.closing(Store(path, read_only=True, at_rest=True)) as store:
            profile = store.profile()
    except sqlite3.Error as error:
        raise StoreError(f"{path}: cannot be read ({error})") from error
    if profile is None:
        raise StoreError(f"{path}: holds no experiment; its manager never came as far as that")
    return RegistryEntry(
        id=profile.id,
        directory=directory,
        start_time=profile.start_time,
        end_time=profile.end_time,
        status="STOPPED",
        platform=platform_of(profile.config),
        name=profile.config.get("experimentName") or "",
    )


def platform_of(config: Mapping[str, Any]) -> str:
    """Return the platform as the list of experiments names it: ``hybrid`` for several."""
    service = config.get("trainingService") or {}
    return "hybrid" if isinstance(service, list) else str(service.get("platform", "local"))
