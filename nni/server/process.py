"""The life of a manager process: from its arguments to a running experiment, and to a clean end."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nni.common import logs
from nni.common.errors import NniError
from nni.config import ExperimentConfig, check_available, is_function
from nni.manager import events as ev
from nni.manager.dispatcher_link import DispatcherLink, DispatcherSettings
from nni.manager.engine import Engine
from nni.manager.state import ExperimentState
from nni.runtime.protocol import CommandType
from nni.server.experiment import RunningExperiment, complete
from nni.server.host import LOOPBACK, Host, Ready
from nni.server.lock import hold
from nni.server.services import training_service
from nni.server.viewer import Viewer
from nni.store import Profile, Store
from nni.store.registry import RegistryError
from nni.training_service import TrainingService

_logger = logging.getLogger("nni.server")


def arguments(argv: list[str]) -> argparse.Namespace:
    """Parse the command line (see ``docs/development/interfaces.md``)."""
    parser = argparse.ArgumentParser(prog="python -m nni.server", description="The manager of one experiment.")
    parser.add_argument("--experiment-id", required=True)
    parser.add_argument("--directory", required=True, type=Path, help="the experiment's own directory")
    parser.add_argument("--action", required=True, choices=["create", "resume", "view"])
    parser.add_argument("--port", required=True, type=int)
    parser.add_argument("--host", default=LOOPBACK, help="any other address requires the token that is printed")
    parser.add_argument("--url-prefix", default="")
    parser.add_argument("--log-level", choices=list(logs.LEVELS))
    parser.add_argument("--foreground", action="store_true")
    parser.add_argument("--ready-fd", type=int)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run a manager until its experiment is stopped; returns the exit code."""
    options = arguments(sys.argv[1:] if argv is None else argv)
    ready = Ready(options.ready_fd)
    signal.signal(signal.SIGINT, signal.SIG_DFL if options.foreground else signal.SIG_IGN)
    try:
        with _listening(options.host, options.port) as sockets:
            with _disk_errors_told():
                lock = hold(options.directory)
            host = Host(options, sockets, ready)
            life = Viewer(host, options.log_level or "info") if options.action == "view" else Manager(options, host)
            asyncio.run(life.run())
            os.close(lock)
    except NniError as error:
        ready.tell(event="error", message=str(error))
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Take the port before anything is written, so that a taken one leaves nothing behind."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said in full: of a protocol that it is not told, asyncio does not know that small answers must not wait for more
    # (TCP_NODELAY), and every answer on a connection in use would come 40 ms late.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise NniError(f"cannot listen on {host}:{port} ({error.strerror}); choose another port with --port") from error
    with listener:
        yield [listener]


@contextlib.contextmanager
def _disk_errors_told() -> Iterator[None]:
    """Make one line of a disk that is full, read-only, or not there while a manager starts."""
    try:
        yield
    except OSError as error:
        raise NniError(f"cannot start: {error}") from error


class Manager:
    """One manager process.

    Parameters
    ----------
    options
        See :func:`arguments`.
    host
        Where to serve.
    """

    def __init__(self, options: argparse.Namespace, host: Host) -> None:
        self._options = options
        self._host = host
        self._directory: Path = options.directory
        self._registry = host.registry
        self._told: tuple[str, int | None] | None = None
        self._telling = threading.Lock()

    async def run(self) -> None:
        """Start the experiment, serve it, and end it cleanly when asked."""
        with _disk_errors_told():
            engine = self._prepare()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._experiment.request_stop)
        await engine.service.prepare()
        engine.start(engine.store.unfinished())
        # Meanwhile the dispatcher starts; importing the web framework takes as long as importing numpy there.
        await asyncio.to_thread(_import_web)
        await self._host.serve(self._experiment, self._end)

    def _prepare(self) -> Engine:
        store, profile = self._open()
        config = ExperimentConfig.from_dict(profile.config)
        level = self._options.log_level or config.effective_log_level
        logs.to_file(self._directory / "log" / "nnimanager.log", level)
        state = ExperimentState(profile, store.counts())
        engine = Engine(
            state,
            store,
            self._service(profile, config),
            self._link(config, level),
            self._changed,
        )
        self._experiment = RunningExperiment(engine, self._directory)
        _tell(f"experiment {profile.id}: {self._options.action} (process {os.getpid()})")
        _tell(f"port {self._options.port} of {self._options.host}")
        _tell(f"log: {self._directory / 'log' / 'nnimanager.log'}")
        _logger.info("experiment %s: %s (process %d)", profile.id, self._options.action, os.getpid())
        return engine

    def _open(self) -> tuple[Store, Profile]:
        create = self._options.action == "create"
        database = self._directory / "db" / "nni.sqlite"
        if not create and not (database.is_file() and database.stat().st_size > 0):
            raise NniError(f"{database}: missing or empty, so there is nothing to resume")
        for name in ("log", "db", "trials", "checkpoint"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        config = self._read_config() if create else None
        store = Store(database)
        profile = store.profile()
        if config is not None and profile is None:
            profile = Profile(self._options.experiment_id, config)
        elif config is not None:
            raise NniError(f"{self._directory}: holds an experiment already; resume it instead")
        if profile is None:
            raise NniError(f"{self._directory}: no experiment was ever started here")
        return store, profile

    def _read_config(self) -> dict[str, Any]:
        config = ExperimentConfig.from_dict(json.loads(sys.stdin.buffer.read()))
        check_available(config)
        return complete(config)

    def _service(self, profile: Profile, checked: ExperimentConfig) -> TrainingService:
        if is_function(profile.config["trialCommand"]):
            from nni.server.function import function_service  # noqa: PLC0415  (only where it is one)

            service = function_service(profile, self._directory)
            service.on_fault = self._service_failed
            return service
        return training_service(profile.id, self._directory, checked)

    def _service_failed(self, message: str) -> None:
        """Put the experiment in ERROR: no trial can run, this one as little as the next."""
        self._experiment.engine.handle(ev.AlgorithmFailed(message, CommandType.Setup.value, fatal=True))

    def _link(self, config: ExperimentConfig, level: str) -> Any:
        indices = config.tuner_gpu_indices
        visible = ",".join(str(index) for index in indices) if isinstance(indices, list) else str(indices or "")
        settings = DispatcherSettings(
            self._directory, level, "" if indices is None else visible, bool(config.include_intermediate_results)
        )

        def link(on_message: Any, on_lost: Any) -> DispatcherLink:
            return DispatcherLink(settings, on_message, on_lost)

        return link

    async def _end(self) -> None:
        _logger.info("stopping")
        _tell("stopping")
        await self._experiment.engine.stop()
        self._tell_registry()

    def _changed(self, trials: set[str]) -> None:
        self._experiment.announce()
        del trials
        if self._told != self._present():
            threading.Thread(target=self._tell_registry, daemon=True).start()

    def _present(self) -> tuple[str, int | None]:
        engine = self._experiment.engine
        return engine.status.value, engine.state.profile.end_time

    def _tell_registry(self) -> None:
        """Write the experiment's status into the list of all; in a thread, because others may hold its lock."""
        with self._telling, contextlib.suppress(RegistryError):
            if self._told is None or self._told[0] != self._present()[0]:
                _tell(f"status: {self._present()[0]}")
            self._told = status, end_time = self._present()
            start_time = self._experiment.profile.start_time
            self._registry.update(self._options.experiment_id, status=status, end_time=end_time, start_time=start_time)


def _tell(text: str) -> None:
    """Write a line for ``nnictl log stdout``: the few turns of an experiment's life; the log has the rest."""
    with contextlib.suppress(OSError):  # a full disk keeps nothing from going on
        sys.stdout.write(f"{time.strftime('[%Y-%m-%d %H:%M:%S]')} {text}\n")
        sys.stdout.flush()


def _import_web() -> None:
    started = time.monotonic()
    import nni.server.web  # noqa: F401, PLC0415

    gc.collect()
    gc.freeze()  # what was imported stays: later collections need not look at it

    _logger.debug("web framework imported in %.2f s", time.monotonic() - started)
