"""What ``blobfuse2 mount`` does, for tests: a container of Azure Blob storage as a file system of this kernel.

Written from the program's public documentation (its command line and variables) and the kernel's FUSE protocol. It
refuses what the real one does not know. A file is uploaded when it is closed; the real one does so, too.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import stat
import struct
import sys
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import ContainerClient

_ATTRIBUTES = struct.Struct("<6Q10I")
_ENTRY = struct.Struct("<4Q2I")
_IN = struct.Struct("<IIQQIIII")
_OUT = struct.Struct("<IiQ")


class Tree:
    """The container as files and directories."""

    def __init__(self, container: ContainerClient) -> None:
        self.container = container
        self.directories = {""}
        self.files: dict[str, bytearray | None] = {}
        self.sizes: dict[str, int] = {}
        self.dirty: set[str] = set()

    def look(self) -> None:
        for blob in self.container.list_blobs():
            if blob.name not in self.files:
                self.files[blob.name] = None
            if self.files[blob.name] is None:
                self.sizes[blob.name] = blob.size
            self._add_parents(blob.name)

    def _add_parents(self, path: str) -> None:
        parts = path.split("/")[:-1]
        self.directories.update("/".join(parts[:count]) for count in range(len(parts) + 1))

    def load(self, path: str) -> bytearray:
        data = self.files[path]
        if data is None:
            data = self.files[path] = bytearray(self.container.download_blob(path).readall())
        return data

    def save(self, path: str) -> None:
        if path in self.dirty:
            self.dirty.discard(path)
            self.container.upload_blob(path, bytes(self.load(path)), overwrite=True)

    def size(self, path: str) -> int:
        data = self.files[path]
        return self.sizes[path] if data is None else len(data)

    def names(self, directory: str) -> list[str]:
        self.look()
        prefix = f"{directory}/" if directory else ""
        inside = [path for path in (*self.directories, *self.files) if path.startswith(prefix) and path != directory]
        return sorted({path[len(prefix) :] for path in inside if path and "/" not in path[len(prefix) :]})


class Server:
    """Answers the kernel. Each method takes the path of a node and the rest of the request."""

    def __init__(self, tree: Tree, device: int) -> None:
        self.tree = tree
        self.device = device
        self.numbers = {"": 1}
        self.paths = {1: ""}

    def run(self) -> None:
        answers: dict[int, Any] = {
            1: self.lookup, 3: self.getattr, 4: self.setattr, 9: self.mkdir, 10: self.unlink, 11: self.rmdir,
            12: self.rename, 14: self.open, 15: self.read, 16: self.write, 17: self.statfs, 18: self.flush,
            20: self.flush, 25: self.flush, 26: self.init, 27: self.opendir, 28: self.readdir, 29: self.nothing,
            30: self.nothing, 34: self.nothing, 35: self.create, 45: self.rename2,
        }  # fmt: skip
        while True:
            try:
                request = os.read(self.device, 1 << 20)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                continue
            _, code, unique, node, *_ = _IN.unpack_from(request)
            if code in {2, 36, 42}:  # forget, interrupt: no answer is expected
                continue
            try:
                data, problem = answers[code](self.paths.get(node, ""), request[_IN.size :]), 0
            except KeyError as error:
                data, problem = b"", errno.ENOSYS if error.args == (code,) else errno.ENOENT
            except OSError as error:
                data, problem = b"", error.errno or errno.EIO
            except AzureError:
                data, problem = b"", errno.EIO
            os.write(self.device, _OUT.pack(_OUT.size + len(data), -problem, unique) + data)

    def attributes(self, path: str) -> bytes:
        number = self.numbers.setdefault(path, len(self.numbers) + 1)
        self.paths[number] = path
        is_file = path in self.tree.files
        size = self.tree.size(path) if is_file else 4096
        mode = stat.S_IFREG | 0o777 if is_file else stat.S_IFDIR | 0o777
        return _ATTRIBUTES.pack(
            number, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, 1, os.getuid(), os.getgid(), 0, 4096, 0
        )

    def entry(self, path: str) -> bytes:
        attributes = self.attributes(path)
        return _ENTRY.pack(self.numbers[path], 0, 0, 0, 0, 0) + attributes

    def init(self, path: str, data: bytes) -> bytes:
        major, _, readahead, _ = struct.unpack_from("<4I", data)
        return struct.pack("<4IHHIIHH32x", major, 31, readahead, 0, 12, 9, 1 << 17, 1, 32, 0)

    def lookup(self, path: str, data: bytes) -> bytes:
        child = _join(path, data)
        if child not in self.tree.files and child not in self.tree.directories:
            self.tree.look()
        if child not in self.tree.files and child not in self.tree.directories:
            raise OSError(errno.ENOENT, child)
        return self.entry(child)

    def getattr(self, path: str, data: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + self.attributes(path)

    def setattr(self, path: str, data: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", data)
        if valid & 8:
            content = self.tree.load(path)
            content[:] = content[:size].ljust(size, b"\0")
            self.tree.dirty.add(path)
        return self.getattr(path, data)

    def mkdir(self, path: str, data: bytes) -> bytes:
        child = _join(path, data[8:])
        self.tree.directories.add(child)
        return self.entry(child)

    def create(self, path: str, data: bytes) -> bytes:
        child = _join(path, data[16:])
        self.tree.files[child] = bytearray()
        self.tree.dirty.add(child)
        return self.entry(child) + struct.pack("<QII", 0, 0, 0)

    def unlink(self, path: str, data: bytes) -> bytes:
        child = _join(path, data)
        del self.tree.files[child]
        self.tree.dirty.discard(child)
        self.tree.container.delete_blob(child)
        return b""

    def rmdir(self, path: str, data: bytes) -> bytes:
        child = _join(path, data)
        if self.tree.names(child):
            raise OSError(errno.ENOTEMPTY, child)
        self.tree.directories.discard(child)
        return b""

    def rename(self, path: str, data: bytes, skip: int = 8) -> bytes:
        (target,) = struct.unpack_from("<Q", data)
        old, new, _ = data[skip:].split(b"\0", 2)
        source, child = _join(path, old), _join(self.paths[target], new)
        if source not in self.tree.files:
            raise OSError(errno.ENOSYS, source)
        self.tree.files[child] = self.tree.load(source)
        self.tree.dirty.add(child)
        self.tree.save(child)
        self.unlink(path, old)
        number = self.numbers.pop(source)
        self.numbers[child], self.paths[number] = number, child
        return b""

    def rename2(self, path: str, data: bytes) -> bytes:
        return self.rename(path, data, 16)

    def open(self, path: str, data: bytes) -> bytes:
        self.tree.load(path)
        return struct.pack("<QII", 0, 0, 0)

    def read(self, path: str, data: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", data)
        return bytes(self.tree.load(path)[offset : offset + size])

    def write(self, path: str, data: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", data)
        content = self.tree.load(path)
        content.extend(b"\0" * (offset - len(content)))
        content[offset : offset + size] = data[40 : 40 + size]
        self.tree.dirty.add(path)
        return struct.pack("<II", size, 0)

    def flush(self, path: str, data: bytes) -> bytes:
        if path in self.tree.files:
            self.tree.save(path)
        return b""

    def opendir(self, path: str, data: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0)

    def readdir(self, path: str, data: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", data)
        answer = b""
        for place, name in enumerate(self.tree.names(path)[offset:], offset + 1):
            text = name.encode()
            child = _join(path, text)
            kind = stat.S_IFREG if child in self.tree.files else stat.S_IFDIR
            self.attributes(child)
            one = struct.pack("<QQII", self.numbers[child], place, len(text), kind >> 12) + text
            one += b"\0" * (-len(one) % 8)
            if len(answer) + len(one) > size:
                break
            answer += one
        return answer

    def statfs(self, path: str, data: bytes) -> bytes:
        return struct.pack("<5Q10I", 1 << 30, 1 << 29, 1 << 29, 1 << 20, 1 << 19, 4096, 255, 4096, *[0] * 7)

    def nothing(self, path: str, data: bytes) -> bytes:
        return b""


def _join(directory: str, name: bytes) -> str:
    text = name.split(b"\0", 1)[0].decode()
    return f"{directory}/{text}" if directory else text


def main() -> None:
    parser = argparse.ArgumentParser(prog="blobfuse2", allow_abbrev=False)
    verbs = parser.add_subparsers(required=True)
    mount = verbs.add_parser("mount", allow_abbrev=False)
    mount.add_argument("point")
    mount.add_argument("--container-name", required=True)
    mount.add_argument("--tmp-path", required=True)
    options = parser.parse_args()
    if any(Path(options.point).iterdir()):
        sys.exit("Error: mount directory is not empty")
    if any(Path(options.tmp_path).iterdir()):
        sys.exit("Error: temp directory not empty")
    account = os.environ["AZURE_STORAGE_ACCOUNT"]
    endpoint = os.environ.get("AZURE_STORAGE_BLOB_ENDPOINT", f"https://{account}.blob.core.windows.net")
    key = {"account_name": account, "account_key": os.environ["AZURE_STORAGE_ACCESS_KEY"]}
    tree = Tree(ContainerClient(endpoint, options.container_name, credential=key, retry_total=0))
    try:
        tree.look()
    except HttpResponseError as error:
        sys.exit(f"Error: failed to initialize new pipeline [{error.error_code}: {error.status_code}]")
    except AzureError as error:
        sys.exit(f"Error: failed to initialize new pipeline [dial tcp: {error}]")
    device = os.open("/dev/fuse", os.O_RDWR)
    told = f"fd={device},rootmode=40000,user_id={os.getuid()},group_id={os.getgid()},allow_other".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"blobfuse2", options.point.encode(), b"fuse.blobfuse2", 6, told) != 0:
        sys.exit(f"Error: fuse: mount failed: {os.strerror(ctypes.get_errno())}")
    if os.fork() == 0:
        os.setsid()
        Server(tree, device).run()
        os._exit(0)


if __name__ == "__main__":
    main()
