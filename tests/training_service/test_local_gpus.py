"""GPUs in the local service, with devices that are not there and trials that are."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from nni.store import TrialStatus
from nni.testing.training_service import Observer, form
from nni.training_service import Adoption
from nni.training_service.gpu import Gpu, GpuRules
from nni.training_service.local import LocalSettings, LocalTrainingService

SHOW = 'echo "$CUDA_VISIBLE_DEVICES $CUDA_DEVICE_ORDER" > "$NNI_OUTPUT_DIR/seen"; '
WAIT = SHOW + 'while [ ! -e "$NNI_CODE_DIR/go" ]; do sleep 0.02; done'


class Machine:
    """Two GPUs, and who uses them."""

    def __init__(self) -> None:
        self.users: dict[int, set[int]] = {0: set(), 1: set()}

    def read(self) -> list[Gpu]:
        return [Gpu(index, frozenset(users)) for index, users in self.users.items()]


@pytest.fixture
def machine() -> Machine:
    return Machine()


def settings(tmp_path: Path, machine: Machine, rules: GpuRules, command: str) -> LocalSettings:
    (tmp_path / "trials").mkdir(exist_ok=True)
    (tmp_path / "code").mkdir(exist_ok=True)
    code = tmp_path / "code"
    return LocalSettings("ABCDEFGH", tmp_path, command, code, rules.number, gpus=rules, read_gpus=machine.read, grace=1)


def seen(tmp_path: Path, trial: str) -> str:
    return (tmp_path / "trials" / trial / "seen").read_text().strip()


def play(scenario) -> None:
    asyncio.run(scenario())


def test_each_trial_sees_its_own_gpu_and_the_third_waits_and_says_why(tmp_path: Path, machine: Machine):
    async def scenario() -> None:
        service = LocalTrainingService(settings(tmp_path, machine, GpuRules(1), WAIT))
        watch = Observer(service)
        for name in ("t0", "t1", "t2"):
            await service.submit_trial_job(form(name, "x"))
        await watch.until(lambda: (tmp_path / "trials/t1/seen").exists() and bool(seen(tmp_path, "t1")), "two trials")
        third = await service.get_trial_job("t2")
        assert third.status is TrialStatus.WAITING
        assert "no free GPU (GPU 0 runs 1 of 1; GPU 1 runs 1 of 1)" in third.message
        (tmp_path / "code" / "go").touch()
        await watch.until(lambda: all(map(watch.ended, ["t0", "t1", "t2"])), "all three")
        assert {seen(tmp_path, "t0"), seen(tmp_path, "t1")} == {"0 PCI_BUS_ID", "1 PCI_BUS_ID"}
        assert watch.history["t2"][-1] is TrialStatus.SUCCEEDED
        await watch.close()

    play(scenario)


def test_a_trial_that_waits_for_a_gpu_can_be_taken_back_and_one_that_runs_cannot(tmp_path: Path, machine: Machine):
    async def scenario() -> None:
        service = LocalTrainingService(settings(tmp_path, machine, GpuRules(2), WAIT))
        watch = Observer(service)
        for name in ("t0", "t1", "t2"):
            await service.submit_trial_job(form(name, "x"))
        await watch.until((tmp_path / "trials/t0/seen").exists, "the first")
        assert [await service.withdraw_trial_job(name) for name in ("t0", "t1", "nobody")] == [False, True, False]
        assert {job.id for job in await service.list_trial_jobs()} == {"t0", "t2"}
        (tmp_path / "code" / "go").touch()
        await watch.until(lambda: watch.ended("t0") and watch.ended("t2"), "the others")
        assert "t1" not in watch.history or TrialStatus.RUNNING not in watch.history["t1"]
        assert not (tmp_path / "trials/t1/seen").exists()
        await watch.close()

    play(scenario)


def test_a_gpu_that_a_strangers_process_uses_is_left_to_it_until_it_ends(tmp_path: Path, machine: Machine):
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)

    async def scenario() -> None:
        machine.users[0] = {stranger.pid}
        service = LocalTrainingService(settings(tmp_path, machine, GpuRules(1, indices=(0,)), SHOW))
        watch = Observer(service)
        detail = await service.submit_trial_job(form("t0", "x"))
        assert "used by somebody else" in detail.message
        stranger.kill()
        stranger.wait()
        machine.users[0] = set()
        await watch.until(lambda: watch.ended("t0"), "the trial")
        assert seen(tmp_path, "t0").startswith("0")
        await watch.close()

    play(scenario)


def test_a_trial_that_waits_for_a_gpu_can_be_cancelled_at_once(tmp_path: Path, machine: Machine):
    async def scenario() -> None:
        machine.users = {0: {1}, 1: {1}}
        service = LocalTrainingService(settings(tmp_path, machine, GpuRules(2), SHOW))
        watch = Observer(service)
        await service.submit_trial_job(form("t0", "x"))
        await service.cancel_trial_job("t0")
        await watch.until(lambda: watch.ended("t0"), "the end")
        assert watch.history["t0"][-1] is TrialStatus.USER_CANCELED
        await watch.close()

    play(scenario)


def test_an_adopted_trial_keeps_its_gpu(tmp_path: Path, machine: Machine):
    async def scenario() -> None:
        first = LocalTrainingService(settings(tmp_path, machine, GpuRules(1), WAIT))
        watch = Observer(first)
        await first.submit_trial_job(form("t0", "x"))
        await watch.until((tmp_path / "trials/t0/seen").exists, "the trial")
        await watch.abandon()
        first.close()
        second = LocalTrainingService(settings(tmp_path, machine, GpuRules(1), WAIT))
        watch = Observer(second)
        await second.adopt_trial_jobs([Adoption(form("t0", "x"), 0, 0, 1)])
        await second.submit_trial_job(form("t1", "x", 1))
        (tmp_path / "code" / "go").touch()
        await watch.until(lambda: watch.ended("t0") and watch.ended("t1"), "both")
        assert (seen(tmp_path, "t0")[0], seen(tmp_path, "t1")[0]) == ("0", "1")
        await watch.close()

    play(scenario)


@pytest.mark.gpu
def test_a_real_gpu_is_seen_by_the_trial(tmp_path: Path):
    async def scenario() -> None:
        rules = GpuRules(1, use_active=True)
        (tmp_path / "trials").mkdir()
        (tmp_path / "code").mkdir()
        command = SHOW + "nvidia-smi -L"
        settings = LocalSettings("ABCDEFGH", tmp_path, command, tmp_path / "code", 1, gpus=rules, grace=1)
        watch = Observer(LocalTrainingService(settings))
        await watch.service.submit_trial_job(form("t0", "x"))
        await watch.until(lambda: watch.ended("t0"), "the trial")
        assert seen(tmp_path, "t0").startswith("0")
        await watch.close()

    play(scenario)
