"""Trials in jobs of a real Slurm, whose daemons run on the loopback interface."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nni.common.errors import NniError
from nni.config import SlurmConfig
from nni.store import TrialStatus
from nni.testing.environment import EnvironmentConformance
from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import TrainingService
from nni.training_service.pool import Environment, PoolSettings, PoolTrainingService

pytestmark = pytest.mark.slow
EXPERIMENT = "ABCDEFGH"


@pytest.fixture(autouse=True)
def _leave_no_job() -> Iterator[None]:
    yield
    if "SLURM_CONF" in os.environ:
        cancel_all()
        deadline = time.monotonic() + 20
        while jobs():
            assert time.monotonic() < deadline
            time.sleep(0.1)


def cancel_all() -> None:
    subprocess.run(["scancel", "--user=root"], check=True)


def cancel(job: str, *how: str) -> None:
    subprocess.run(["scancel", *how, job], check=True)


def jobs() -> list[str]:
    """Return the states of all jobs that have not ended."""
    found = subprocess.run(["squeue", "-h", "-o", "%T"], capture_output=True, text=True, check=True).stdout.split()
    return [state for state in found if state != "COMPLETING"]


def service(directory: Path, command: str, code: Path, **settings: Any) -> PoolTrainingService:
    from nni.training_service.slurm import slurm_service

    return slurm_service(
        PoolSettings(EXPERIMENT, directory, command, code, "slurm", grace=1.0), SlurmConfig(max_jobs=3, **settings)
    )


class SlurmConformance(TrainingServiceConformance):
    is_reused = True

    @pytest.fixture(autouse=True)
    def _cluster(self, slurm: Path) -> Iterator[None]:
        yield
        assert jobs() == []

    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        return service(directory, command, code_directory, reuse_mode=self.is_reused)

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, PoolTrainingService)
        await service.close()

    def trial_directory(self, trial_id: str) -> Path:
        found = list((self.directory / "slurm").glob(f"*/trials/{trial_id}"))
        return found[0] if found else self.directory / "slurm" / "1" / "trials" / trial_id

    def output_directory(self, trial_id: str) -> Path:
        return self.trial_directory(trial_id) / "nnioutput"

    def let_go(self, trial_id: str) -> None:
        (self.trial_directory(trial_id) / "code" / "go").touch()


class TestSlurm(SlurmConformance):
    pass


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "code").mkdir()
    (tmp_path / "experiment" / "trials").mkdir(parents=True)
    return tmp_path / "experiment", tmp_path / "code"


async def test_jobs_are_there_only_while_they_are_needed_without_reuse(slurm: Path, places: tuple[Path, Path]):
    pool = service(places[0], 'echo "$SLURM_JOB_ID"', places[1], reuse_mode=False)
    await pool.prepare()
    assert jobs() == []
    seen = Observer(pool)
    names = ["t0", "t1", "t2", "t3"]
    for number, name in enumerate(names):
        await pool.submit_trial_job(form(name, "x", number))
    for name in names:
        await seen.until(lambda name=name: seen.ended(name), name)
        pool.committed({name})
    logs = [(places[0] / "trials" / name / "trial.log").read_text().strip() for name in names]
    assert len(set(logs)) == 4
    assert all(logs)
    await seen.until(lambda: jobs() == [], "the jobs being given back")
    await seen.close()


async def test_setup_and_options_reach_the_job(slurm: Path, places: tuple[Path, Path]):
    pool = service(
        places[0], 'echo "$FLAVOUR $SLURM_JOB_PARTITION $SLURM_CPUS_PER_TASK"', places[1],
        setup=["export FLAVOUR=vanilla"], partition="main", cpus=2, time="10", options=["--comment=ours"],
    )  # fmt: skip
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: seen.ended("t0"), "the trial")
    assert (places[0] / "trials" / "t0" / "trial.log").read_text() == "vanilla main 2\n"
    await seen.close()
    assert list((places[0] / "slurm").glob("[0-9]*")) == []


@pytest.mark.parametrize(("name", "value"), [("partition", "nope"), ("options", ["--no-such-option"])])
async def test_what_slurm_refuses_is_told_in_its_words_before_the_start(
    slurm: Path, places: tuple[Path, Path], name: str, value: Any
):
    pool = service(*(places[0], "true", places[1]), **{name: value})
    with pytest.raises(NniError, match="slurm: sbatch refuses such a job: ") as caught:
        await pool.prepare()
    assert "\n" not in str(caught.value)
    assert str(value if isinstance(value, str) else "no-such-option") in str(caught.value)


async def test_an_account_that_may_not_use_a_partition_is_told(slurm: Path, places: tuple[Path, Path]):
    pool = service(places[0], "true", places[1], partition="closed", account="stranger")
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    why = "job's account not known"  # as Slurm has it; a cluster with accounting refuses such a job at once
    await seen.until(lambda: "t0" in seen.details and why in seen.details["t0"].message.lower(), "why")
    await seen.close()
    assert jobs() == []


async def test_a_job_that_waits_in_the_queue_says_why(slurm: Path, places: tuple[Path, Path]):
    pool = service(places[0], "true", places[1], options=["--begin=now+1hour"])
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: "is pending (" in seen.details["t0"].message if "t0" in seen.details else False, "why")
    assert seen.details["t0"].status is TrialStatus.WAITING
    await seen.close()
    assert jobs() == []


async def test_a_cancelled_job_takes_its_trial_with_it_and_the_next_gets_another(
    slurm: Path, places: tuple[Path, Path]
):
    pool = service(places[0], 'test "$NNI_TRIAL_SEQ_ID" = 1 || sleep 100', places[1])
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: seen.history.get("t0", [])[-1:] == [TrialStatus.RUNNING], "the start")
    cancel_all()
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] is TrialStatus.SYS_CANCELED
    await pool.submit_trial_job(form("t1", "x", 1))
    await seen.until(lambda: seen.ended("t1"), "the next trial")
    assert seen.history["t1"][-1] is TrialStatus.SUCCEEDED
    await seen.close()


@pytest.mark.parametrize(
    ("is_reused", "how"), [(True, ["--signal=KILL", "--full"]), (False, []), (True, [])], ids=["killed", "own", "ended"]
)
async def test_a_trial_whose_job_ends_under_it_is_run_again_in_another(
    slurm: Path, places: tuple[Path, Path], is_reused: bool, how: list[str]
):
    from nni.training_service.slurm import slurm_service

    command = 'echo "$SLURM_JOB_ID"; test -e "$HOME/go" || sleep 100'.replace("$HOME", str(places[1].parent))
    settings = PoolSettings(EXPERIMENT, places[0], command, places[1], "slurm", grace=1.0, reruns=1)
    pool = slurm_service(settings, SlurmConfig(max_jobs=2, reuse_mode=is_reused))
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    log = places[0] / "trials" / "t0" / "trial.log"
    await seen.until(lambda: log.exists() and log.read_text() != "", "the start")
    first = log.read_text()
    (places[1].parent / "go").touch()
    cancel(first.strip(), *how)
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
    assert seen.details["t0"].run == 2
    assert (log.parent / "run-1" / "trial.log").read_text() == first
    assert log.read_text() not in {"", first}
    await seen.close()
    assert jobs() == []


async def test_without_slurm_it_says_what_is_missing(places: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(NniError, match="there is no sbatch on PATH"):
        await service(places[0], "true", places[1]).prepare()


class TestSlurmEnvironment(EnvironmentConformance):
    @pytest.fixture(autouse=True)
    def _cluster(self, slurm: Path) -> None:
        pass

    def make(self, directory: Path) -> Environment:
        from nni.training_service.slurm.site import SlurmCluster, SlurmEnvironment

        return SlurmEnvironment(SlurmCluster("CONFORM1", directory / "slurm", [], []), 1)


def test_an_experiment_in_the_cluster_from_create_to_stop(slurm: Path, isolated_home: Path, free_port: int):
    folder = isolated_home / "example"
    folder.mkdir()
    (folder / "trial.py").write_text("import nni\nnni.report_final_result(nni.get_next_parameter()['x'])\n")
    config = {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "python3 trial.py",
        "trialConcurrency": 2,
        "maxTrialNumber": 4,
        "tuner": {"name": "Random"},
        "trainingService": {"platform": "slurm", "setup": [f"export PATH={Path(sys.executable).parent}:$PATH"]},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    program = "import sys; sys.argv[0] = 'nnictl'; from nni.tools.nnictl.entry import main; main()"

    def nnictl(*arguments: str) -> None:
        command = [sys.executable, "-c", program, *arguments]
        subprocess.run(command, check=True, capture_output=True, timeout=120)

    nnictl("create", "-c", str(folder / "config.yml"), "-p", str(free_port))
    url = f"http://127.0.0.1:{free_port}/api/v1/nni"
    deadline = time.monotonic() + 120
    while httpx.get(f"{url}/summary", trust_env=False).json()["status"] != "DONE":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    trials = httpx.get(f"{url}/trials", trust_env=False).json()["items"]
    assert [trial["status"] for trial in trials] == ["SUCCEEDED"] * 4
    assert {trial["message"] for trial in trials} <= {"on slurm-1", "on slurm-2"}
    nnictl("stop", "--all")
    assert jobs() == []


async def test_jobs_work_on_the_file_system_of_the_cluster_as_their_shared_storage(
    slurm: Path, places: tuple[Path, Path], tmp_path: Path
):
    """It is mounted by nobody, and the experiment's own directory is on it, too."""
    from nni.config import NfsConfig
    from nni.training_service.shared_storage import SharedStorage
    from nni.training_service.slurm import slurm_service

    told = {"nfs_server": "127.0.0.1", "exported_directory": "/cluster", "local_mounted": "usermount"}
    config = NfsConfig(local_mount_point=tmp_path, remote_mount_point=str(tmp_path), **told)
    storage = SharedStorage(EXPERIMENT, places[0], config)
    command = 'pwd; echo model >"$NNI_OUTPUT_DIR/model.txt"'
    settings = PoolSettings(EXPERIMENT, places[0], command, places[1], "slurm", grace=1.0, storage=storage)
    pool = slurm_service(settings, SlurmConfig(max_jobs=1))
    await pool.prepare()
    seen = Observer(pool)
    await pool.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: seen.ended("t0"), "the trial")
    assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
    await seen.close()
    place = tmp_path / "nni" / EXPERIMENT / "trials" / "t0"
    assert (place / "trial.log").read_text() == f"{place}\n"
    assert (places[0] / "trials" / "t0" / "nnioutput" / "model.txt").read_text() == "model\n"
    assert not (places[0] / "slurm").exists()
