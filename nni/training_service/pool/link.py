"""The manager's end of the connection to one runner: made, kept, and made again."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
import random
import time
from pathlib import Path
from typing import Protocol

from nni.common.errors import NniError
from nni.common.version import __version__
from nni.training_service.pool.code_image import CodeImage
from nni.training_service.pool.environment import Channel, Environment, UnreachableError, UnusableError
from nni.trial_runner import protocol as p

_logger = logging.getLogger(__name__)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 30.0  # seconds between attempts to connect
_PATIENCE = 60.0  # seconds for a program there to say its first word
_MOST_NOISE = 256 * 1024  # bytes that a login shell may print before
_SHOWN = 300  # characters of a message from there


class LinkState(enum.Enum):
    """Where a link stands."""

    CONNECTING = "connecting"
    READY = "ready"
    UNUSABLE = "unusable"
    CLOSED = "closed"


class Listener(Protocol):
    """Who hears from a runner."""

    def link_ready(self, link: RunnerLink) -> None:
        """The runner is there, and has the code directory."""

    def link_said(self, link: RunnerLink, message: p.Message) -> None:
        """It sent a message."""

    def link_lost(self, link: RunnerLink) -> None:
        """The connection ended, or there was none to be had; `state` and `problem` say more."""


class RunnerLink:
    """Keeps a connection to the runner of one environment.

    Parameters
    ----------
    environment
        Where the runner lives.
    greeting
        What it is told first.
    code
        What it must have before trials can start.
    listener
        Who hears of it.
    storage
        What it must have mounted before it gets the code.
    """

    def __init__(
        self,
        environment: Environment,
        greeting: p.Greeting,
        code: CodeImage,
        listener: Listener,
        storage: p.Storage | None = None,
    ) -> None:
        self.environment = environment
        self.state = LinkState.CONNECTING
        self.problem = "connecting"
        """Why it is not ready, for a person."""
        self.lost_since: float | None = time.monotonic()
        self.skew = 0
        """Milliseconds to add to times of that machine's clock."""
        self.hello: p.Hello | None = None
        self.attempts = 0
        """How often it was tried to connect in vain, or the connection was lost."""
        self.storage: Path | None = None
        """The experiment's directory on the shared storage as that machine sees it."""
        self.sent_bytes = 0
        """Of the code directory."""
        self._greeting = greeting
        self._code = code
        self._listener = listener
        self._wanted_storage = storage
        self._channel: Channel | None = None
        self._task: asyncio.Task[None] | None = None
        self._quitting = asyncio.Event()
        self._tries_to_quit = 2  # the first may have begun before
        self._is_greeted = False
        self.warnings: list[str] = []
        """What is not as it should be there, although trials can run."""
        self._told: set[str] = set()

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.environment.name

    @property
    def is_started(self) -> bool:
        """Whether it was told to connect."""
        return self._task is not None

    def start(self) -> None:
        """Begin to connect."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._keep())
            self._task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            _logger.critical("%s: the connection is not kept any more", self.name, exc_info=task.exception())

    def send(self, message: p.Message) -> None:
        """Send a message if the runner is there; if not, it is the listener's to say it again at `link_ready`."""
        if self.state is LinkState.READY and self._channel is not None:
            self._channel.write(p.encode(message))

    def reset(self) -> None:
        """Make the connection anew, so that everything is sent again that was not taken over."""
        if self._channel is not None:
            self._channel.close()

    async def quit(self, patience: float) -> bool:
        """Have the runner end and remove everything; returns whether it did within `patience` seconds."""
        self._quitting.set()
        if self._channel is not None:  # also where the runner has not answered yet: it may be starting right now
            self._channel.write(p.encode(p.Quit()))
        if self._task is None or self.state is LinkState.UNUSABLE:
            return self.hello is None
        done, _ = await asyncio.wait({self._task}, timeout=patience)
        if not done:
            await self.close()
        return bool(done) and self._is_greeted

    async def close(self) -> None:
        """Leave without touching the runner."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.state = LinkState.CLOSED

    async def _keep(self) -> None:
        """Connect, listen, and connect again, until it makes no sense any more."""
        pause = _FIRST_PAUSE
        while True:
            began = time.monotonic()
            was_ready = False
            try:
                await self._live()
            except UnusableError as error:
                self._lost(LinkState.UNUSABLE, str(error))
                return
            except (UnreachableError, p.ProtocolError, OSError, NniError) as error:
                was_ready = self.state is LinkState.READY
                if self._quitting.is_set():
                    self._tries_to_quit -= 1
                    if self._is_greeted or self._tries_to_quit == 0:
                        self.state = LinkState.CLOSED
                        return
                self._lost(LinkState.CONNECTING, str(error) or type(error).__name__)
            if was_ready or time.monotonic() - began > _LONGEST_PAUSE:
                pause = _FIRST_PAUSE
            with contextlib.suppress(asyncio.TimeoutError):  # at the end, nobody waits for machines that are back
                spread = random.uniform(0.8, 1.2)  # noqa: S311  (so that not all come at once)
                await asyncio.wait_for(self._quitting.wait(), pause * spread)
            pause = min(_LONGEST_PAUSE, 2 * pause)

    def _lost(self, state: LinkState, problem: str) -> None:
        self.attempts += 1
        self.state = state
        self.problem = problem
        if self.lost_since is None:
            self.lost_since = time.monotonic()
        if problem not in self._told:
            self._told.add(problem)
            _logger.log(logging.ERROR if state is LinkState.UNUSABLE else logging.WARNING, "%s", problem)
        self._listener.link_lost(self)

    async def _live(self) -> None:
        """Be connected once; always ends with an error that says why it is over."""
        self._is_greeted = False
        channel = await self.environment.connect()
        self._channel = channel
        decoder = p.Decoder()
        try:
            channel.write(self.environment.first_bytes())
            channel.write(p.encode(self._greeting))
            if self._wanted_storage is not None:
                channel.write(p.encode(self._wanted_storage))
            channel.write(p.encode(p.Quit() if self._quitting.is_set() else self._code.code))
            rest = await self._skip_noise(channel)
            while True:
                for message in decoder.feed(rest):
                    await self._take(message, channel)
                rest = await channel.read()
                if not rest:
                    raise UnreachableError(f"{self.name}: the connection to its trial runner ended")
        finally:
            self._channel = None
            channel.close()
            await channel.wait_closed()

    async def _skip_noise(self, channel: Channel) -> bytes:
        """Return what comes after the runner's mark."""
        try:
            return await asyncio.wait_for(self._after_mark(channel), _PATIENCE)
        except asyncio.TimeoutError:
            raise UnreachableError(f"{self.name}: no answer from Python there within {_PATIENCE:.0f} s") from None

    async def _after_mark(self, channel: Channel) -> bytes:
        data = b""
        mark = b"\n" + p.MARK + b"\n"
        while mark not in data:
            piece = await channel.read()
            if not piece:
                raise await self._explain(channel)
            data += piece
            if len(data) > _MOST_NOISE:
                raise UnusableError(
                    f"{self.name}: its login shell prints without end ({data[:60]!r}…); it must print nothing when it "
                    "is not interactive"
                )
        return data.partition(mark)[2]

    async def _explain(self, channel: Channel) -> NniError:
        """Return what is wrong with an environment in which no runner could be started."""
        code, text = await channel.complaint()
        lines = [line.strip() for line in text.split("\n") if line.strip()]
        last = lines[-1].removeprefix("nni: ")[:_SHOWN] if lines else ""
        if code == 127:
            return UnusableError(
                f"{self.name}: there is no python3 on its PATH; install Python 3.8 or later there, or name its "
                "directory in pythonPath"
            )
        if code == 3:
            return UnusableError(
                f"{self.name}: {last}; the trial runner needs 3.8 or later: name another one's directory in pythonPath"
            )
        if code == 4:
            return UnusableError(f"{self.name}: the home directory there cannot be written: {last}")
        if code == 7:
            return UnreachableError(f"{self.name}: the disk of the home directory there is full: {last}")
        return UnreachableError(f"{self.name}: the trial runner cannot be started there: {last or f'exit code {code}'}")

    async def _take(self, message: p.Message, channel: Channel) -> None:
        if isinstance(message, p.Hello):
            self._greeted(message)
        elif isinstance(message, p.Missing):
            await self._send_code(message, channel)
        elif isinstance(message, p.Stored):
            self.storage = Path(message.directory)
        elif isinstance(message, p.Unmountable):
            await self._without_storage(message, channel)
        elif isinstance(message, p.Fault):
            raise UnreachableError(f"{self.name}: {message.message}")
        else:
            self._listener.link_said(self, message)

    def _greeted(self, hello: p.Hello) -> None:
        if hello.version != p.VERSION:
            raise UnusableError(
                f"{self.name}: the trial runner there speaks version {hello.version} of the protocol, this manager "
                f"{p.VERSION}: stop the experiment with the version of NNI that started it"
            )
        self.hello = hello
        self._is_greeted = True
        self.skew = time.time_ns() // 1_000_000 - hello.now
        self.warnings = []
        if hello.nni is None:
            self._warn(
                f"{self.name}: NNI is not installed in the Python {hello.python} there; trials that import it fail"
            )
        elif hello.nni.split(".")[:2] != __version__.split(".")[:2]:  # PLT-256: the first two numbers count
            self._warn(f"{self.name}: NNI there is {hello.nni}, here {__version__}; install the same version")

    async def _without_storage(self, told: p.Unmountable, channel: Channel) -> None:
        """Give a machine up that cannot have the storage; one that runs nothing shall keep nothing."""
        if self._quitting.is_set():
            return
        if not told.is_final:
            raise UnreachableError(f"{self.name}: {told.message}")
        if self.hello is not None and not self.hello.trials:
            self.hello = None
            channel.write(p.encode(p.Quit()))
            await channel.drain()
        raise UnusableError(f"{self.name}: {told.message}")

    def _warn(self, text: str) -> None:
        self.warnings.append(text)
        if text not in self._told:
            self._told.add(text)
            _logger.warning("%s", text)

    async def _send_code(self, missing: p.Missing, channel: Channel) -> None:
        if not missing.shas:
            self.state, self.problem, self.lost_since = LinkState.READY, "", None
            self._told = {text for text in self._told if "NNI" in text}
            _logger.info("%s: connected; %d bytes of the code directory were sent", self.name, self.sent_bytes)
            self._listener.link_ready(self)
            return
        self.problem = "sending the code directory"
        async for blob in self._code.blobs(missing.shas):
            channel.write(p.encode(blob))
            self.sent_bytes += len(blob.payload)
            await channel.drain()
        channel.write(p.encode(self._code.code))
