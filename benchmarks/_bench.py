"""Shared parts of the benchmarks: experiments through ``nnictl`` in a throw-away home, and one JSON line at the end."""

from __future__ import annotations

import compileall
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
# An installed package has its bytecode; a checkout may not, where PYTHONDONTWRITEBYTECODE is set.
compileall.compile_dir(Path(__file__).parent.parent / "nni", quiet=2)
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def report(name: str, **figures: Any) -> None:
    """Print the result: one JSON line, floats with four significant digits."""
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    rounded = json.loads(json.dumps(figures), parse_float=lambda text: float(f"{float(text):.4g}"))
    print(json.dumps({"benchmark": name, **rounded, **machine}), flush=True)


def median(values: list[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def home() -> Iterator[Path]:
    """A fresh home folder; experiments in it are stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="nni-bench-", ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        try:
            yield path
        finally:
            nnictl(path, "stop", "--all", check=False)


def environment(folder: Path) -> dict[str, str]:
    """Return the variables of a process in that home, with this interpreter's folder first on the path."""
    return {**os.environ, "HOME": str(folder), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def nnictl(folder: Path, *arguments: str, check: bool = True) -> str:
    """Run nnictl and return what it printed."""
    done = subprocess.run(
        [str(BIN / "nnictl"), *arguments],
        env=environment(folder),
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise SystemExit(f"nnictl {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def create(folder: Path, config: dict[str, Any], files: dict[str, str]) -> int:
    """Write a config and its files, start the experiment, and return its port."""
    code = folder / "code"
    code.mkdir(exist_ok=True)
    for name, text in files.items():
        (code / name).write_text(text)
    (code / "config.yml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    nnictl(folder, "create", "-c", str(code / "config.yml"), "-p", str(port))
    return port


def get(port: int, path: str) -> Any:
    """Ask a manager."""
    with _DIRECT.open(f"http://127.0.0.1:{port}/api/v1/nni{path}", timeout=60) as answer:
        return json.loads(answer.read())


def wait_done(port: int, limit: float = 1800, pause: float = 0.5) -> dict[str, Any]:
    """Return the summary once the experiment is DONE."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        summary: dict[str, Any] = get(port, "/summary")
        if summary["status"] == "DONE":
            return summary
        if summary["status"] == "ERROR":
            raise SystemExit(f"the experiment failed: {summary['errors']}")
        time.sleep(pause)
    raise SystemExit(f"the experiment was not done after {limit} s")


def all_trials(port: int) -> list[dict[str, Any]]:
    """Return every trial."""
    trials: list[dict[str, Any]] = []
    while True:
        page = get(port, f"/trials?limit=1000&offset={len(trials)}")
        trials += page["items"]
        if not page["items"]:
            return trials
