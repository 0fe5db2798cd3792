"""The fork server: a Python that has imported what trials need, and becomes a trial in milliseconds.

``python -m nni.trial.fork_server MODULE...`` imports the modules once. The manager sends it, over a socket pair, one
JSON line for each trial; it forks, and the fork runs the trial's script as a fresh interpreter would: environment,
working directory, ``sys.argv``, ``sys.path``, ``__main__``, standard streams, signals, process group, exit code. It
ends when the manager's end of the socket is closed; its trials do not.

Standard library only: a trial must find nothing imported but what it asked for.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import signal
import socket
import sys
import threading
import time
import traceback
import types
from typing import Any, NoReturn

_DEFAULTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD, signal.SIGPIPE)


class Become(BaseException):
    """Raised in a fork to leave the server's stack: what is left of the process is the trial."""

    def __init__(self, request: dict[str, Any]) -> None:
        super().__init__()
        self.request = request


def main() -> None:
    """Serve until the manager closes its end; in a fork, run the trial."""
    channel = socket.socket(fileno=int(os.environ.pop("NNI_FORK_SERVER_FD")))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # launchers are reaped by the system
    request = None
    try:
        _serve(channel, sys.argv[1:])
    except Become as trial:
        request = trial.request  # run outside of this block: its errors must not mention how it came here
    if request is not None:
        channel.detach()  # closed in the launcher already
        _run(request)


def _serve(channel: socket.socket, modules: list[str]) -> None:
    stream = channel.makefile("rwb")
    _tell(stream, {"ready": [_preload(name) for name in modules]})
    gc.collect()
    gc.freeze()  # what is shared with the forks stays shared: the collector writes to no page of it
    for line in stream:
        request = json.loads(line)
        try:
            pid = _launch(request, channel.fileno())
        except OSError as error:
            _tell(stream, {"id": request["id"], "error": str(error)})
        else:
            _tell(stream, {"id": request["id"], "pid": pid})


def _tell(stream: Any, message: dict[str, Any]) -> None:
    stream.write(json.dumps(message).encode() + b"\n")
    stream.flush()


def _preload(name: str) -> str | None:
    """Import a module; returns what went wrong, None if nothing did."""
    try:
        importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  (a module may raise anything; its trial will say so again)
        return f"{name}: {type(error).__name__}: {error}"
    return None


def _launch(request: dict[str, Any], channel: int) -> int:
    """Fork the launcher, which leads the trial's group, forks the trial, and records how it ended."""
    pid = os.fork()
    if pid:
        return pid
    os.close(channel)  # or the manager would take a living trial for a living server
    os.setsid()
    try:
        claim = os.open(request["claim"], os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    except FileExistsError:
        os._exit(125)
    try:
        os.write(claim, f"{os.getpid()}\n".encode())
        os.close(claim)
        _redirect(request)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # the launcher outlives its trial to record its end
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        trial = os.fork()
        if trial == 0:
            raise Become(request)
        _, status = os.waitpid(trial, 0)
        code = os.waitstatus_to_exitcode(status)
        _record(request["state"], code if code >= 0 else 128 - code)
    except OSError:
        traceback.print_exc()
        os._exit(126)
    os._exit(0)


def _redirect(request: dict[str, Any]) -> None:
    for number, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, request["stdout"], os.O_WRONLY | os.O_CREAT | os.O_APPEND),
        (2, request["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        file = os.open(path, flags, 0o644)
        os.dup2(file, number)
        os.close(file)


def _record(path: str, code: int) -> None:
    with open(path, "w", encoding="ascii") as file:
        file.write(f"{code} {time.time_ns() // 1_000_000}\n")


def _run(request: dict[str, Any]) -> NoReturn:
    """Be the trial."""
    imported = set(sys.modules)
    for number in _DEFAULTS:
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"], PWD=request["directory"])
    os.chdir(request["directory"])
    fresh_randomness()
    script = os.path.join(os.getcwd(), request["script"])  # as the interpreter does, without tidying the path
    sys.argv = [request["script"], *request["arguments"]]
    if not getattr(sys.flags, "safe_path", False):
        sys.path[0] = os.path.dirname(script)
    _leave(_execute(script), imported)


def _execute(script: str) -> int:
    """Run a script as ``__main__`` and return its exit code."""
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=script, __builtins__=__builtins__, __annotations__={})
    sys.modules["__main__"] = module
    try:
        with io.open_code(script) as file:
            source = file.read()
    except OSError as error:
        sys.stderr.write(f"python: can't open file {script!r}: {error}\n")
        return 2
    try:
        exec(compile(source, script, "exec"), module.__dict__)  # noqa: S102  (this is what running a script is)
    except SystemExit as end:
        return _exit_code(end)
    except BaseException as error:  # noqa: BLE001  (shown as the interpreter shows it, without this file's frames)
        trace = error.__traceback__
        error = error.with_traceback(trace.tb_next if trace is not None else None)
        sys.excepthook(type(error), error, error.__traceback__)
        return 130 if isinstance(error, KeyboardInterrupt) else 1
    return 0


def _exit_code(end: SystemExit) -> int:
    if end.code is None or isinstance(end.code, int):
        return (end.code or 0) & 0xFF
    sys.stderr.write(f"{end.code}\n")
    return 1


def _leave(code: int, imported: set[str]) -> NoReturn:
    """End as an interpreter ends, but for what it would take down of the preloaded modules, which takes longest.

    Threads are waited for, exit functions run, and what the script and its own modules hold is let go, so that files
    are written out and finalizers called.
    """
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  (as multiprocessing does in its forks)
    atexit._run_exitfuncs()  # noqa: SLF001
    own = [name for name in sys.modules if name not in imported]
    for name in ["__main__", *reversed(own)]:
        module = sys.modules.get(name)
        if module is not None:
            vars(module).clear()
    gc.collect()  # only what came after the fork: the rest is frozen
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def fresh_randomness() -> None:
    """Seed the global generators anew: a fresh interpreter would not repeat another trial's numbers."""
    for name, function in (("random", "seed"), ("numpy.random", "seed")):
        module = sys.modules.get(name)
        if module is not None:
            getattr(module, function)()


if __name__ == "__main__":
    main()
