"""A worker: a process that calls one Python function for many trials, one after the other.

``python -m nni.trial.function_worker SETTINGS`` loads the function once. The manager sends it, over a socket pair, one
JSON line for each trial. What a trial reports goes into the worker's spool, as does how it ended; the manager is only
woken. A worker whose manager dies ends its trial first, and then itself.

Standard library only, but for what the function needs.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import linecache
import os
import signal
import socket
import sys
import threading
import time
import traceback
import types
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from nni import trial as api
from nni.trial.fork_server import fresh_randomness
from nni.trial.function_files import (
    FUNCTION,
    LOADING,
    Claims,
    WorkerControl,
    end_record,
    read_about,
    read_function,
    start_record,
)
from nni.trial.function_output import Output
from nni.trial.function_session import FunctionSession, TrialStopped, WorkerSpool

if TYPE_CHECKING:
    from collections.abc import Callable

_MESSAGE = 300  # characters of an error that go into a trial's message; its log has all of it
_TERMINATED = 143  # exit code of a process that SIGTERM ended, as a shell tells it


class Outcome(NamedTuple):
    """How a call ended; `value` is what the function returned."""

    code: int
    message: str = ""
    value: Any = None


def main() -> None:
    """Load the function, then run what the manager sends until it closes its end."""
    channel = socket.socket(fileno=int(os.environ.pop("NNI_WORKER_FD")))
    channel.set_inheritable(False)
    faulthandler.enable(2)  # the descriptor: wherever a trial's standard error goes
    settings = json.loads(sys.argv[1])
    sys.argv = [""]
    worker = Worker(settings, channel)
    try:
        worker.load()
    except BaseException as error:  # noqa: BLE001  (modules may raise anything, SystemExit too)
        traceback.print_exc()
        if isinstance(error, Exception):
            worker.tell(fault=_one_line(error))
        raise SystemExit(1) from None
    worker.tell(ready=True)
    worker.serve()


class Worker:
    """One worker process.

    Parameters
    ----------
    settings
        ``experiment``, ``directory`` (of the experiment), ``life`` (where this life's files are), ``name`` (of the
        worker), ``code`` (where trials run), ``doorbell``.
    channel
        The manager.
    """

    def __init__(self, settings: dict[str, str], channel: socket.socket) -> None:
        self._settings = settings
        self._channel = channel
        base = os.path.join(settings["life"], settings["name"])
        self._control = WorkerControl(f"{base}.control")
        self._claims = Claims(settings["life"])
        self._spool = WorkerSpool(f"{base}.spool", channel, settings["doorbell"], settings["name"])
        self._output = Output()
        self._function: Callable[[Any], Any] | None = None
        self._environment: dict[str, str] = {}
        self._residents: frozenset[threading.Thread] = frozenset()
        self._has_helpers = False
        self._in_function = False
        self._idle = True
        self._leaving = False
        self._process = os.getpid()

    def load(self) -> None:
        """Become a process in which the function can run."""
        directory = os.path.join(self._settings["directory"], "function")
        about = read_about(directory)
        sys.path[:] = _import_path(about)
        _show_source(about)
        sys.modules["__main__"] = types.ModuleType("__main__")
        os.chdir(self._settings["code"])
        self._output.install()
        os.environ[LOADING] = "1"
        self._function = read_function(os.path.join(directory, FUNCTION))
        del os.environ[LOADING]
        self._environment = dict(os.environ)
        self._residents = frozenset(threading.enumerate())  # what the modules of the function started
        self._has_helpers = _has_children()

    def tell(self, **message: Any) -> None:
        """Tell the manager something that needs no record."""
        with contextlib.suppress(OSError):
            self._channel.sendall(json.dumps(message).encode() + b"\n")

    def serve(self) -> None:
        """Run trials, one after the other."""
        signal.signal(signal.SIGTERM, self._terminated)
        os.register_at_fork(after_in_child=self._be_a_child)
        with self._channel.makefile("rb") as orders:
            for line in orders:
                if not self._run(json.loads(line)):
                    return

    def _run(self, order: dict[str, Any]) -> bool:
        """Run a trial; False if another manager has taken over meanwhile, which will see to it."""
        session = FunctionSession(self._settings["experiment"], order, self._spool, self._control.is_stopped)
        self._idle = False
        steady, wall = time.monotonic(), time.time_ns() // 1_000_000
        if not self._claims.claim(self._spool, start_record(session.trial_id, session.sequence_id, wall, steady)):
            return False
        try:
            directory = os.path.join(self._settings["directory"], "trials", session.trial_id)
            self._surround(session, directory)
            self._output.begin(directory)
            outcome = self._outcome(session)
            if os.getpid() != self._process:
                _leave(outcome.code)  # a fork that came back from the function: the trial is its parent's
            self._output.end()
        except OSError as error:
            outcome = Outcome(1, f"the trial's directory cannot be used: {error}")
        session.ended = True
        self._leaving = self._leaving or self._something_lives_on()
        self._record(session, outcome)
        if self._leaving:
            _leave(0)
        self._idle = True
        return True

    def _record(self, session: FunctionSession, outcome: Outcome) -> None:
        """Write result and end with one system call, so that neither is without the other."""

        def end(code: int, message: str) -> str:
            return end_record(session.trial_id, code, time.time_ns() // 1_000_000, message, leaving=self._leaving)

        record = end(outcome.code, outcome.message)
        if outcome.value is not None:
            try:
                self._spool.append(f"{session.record('FINAL', outcome.value)}\n{record}")
            except (TypeError, ValueError) as error:
                record = end(1, _one_line(error))
            else:
                return
        self._spool.append(record)

    def _surround(self, session: FunctionSession, directory: str) -> None:
        """Give each trial the surroundings that the first one had, but for what modules keep."""
        if dict(os.environ) != self._environment:  # the last trial changed more than it was given
            os.environ.clear()
            os.environ.update(self._environment)
        own = {
            "NNI_SYS_DIR": directory,
            "NNI_OUTPUT_DIR": directory,
            "NNI_TRIAL_JOB_ID": session.trial_id,
            "NNI_TRIAL_SEQ_ID": str(session.sequence_id),
        }
        os.environ.update(own)
        self._environment.update(own)
        os.chdir(self._settings["code"])
        signal.signal(signal.SIGTERM, self._terminated)
        fresh_randomness()

    def _outcome(self, session: FunctionSession) -> Outcome:
        api.enter_trial(session, session.parameters)
        try:
            return self._call(session)
        except TrialStopped:
            return Outcome(_TERMINATED)

    def _call(self, session: FunctionSession) -> Outcome:
        assert self._function is not None
        try:
            self._in_function = True
            value = self._function(session.parameters)
        except TrialStopped:
            return Outcome(_TERMINATED)
        except SystemExit as end:
            code = _exit_code(end)
            return Outcome(code, "" if code == 0 else f"sys.exit({end.code!r})"[:_MESSAGE])
        except BaseException as error:  # noqa: BLE001  (the trial's, not the worker's)
            return _failure(error)
        finally:
            self._in_function = False
        return _result(value, has_result=session.has_result)

    def _something_lives_on(self) -> bool:
        """Tell whether a trial left processes or threads behind, which would work beside the next one."""
        if any(thread not in self._residents and not thread.daemon for thread in threading.enumerate()):
            return True
        return not self._has_helpers and _has_children()

    def _be_a_child(self) -> None:
        """Leave a fork of a trial nothing of the worker's duties."""
        if signal.getsignal(signal.SIGTERM) == self._terminated:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _terminated(self, _number: int, _frame: Any) -> None:
        """Leave a function at once, and the process after it: who knows what it was interrupted in."""
        self._leaving = True
        if self._in_function:
            self._in_function = False
            raise TrialStopped
        if self._idle:
            os._exit(_TERMINATED)


def _import_path(about: dict[str, Any]) -> list[str]:
    """Return where to import from: as where the function was stored, plus what another Python has itself."""
    stored: list[str] = about["path"]
    if about.get("interpreter") == sys.executable or not stored:
        return stored or sys.path
    own = sys.path[1:]  # without the directory that -m put first
    return [stored[0], *own, *(entry for entry in stored[1:] if entry not in own)]


def _show_source(about: dict[str, Any]) -> None:
    """Let tracebacks show the lines of a function whose file is not on the disk: a notebook's cell."""
    if about.get("source") and "file" in about and not os.path.exists(about["file"]):
        lines = ["\n"] * (about["line"] - 1) + about["source"].splitlines(keepends=True)
        linecache.cache[about["file"]] = (sum(map(len, lines)), None, lines, about["file"])


def _result(value: Any, *, has_result: bool) -> Outcome:
    """Judge what a function returned: a number, a dict with ``default``, or nothing after a reported result."""
    if value is None and has_result:
        return Outcome(0)
    if isinstance(value, dict):
        return Outcome(0, "", value) if "default" in value else _refused(f"a dict without 'default': {value!r:.80}")
    if isinstance(value, (int, float)):
        return Outcome(0, "", value)
    if isinstance(value, (str, bytes)):
        return _refused(f"a text: {value!r:.80}")
    try:
        return Outcome(0, "", float(value))  # numbers of numpy, torch, decimal
    except (TypeError, ValueError):
        return _refused("nothing" if value is None else f"a {type(value).__name__}: {value!r:.80}")


def _refused(what: str) -> Outcome:
    message = f"the function returned {what}; expected a number, or a dict with a number under 'default'"
    sys.stderr.write(f"{message}\n")
    return Outcome(1, message)


def _failure(error: BaseException) -> Outcome:
    trace = error.__traceback__
    error = error.with_traceback(trace.tb_next if trace is not None else None)  # without this file's frame
    traceback.print_exception(type(error), error, error.__traceback__)
    return Outcome(130 if isinstance(error, KeyboardInterrupt) else 1, _one_line(error))


def _one_line(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  (an error that cannot say what it is)
        text = ""
    text = " ".join(text.split()).encode(errors="backslashreplace").decode()
    return (f"{type(error).__name__}: {text}" if text else type(error).__name__)[:_MESSAGE]


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    sys.stderr.write(f"{end.code}\n")
    return 1


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _leave(code: int) -> NoReturn:
    """End without waiting for what a trial left behind; the manager ends the rest of the process group."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
