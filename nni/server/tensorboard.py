"""TensorBoard processes for trials (PLT-324 to 327): started on demand, gone when the manager goes."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import itertools
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nni.server.refused import RefusedError

FIRST_PORT = 6006
_PORTS = 200
_START = 30.0  # seconds in which a TensorBoard has to answer
_READ = 10.0  # seconds in which it should have read what the trials wrote
_GRACE = 5.0


@dataclass(slots=True)
class Task:
    """One TensorBoard; `to_json` gives the documented fields (REST 3.4)."""

    id: str
    trials: list[str]
    directories: list[Path]
    port: int
    links: Path
    process: subprocess.Popen[bytes]
    status: str = "RUNNING"

    def to_json(self) -> dict[str, Any]:
        """Return the task as clients of 2.x know it."""
        if self.status == "RUNNING" and self.process.poll() is not None:
            self.status = "ERROR"
        return {
            "id": self.id,
            "status": self.status,
            "trialJobIdList": self.trials,
            "trialLogDirectoryList": [str(path) for path in self.directories],
            "pid": self.process.pid,
            "port": str(self.port),
        }


class TensorboardTasks:
    """All TensorBoards of one manager."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}
        self._numbers = itertools.count(1)

    def all(self) -> list[Task]:
        """Return the tasks, oldest first."""
        return [*self._tasks.values()]

    def get(self, identifier: str) -> Task:
        """Return one task; raises ``KeyError``."""
        return self._tasks[identifier]

    async def start(self, trials: list[tuple[int, str, Path]], host: str, port: int | None = None) -> Task:
        """Start a TensorBoard over the directories of some trials, and return when it answers.

        Parameters
        ----------
        trials
            Number, id and log directory (``$NNI_OUTPUT_DIR/tensorboard``) of each.
        host
            Where it listens.
        port
            On which; default the first free one from `FIRST_PORT` on.

        Raises
        ------
        RefusedError
            It is not installed, a trial wrote nothing for it, or it does not start.
        """
        if importlib.util.find_spec("tensorboard") is None:
            raise RefusedError(f"TensorBoard is not installed for {sys.executable}: pip install 'nni[tensorboard]'")
        without = await asyncio.to_thread(_without_logs, trials)  # they may be on a storage that does not answer
        if without:
            raise RefusedError(
                f"trial {', '.join(without)} has written nothing for TensorBoard; it would have to write to "
                "$NNI_OUTPUT_DIR/tensorboard"
            )
        task = await asyncio.to_thread(self._launch, trials, host, port)
        self._tasks[task.id] = task
        await self._until_it_answers(task, host)
        await _until_it_has_read(task, host)
        return task

    async def stop(self, task: Task) -> None:
        """End one TensorBoard."""
        if task.status != "STOPPED":
            await asyncio.to_thread(_end, task)

    async def stop_all(self) -> None:
        """End all of them, and forget them."""
        for task in self.all():
            await self.stop(task)
        self._tasks.clear()

    def _launch(self, trials: list[tuple[int, str, Path]], host: str, wanted: int | None) -> Task:
        port = _free_port(host, wanted)
        links = Path(tempfile.mkdtemp(prefix="nni-tensorboard-"))
        for sequence, identifier, directory in trials:
            (links / f"{sequence}-{identifier}").symlink_to(directory, target_is_directory=True)  # the names of runs
        command = [
            sys.executable,
            "-m",
            "nni.server.tensorboard_process",
            "--logdir",
            str(links),
            "--host",
            host,
            "--port",
            str(port),
        ]
        log = (links / ".log").open("wb")
        with log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True)
        identifiers, directories = [trial[1] for trial in trials], [trial[2] for trial in trials]
        return Task(f"tb{next(self._numbers)}", identifiers, directories, port, links, process)

    async def _until_it_answers(self, task: Task, host: str) -> None:
        for _ in range(int(_START / 0.1)):
            if task.process.poll() is not None:
                said = (task.links / ".log").read_text("utf-8", "replace").strip().splitlines()
                task.status = "ERROR"
                raise RefusedError(f"TensorBoard ended at once: {said[-1] if said else 'it said nothing'}")
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, task.port)
                writer.close()
                return
            await asyncio.sleep(0.1)
        await self.stop(task)
        raise RefusedError(f"TensorBoard did not answer within {_START:.0f} s")


def _without_logs(trials: list[tuple[int, str, Path]]) -> list[str]:
    return [identifier for _, identifier, directory in trials if not directory.is_dir()]


async def _until_it_has_read(task: Task, host: str) -> None:
    """Wait, for a moment, until it knows of every trial: its page does not look again by itself."""
    import httpx  # noqa: PLC0415  (here only, and its import takes a while)

    wrote = await asyncio.to_thread(lambda: sum(any(path.rglob("*tfevents*")) for path in task.directories))
    async with httpx.AsyncClient(base_url=f"http://{host}:{task.port}", trust_env=False) as client:
        for _ in range(int(_READ / 0.1)):
            with contextlib.suppress(httpx.HTTPError, ValueError):
                runs = (await client.get("/data/runs")).json()
                if len({run.partition("/")[0] for run in runs}) >= wrote:
                    return
            await asyncio.sleep(0.1)


def _free_port(host: str, wanted: int | None) -> int:
    for port in range(FIRST_PORT, FIRST_PORT + _PORTS) if wanted is None else [wanted]:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    if wanted is not None:
        raise RefusedError(f"port {wanted} of {host} cannot be had for TensorBoard; choose another one, or none")
    raise RefusedError(f"no free port from {FIRST_PORT} to {FIRST_PORT + _PORTS - 1} for TensorBoard")


def _end(task: Task) -> None:
    task.status = "STOPPING"
    with contextlib.suppress(ProcessLookupError):
        os.killpg(task.process.pid, 15)
    try:
        task.process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(task.process.pid, 9)
        task.process.wait()
    if task.process.stdin is not None:
        task.process.stdin.close()
    shutil.rmtree(task.links, ignore_errors=True)
    task.status = "STOPPED"
