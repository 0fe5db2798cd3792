"""Trials on a real Ray, in a network of its own: parts of Ray listen on all addresses whatever they are told."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from nni.common.errors import NniError
from nni.config import RayConfig
from nni.store import TrialStatus
from nni.testing.environment import EnvironmentConformance
from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import TrainingService
from nni.training_service.pool import Environment, PoolSettings, PoolTrainingService

pytestmark = [pytest.mark.slow, pytest.mark.requires_module("ray")]
EXPERIMENT = "RAYTESTS"
PORT, CLIENT = 6379, 10001
_NEWNET = 0x40000000
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(scope="module")
def own_network() -> Iterator[None]:
    """Put this process into a network in which there is nothing but loopback, as long as the module's tests run."""
    program = shutil.which("ip", path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if os.getuid() != 0 or program is None:
        pytest.skip("Ray: only root can make a network for it (and 'ip' is needed: Debian: iproute2)")
    before = os.open("/proc/self/ns/net", os.O_RDONLY)
    try:
        if _LIBC.unshare(_NEWNET) != 0:
            pytest.skip(f"Ray: no network of its own can be made ({os.strerror(ctypes.get_errno())})")
        try:
            subprocess.run([program, "link", "set", "lo", "up"], check=True)
            yield
        finally:
            assert _LIBC.setns(before, _NEWNET) == 0
    finally:
        os.close(before)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Have everything of this module under one home; nothing that has it may be left."""
    home = tmp_path_factory.mktemp("ray-home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.delenv("RAY_ADDRESS", raising=False)
        try:
            yield home
        finally:
            left = processes_of(home)
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
    assert [process for process in left if psutil.pid_exists(process.pid) and "ray" in " ".join(process.cmdline())] == []


def processes_of(home: Path) -> list[psutil.Process]:
    """Return what else runs with a home."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("HOME") == str(home):
                found.append(process)
    return found


@pytest.fixture(scope="module")
def ray(own_network: None, home: Path) -> Iterator[str]:
    """Start a Ray with four processors; it ends with this process, whatever happens to that."""
    place = Path(f"/tmp/nni-test-{os.getpid()}")  # the path of a socket may not be long
    log = home / "ray.log"
    options = [
        *("--head", "--block", f"--port={PORT}", f"--ray-client-server-port={CLIENT}", "--node-ip-address=127.0.0.1"),
        *("--include-dashboard=false", "--num-cpus=4", "--object-store-memory=100000000", f"--temp-dir={place}"),
        '--resources={"disk": 2}',
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", *options],
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=lambda: _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
        )
    try:
        deadline = time.monotonic() + 120
        while not (place / "ray_current_cluster").exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield f"127.0.0.1:{PORT}"
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        shutil.rmtree(place, ignore_errors=True)


def service(directory: Path, command: str, code: Path, **config: Any) -> PoolTrainingService:
    from nni.training_service.ray import ray_service

    (directory / "log").mkdir(parents=True, exist_ok=True)
    settings = PoolSettings(EXPERIMENT, directory, command, code, "ray", grace=1.0)
    return ray_service(settings, RayConfig(**{"max_runners": 3, "cpus": 1, **config}))


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "code").mkdir()
    (tmp_path / "experiment" / "trials").mkdir(parents=True)
    return tmp_path / "experiment", tmp_path / "code"


class TestRay(TrainingServiceConformance):
    @pytest.fixture(autouse=True)
    def _cluster(self, ray: str, home: Path) -> Iterator[None]:
        self.address = ray
        self.home = home
        yield
        assert list((home / ".nni-remote").glob("*/*")) == []

    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        return service(directory, command, code_directory, address=self.address)

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, PoolTrainingService)
        await service.close()

    def trial_directory(self, trial_id: str) -> Path:
        found = list((self.home / ".nni-remote").glob(f"*/*/trials/{trial_id}"))
        return found[0] if found else self.home / "none"

    def output_directory(self, trial_id: str) -> Path:
        return self.trial_directory(trial_id) / "nnioutput"

    def let_go(self, trial_id: str) -> None:
        (self.trial_directory(trial_id) / "code" / "go").touch()


class TestRayEnvironment(EnvironmentConformance):
    @pytest.fixture(autouse=True)
    def _cluster(self, ray: str) -> None:
        self.address = ray
        self.clusters: list[Any] = []

    def make(self, directory: Path) -> Environment:
        from nni.training_service.ray.cluster import Cluster
        from nni.training_service.ray.site import RaySite

        self.clusters.append(Cluster("CONFORM1", "x", directory, self.address, {"CPU": 1.0}))
        return RaySite(self.clusters[-1], 1).environment("")

    async def let_go(self) -> None:
        for cluster in self.clusters:
            await cluster.close()
