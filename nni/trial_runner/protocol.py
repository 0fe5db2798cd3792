"""What manager and runner say to each other: a JSON object a line, some followed by bytes.

The rules, which make it safe to cut the connection between any two bytes:

- What a trial reports, and its logs, are files on the runner's side. Each message that carries a piece of one says at
  which place of the file the piece begins: that is its sequence number. The runner keeps no other queue, so what is
  spooled while the manager is away is on the disk, and survives the runner, too.
- After each (re)connection the manager names every trial that it believes unfinished, with the places up to which it
  has everything (`Start`). The runner starts it if it never started, and goes on sending from these places. So
  everything is sent again that was not taken over, and nothing that was.
- A manager that was killed begins at the places that it had committed. `Forget` is the acknowledgement of the whole
  trial: it is sent when its end is committed, and only then the runner removes anything.
- Every message may come twice; the second time it changes nothing.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from typing import Any

VERSION = 1
"""Grows with every change that an older side would misunderstand. Manager and runner must have the same."""

MARK = b"nni-runner-is-attached"
"""The line before the first message to the manager; what a login shell prints comes before it."""

PIECE = 256 * 1024
_LONGEST_LINE = 16 * 1024 * 1024  # of a message without its bytes; a list of 2000 files has a tenth of it


class ProtocolError(Exception):
    """The other side speaks another language; the connection is of no use."""


class Message:
    """Base of all messages; `payload` stands for the bytes that follow the line."""

    payload = b""


# --- from the manager ------------------------------------------------------------------------------------------------


@dataclass
class Greeting(Message):
    """First message. `experiment` is shown in the runner's log; `grace` is the time between SIGTERM and SIGKILL.

    `log_limit` is how many bytes each log of a trial may take here, `log_setting` how a person knows that limit.
    """

    version: int
    experiment: str
    grace: float
    log_limit: int | None = None
    log_setting: str = ""


@dataclass
class Storage(Message):
    """Have the experiment's shared storage here; comes before `Code`, and is answered by `Stored` or `Unmountable`.

    `source` is what a mount of this `kind` takes, a key for it included: it is kept in memory only. `token` is the mark
    of the experiment on the storage; `is_marked` says that the manager has put it there.
    """

    kind: str
    source: dict[str, Any]
    mount_point: str
    token: str
    is_marked: bool


@dataclass
class Code(Message):
    """The files of the code directory: path, size, SHA-256 and whether it is executable; `digest` names the list."""

    digest: str
    files: list[tuple[str, int, str, bool]]


@dataclass
class Blob(Message):
    """A piece of a file of the code directory, known by its SHA-256."""

    sha: str
    place: int
    is_last: bool
    payload: bytes = b""


@dataclass
class Start(Message):
    """Run a trial if it was never started, and send what it reports from these places on.

    `trial`, here and elsewhere, is the trial's id, or for its n-th run (those before were lost) ``<id>.<n>``.
    `is_new` is False for one that is known to have been started: if there is no trace of it, it is lost.
    """

    trial: str
    script: str
    parameters: str
    code: str
    is_new: bool
    metrics: int
    log: int
    stderr: int


@dataclass
class Stop(Message):
    """SIGTERM to a trial's process group, SIGKILL after the grace."""

    trial: str


@dataclass
class Fetch(Message):
    """Send the files that an ended trial left in its output directory."""

    trial: str


@dataclass
class Forget(Message):
    """The end of a trial is committed: remove its directory."""

    trial: str


@dataclass
class Look(Message):
    """Send a `Machine` as it is now."""


@dataclass
class Quit(Message):
    """End all trials, remove everything of the experiment, and end; the end of the connection says that it is done."""


# --- from the runner -------------------------------------------------------------------------------------------------


@dataclass
class Machine(Message):
    """What there is. `gpus` has, for each GPU, the processes on it that are not of this experiment."""

    gpus: list[list[int]]
    cpus: int
    memory: int
    free_memory: int
    load: float
    free_disk: int


@dataclass
class Hello(Message):
    """The answer to `Greeting`. Times are epoch milliseconds of that machine's clock."""

    version: int
    root: str
    host: str
    pid: int
    python: str
    nni: str | None
    now: int
    trials: list[str]


@dataclass
class Stored(Message):
    """The storage is there; `directory` is that of the experiment on it."""

    directory: str


@dataclass
class Unmountable(Message):
    """The storage cannot be had; `is_final` says that a person has to change something."""

    message: str
    is_final: bool


@dataclass
class Missing(Message):
    """The files of the code directory that are to be sent; an empty list says that it is complete."""

    digest: str
    shas: list[str]


@dataclass
class Running(Message):
    """A trial runs, since `start` or longer."""

    trial: str
    start: int


@dataclass
class Refused(Message):
    """A trial cannot be started now."""

    trial: str
    message: str
    errno: int | None


@dataclass
class Metrics(Message):
    """Whole lines of a trial's metric file; `end` is the place behind them."""

    trial: str
    place: int
    end: int
    payload: bytes = b""


@dataclass
class Text(Message):
    """A piece of ``trial.log`` or ``stderr``."""

    trial: str
    name: str
    place: int
    payload: bytes = b""


@dataclass
class Ended(Message):
    """No process of a trial is left, and everything it reported has been sent.

    `code` is None if it cannot be known; `outputs` is the number of files in its output directory.
    """

    trial: str
    code: int | None
    end: int
    complaint: str
    outputs: int


@dataclass
class File(Message):
    """A piece of a file of a trial's output directory."""

    trial: str
    path: str
    mode: int
    place: int
    is_last: bool
    payload: bytes = b""


@dataclass
class Fetched(Message):
    """All files of a trial's output directory were sent; `problems` names those that could not be read."""

    trial: str
    problems: list[str] = field(default_factory=list)


@dataclass
class Fault(Message):
    """The runner cannot do what it was asked for; one line for a person."""

    message: str


_TYPES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (
        *(Greeting, Storage, Code, Blob, Start, Stop, Fetch, Forget, Look, Quit),
        *(Machine, Hello, Stored, Unmountable, Missing, Running, Refused, Metrics, Text, Ended, File, Fetched, Fault),
    )
}
_FIELDS: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(item.name for item in fields(kind) if item.name != "payload") for kind in _TYPES.values()
}


def encode(message: Message) -> bytes:
    """Return a message as it goes over the connection."""
    kind = type(message)
    content: dict[str, Any] = {name: getattr(message, name) for name in _FIELDS[kind]}
    content["type"] = kind.__name__
    if message.payload:
        content["bytes"] = len(message.payload)
    return json.dumps(content, separators=(",", ":")).encode() + b"\n" + message.payload


class Decoder:
    """Puts messages together from what comes over a connection."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._head: dict[str, Any] | None = None

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are complete now.

        Raises
        ------
        ProtocolError
            This is not the protocol.
        """
        self._data += data
        messages: list[Message] = []
        place = 0
        while True:
            if self._head is None:
                end = self._data.find(b"\n", place)
                if end < 0:
                    break
                self._head = _head(bytes(self._data[place:end]))
                place = end + 1
            size = self._head.get("bytes", 0)
            if len(self._data) - place < size:
                break
            messages.append(_message(self._head, bytes(self._data[place : place + size])))
            place += size
            self._head = None
        del self._data[:place]
        if self._head is None and len(self._data) > _LONGEST_LINE:
            raise ProtocolError("a line without an end")
        return messages


def _head(line: bytes) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError:
        raise ProtocolError(f"not a message: {line[:80]!r}") from None
    if not isinstance(head, dict) or not isinstance(head.get("bytes", 0), int):
        raise ProtocolError(f"not a message: {line[:80]!r}")
    return head


def _message(head: dict[str, Any], payload: bytes) -> Message:
    kind = _TYPES.get(str(head.get("type")))
    if kind is None:
        raise ProtocolError(f"an unknown message: {head.get('type')!r}")
    try:
        message: Message = kind(**{name: head[name] for name in _FIELDS[kind] if name in head})
    except TypeError:
        missing = ", ".join(name for name in _FIELDS[kind] if name not in head)
        raise ProtocolError(f"{kind.__name__} without {missing}") from None
    if payload:
        message.payload = payload
    return message
