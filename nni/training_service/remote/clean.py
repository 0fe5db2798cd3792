"""Frees the machines of a configuration of what experiments left there (``nnictl platform clean``, PLT-271)."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nni.common.errors import NniError
from nni.training_service.pool import PoolSettings
from nni.training_service.pool.archive import DIRECTORY, command, greeting_bytes
from nni.training_service.remote import remote_sites

if TYPE_CHECKING:
    from nni.config import RemoteConfig
    from nni.training_service.remote.site import SshSite


@dataclass(frozen=True)
class Cleaned:
    """What was done on one machine.

    Attributes
    ----------
    machine
        Its name.
    removed, kept
        Directories of experiments; kept are those whose trial runner lives.
    size
        Bytes that were freed.
    problem
        Why nothing was done; None if it was.
    """

    machine: str
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    size: int = 0
    problem: str | None = None


async def clean(config: RemoteConfig) -> list[Cleaned]:
    """Clean all machines of a configuration, at the same time."""
    settings = PoolSettings("", Path(), "", Path(), "remote")
    return list(await asyncio.gather(*(_clean(site) for site in remote_sites(settings, config))))


async def _clean(site: SshSite) -> Cleaned:
    try:
        return await _clean_over(site)
    except NniError as error:
        return Cleaned(site.name, problem=str(error))
    finally:
        await site.close()


async def _clean_over(site: SshSite) -> Cleaned:
    channel = await site.open(command(site.python_path, "clean", DIRECTORY))
    channel.write(greeting_bytes())
    text = b""
    while piece := await channel.read():
        text += piece
    code, complaint = await channel.complaint()
    if code != 0:
        last = complaint.strip().rpartition("\n")[2].removeprefix("nni: ")
        raise NniError(f"{site.name}: cannot be cleaned: {last or f'exit code {code}'}")
    answer = json.loads(text.strip().rpartition(b"\n")[2])
    return Cleaned(site.name, tuple(answer["removed"]), tuple(answer["kept"]), answer["bytes"])
