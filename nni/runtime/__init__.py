"""What runs inside the dispatcher: the message protocol and the documented base class of advisors."""

from __future__ import annotations

from nni.runtime._channel import GONE, Channel, ChannelClosedError
from nni.runtime._constrained import constrained
from nni.runtime._failure import FAILURES, AlgorithmError, one_line, report
from nni.runtime.msg_dispatcher import MsgDispatcher
from nni.runtime.msg_dispatcher_base import MsgDispatcherBase

__all__ = [
    "FAILURES",
    "GONE",
    "AlgorithmError",
    "Channel",
    "ChannelClosedError",
    "MsgDispatcher",
    "MsgDispatcherBase",
    "constrained",
    "one_line",
    "report",
]
