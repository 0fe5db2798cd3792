"""Where an experiment is served: the address, who is told of it, and the life of the web server."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from nni.server.served import ServedExperiment
from nni.store.registry import ExperimentRegistry, RegistryError

LOOPBACK = "127.0.0.1"


class Ready:
    """Tells the launcher how the start went, over the descriptor it gave."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - takes no keywords; trials must not keep it open

    def tell(self, **event: Any) -> None:
        """Write one event."""
        if self._descriptor is not None:
            with contextlib.suppress(BrokenPipeError):
                os.write(self._descriptor, json.dumps(event).encode() + b"\n")

    def close(self) -> None:
        """Nothing more will be told."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class Host:
    """One address with its prefix and its token.

    Parameters
    ----------
    options
        The command line of the process.
    sockets
        Where to listen.
    ready
        Where to tell the launcher.
    """

    def __init__(self, options: argparse.Namespace, sockets: list[socket.socket], ready: Ready) -> None:
        self.experiment_id: str = options.experiment_id
        self.directory: Path = options.directory
        self.registry = ExperimentRegistry()
        self._address: str = options.host
        self._sockets = sockets
        self._ready = ready
        self._prefix = f"/{options.url_prefix.strip('/')}" if options.url_prefix.strip("/") else ""
        # A token in the URL is the only thing between an open address and everybody who can reach it.
        self._token = None if options.host in {LOOPBACK, "::1", "localhost"} else secrets.token_urlsafe(24)

    async def serve(self, experiment: ServedExperiment, end: Callable[[], Awaitable[None]]) -> None:
        """Answer until the experiment is asked to stop, then have it ended, and only then stop answering."""
        from nni.server import web  # noqa: PLC0415  (slow: a running experiment has it imported in a thread beforehand)

        server = web.WebServer(web.build(experiment, self.registry, self._prefix, self._token))
        await server.start(self._sockets)
        self._announce()
        await experiment.stop_requested.wait()
        await end()
        await server.stop()

    def _announce(self) -> None:
        port = self._sockets[0].getsockname()[1]
        query = f"?token={self._token}" if self._token else ""
        urls = [f"http://{host}:{port}{self._prefix}{query}" for host in _addresses(self._address)]
        with contextlib.suppress(RegistryError):  # started without a launcher: nothing knows it, nothing is to be told
            self.registry.update(self.experiment_id, port=port, pid=os.getpid(), urls=urls)
        self._ready.tell(event="ready", port=port, pid=os.getpid(), urls=urls)
        self._ready.close()


def _addresses(host: str) -> list[str]:
    """Return the addresses at which the page can be opened; every one of the machine for ``0.0.0.0``."""
    if host not in {"0.0.0.0", "::"}:  # noqa: S104  (compared, not bound)
        return [f"[{host}]" if ":" in host else host]
    import psutil  # noqa: PLC0415  (only here, and its import takes a while)

    found = [
        address.address
        for addresses in psutil.net_if_addrs().values()
        for address in addresses
        if address.family == socket.AF_INET
    ]
    return sorted(found, key=lambda address: address.startswith("127."))
