"""Functions as trials keep the contract of a training service, and what is their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cloudpickle
import psutil

from nni.store import TrialStatus
from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import Adoption, TrainingService
from nni.training_service.function import FunctionSettings, FunctionTrainingService

SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(300)"


def objective(parameters):
    """The conformance suite's trial script as a function."""
    import nni

    x = parameters["x"]
    sys.stdout.write(f"hello from {x}\n")
    with (Path(os.environ["NNI_OUTPUT_DIR"]) / "started").open("a") as file:
        file.write(f"{os.getpid()}\n")
    for step in range(3):
        nni.report_intermediate_result(step)
    if x == "wait":
        while not (Path(os.environ["NNI_CODE_DIR"]) / "go").exists():
            time.sleep(0.02)
    if x == "fail":
        sys.exit(3)
    return {"default": 1.5, "x": x}


def stubborn(_):
    """Start a child that ignores SIGTERM, and ignore it too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE)
    child.stdout.readline()
    (Path(os.environ["NNI_OUTPUT_DIR"]) / "child").write_text(str(child.pid))
    time.sleep(300)


def documented_environment(_):
    names = "NNI_PLATFORM NNI_EXP_ID NNI_SYS_DIR NNI_TRIAL_JOB_ID NNI_OUTPUT_DIR NNI_TRIAL_SEQ_ID NNI_CODE_DIR"
    assert all(os.environ[name] for name in names.split())
    return int(os.environ["NNI_TRIAL_SEQ_ID"])


def store(function, directory: Path) -> None:
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    try:
        pickled = cloudpickle.dumps(function)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    place = directory / "function"
    place.mkdir(parents=True, exist_ok=True)
    (place / "function.pkl").write_bytes(pickled)
    (place / "function.json").write_text(json.dumps({"path": sys.path}))


def service(directory: Path, code: Path, **changes) -> FunctionTrainingService:
    settings = {"workers": 1, "interpreter": sys.executable, "grace": 1.0, **changes}
    return FunctionTrainingService(FunctionSettings("ABCDEFGH", directory, code, **settings))


class TestFunctionService(TrainingServiceConformance):
    """The suite, with a function for each of its commands."""

    function = staticmethod(objective)

    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        store(self.function, directory)
        return service(directory, code_directory)

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, FunctionTrainingService)
        service.close()

    def test_no_process_of_a_cancelled_trial_is_left_even_if_it_ignores_sigterm(self, tmp_path: Path) -> None:
        self.function = stubborn
        super().test_no_process_of_a_cancelled_trial_is_left_even_if_it_ignores_sigterm(tmp_path)

    def test_the_documented_environment_is_there(self, tmp_path: Path) -> None:
        self.function = documented_environment
        super().test_the_documented_environment_is_there(tmp_path)

    def test_a_trial_that_ended_while_no_manager_ran_is_reported_with_its_exit_code(self, tmp_path: Path) -> None:
        async def scenario(start) -> None:
            first = start()
            await first.service.submit_trial_job(form("t0", "wait"))
            await first.until(lambda: len(first.values("t0", "PERIODICAL")) == 3, "three results")
            pid = int(self.started("t0"))
            await first.abandon()
            await self.forget(first.service)
            (self.code / "go").touch()
            await first.until(lambda: ended(pid), "the end of the worker")
            second = start()
            await second.service.adopt_trial_jobs([Adoption(form("t0", "wait"), 0, 0, 1)])
            await second.until(lambda: second.ended("t0"), "the end")
            assert second.history["t0"][-1] is TrialStatus.SUCCEEDED
            assert second.values("t0", "PERIODICAL") == [0, 1, 2]
            assert second.values("t0", "FINAL") == [{"default": 1.5, "x": "wait"}]
            assert second.details["t0"].exit_code == 0
            await second.close()

        self.run(tmp_path, scenario)


def ended(pid: int) -> bool:
    """Whether a process is gone; our own child is reaped, as nobody else will."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not psutil.pid_exists(pid)


def test_a_worker_without_work_is_let_go_and_another_started_when_there_is_some(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    store(objective, tmp_path)

    async def main() -> None:
        running = service(tmp_path, tmp_path)
        seen = Observer(running)
        await running.submit_trial_job(form("t0", "x"))
        await seen.until(lambda: seen.ended("t0"), "the first trial")
        (worker,) = running._workers
        running._let_go(time.monotonic() + 1)
        await seen.until(lambda: not running._workers, "its end")
        assert worker.process is None
        await running.submit_trial_job(form("t1", "x", 1))
        await seen.until(lambda: seen.ended("t1"), "the second trial")
        assert seen.history["t1"][-1] is TrialStatus.SUCCEEDED
        await seen.close()

    asyncio.run(main())


def interrupted_twice(_):
    """Keep from being stopped, once."""
    import nni
    from nni.trial.function_session import TrialStopped

    try:
        nni.report_intermediate_result(1)  # the stop may come before this returns
        time.sleep(300)
    except TrialStopped:
        nni.report_intermediate_result(2)
    return 3


def test_what_a_trial_reports_while_it_is_being_stopped_is_kept(tmp_path: Path) -> None:
    (tmp_path / "trials").mkdir()
    store(interrupted_twice, tmp_path)

    async def main() -> None:
        running = service(tmp_path, tmp_path)
        seen = Observer(running)
        await running.submit_trial_job(form("t0", "x"))
        await seen.until(lambda: seen.values("t0", "PERIODICAL") == [1], "the first report")
        await running.cancel_trial_job("t0")
        await seen.until(lambda: seen.ended("t0"), "the end")
        assert seen.history["t0"][-1] is TrialStatus.USER_CANCELED
        assert seen.values("t0", "PERIODICAL") == [1, 2]
        await seen.close()

    asyncio.run(main())
