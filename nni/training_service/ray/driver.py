"""The process that speaks with Ray for a manager, which Ray's client would block, and whose output it would mix up.

It is started as ``python -m nni.training_service.ray.driver``, is told its settings by the first line of its standard
input, and ends with it. What it asked Ray for stays: actors have names, and are found again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any

from nni.training_service.ray import actor, faults, frames
from nni.training_service.ray.faults import ClusterError

if TYPE_CHECKING:
    from collections.abc import Coroutine

NAMESPACE = "nni"
"""Of the actors' names."""

_LONGEST_START = 120  # seconds to join the cluster, or the process ends
_PROBE = 5.0  # seconds for a connection to be taken
_CALL = 60.0  # seconds for an actor that is there to answer
_POLL = 20.0  # seconds that a read waits there
_SOON = 3.0  # seconds that an actor takes to start where there is room
_WINDOW = 4 * 1024 * 1024  # bytes on their way to a manager that does not read
_PIECE = 1024 * 1024  # bytes of a call
_FRESH = 1.0  # seconds for which what the cluster has is taken for true
_GRACE = 15.0  # seconds for a runner that was not told to end to end its trials
_THREADS = 32  # of an actor


class _Pipe:
    """A channel on this side: what is to be written, and how much of what was read the manager has not taken yet."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.unsent = bytearray()
        self.is_wanted = asyncio.Event()
        self.is_closing = False
        self.unread = 0
        self.has_room = asyncio.Event()
        self.has_room.set()


class Driver:
    """Does what the manager asks for.

    Parameters
    ----------
    reader, writer
        The pipes to the manager.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._pipes: dict[str, _Pipe] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._hellos: dict[str, asyncio.Future[str]] = {}
        self._seen: tuple[float, list[dict[str, float]], dict[str, float]] = (0.0, [], {})

    async def run(self) -> None:
        """Answer until the manager is gone."""
        self._say({"event": "ready"})
        while (frame := await frames.receive(self._reader)) is not None:
            head, payload = frame
            pipe = self._pipes.get(head.get("channel", ""))
            if head["op"] == "write":
                if pipe is not None:
                    pipe.unsent += payload
                    pipe.is_wanted.set()
            elif head["op"] == "taken":
                if pipe is not None:
                    pipe.unread -= head["size"]
                    if pipe.unread <= _WINDOW:
                        pipe.has_room.set()
            elif head["op"] == "close":
                if pipe is not None:
                    pipe.is_closing = True
                    pipe.is_wanted.set()
            else:
                self._spawn(self._answer(head))

    async def _answer(self, head: dict[str, Any]) -> None:
        try:
            method = getattr(self, f"_{head['op']}")
            answer = await method(**head["with"])
        except Exception as error:  # noqa: BLE001  (Ray's are of many kinds, and all of them are the answer)
            fault = error if isinstance(error, ClusterError) else faults.of(error)
            answer = {"fault": str(fault), "is_lasting": fault.is_lasting}
        self._say({"event": "answer", "id": head["id"], **(answer or {})})

    # What can be asked for

    async def _check(self, wants: dict[str, float]) -> None:
        nodes = await asyncio.to_thread(_nodes)
        problem = faults.impossible(wants, nodes)
        if problem is not None:
            raise ClusterError(problem, is_lasting=True)

    async def _open(
        self,
        name: str,
        channel: str,
        root: str,
        archive: str,
        wants: dict[str, float],
        known: str | None,
        patience: float,
    ) -> dict[str, Any] | None:
        handle = await asyncio.to_thread(_find_or_make, name, root, bytes.fromhex(archive), wants)
        hello = self._hellos.get(name) or asyncio.wrap_future(handle.hello.remote().future())
        self._hellos[name] = hello
        began = time.monotonic()
        while not hello.done():
            await asyncio.wait({hello}, timeout=1.0)
            waited = time.monotonic() - began
            if not hello.done() and waited >= _SOON:
                reason = await self._why_waiting(wants)
                if reason != known or waited > patience:
                    return {"waits": reason}
        self._hellos.pop(name, None)
        host = hello.result()
        await _call(handle.open.remote(channel))
        pipe = self._pipes[channel] = _Pipe(handle)
        self._spawn(self._read(channel, pipe))
        self._spawn(self._write(channel, pipe))
        return {"host": host}

    async def _kill(self, name: str) -> None:
        try:
            handle = await asyncio.to_thread(_find, name)
        except ValueError:  # there is none
            return
        hello = self._hellos.pop(name, None)
        if hello is None or hello.done():  # else it waits for room, and has nothing yet
            with contextlib.suppress(Exception):  # it is gone
                await _call(handle.hello.remote(), _SOON)
                await _call(handle.remove.remote(_GRACE))
        await asyncio.to_thread(_end, handle)

    async def _clear(self, prefix: str) -> None:
        names = [name for name in await asyncio.to_thread(_names) if name.startswith(prefix)]
        await asyncio.gather(*map(self._kill, names))

    async def _clean(self, archive: str, directory: str) -> dict[str, Any]:
        return {"nodes": await asyncio.to_thread(_clean_nodes, bytes.fromhex(archive), directory)}

    # Channels

    async def _read(self, channel: str, pipe: _Pipe) -> None:
        code, text = None, ""
        try:
            while True:
                await pipe.has_room.wait()
                data = await _call(pipe.handle.read.remote(channel, _POLL), _POLL + _CALL)
                if data is None:
                    break
                if data:
                    pipe.unread += len(data)
                    if pipe.unread > _WINDOW:
                        pipe.has_room.clear()
                    self._say({"event": "data", "channel": channel}, data)
            code, text = await _call(pipe.handle.end.remote(channel))
        except Exception as error:  # noqa: BLE001  (the actor is gone, or Ray is: the end of the channel)
            text = str(faults.of(error))
        del self._pipes[channel]
        pipe.is_wanted.set()
        self._say({"event": "end", "channel": channel, "code": code, "text": text})

    async def _write(self, channel: str, pipe: _Pipe) -> None:
        with contextlib.suppress(Exception):  # reading tells of it
            while channel in self._pipes:
                await pipe.is_wanted.wait()
                pipe.is_wanted.clear()
                while pipe.unsent:
                    piece = bytes(pipe.unsent[:_PIECE])
                    del pipe.unsent[:_PIECE]
                    await _call(pipe.handle.write.remote(channel, piece))  # one at a time: Ray keeps no order
                    self._say({"event": "sent", "channel": channel, "size": len(piece)})
                if pipe.is_closing:
                    await _call(pipe.handle.close.remote(channel))

    # Small things

    async def _why_waiting(self, wants: dict[str, float]) -> str:
        if time.monotonic() - self._seen[0] > _FRESH:
            self._seen = (time.monotonic(), *await asyncio.to_thread(_nodes_and_free))
        _, nodes, free = self._seen
        problem = faults.impossible(wants, nodes)
        if problem is not None:
            return problem
        if all(free.get(name, 0.0) >= amount for name, amount in wants.items()):
            return "Ray is starting it (its runtime environment, if it has one, is being made)"
        return f"waits until Ray has room for {faults.shown(wants)}"

    def _say(self, head: dict[str, Any], payload: bytes = b"") -> None:
        self._writer.write(frames.encode(head, payload))

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


async def _call(reference: Any, patience: float = _CALL) -> Any:
    answer = asyncio.wrap_future(reference.future())
    done, _ = await asyncio.wait({answer}, timeout=patience)  # Ray's futures do not like to be cancelled
    if not done:
        raise TimeoutError
    return answer.result()


def _find_or_make(name: str, root: str, archive: bytes, wants: dict[str, float]) -> Any:
    import ray  # noqa: PLC0415

    with contextlib.suppress(ValueError):  # there is none
        return ray.get_actor(name)
    rest = {key: amount for key, amount in wants.items() if key not in {"CPU", "GPU", "memory"}}
    options = {"num_cpus": wants.get("CPU", 0), "num_gpus": wants.get("GPU", 0), "resources": rest}
    if "memory" in wants:
        options["memory"] = wants["memory"]
    maker = ray.remote(actor.RunnerActor).options(
        name=name,
        lifetime="detached",
        get_if_exists=True,
        max_concurrency=_THREADS,
        max_restarts=0,
        **options,
    )
    return maker.remote(archive, root)


def _names() -> list[str]:
    from ray.util import list_named_actors  # noqa: PLC0415

    return list(list_named_actors())


def _find(name: str) -> Any:
    import ray  # noqa: PLC0415

    return ray.get_actor(name)


def _end(handle: Any) -> None:
    import ray  # noqa: PLC0415

    ray.kill(handle)


def _nodes() -> list[dict[str, float]]:
    """Return the resources of each node that lives."""
    import ray  # noqa: PLC0415

    return [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]


def _nodes_and_free() -> tuple[list[dict[str, float]], dict[str, float]]:
    import ray  # noqa: PLC0415

    return _nodes(), ray.available_resources()  # type: ignore[no-untyped-call]


def _clean_nodes(archive: bytes, directory: str) -> list[dict[str, Any]]:
    import ray  # noqa: PLC0415
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy  # noqa: PLC0415

    task = ray.remote(actor.clean)
    nodes = [node for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    answers = [
        task.options(
            num_cpus=0, max_retries=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        ).remote(archive, directory)
        for node in nodes
    ]
    found = []
    for node, answer in zip(nodes, answers, strict=True):
        name = node.get("NodeName") or node["NodeManagerAddress"]
        try:
            found.append({"node": name, **json.loads(ray.get(answer, timeout=_CALL))})
        except Exception as error:  # noqa: BLE001  (of one node; the others are cleaned)
            found.append({"node": name, "problem": str(faults.of(error))})
    return found


def _connect(settings: dict[str, Any]) -> None:
    """Join the cluster; raises `ClusterError` in a sentence that names the address."""
    address = settings["address"]
    _probe(address)
    import ray  # noqa: PLC0415
    from ray import cloudpickle  # noqa: PLC0415

    cloudpickle.register_pickle_by_value(actor)  # type: ignore[no-untyped-call]
    options = {"runtime_env": settings["runtime_env"]} if settings["runtime_env"] else {}
    try:
        ray.init(address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.WARNING, **options)
    except Exception as error:
        raise faults.of_joining(address, error) from error


def _probe(address: str) -> None:
    """Make sure that something listens there: Ray itself would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _PROBE).close()
    except (OSError, OverflowError) as error:
        raise faults.nobody_there(address, str(getattr(error, "strerror", None) or error)) from None


async def _serve(incoming: int, outgoing: int) -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=frames.LIMIT)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(incoming, "rb", 0))
    transport, protocol = await loop.connect_write_pipe(asyncio.streams.FlowControlMixin, os.fdopen(outgoing, "wb", 0))
    await Driver(reader, asyncio.StreamWriter(transport, protocol, None, loop)).run()


def main() -> None:
    """Be the driver."""
    incoming, outgoing = os.dup(0), os.dup(1)
    os.dup2(2, 1)  # what Ray prints is no frame
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(incoming, 1)
        if not byte:
            return
        line += byte
    signal.alarm(_LONGEST_START)  # Ray would go on trying for long after the manager was killed
    try:
        _connect(json.loads(line))
    except ClusterError as fault:
        os.write(outgoing, frames.encode({"event": "fault", "fault": str(fault), "is_lasting": fault.is_lasting}))
        return
    signal.alarm(0)
    asyncio.run(_serve(incoming, outgoing))


if __name__ == "__main__":
    main()
    sys.stderr.flush()
    os._exit(0)  # Ray's own farewell may take long where the cluster is gone
