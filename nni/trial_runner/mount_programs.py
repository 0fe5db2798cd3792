"""The programs that mount: ``mount -t nfs``, ``blobfuse2``, ``blobfuse``; and what they say, for a person."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PATIENCE = 45.0  # seconds for a program; a server that is away shall not hold anything up for longer
_SHOWN = 200  # characters of what a program says

# What a program says, whether a person has to change something before it makes sense to try again, and why.
_NFS = (
    (
        r"unknown filesystem type|need a /sbin/mount|helper program",
        True,
        "this machine cannot mount NFS: install nfs-common (Debian, Ubuntu) or nfs-utils; in a container, on its host",
    ),
    (r"access denied", True, "the server does not let this machine mount it"),
    (r"reason given by server: No such file|No such file or directory", True, "the server exports no such directory"),
    (r"resolve|not known|No address", False, "no such host is known here"),
    (
        r"refused|timed out|No route|unreachable|Unable to receive|does not answer",
        False,
        "the server cannot be reached",
    ),
    (
        r"Operation not permitted|[Pp]ermission denied|superuser|only root",
        True,
        "mounting is not allowed here, as in a container without the right to",
    ),
)
_BLOB = (
    (r"fusermount3?.*not found|/dev/fuse|fuse: device|modprobe fuse", True,
     "this machine has no FUSE: install fuse3; in a container, it needs the device /dev/fuse"),
    (r"AuthenticationFailed|AuthorizationFailure|InvalidAuth|failed to authenticate|authenticat|\b403\b|base64", True,
     "the key is not accepted (storageAccountKey)"),
    (r"ContainerNotFound|ContainerBeingDeleted|container.*(not exist|not found)|\b404\b", True,
     "there is no such container (containerName)"),
    (r"not empty", True, "the mount point is not empty"),
    (r"no such host|refused|timeout|timed out|dial tcp|resolve|does not answer", False, "the server cannot be reached"),
    (r"Operation not permitted|[Pp]ermission denied", True,
     "mounting is not allowed here, as in a container without the right to"),
)  # fmt: skip
_SUDO = re.compile(r"sudo:|a password is required|not in the sudoers|not allowed to (run|execute)")


class MountError(Exception):
    """A storage cannot be mounted.

    Parameters
    ----------
    text
        One sentence for a person.
    is_final
        Whether it makes no sense to try again before a person has changed something.
    """

    def __init__(self, text: str, *, is_final: bool) -> None:
        super().__init__(text)
        self.is_final = is_final


class Source:
    """What is mounted."""

    name: str
    """Shown to people; the same for the same storage."""

    def mount(self, point: Path) -> str | None:
        """Mount it at an existing directory; returns what is to be removed after it was unmounted.

        Raises
        ------
        MountError
            It cannot be.
        """
        raise NotImplementedError

    def check_point(self, point: Path) -> None:
        """Raise `MountError` if it cannot be mounted at this directory."""

    def is_of_kind(self, file_system: str) -> bool:
        """Say whether a mount of this file system tells by its device what it is."""
        raise NotImplementedError

    def is_called(self, name: str) -> bool:
        """Say whether a device, or the name of a source, is this one."""
        return name == self.name


class NfsSource(Source):
    """An export of an NFS server.

    Parameters
    ----------
    server
        Host name or address.
    directory
        The exported directory.
    """

    def __init__(self, server: str, directory: str) -> None:
        host = f"[{server}]" if ":" in server and not server.startswith("[") else server
        self.name = f"{host}:{directory}"

    def mount(self, point: Path) -> str | None:
        """Have ``mount`` do it; it tries once, so that a server that is away is told at once."""
        what = f"NFS {self.name} cannot be mounted at {point}"
        command = [*privileged(what), *_limited(), "mount", "-t", "nfs", "-o", "retry=0,nosuid,nodev"]
        run([*command, self.name, str(point)], what, _NFS)
        return None

    def is_of_kind(self, file_system: str) -> bool:
        """Say whether it is NFS."""
        return file_system in {"nfs", "nfs4"}

    def is_called(self, name: str) -> bool:
        """Compare without a slash at the end."""
        return name.rstrip("/") == self.name.rstrip("/")


class BlobSource(Source):
    """A container of Azure Blob storage.

    Parameters
    ----------
    account, container
        Their names.
    key
        The account's key. It is handed to the program in its environment: neither on a command line nor in a file.
    endpoint
        Of the blob service; None: the account's own in the public cloud.
    """

    def __init__(self, account: str, container: str, key: str, endpoint: str | None = None) -> None:
        self.name = f"AzureBlob {account}/{container}"
        self._container = container
        self._environment = {"AZURE_STORAGE_ACCOUNT": account, "AZURE_STORAGE_ACCESS_KEY": key}
        if endpoint is not None:
            self._environment["AZURE_STORAGE_BLOB_ENDPOINT"] = endpoint

    def mount(self, point: Path) -> str | None:
        """Have blobfuse2 do it, else its predecessor; both run as this user, to whom the files then belong."""
        what = f"{self.name} cannot be mounted at {point}"
        program = next(filter(shutil.which, ("blobfuse2", "blobfuse")), None)
        if program is None:
            raise MountError(f"{what}: there is neither blobfuse2 nor blobfuse; install blobfuse2", is_final=True)
        cache = Path(tempfile.gettempdir()) / f"nni-blobfuse-{hashlib.sha256(os.fsencode(point)).hexdigest()[:16]}"
        shutil.rmtree(cache, ignore_errors=True)  # it must be empty, too
        cache.mkdir(mode=0o700)
        verb = ["mount"] if program == "blobfuse2" else []
        command = [*_limited(), program, *verb, str(point), f"--container-name={self._container}"]
        run([*command, f"--tmp-path={cache}"], what, _BLOB, self._environment)
        return str(cache)

    def check_point(self, point: Path) -> None:
        """Refuse a directory with something in it (PLT-111)."""
        if any(point.iterdir()):
            raise MountError(f"{self.name} cannot be mounted at {point}: the directory must be empty", is_final=True)

    def is_of_kind(self, file_system: str) -> bool:
        """Say no: what blobfuse shows as its device is its own name."""
        del file_system
        return False


def source(kind: str, told: dict[str, Any]) -> Source:
    """Return a storage by its kind and what is told of it."""
    return NfsSource(**told) if kind == "NFS" else BlobSource(**told)


def privileged(what: str) -> list[str]:
    """Return what is put in front of a command that needs root; raises `MountError` where that cannot be had."""
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        raise MountError(f"{what}: that takes root, and there is no sudo", is_final=True)
    return ["sudo", "-n"]


def run(
    command: list[str],
    what: str,
    meanings: tuple[tuple[str, bool, str], ...] = (),
    environment: dict[str, str] | None = None,
) -> None:
    """
    Run a program, for a while.

    Parameters
    ----------
    command
        Its words.
    what
        The beginning of the sentence if it fails.
    meanings
        What it may say: pattern, whether that is final, and what it means.
    environment
        Variables in addition.

    Raises
    ------
    MountError
        It failed, or takes too long.
    """
    # Into a file: what a program leaves running behind itself would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "LC_ALL": "C", **(environment or {})},
                start_new_session=True,
            )
            code = process.wait(_PATIENCE + 10)
        except FileNotFoundError as error:
            raise MountError(f"{what}: there is no program {command[0]}", is_final=True) from error
        except subprocess.TimeoutExpired:
            _kill(process)
            code = 124
        output.seek(0)
        said = output.read(65536).decode(errors="replace")
    if code in {124, 137}:
        said = f"it does not answer within {_PATIENCE:.0f} s"
    if code != 0:
        raise _explained(what, said, meanings, code)


def _explained(what: str, said: str, meanings: tuple[tuple[str, bool, str], ...], code: int) -> MountError:
    lines = [line.strip() for line in said.splitlines() if line.strip() and "dmesg(1)" not in line]
    last = lines[-1][:_SHOWN] if lines else f"exit code {code}"
    if _SUDO.search(said):
        return MountError(f"{what}: that takes sudo without a password ({last})", is_final=True)
    for pattern, is_final, meaning in meanings:
        if re.search(pattern, said):
            return MountError(f"{what}: {meaning} ({last})", is_final=is_final)
    return MountError(f"{what}: {last}", is_final=False)


def _limited() -> list[str]:
    """Return what ends a command in time, also where sudo keeps this user from ending it."""
    return ["timeout", "-k", "5", f"{_PATIENCE:.0f}"] if shutil.which("timeout") else []


def _kill(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(1)
    except (OSError, subprocess.TimeoutExpired):
        return
