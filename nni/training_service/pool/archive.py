"""The trial runner as it is sent to other machines: an archive that any Python >= 3.8 runs, and how it is started."""

from __future__ import annotations

import hashlib
import io
import shlex
import zipfile
from functools import cache
from pathlib import Path

import nni.trial_runner

DIRECTORY = ".nni-remote"
"""What is kept on the other machine while an experiment runs, in the user's home."""

COMMON = ("log_limit.py", "log_text.py")
"""Modules of `nni.common` that the runner needs, too."""

# Read by whatever `python3` is, so in words that an old one understands; it says itself that it is too old.
_LOADER = """
import os, sys  # exit codes: 3 an old Python, 4 no place for files, 6 the connection ended, 7 no space
def leave(code, text):
    sys.stderr.write("nni: " + text + "\\n")
    sys.exit(code)
if sys.version_info < (3, 8):
    leave(3, "Python " + sys.version.split()[0] + " is too old")
def read(size):
    data = b""
    while len(data) < size:
        piece = os.read(0, size - len(data))
        if not piece:
            sys.exit(6)
        data += piece
    return data
size, name = int(read(10)), read(64).decode()
data = read(size)
try:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    place = os.path.join(cache, "nni", "runner")
    os.makedirs(place, exist_ok=True)
    path = os.path.join(place, name + ".pyz")
    if not os.path.exists(path):
        new = path + "." + str(os.getpid())
        with open(new, "wb") as file:
            file.write(data)
        os.replace(new, path)
except OSError as error:
    leave(7 if error.errno in (28, 122) else 4, str(error.strerror) + ": " + str(error.filename or place))
os.execv(sys.executable, [sys.executable, path] + sys.argv[2:])
"""


@cache
def greeting_bytes() -> bytes:
    """Return what the started program reads first: the archive, behind its size and its SHA-256."""
    data = archive()
    return b"%010d" % len(data) + hashlib.sha256(data).hexdigest().encode() + data


def archive() -> bytes:
    """Return the runner's modules as a zip archive, the same bytes for the same modules."""
    directory = Path(nni.trial_runner.__file__).parent
    common = directory.parent / "common"
    contents = {
        "__main__.py": b"from nni.trial_runner.main import main\n\nmain()\n",
        "nni/__init__.py": b"",
        "nni/common/__init__.py": b"",
        **{f"nni/common/{name}": (common / name).read_bytes() for name in COMMON},
        **{f"nni/trial_runner/{path.name}": path.read_bytes() for path in sorted(directory.glob("*.py"))},
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in contents.items():
            file.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def arguments(python: str, *words: str) -> list[str]:
    """
    Return the words that start the program of a channel.

    Parameters
    ----------
    python
        Name or path of the interpreter.
    words
        What `nni.trial_runner.main` is asked to do: ``attach`` and a directory, or ``clean``.
    """
    return [python, "-c", "import sys;exec(bytes.fromhex(sys.argv[1]))", _LOADER.encode().hex(), *words]


def command(python_path: str | None, *words: str) -> str:
    """
    Return the same as a line for a login shell of whatever kind; it holds no secret.

    Parameters
    ----------
    python_path
        Put in front of ``PATH``, for the runner and for its trials (PLT-267).
    words
        See `arguments`.
    """
    line = f"exec {shlex.join(arguments('python3', *words))}"
    if python_path:
        line = f'PATH={shlex.quote(python_path)}:"$PATH"; export PATH; {line}'
    return f"exec /bin/sh -c {shlex.quote(line)}"


def runner_directory(experiment_id: str, label: str) -> str:
    """Return the directory of a runner, relative to the user's home."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in label)
    return f"{DIRECTORY}/{experiment_id}/{plain}"
