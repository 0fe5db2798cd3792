"""Whether a port can be used, and by whom it is taken."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from nni.common.errors import NniError

if TYPE_CHECKING:
    from nni.store.registry import ExperimentRegistry

_LOWEST, _HIGHEST = 1025, 65535


class PortError(NniError):
    """The port cannot be used."""


def require_free_port(port: int, registry: ExperimentRegistry, host: str = "127.0.0.1") -> None:
    """Raise :class:`PortError` unless a manager could listen on a port; the text names a free one."""
    if not _LOWEST <= port <= _HIGHEST:
        raise PortError(f"port: must be between {_LOWEST} and {_HIGHEST} (got {port})")
    if is_free(port, host):
        return
    owner = next((entry for entry in registry.entries() if entry.port == port and entry.alive), None)
    by = f"by experiment {owner.id} (nnictl stop {owner.id})" if owner else "by another program"
    free = next((other for other in range(port + 1, _HIGHEST + 1) if is_free(other, host)), None)
    hint = f"; port {free} is free: --port {free}" if free else ""
    raise PortError(f"port: {port} is in use {by}{hint}")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server could listen on a port now; an address that is not this machine's is an error."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: connections of an earlier manager in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise PortError(f"host: cannot listen on {host}:{port}: {error.strerror}") from None
    return True
