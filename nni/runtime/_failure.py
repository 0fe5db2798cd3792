"""What is told, and to whom, when an algorithm fails (PLT-156, PLT-185, PLT-356)."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from nni.common.errors import NniError, NoMoreTrialError
from nni.runtime._channel import ChannelClosedError
from nni.runtime.protocol import CommandType, send

if TYPE_CHECKING:
    from collections.abc import Callable

    Failures = tuple[type[BaseException], ...]

FAILURES: Failures = (Exception, SystemExit)
"""What counts as a failure of user code: ``sys.exit`` in a tuner must not end the dispatcher silently."""


_logger = logging.getLogger("nni.main")


class AlgorithmError(Exception):
    """An exception out of a user's class; ``str()`` is the line that the user reads, the cause is the exception."""

    def __init__(self, message: str, *, fatal: bool = False) -> None:
        super().__init__(message)
        self.fatal = fatal


def call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a method of an algorithm; what it raises comes out as :class:`AlgorithmError` that names the method."""
    try:
        return function(*args, **kwargs)
    except (NoMoreTrialError, ChannelClosedError, AlgorithmError):  # messages, and what is worded already
        raise
    except FAILURES as error:
        raise AlgorithmError(f"{name_of(function)} failed: {one_line(error)}") from error


def name_of(function: Callable[..., Any]) -> str:
    """Return ``Class.method`` of a bound method."""
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", repr(function))
    return name if owner is None else f"{type(owner).__name__}.{name}"


def one_line(error: BaseException) -> str:
    """Return an error in one line; a user's mistake speaks for itself, anything else is named by its type."""
    text = " ".join(str(error).split())
    if isinstance(error, (NniError, AlgorithmError)):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def report(error: BaseException, *, command: CommandType, data: Any = None, fatal: bool) -> None:
    """Log a failure with its traceback and tell the manager.

    Parameters
    ----------
    error
        What was raised.
    command, data
        The message that was being handled; the trial and the parameter id in it are named.
    fatal
        Whether the dispatcher ends because of it.
    """
    import traceback  # noqa: PLC0415 - only a failure needs it

    cause = error.__cause__ if isinstance(error, AlgorithmError) and error.__cause__ else error
    trace = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))
    message = f"{one_line(error)}{_trial(data)}"
    if isinstance(cause, NniError):  # a user's mistake: the message says it all
        _logger.error("%s", message)
        _logger.debug("%s", trace)
    else:
        _logger.error("%s\n%s", message, trace.rstrip())
    send(CommandType.Error, {"message": message, "traceback": trace, "command": command.value, "fatal": fatal})


def _trial(data: Any) -> str:
    if not isinstance(data, dict) or "trial_job_id" not in data:
        return ""
    parameter_id = data.get("parameter_id", parameter_id_in(data.get("hyper_params")))
    return f" (trial {data['trial_job_id']}{'' if parameter_id is None else f', parameter {parameter_id}'})"


def parameter_id_in(hyper_params: Any) -> Any:
    """Return the parameter id in the text of a ``NewTrialJob``, None if there is none."""
    try:
        return json.loads(hyper_params)["parameter_id"]
    except (TypeError, ValueError, KeyError):  # an advisor may send what it likes
        return None
