"""The contract of :class:`nni.training_service.pool.Environment` as tests.

Subclass :class:`EnvironmentConformance` in a test module of your own and implement :meth:`make`; pytest does the rest::

    class TestMyPlatform(EnvironmentConformance):
        def make(self, directory):
            return MySite(...).environment("")
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from nni.training_service.pool import Channel, Environment, UnreachableError
from nni.trial_runner import protocol as p

_PATIENCE = 60.0  # seconds; a limit for what hangs, not a measure
_MessageT = TypeVar("_MessageT", bound=p.Message)


class _Talk:
    """One connection to a runner, as the manager has it."""

    def __init__(self, environment: Environment, channel: Channel) -> None:
        self.channel = channel
        self._decoder = p.Decoder()
        self._noise: bytes | None = b""
        self._messages: list[p.Message] = []
        channel.write(environment.first_bytes())
        channel.write(p.encode(p.Greeting(p.VERSION, "CONFORM1", 1.0)))

    async def next(self, kind: type[_MessageT]) -> _MessageT:
        """Return the next message of a kind."""
        while True:
            while self._messages:
                message = self._messages.pop(0)
                if isinstance(message, kind):
                    return message
            data = await asyncio.wait_for(self.channel.read(), _PATIENCE)
            assert data, f"the channel ended: {await self.channel.complaint()}"
            if self._noise is not None:
                self._noise += data
                _, mark, data = self._noise.partition(b"\n" + p.MARK + b"\n")
                if not mark:
                    continue
                self._noise = None
            self._messages += self._decoder.feed(data)

    async def hang_up(self) -> None:
        """End the connection."""
        self.channel.close()
        await self.channel.wait_closed()


class EnvironmentConformance:
    """Every test is a clause of the contract."""

    def make(self, directory: Path) -> Environment:
        """Return an environment; called again in a test for the same one as the next manager sees it."""
        raise NotImplementedError

    async def let_go(self) -> None:
        """Free what `make` has made besides environments; override where that is something."""

    def run(self, scenario: Callable[[], Awaitable[None]]) -> None:
        """Run a scenario on a loop of its own, and end what is left of the environment."""

        async def main() -> None:
            try:
                await scenario()
            finally:
                await self.let_go()

        asyncio.run(main())

    async def talk(self, environment: Environment) -> _Talk:
        """Return a connection; an environment may take a while to come."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return _Talk(environment, await environment.connect())
            except UnreachableError:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.2)

    async def end(self, environment: Environment, talk: _Talk) -> None:
        """Have a runner remove everything and end, and give the environment back."""
        talk.channel.write(p.encode(p.Quit()))
        while await asyncio.wait_for(talk.channel.read(), _PATIENCE):
            pass
        await talk.hang_up()
        await environment.stop()

    def test_its_runner_answers_and_removes_everything_in_the_end(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            environment = self.make(tmp_path)
            talk = await self.talk(environment)
            hello = await talk.next(p.Hello)
            machine = await talk.next(p.Machine)
            assert hello.version == p.VERSION
            assert machine.cpus > 0
            assert machine.free_disk > 0
            await self.end(environment, talk)

        self.run(scenario)

    def test_to_connect_again_is_to_find_the_same_runner(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            first = self.make(tmp_path)
            talk = await self.talk(first)
            before = await talk.next(p.Hello)
            await talk.hang_up()
            second = self.make(tmp_path)
            talk = await self.talk(second)
            assert (await talk.next(p.Hello)).pid == before.pid
            await self.end(second, talk)

        self.run(scenario)

    def test_a_second_connection_takes_over_from_the_first(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            environment = self.make(tmp_path)
            first = await self.talk(environment)
            await first.next(p.Hello)
            second = await self.talk(environment)
            await second.next(p.Hello)
            while await asyncio.wait_for(first.channel.read(), _PATIENCE):
                pass
            await first.hang_up()
            await self.end(environment, second)

        self.run(scenario)

    def test_bytes_of_every_kind_arrive_as_they_were_sent(self, tmp_path: Path) -> None:
        async def scenario() -> None:
            environment = self.make(tmp_path)
            talk = await self.talk(environment)
            content = bytes(range(256)) * 4096 + b"\r\n\0\n"
            code = p.Code(*_one_file(content))
            talk.channel.write(p.encode(code))
            missing = await talk.next(p.Missing)
            for sha in missing.shas:
                talk.channel.write(p.encode(p.Blob(sha, 0, True, content)))  # noqa: FBT003  (a field)
                await talk.channel.drain()
            talk.channel.write(p.encode(code))
            assert (await talk.next(p.Missing)).shas == []  # its SHA-256 was right
            await self.end(environment, talk)

        self.run(scenario)


def _one_file(content: bytes) -> tuple[str, list[tuple[str, int, str, bool]]]:
    import hashlib  # noqa: PLC0415

    sha = hashlib.sha256(content).hexdigest()
    return sha[:16], [("every byte.bin", len(content), sha, False)]
