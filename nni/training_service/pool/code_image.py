"""The code directory as it is sent: a list of files with their SHA-256, and the files that somebody lacks."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from nni.common.errors import NniError
from nni.training_service.code_files import CodeFile, collect
from nni.trial_runner.protocol import PIECE, Blob, Code


class CodeImage:
    """A code directory at the moment when the experiment started.

    Parameters
    ----------
    directory
        The code directory.

    Raises
    ------
    CodeFilesError
        It is too large, or cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        found = collect(directory)
        found.require_limits()
        self._sources: dict[str, CodeFile] = {}
        files: list[tuple[str, int, str, bool]] = []
        for file in found.files:
            sha = _sha(file.source)
            self._sources[sha] = file
            files.append((file.path, file.size, sha, os.access(file.source, os.X_OK)))
        digest = hashlib.sha256(repr(files).encode("utf-8", "surrogateescape")).hexdigest()
        self.code = Code(digest, files)

    def source(self, sha: str) -> Path:
        """Return where the file with a SHA-256 is."""
        return self._sources[sha].source

    async def blobs(self, shas: list[str]) -> AsyncIterator[Blob]:
        """
        Yield the pieces of the files that are wanted.

        Raises
        ------
        NniError
            A file is not what it was when the experiment started.
        """
        for sha in shas:
            file = self._sources[sha]
            digest, place = hashlib.sha256(), 0
            with file.source.open("rb") as source:
                piece = source.read(PIECE)
                while True:
                    following = source.read(PIECE)
                    digest.update(piece)
                    if not following and digest.hexdigest() != sha:
                        raise NniError(
                            f"trialCodeDirectory: {file.path} was changed while the experiment runs; "
                            "a machine that does not have it yet cannot get it: undo the change, or stop and resume"
                        )
                    yield Blob(sha, place, not following, piece)
                    if not following:
                        break
                    place += len(piece)
                    piece = following
            await asyncio.sleep(0)


def _sha(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
