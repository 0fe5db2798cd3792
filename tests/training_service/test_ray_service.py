"""Trials on a real Ray, in a network of its own: parts of Ray listen on all addresses whatever they are told."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
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
PORT, CLIENT = 6379, 10001
START = """
import ctypes, runpy, sys
ctypes.CDLL(None).prctl(1, 15)  # PR_SET_PDEATHSIG: SIGTERM when the tests end, in whatever way
sys.argv[0] = "ray"
runpy.run_module("ray.scripts.scripts", run_name="__main__")
"""
METADATA = """
import sys
from ray._raylet import GcsClient
client = GcsClient(address=sys.argv[1])
print(client.internal_kv_get(b"CLUSTER_METADATA", b"cluster").decode())
if sys.argv[2:]:
    client.internal_kv_put(b"CLUSTER_METADATA", sys.argv[2].encode(), True, b"cluster")
"""
_NEWNET = 0x40000000
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
        patch.setenv("RAY_worker_niceness", "0")  # or other tests at the same time would starve Ray's workers
        patch.delenv("RAY_ADDRESS", raising=False)
        try:
            yield home
        finally:
            deadline = time.monotonic() + 20
            while (left := processes_of(home)) and time.monotonic() < deadline:
                time.sleep(0.1)
            names = [process.name() for process in left]
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
    assert names == []


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
            [sys.executable, "-c", START, "start", *options],
            stdout=output,
            stderr=output,
            start_new_session=True,
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


def experiment_id(directory: Path) -> str:
    """Return another one for each test: they share a cluster."""
    return f"T{zlib.crc32(str(directory).encode()):010}"


def service(directory: Path, command: str, code: Path, **config: Any) -> PoolTrainingService:
    from nni.training_service.ray import ray_service

    (directory / "log").mkdir(parents=True, exist_ok=True)
    settings = PoolSettings(experiment_id(directory), directory, command, code, "ray", grace=1.0)
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
        made = service(directory, command, code_directory, address=self.address)
        self.first = f"{experiment_id(directory)}/{made._machines._sites[0]._cluster.prefix}1"
        return made

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, PoolTrainingService)
        await service.close()

    def trial_directory(self, trial_id: str) -> Path:
        found = list((self.home / ".nni-remote").glob(f"*/*/trials/{trial_id}"))
        return found[0] if found else self.home / ".nni-remote" / self.first / "trials" / trial_id

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
        from nni.training_service.ray.cluster import RayCluster
        from nni.training_service.ray.site import RayEnvironment

        self.clusters.append(RayCluster("CONFORM1", "x", directory, self.address, {"CPU": 1.0}))
        return RayEnvironment(self.clusters[-1], 1)

    async def let_go(self) -> None:
        for cluster in self.clusters:
            await cluster.close()


async def test_each_trial_has_a_runner_of_its_own_without_reuse(ray: str, places: tuple[Path, Path]):
    pool = service(places[0], "echo $PPID", places[1], address=ray, reuse_mode=False, max_runners=2)
    await pool.prepare()
    seen = Observer(pool)
    names = ["t0", "t1", "t2", "t3"]
    for number, name in enumerate(names):
        await pool.submit_trial_job(form(name, "x", number))
    for name in names:
        await seen.until(lambda name=name: seen.ended(name), name)
        pool.committed({name})
    assert [seen.history[name][-1] for name in names] == [TrialStatus.SUCCEEDED] * 4
    assert len({(places[0] / "trials" / name / "trial.log").read_text() for name in names}) == 4
    await seen.close()


async def test_by_the_client_server_with_a_runtime_environment(ray: str, places: tuple[Path, Path]):
    (places[1] / "trial.py").write_text("import os, sys; print(os.environ['FLAVOUR'], sys.executable)")
    pool = service(
        places[0],
        "python3 trial.py; echo left >$NNI_OUTPUT_DIR/file",
        places[1],
        address=f"ray://127.0.0.1:{CLIENT}",
        runtime_env={"env_vars": {"FLAVOUR": "vanilla"}},
        resources={"disk": 1},
        memory="64mb",
    )
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: seen.ended("t0"), "the trial")
    assert (places[0] / "trials" / "t0" / "trial.log").read_text() == f"vanilla {Path(sys.executable).parent}/python3\n"
    assert (places[0] / "trials" / "t0" / "stderr").read_text() == ""
    await seen.close()
    assert (places[0] / "trials" / "t0" / "nnioutput" / "file").read_text() == "left\n"


async def test_a_trial_waits_for_room_and_says_so(ray: str, places: tuple[Path, Path]):
    pool = service(places[0], "while ! test -e go; do sleep 0.05; done", places[1], address=ray, cpus=3)
    await pool.prepare()
    seen = Observer(pool)
    for number, name in enumerate(["t0", "t1"]):
        await pool.submit_trial_job(form(name, "x", number))
    both = ("t0", "t1")
    runs = [TrialStatus.RUNNING]
    await seen.until(lambda: any(seen.history.get(name, [])[-1:] == runs for name in both), "one that runs")
    (waiting,) = [name for name in both if seen.history[name][-1:] != runs]
    reason = "waits until Ray has room for CPU 3"
    await seen.until(lambda: reason in seen.details[waiting].message, "why the other one waits")
    assert seen.details[waiting].status is TrialStatus.WAITING
    for name in (*(name for name in both if name != waiting), waiting):
        await seen.until(lambda name=name: seen.history[name][-1] is TrialStatus.RUNNING, "its turn")
        (directory,) = (Path.home() / ".nni-remote").glob(f"*/*/trials/{name}")
        (directory / "code" / "go").touch()
        await seen.until(lambda name=name: seen.ended(name), "the end")
    await seen.close()


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        ({"cpus": 64, "resources": {"disk": 1}}, "ray: no node of the Ray cluster has CPU 64; the most is CPU 4"),
        ({"resources": {"moon": 1}}, "ray: no node of the Ray cluster has moon 1; the most is moon 0"),
        ({"runtime_env": {"pip": 3}}, "ray: trainingService.runtimeEnv or address is refused: "),
    ],
)
async def test_what_never_can_be_is_told_before_the_start(
    ray: str, places: tuple[Path, Path], config: dict[str, Any], complaint: str
):
    with pytest.raises(NniError) as caught:
        await service(places[0], "true", places[1], address=ray, **config).prepare()
    assert str(caught.value).startswith(complaint)
    assert "\n" not in str(caught.value)


async def test_a_killed_actor_takes_its_trial_with_it_and_the_next_gets_another(ray: str, places: tuple[Path, Path]):
    command = 'test "$NNI_TRIAL_SEQ_ID" = 1 || { echo $$; exec sleep 300; }'
    pool = service(places[0], command, places[1], address=ray)
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    log = places[0] / "trials" / "t0" / "trial.log"
    await seen.until(lambda: log.exists() and bool(log.read_text()), "the start")
    process = psutil.Process(int(log.read_text()))
    (holder,) = [one for one in processes_of(Path.home()) if one.name().startswith("ray::Runner")]
    holder.kill()
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] in {TrialStatus.SYS_CANCELED, TrialStatus.FAILED}
    assert not process.is_running()
    await pool.submit_trial_job(form("t1", "x", 1))
    await seen.until(lambda: seen.ended("t1"), "the next trial")
    assert seen.history["t1"][-1] is TrialStatus.SUCCEEDED
    await seen.close()


async def test_what_a_trial_reports_while_there_is_no_connection_comes_later(ray: str, places: tuple[Path, Path]):
    (places[1] / "trial.py").write_text(
        "import nni, os, time\n"
        "nni.report_intermediate_result(0)\n"
        "while not os.path.exists('go'): time.sleep(0.02)\n"
        "nni.report_final_result(1)\n"
    )
    pool = service(places[0], f"{sys.executable} trial.py", places[1], address=ray)
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: seen.values("t0", "PERIODICAL") == [0], "the first result")
    (driver,) = [one for one in processes_of(Path.home()) if "nni.training_service.ray.driver" in one.cmdline()]
    driver.suspend()
    (directory,) = (Path.home() / ".nni-remote").glob("*/*/trials/t0")
    (directory / "code" / "go").touch()
    await seen.until((directory / ".nni" / "state").exists, "the end of the trial")
    driver.kill()
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
    assert seen.values("t0", "FINAL") == [1]
    assert seen.values("t0", "PERIODICAL") == [0]
    await seen.close()


async def test_an_address_where_nothing_is_says_what_to_do(own_network: None, home: Path, places: tuple[Path, Path]):
    with pytest.raises(
        NniError, match=r"^ray: nothing answers at 127.0.0.1:9 \(Connection refused\): start the cluster"
    ):
        await service(places[0], "true", places[1], address="127.0.0.1:9").prepare()


async def test_a_place_that_is_no_ray_does_not_hang(
    own_network: None, home: Path, places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("nni.training_service.ray.cluster._JOINING", 4.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(NniError, match=f"^ray: {address} does not answer as Ray within 4 s: give the address that"):
            await service(places[0], "true", places[1], address=address).prepare()


async def test_another_version_of_ray_is_named(ray: str, places: tuple[Path, Path]):
    before = cluster_metadata(ray)
    cluster_metadata(ray, json.dumps({**json.loads(before), "ray_version": "2.1.0"}))
    try:
        with pytest.raises(NniError) as caught:
            await service(places[0], "true", places[1], address=ray).prepare()
    finally:
        cluster_metadata(ray, before)
    assert str(caught.value).startswith(f"ray: the cluster at {ray} runs Ray 2.1.0 and Python 3.")
    assert "\n" not in str(caught.value)


def cluster_metadata(address: str, *new: str) -> str:
    """Return what a cluster says of itself, and have it say something else."""
    command = [sys.executable, "-c", METADATA, address, *new]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1]


def test_without_ray_it_says_what_to_install(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(NniError, match=r"needs Ray; install it: pip install 'nni\[ray\]'"):
        service(places[0], "true", places[1])


def nnictl(*arguments: str) -> str:
    program = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=False, capture_output=True, timeout=150, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"still waiting for {what}"
        time.sleep(0.1)


def test_an_experiment_with_a_ray_of_its_own_survives_its_manager_and_leaves_nothing(
    own_network: None, isolated_home: Path, free_port: int
):
    folder = isolated_home / "example"
    folder.mkdir()
    (folder / "trial.py").write_text(
        "import nni, os, time\n"
        "x = nni.get_next_parameter()['x']\n"
        "nni.report_intermediate_result(x)\n"
        f"while not os.path.exists({str(folder / 'go')!r}): time.sleep(0.05)\n"
        "nni.report_final_result(x)\n"
    )
    config = {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "python3 trial.py",
        "trialConcurrency": 2,
        "maxTrialNumber": 3,
        "tuner": {"name": "Random"},
        "trainingService": {"platform": "ray", "cpus": 0.5},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    url = f"http://127.0.0.1:{free_port}/api/v1/nni"

    def trials() -> list[dict[str, Any]]:
        return httpx.get(f"{url}/trials", trust_env=False).json()["items"]

    nnictl("create", "-c", str(folder / "config.yml"), "-p", str(free_port))
    until(lambda: [trial["intermediates"] for trial in trials()[:2]] == [1, 1], "two trials that report")
    registry = isolated_home / "nni-experiments" / ".experiment"
    ((experiment, entry),) = json.loads(registry.read_text()).items()
    psutil.Process(entry["pid"]).kill()
    (folder / "go").touch()
    nnictl("resume", experiment, "-p", str(free_port))
    until(lambda: httpx.get(f"{url}/summary", trust_env=False).json()["status"] == "DONE", "the end")
    assert [trial["status"] for trial in trials()] == ["SUCCEEDED"] * 3
    assert [trial["intermediates"] for trial in trials()] == [1] * 3
    nnictl("stop", "--all")
    until(lambda: processes_of(isolated_home) == [], "the end of all processes")
    assert not list((isolated_home / ".nni-remote").glob("*"))
    assert not (isolated_home / "nni-experiments" / experiment / "ray" / "token").exists()


def test_platform_clean_removes_what_no_runner_owns_on_the_nodes(ray: str, home: Path, tmp_path: Path):
    left = home / ".nni-remote" / "OLDONE" / "nni-OLDONE-1" / "trials" / "t0"
    left.mkdir(parents=True)
    (left / "trial.log").write_text("hello")
    config = {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "true",
        "trialConcurrency": 1,
        "tuner": {"name": "Random"},
        "trainingService": {"platform": "ray", "address": ray},
    }
    (tmp_path / "config.yml").write_text(json.dumps(config))
    assert "127.0.0.1: removed 1 directories of experiments, " in nnictl(
        "platform", "clean", "-c", f"{tmp_path}/config.yml"
    )
    assert not left.exists()
