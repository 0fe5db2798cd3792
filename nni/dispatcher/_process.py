"""The dispatcher's life: from its environment and the ``Setup`` message to its end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nni.common.errors import NniError
from nni.dispatcher import _output
from nni.dispatcher._constraints import condition
from nni.dispatcher._load import load
from nni.runtime import (
    FAILURES,
    GONE,
    Channel,
    ChannelClosedError,
    MsgDispatcher,
    MsgDispatcherBase,
    constrained,
    one_line,
    report,
)
from nni.runtime.protocol import CommandType, Message, connect

if TYPE_CHECKING:
    from types import FrameType

_logger = logging.getLogger("nni.main")

_GRACE = 2.0
"""Seconds that an algorithm may go on computing after ``Terminate``."""

_GRACE_GONE = 0.5
"""Seconds that it may go on once nobody listens any more."""


def main() -> int:
    """Run the dispatcher; return its exit code.

    0 after ``Terminate`` or the end of the channel, 1 after a failure that was reported. SIGTERM ends the process at
    once, as it holds no state; SIGINT is left to the manager, who gets the same Ctrl-C.
    """
    descriptor = os.environ.pop("NNI_DISPATCHER_FD", None)
    if descriptor is None:
        sys.stderr.write(
            "This is NNI's dispatcher, which is started by the manager. To run an experiment: nnictl create\n"
        )
        return 2
    directory = Path(os.environ.get("NNI_LOG_DIRECTORY") or ".").resolve()
    os.chdir(directory)
    _output.set_up(directory, os.environ.get("NNI_LOG_LEVEL", "info"))
    signal.signal(signal.SIGINT, _ignore)
    channel = Channel(int(descriptor))
    connect(channel)
    _logger.debug("START")
    try:
        code = _serve(channel)
    except ChannelClosedError:
        code = 0
    _logger.debug("END")
    _end_within(_GRACE, code)
    return code


def _serve(channel: Channel) -> int:
    try:
        message = channel.receive()
        if message is None:
            return 0
        channel.start(lambda last: _ended(channel, last))
        dispatcher = _build(message)
    except ChannelClosedError:
        return 0
    except FAILURES as error:
        report(error, command=CommandType.Setup, fatal=True)
        return 1
    try:
        dispatcher.run(channel)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _build(message: Message) -> MsgDispatcherBase:
    command, setup = message
    if command is not CommandType.Setup:
        raise NniError(f"the first message must be Setup, got {command.value}")
    tuner, assessor, advisor = (setup.get(kind) for kind in ("tuner", "assessor", "advisor"))
    if bool(tuner) == bool(advisor):
        raise NniError("exactly one of 'tuner' and 'advisor' must be configured")
    if advisor and assessor:
        raise NniError("an advisor is tuner and assessor in one: 'assessor' cannot be configured beside it (HPO-187)")
    dispatcher = _advisor(advisor) if advisor else _tuner(tuner, assessor, setup.get("constraints") or [])
    dispatcher.multi_thread = bool(setup.get("multiThread"))
    return dispatcher


def _advisor(spec: dict[str, Any]) -> MsgDispatcherBase:
    advisor: MsgDispatcherBase = load("advisor", spec)
    return advisor


def _tuner(tuner: dict[str, Any], assessor: dict[str, Any] | None, constraints: list[Any]) -> MsgDispatcher:
    include = os.environ.get("NNI_INCLUDE_INTERMEDIATE_RESULTS", "").lower() in {"1", "true", "yes"}
    return MsgDispatcher(
        _constrained(load("tuner", tuner), constraints),
        load("assessor", assessor) if assessor else None,
        include_intermediate_results=include,
    )


def _constrained(tuner: Any, constraints: list[Any]) -> Any:
    return constrained(tuner, condition(constraints)) if constraints else tuner


def _ended(channel: Channel, last: Message) -> None:
    """Bound what is left of the process' life; runs in the reading thread."""
    if last.command is CommandType.Error:
        fault = NniError(f"the manager sent what is no message: {one_line(last.data)}")
        report(fault, command=last.command, fatal=True)
        os._exit(1)
    if last.data == GONE:
        _logger.info(GONE)
    else:
        channel.wait_until_gone(_GRACE)
    time.sleep(_GRACE_GONE)
    _logger.info("still busy: ending now")
    os._exit(0)


def _end_within(seconds: float, code: int) -> None:
    """End the process even if a thread or an exit hook of the algorithm hangs."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _ignore(number: int, frame: FrameType | None) -> None:
    """Do nothing; a handler, unlike SIG_IGN, is not inherited by the programs that an algorithm starts."""
