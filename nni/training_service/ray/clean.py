"""Frees the nodes of a cluster of what experiments left there (``nnictl platform clean``)."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nni.training_service.pool import PoolSettings
from nni.training_service.pool.archive import DIRECTORY
from nni.training_service.ray.site import ray_cluster
from nni.training_service.remote.clean import Cleaned

if TYPE_CHECKING:
    from nni.config import RayConfig


async def clean(config: RayConfig) -> list[Cleaned]:
    """
    Clean all nodes of a configuration's cluster, at the same time; this machine where it names none.

    Raises
    ------
    NniError
        Ray is not installed, or the cluster cannot be joined.
    """
    if config.address is None:
        return [_cleaned({"node": "this machine", **await _clean_here()})]
    with tempfile.TemporaryDirectory() as directory:
        cluster = ray_cluster(PoolSettings("", Path(directory), "", Path(), "ray"), config)
        try:
            return [_cleaned(node) for node in await cluster.clean(DIRECTORY)]
        finally:
            await cluster.close()


async def _clean_here() -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nni.trial_runner.main", "clean", DIRECTORY), stdout=asyncio.subprocess.PIPE, cwd="/"
    )
    output, _ = await process.communicate()
    if process.returncode != 0:
        return {"problem": f"this machine: cannot be cleaned (exit code {process.returncode})"}
    answer: dict[str, Any] = json.loads(output)
    return answer


def _cleaned(answer: dict[str, Any]) -> Cleaned:
    if "problem" in answer:
        return Cleaned(answer["node"], problem=f"{answer['node']}: {answer['problem']}")
    return Cleaned(answer["node"], tuple(answer["removed"]), tuple(answer["kept"]), answer["bytes"])
