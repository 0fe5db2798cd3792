"""The manager's side of the driver: started when it is needed, asked, and the channels that go through it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from nni.training_service.pool import Channel, Cluster, UnreachableError, UnusableError
from nni.training_service.pool.archive import archive
from nni.training_service.ray import faults, frames
from nni.training_service.ray.head import Head

if TYPE_CHECKING:
    from pathlib import Path

_logger = logging.getLogger(__name__)
_JOINING = 45.0  # seconds for Ray to join its cluster, which it would try for minutes
_ATTEMPTS = 3  # to join at the start, where that is not in vain
_PATIENCE = 100.0  # seconds for an answer, beyond what an answer may take
_END = 5.0  # seconds for the driver to end
_MOST_UNSENT = 4 * 1024 * 1024  # bytes that wait to be sent
LOG = "ray.log"
"""What Ray prints, in the experiment's ``log``."""


class RayChannel(Channel):
    """Bytes that go through the driver and an actor."""

    def __init__(self, driver: _Driver, name: str) -> None:
        self._driver = driver
        self._name = name
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self._ended: tuple[int | None, str] | None = None
        self._unsent = 0
        self._sent = asyncio.Event()

    async def read(self) -> bytes:
        """Return what has come."""
        if self._ended is not None and self._pieces.empty():
            return b""
        piece = await self._pieces.get()
        if piece:
            self._driver.say({"op": "taken", "channel": self._name, "size": len(piece)})
        return piece

    def write(self, data: bytes) -> None:
        """Send bytes."""
        if data and self._ended is None:
            self._unsent += len(data)
            self._driver.say({"op": "write", "channel": self._name}, data)

    async def drain(self) -> None:
        """Return when little is kept."""
        while self._unsent > _MOST_UNSENT:
            if self._ended is not None:
                raise ConnectionResetError("the connection through Ray ended")
            self._sent.clear()
            await self._sent.wait()

    async def complaint(self) -> tuple[int | None, str]:
        """Return exit code and standard error of the program there."""
        return self._ended or (None, "")

    def close(self) -> None:
        """End the channel."""
        if self._ended is None:
            self._driver.say({"op": "close", "channel": self._name})

    def take(self, head: dict[str, Any], payload: bytes) -> None:
        """Take what the driver tells of this channel."""
        if head["event"] == "data":
            self._pieces.put_nowait(payload)
        elif head["event"] == "sent":
            self._unsent -= head["size"]
        else:
            self.end(head["code"], head["text"])
        self._sent.set()

    def end(self, code: int | None, text: str) -> None:
        """Take note that no more comes."""
        if self._ended is None:
            self._ended = (code, text)
            self._pieces.put_nowait(b"")
            self._sent.set()


class _Driver:
    """One process that has joined the cluster."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        self._process = process
        self._input = process.stdin
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.channels: dict[str, RayChannel] = {}
        self._listening: asyncio.Task[None] | None = None
        self.is_gone = False

    @property
    def pid(self) -> int:
        """Its process id; channels are named after it, so that no two managers name one alike."""
        return self._process.pid

    async def join(self, settings: dict[str, Any]) -> dict[str, Any] | None:
        """Have it join the cluster; returns its first word, None if it ended without any."""
        assert self._process.stdout is not None
        self.say(settings)
        frame = await frames.receive(self._process.stdout)
        if frame is not None and frame[0]["event"] == "ready":
            self._listening = asyncio.get_running_loop().create_task(self._listen())
        return None if frame is None else frame[0]

    def say(self, head: dict[str, Any], payload: bytes = b"") -> None:
        """Send a frame that has no answer."""
        if not self.is_gone:
            self._input.write(frames.encode(head, payload))

    async def ask(self, operation: str, arguments: dict[str, Any], patience: float) -> dict[str, Any]:
        """Return the answer to a question; raises ``ConnectionError`` if there is none."""
        if self.is_gone:
            raise ConnectionError("the process that speaks with Ray has ended")
        number = next(self._numbers)
        answer = self._asked[number] = asyncio.get_running_loop().create_future()
        self.say({"op": operation, "id": number, "with": arguments})
        try:
            return await asyncio.wait_for(answer, patience)
        except asyncio.TimeoutError:
            self._process.kill()
            raise ConnectionError(f"Ray does not answer within {patience:.0f} s") from None
        finally:
            self._asked.pop(number, None)

    async def close(self) -> None:
        """End it; what it asked Ray for stays."""
        self.is_gone = True
        self._input.close()
        try:
            await asyncio.wait_for(self._process.wait(), _END)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)
        self._lose()

    async def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(asyncio.IncompleteReadError, ValueError):
            while (frame := await frames.receive(self._process.stdout)) is not None:
                self._take(*frame)
        self._lose()
        await self._process.wait()

    def _take(self, head: dict[str, Any], payload: bytes) -> None:
        if head["event"] == "answer":
            answer = self._asked.get(head["id"])
            if answer is not None and not answer.done():
                answer.set_result(head)
            return
        channel = self.channels.get(head["channel"])
        if channel is not None:
            channel.take(head, payload)
            if head["event"] == "end":
                del self.channels[head["channel"]]

    def _lose(self) -> None:
        self.is_gone = True
        for channel in self.channels.values():
            channel.end(None, "the process that speaks with Ray has ended")
        self.channels.clear()
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the process that speaks with Ray has ended"))


class RayCluster(Cluster):
    """A Ray cluster, for one section of a configuration.

    Parameters
    ----------
    experiment_id, label
        Parts of the actors' names.
    directory
        The experiment's.
    where
        The cluster's address, or a Ray of the experiment's own.
    wants
        What each runner needs.
    runtime_env
        Ray's runtime environment.
    may_grow
        Whether it may get nodes that have what no node has now.
    """

    def __init__(
        self,
        experiment_id: str,
        label: str,
        directory: Path,
        where: str | Head,
        wants: dict[str, float],
        runtime_env: dict[str, Any] | None = None,
        *,
        may_grow: bool = False,
    ) -> None:
        self.experiment_id = experiment_id
        self.prefix = f"nni-{experiment_id}-{label}-"
        """Of the actors' names."""
        self._directory = directory
        self._where = where
        self._wants = wants
        self._runtime_env = runtime_env
        self._may_grow = may_grow
        self._turn = asyncio.Lock()
        self._driver: _Driver | None = None
        self._numbers = itertools.count(1)
        self._is_checked = False
        self._is_cleared = False

    async def check(self) -> None:
        """Join the cluster, and see once whether a node has what is wanted; raises `UnusableError` if none has."""
        if self._is_checked:
            return
        try:
            for attempt in range(_ATTEMPTS):
                try:
                    await self._ask("check", {"wants": {} if self._may_grow else self._wants})
                    break
                except UnreachableError as error:
                    if attempt == _ATTEMPTS - 1:
                        raise
                    _logger.warning("%s; trying again", error)
        except BaseException:
            await self.close()
            if isinstance(self._where, Head) and self._where.is_new:
                await self._where.stop()
            raise
        self._is_checked = True

    async def open(
        self, name: str, actor: str, root: str, known: str | None, patience: float
    ) -> tuple[RayChannel | None, str | None]:
        """
        Return a channel to the runner of an actor, which Ray is asked for if there is none.

        Parameters
        ----------
        name, actor
            What people and what Ray calls it.
        root
            The runner's directory there.
        known
            Why there was none when last asked: nothing is returned as long as that is so.
        patience
            Seconds to wait.

        Returns
        -------
        tuple
            The channel, or None and the reason.
        """
        driver = await self._joined()
        channel = f"{os.getpid()}-{driver.pid}-{next(self._numbers)}"
        found = driver.channels[channel] = RayChannel(driver, channel)
        asked: dict[str, Any] = {
            "name": actor,
            "channel": channel,
            "root": root,
            "archive": archive().hex(),
            "wants": self._wants,
        }
        try:
            asked |= {"known": known, "patience": patience}
            answer = await self._ask("open", asked, patience + _PATIENCE, name, driver)
        except BaseException:
            driver.channels.pop(channel, None)
            driver.say({"op": "close", "channel": channel})
            raise
        if "waits" in answer:
            driver.channels.pop(channel, None)
            return None, str(answer["waits"])
        return found, None

    async def kill(self, actor: str) -> None:
        """Have Ray take back what an actor holds."""
        if not self._is_cleared:
            await self._ask("kill", {"name": actor})

    async def clear(self) -> None:
        """Leave nothing of the experiment in the cluster."""
        if self._is_cleared:
            return
        self._is_cleared = True
        if self._driver is not None or isinstance(self._where, str):
            with contextlib.suppress(UnreachableError, UnusableError):
                await self._ask("clear", {"prefix": self.prefix})
        await self.close()
        if isinstance(self._where, Head):
            await self._where.stop()

    async def clean(self, directory: str) -> list[dict[str, Any]]:
        """Remove what no living runner owns, on all nodes."""
        answer = await self._ask("clean", {"archive": archive().hex(), "directory": directory})
        nodes: list[dict[str, Any]] = answer["nodes"]
        return nodes

    async def close(self) -> None:
        """Let go of the cluster; what is in it stays."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()

    async def _ask(
        self,
        operation: str,
        arguments: dict[str, Any],
        patience: float = _PATIENCE,
        of: str = "ray",
        driver: _Driver | None = None,
    ) -> dict[str, Any]:
        driver = driver or await self._joined()
        try:
            answer = await driver.ask(operation, arguments, patience)
        except ConnectionError as error:
            raise UnreachableError(f"{of}: {error}") from None
        if "fault" in answer:
            text = f"{of}: {answer['fault']}"
            raise UnusableError(text) if answer["is_lasting"] else UnreachableError(text)
        return answer

    async def _joined(self) -> _Driver:
        """Return a driver that is in the cluster."""
        async with self._turn:
            if self._driver is not None and self._driver.is_gone:
                await self._driver.close()
                self._driver = None
            if self._driver is None:
                self._driver = await self._join()
            return self._driver

    async def _join(self) -> _Driver:
        address, variables = self._where, dict[str, str]()
        if isinstance(address, Head):
            address, variables = await address.start()
        driver = _Driver(await self._start({"RAY_USAGE_STATS_ENABLED": "0", **os.environ, **variables}))
        try:
            word = await asyncio.wait_for(driver.join({"address": address, "runtime_env": self._runtime_env}), _JOINING)
        except asyncio.TimeoutError:
            word = {"event": "fault", "fault": faults.no_answer(address, _JOINING), "is_lasting": True}
        except BaseException:
            await driver.close()
            raise
        if word is None:
            word = {"event": "fault", "fault": f"ray: the process that speaks with Ray ended: see log/{LOG}"}
        if word["event"] == "ready":
            _logger.info("ray: joined the cluster at %s", address)
            return driver
        await driver.close()
        # What was there once may come back; a wrong address never gets right.
        is_lasting = word.get("is_lasting", False) and not self._is_checked
        raise UnusableError(word["fault"]) if is_lasting else UnreachableError(word["fault"])

    async def _start(self, environment: dict[str, str]) -> asyncio.subprocess.Process:
        (self._directory / "log").mkdir(parents=True, exist_ok=True)
        with (self._directory / "log" / LOG).open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "nni.training_service.ray.driver"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                cwd="/",  # or a file there would be taken for a module
                env=environment,
                limit=frames.LIMIT,
                start_new_session=True,
            )
