"""The pool keeps the contract of a training service, with runners that are processes of this machine."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

from nni.common.log_limit import is_over
from nni.store import TrialStatus
from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import TrainingService
from nni.training_service.gpu import GpuRules
from nni.training_service.pool import PoolSettings, PoolTrainingService, ProcessSite
from nni.trial_runner.log_watch import LogLimit

EXPERIMENT = "ABCDEFGH"


class PoolConformance(TrainingServiceConformance):
    is_reused = True

    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        self.home = directory.parent / "home"
        self.home.mkdir(exist_ok=True)
        settings = PoolSettings(EXPERIMENT, directory, command, code_directory, "test", grace=1.0)
        return PoolTrainingService(settings, [ProcessSite("far", self.home, EXPERIMENT, is_reused=self.is_reused)])

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, PoolTrainingService)
        await service.close()

    def trial_directory(self, trial_id: str) -> Path:
        label = "far" if self.is_reused else f"far-{trial_id}"
        return self.home / ".nni-remote" / EXPERIMENT / label / "trials" / trial_id

    def output_directory(self, trial_id: str) -> Path:
        return self.trial_directory(trial_id) / "nnioutput"

    def let_go(self, trial_id: str) -> None:
        (self.trial_directory(trial_id) / "code" / "go").touch()


@pytest.mark.slow
class TestPoolWithReuse(PoolConformance):
    pass


@pytest.mark.slow
class TestPoolWithoutReuse(PoolConformance):
    is_reused = False


@pytest.mark.slow
@pytest.mark.parametrize("is_reused", [True, False])
async def test_files_that_a_killed_manager_had_not_fetched_are_fetched_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_reused: bool
):
    monkeypatch.setattr("nni.training_service.pool.service._STRAYS", 0.2)
    (tmp_path / "code").mkdir()
    directory, home = tmp_path / "experiment", tmp_path / "home"
    (directory / "trials").mkdir(parents=True)
    home.mkdir()
    command = 'echo model >"$NNI_OUTPUT_DIR/model.txt"'

    def make() -> PoolTrainingService:
        settings = PoolSettings(EXPERIMENT, directory, command, tmp_path / "code", "test", grace=1.0)
        return PoolTrainingService(settings, [ProcessSite("far", home, EXPERIMENT, is_reused=is_reused)])

    first = Observer(make())
    await first.service.submit_trial_job(form("t0", "x"))
    await first.until(lambda: first.ended("t0"), "the trial")
    await first.abandon()
    await first.service.close()  # type: ignore[attr-defined]
    fetched = directory / "trials" / "t0" / "nnioutput" / "model.txt"
    if fetched.exists():
        fetched.unlink()
    second = Observer(make())
    there = home / ".nni-remote" / EXPERIMENT / ("far" if is_reused else "far-t0") / "trials" / "t0"
    assert there.exists()
    await second.until(lambda: fetched.exists() and not there.exists(), "the file, and the end of its trial there")
    assert fetched.read_text() == "model\n"
    assert second.history == {}
    await second.close()
    assert not (home / ".nni-remote").exists()


@pytest.mark.slow
@pytest.mark.parametrize("is_reused", [True, False])
async def test_a_stop_right_after_a_killed_manager_leaves_nothing_there_and_no_file_behind(
    tmp_path: Path, is_reused: bool
):
    (tmp_path / "code").mkdir()
    directory, home = tmp_path / "experiment", tmp_path / "home"
    (directory / "trials").mkdir(parents=True)
    home.mkdir()
    command = 'echo model >"$NNI_OUTPUT_DIR/model.txt"'

    def make() -> PoolTrainingService:
        settings = PoolSettings(EXPERIMENT, directory, command, tmp_path / "code", "test", grace=1.0)
        return PoolTrainingService(settings, [ProcessSite("far", home, EXPERIMENT, is_reused=is_reused)])

    first = Observer(make())
    await first.service.submit_trial_job(form("t0", "x"))
    await first.until(lambda: first.ended("t0"), "the trial")
    await first.abandon()
    await first.service.close()  # type: ignore[attr-defined]
    shutil.rmtree(directory / "trials" / "t0" / "nnioutput", ignore_errors=True)
    second = make()
    await second.prepare()
    await second.clean_up()
    assert (directory / "trials" / "t0" / "nnioutput" / "model.txt").read_text() == "model\n"
    assert not (home / ".nni-remote").exists()


@pytest.mark.slow
async def test_gpus_are_given_one_by_one_and_a_trial_that_waits_says_for_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A program that says what nvidia-smi would stands in for two devices, of which somebody else uses one."""
    programs = tmp_path / "bin"
    programs.mkdir()
    stranger = "<processes><process_info><pid>1</pid></process_info></processes>"
    listing = f"<log><gpu>{stranger}</gpu><gpu><processes></processes></gpu></log>"
    (programs / "nvidia-smi").write_text(f"#!/bin/sh\necho '{listing}'\n")
    (programs / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (tmp_path / "code").mkdir()
    directory, home = tmp_path / "experiment", tmp_path / "home"
    (directory / "trials").mkdir(parents=True)
    home.mkdir()
    command = 'echo "gpu $CUDA_VISIBLE_DEVICES"; while ! test -e "$NNI_CODE_DIR/go"; do sleep 0.05; done'
    settings = PoolSettings(EXPERIMENT, directory, command, tmp_path / "code", "test", gpu_number=1, grace=1.0)
    site = ProcessSite("far", home, EXPERIMENT, gpus=GpuRules(1))
    seen = Observer(PoolTrainingService(settings, [site]))
    for number in range(2):
        await seen.service.submit_trial_job(form(f"t{number}", "x", number))
    busy = "far: no free GPU (GPU 0 is used by somebody else; GPU 1 runs 1 of 1)"
    await seen.until(lambda: "t1" in seen.details and seen.details["t1"].message == busy, "the reason")
    for name in ("t0", "t1"):
        await seen.until(lambda name=name: TrialStatus.RUNNING in seen.history.get(name, []), f"the start of {name}")
        (home / ".nni-remote" / EXPERIMENT / "far" / "trials" / name / "code" / "go").touch()
        await seen.until(lambda name=name: seen.ended(name), name)
        assert (directory / "trials" / name / "trial.log").read_text() == "gpu 1\n"
    await seen.close()


@pytest.mark.slow
@pytest.mark.parametrize("pause", [0.0, 0.1, 0.3])
async def test_a_stop_while_machines_are_being_connected_leaves_nothing_there(tmp_path: Path, pause: float):
    (tmp_path / "code").mkdir()
    directory, home = tmp_path / "experiment", tmp_path / "home"
    (directory / "trials").mkdir(parents=True)
    home.mkdir()
    settings = PoolSettings(EXPERIMENT, directory, "true", tmp_path / "code", "test", grace=1.0)
    seen = Observer(PoolTrainingService(settings, [ProcessSite("far", home, EXPERIMENT)]))
    await asyncio.sleep(pause)
    await seen.close()
    assert not (home / ".nni-remote").exists()
    everybody = list(psutil.process_iter(["environ"]))
    mine = [process for process in everybody if (process.info["environ"] or {}).get("HOME") == str(home)]
    psutil.wait_procs(mine, timeout=20)
    assert not any(process.is_running() for process in mine)


@pytest.mark.slow
async def test_the_middle_of_a_log_that_is_too_long_is_dropped_there_and_here(tmp_path: Path):
    """A flood fills neither that machine's disk nor this one's, and what is kept is the same on both."""
    (tmp_path / "code").mkdir()
    directory, home = tmp_path / "experiment", tmp_path / "home"
    (directory / "trials").mkdir(parents=True)
    home.mkdir()
    command = (
        "echo first; i=0; while test $i -lt 12; do i=$((i + 1));"
        " head -c 1000000 /dev/zero | tr '\\0' x | fold -w 99; echo;"
        ' sleep 0.1; done; echo last; until test -e "$NNI_CODE_DIR/go"; do sleep 0.05; done'
    )
    limit = LogLimit(512 * 1024, "trialLogLimit: 512kb")
    settings = PoolSettings(EXPERIMENT, directory, command, tmp_path / "code", "test", grace=1.0, log_limit=limit)
    seen = Observer(PoolTrainingService(settings, [ProcessSite("far", home, EXPERIMENT)]))
    await seen.service.submit_trial_job(form("t0", "x"))
    far = home / ".nni-remote" / EXPERIMENT / "far" / "trials" / "t0"
    here = directory / "trials" / "t0" / "trial.log"
    await seen.until(lambda: here.exists() and here.stat().st_size > 12_000_000, "all of the log")
    await seen.until(lambda: not is_over(far / "trial.log", limit.size), "the log there being cut")
    assert (far / "trial.log").stat().st_blocks * 512 <= limit.size
    (far / "code" / "go").touch()
    await seen.until(lambda: seen.ended("t0"), "the end")
    await seen.close()
    text = here.read_text()
    assert len(text) <= limit.size
    assert text.startswith("first\n")
    assert text.endswith("last\n")
    assert "bytes of this log were dropped here (trialLogLimit: 512kb)" in text
    assert "\0" not in text


def _other_pythons() -> list[str]:
    """Return the Pythons of this machine that are older than this project needs, and that the trial runner may meet."""
    found = []
    for name in ("python3.8", "python3.9", "python3.10"):
        asked = ["-c", "import sys; print(sys.executable)"]
        path = shutil.which(name)
        answer = path and subprocess.run([path, *asked], capture_output=True, text=True, check=False)
        if answer and answer.returncode == 0:
            found.append(answer.stdout.strip())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("python", _other_pythons() or [pytest.param("", marks=pytest.mark.skip("no older Python"))])
async def test_the_runner_works_with_an_older_python_from_start_to_stop(tmp_path: Path, python: str):
    (tmp_path / "code").mkdir()
    directory, home = tmp_path / "experiment", tmp_path / "home"
    (directory / "trials").mkdir(parents=True)
    home.mkdir()
    command = 'echo "$NNI_TRIAL_SEQ_ID"; echo model >"$NNI_OUTPUT_DIR/model"; test "$NNI_TRIAL_SEQ_ID" = 0 || exit 3'
    limit = LogLimit(64 * 1024, "trialLogLimit: 64kb")
    settings = PoolSettings(EXPERIMENT, directory, command, tmp_path / "code", "test", grace=1.0, log_limit=limit)
    seen = Observer(PoolTrainingService(settings, [ProcessSite("far", home, EXPERIMENT, python=python)]))
    for number in range(2):
        await seen.service.submit_trial_job(form(f"t{number}", "x", number))
    await seen.until(lambda: seen.ended("t0") and seen.ended("t1"), "the trials")
    assert [seen.history[name][-1] for name in ("t0", "t1")] == [TrialStatus.SUCCEEDED, TrialStatus.FAILED]
    await seen.close()
    assert (directory / "trials" / "t1" / "nnioutput" / "model").read_text() == "model\n"
    assert (directory / "trials" / "t1" / "trial.log").read_text() == "1\n"
    assert not (home / ".nni-remote").exists()
