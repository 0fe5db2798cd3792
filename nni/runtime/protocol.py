"""Messages between manager and dispatcher; see ``docs/development/interfaces.md`` for each one's data.

A message is one line of JSON, ``{"type": <CommandType name>, "data": ...}``. Both sides are ours and of the same
version, so a peer that speaks otherwise is an error, never guessed at.
"""

from __future__ import annotations

import json
from enum import Enum
from typing import Any, NamedTuple, Protocol

from nni.common.errors import NniError
from nni.common.plain import plain

__all__ = [
    "CommandType",
    "Message",
    "MetricType",
    "Sender",
    "connect",
    "continue_ids_from",
    "decode",
    "encode",
    "plain",
    "send",
]


class CommandType(Enum):
    """Names on the wire; the first block goes to the dispatcher, the second comes from it."""

    Setup = "Setup"
    Initialize = "Initialize"
    ReplayHistory = "ReplayHistory"
    RequestTrialJobs = "RequestTrialJobs"
    ReportMetricData = "ReportMetricData"
    UpdateSearchSpace = "UpdateSearchSpace"
    ImportData = "ImportData"
    AddCustomizedTrialJob = "AddCustomizedTrialJob"
    TrialEnd = "TrialEnd"
    Terminate = "Terminate"

    Initialized = "Initialized"
    NewTrialJob = "NewTrialJob"
    NoMoreTrialJobs = "NoMoreTrialJobs"
    KillTrialJob = "KillTrialJob"
    TunerNote = "TunerNote"
    Error = "Error"


class MetricType:
    """Values of ``type`` in metric records (HPO-147)."""

    FINAL = "FINAL"
    PERIODICAL = "PERIODICAL"
    REQUEST_PARAMETER = "REQUEST_PARAMETER"


class Message(NamedTuple):
    """One decoded message."""

    command: CommandType
    data: Any


_encoder = json.JSONEncoder(default=plain, separators=(",", ":"))


def encode(command: CommandType, data: Any = None) -> bytes:
    """Return the line that carries a message; raises ``TypeError`` or ``ValueError`` for what JSON cannot carry."""
    return _encoder.encode({"type": command.value, "data": data}).encode() + b"\n"


def decode(line: bytes) -> Message:
    """Return the message on a line; raises ``ValueError`` for anything else."""
    raw = json.loads(line)
    if not isinstance(raw, dict) or "type" not in raw:
        raise ValueError(f"not a message: {line[:80]!r}")
    return Message(CommandType(raw["type"]), raw.get("data"))


class Sender(Protocol):
    """Whatever takes the encoded lines: the channel to the manager, or a test's list."""

    def send(self, lines: bytes) -> None:
        """Hand over one or several whole lines; callable from any thread."""


class _Outgoing:
    """Where :func:`send` sends; one per process, as the documented function has no object to hang on."""

    sender: Sender | None = None
    first_id: int = 0


def connect(sender: Sender | None) -> None:
    """Make `sender` the place where :func:`send` sends; None disconnects. Parameter ids start at 0 again."""
    _Outgoing.sender = sender
    _Outgoing.first_id = 0


def continue_ids_from(first_id: int) -> None:
    """Add `first_id` to the ``parameter_id`` of every ``NewTrialJob`` from now on.

    For advisors that count from 0 in every process, as those of NNI 2.x do: a resumed experiment goes on counting.
    """
    _Outgoing.first_id = first_id


def send(command: CommandType, data: Any = None) -> None:
    """Send a message to the manager; callable from any thread.

    Parameters
    ----------
    command
        What to tell, such as :attr:`CommandType.NewTrialJob`.
    data
        The message's data as an object or, for ``NewTrialJob`` and ``KillTrialJob``, as JSON text of it.

    Raises
    ------
    ValueError
        A ``NewTrialJob`` that is not JSON, or without ``parameter_id`` or ``parameters`` (HPO-146).
    NniError
        Outside a dispatcher there is no manager to send to.

    Examples
    --------
    >>> send(CommandType.NewTrialJob, json.dumps({"parameter_id": 42, "parameters": {"lr": 0.1}}))  # doctest: +SKIP
    """
    sender = _Outgoing.sender
    if sender is None:
        raise NniError(f"send({command.name}): this process is no dispatcher, nobody is connected")
    if command is CommandType.NewTrialJob:
        data = _new_trial_job(data)
    elif command is CommandType.KillTrialJob:
        data = _trial_id(data)
    sender.send(encode(command, data))


def _new_trial_job(data: Any) -> Any:
    """Check what an advisor sends while it is still its own stack; text stays the text that was sent (HPO-148)."""
    job = json.loads(data) if isinstance(data, str) else data
    missing = [key for key in ("parameter_id", "parameters") if not isinstance(job, dict) or key not in job]
    if missing:
        raise ValueError(f"NewTrialJob: missing {' and '.join(missing)} in {job!r:.200}")
    if not _Outgoing.first_id or not isinstance(job["parameter_id"], int):
        return data
    job = {**job, "parameter_id": job["parameter_id"] + _Outgoing.first_id}
    return _encoder.encode(job) if isinstance(data, str) else job


def _trial_id(data: Any) -> Any:
    """Trial ids come plain or as JSON text; an id that happens to be a JSON number stays an id."""
    try:
        parsed = json.loads(data)
    except (TypeError, ValueError):
        return data
    return parsed if isinstance(parsed, str) else data
