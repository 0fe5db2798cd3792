"""What every test may use; docs/development/testing.md describes it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REPOSITORY = Path(__file__).resolve().parent.parent
# The tests run in as many processes as there are cores. Numeric libraries that take all cores in each of them wait for
# each other most of the time: some tests then take thirty times as long. Read when such a library is first imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
# How long an example takes depends on what else the machine does.
settings.register_profile("nni", deadline=None)
settings.load_profile("nni")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requires_program(*names): skipped where one of the programs is not on PATH")
    config.addinivalue_line("markers", "requires_module(*names): skipped where one of the modules is not installed")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in (name for mark in item.iter_markers("requires_program") for name in mark.args):
        if shutil.which(name) is None:
            pytest.skip(f"needs the program {name!r}, which is not on PATH")
    for name in (name for mark in item.iter_markers("requires_module") for name in mark.args):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"needs the module {name!r}, which is not installed")
    if item.get_closest_marker("gpu") and not _has_gpu():
        pytest.skip("needs an NVIDIA GPU; nvidia-smi finds none")


def _has_gpu() -> bool:
    listing = shutil.which("nvidia-smi") and subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False)
    return bool(listing and listing.stdout.strip())


@pytest.fixture(scope="session", autouse=True)
def _own_surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test touches the registry of the machine's user, talks through a proxy, or runs another ``python3``."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        _set_home(patch, home)
        patch.setenv("PATH", os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        yield
    end_experiments(home)


@pytest.fixture
def isolated_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh, empty home; experiments that were started under it are ended after the test."""
    home = tmp_path / "home"
    home.mkdir()
    _set_home(monkeypatch, home)
    yield home
    end_experiments(home)


def _set_home(patch: pytest.MonkeyPatch, home: Path) -> None:
    patch.setenv("HOME", str(home))
    patch.setenv("USERPROFILE", str(home))
    for name in [name for name in os.environ if name.startswith("NNI_")]:
        patch.delenv(name)


@pytest.fixture
def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    return unused_ports(1)[0]


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """Ask for several different ports at once: ``first, second = free_ports(2)``."""
    return unused_ports


def unused_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


@pytest.fixture
def end_afterwards() -> Iterator[Callable[[subprocess.Popen[Any] | int], None]]:
    """Give it a process that the test started, or its id; it and its children are gone after the test."""
    started: list[subprocess.Popen[Any] | int] = []
    yield started.append
    for process in started:
        if isinstance(process, int):
            end_process(process)
        else:
            end_process(process.pid)
            process.wait()


def end_experiments(home: Path) -> None:
    """End the managers in the registry of this home, then the trials that outlived them, by their recorded ids."""
    root = home / "nni-experiments"
    registry = root / ".experiment"
    entries = {}
    with suppress(OSError, ValueError):  # no registry: no experiment was started
        entries = json.loads(registry.read_text())
    roots = {root}
    for entry in entries.values():
        roots.add(Path(entry.get("logDir") or root))
        if entry.get("pid") and _works_under(entry["pid"], home):
            end_process(entry["pid"])
    for jobpid in (path for root in roots for path in root.glob("**/.nni/jobpid")):
        with suppress(OSError, ValueError):
            pid = int(jobpid.read_text().split()[0])
            if _works_under(pid, home):
                end_process(pid)


def _works_under(pid: int, home: Path) -> bool:
    """Whether this is still the process that was recorded: a number may have been given to somebody else."""
    with suppress(psutil.Error):
        return psutil.Process(pid).environ().get("HOME") == str(home)
    return False


def end_process(pid: int, grace: float = 5.0) -> None:
    """Ask a process and its children to end, wait, then make them."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        for member in family:
            with suppress(psutil.Error):
                member.terminate()
        for member in psutil.wait_procs(family, timeout=grace)[1]:
            with suppress(psutil.Error):
                member.kill()
        psutil.wait_procs(family, timeout=grace)
