"""The contract of :class:`nni.training_service.TrainingService` as tests.

Subclass :class:`TrainingServiceConformance` in a test module of your own and implement :meth:`make`; pytest does the
rest::

    class TestMyPlatform(TrainingServiceConformance):
        def make(self, directory, command):
            return MyPlatformService(directory, command)
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil

from nni.store import TrialStatus
from nni.training_service import Adoption, TrainingService, TrialForm, TrialJobDetail, TrialJobMetric

_PATIENCE = 60.0  # seconds; a limit for what hangs, not a measure

_TRIAL = """
import os, sys, time
import nni
x = nni.get_next_parameter()["x"]
print("hello from", x, flush=True)
with open(os.path.join(os.environ["NNI_OUTPUT_DIR"], "started"), "a") as file:
    file.write(f"{os.getpid()}\\n")
for step in range(3):
    nni.report_intermediate_result(step)
if x == "wait":
    while not os.path.exists(os.path.join(os.environ["NNI_CODE_DIR"], "go")):
        time.sleep(0.02)
if x == "fail":
    sys.exit(3)
nni.report_final_result({"default": 1.5, "x": x})
"""


class Observer:
    """A service with everything it tells; also the tests' clock for waiting."""

    def __init__(self, service: TrainingService) -> None:
        self.service = service
        self.history: dict[str, list[TrialStatus]] = {}
        self.details: dict[str, TrialJobDetail] = {}
        self.lines: dict[str, list[tuple[int, bytes]]] = {}
        self.offsets: dict[str, int] = {}
        service.add_trial_job_status_listener(self._status)
        service.add_trial_job_metric_listener(self._metric)
        self._task = asyncio.get_running_loop().create_task(service.run())

    def _status(self, detail: TrialJobDetail) -> None:
        self.history.setdefault(detail.id, []).append(detail.status)
        self.details[detail.id] = detail

    def _metric(self, metric: TrialJobMetric) -> None:
        assert not self.ended(metric.id), "nothing is reported after the end"
        self.lines.setdefault(metric.id, []).extend(metric.lines)
        self.offsets[metric.id] = metric.end

    def ended(self, trial_id: str) -> bool:
        """Whether the trial's last status was told."""
        history = self.history.get(trial_id)
        return bool(history) and history[-1].ended if history else False

    def values(self, trial_id: str, kind: str) -> list[object]:
        """Return what a trial reported, repetitions left out."""
        records = [json.loads(line) for _, line in sorted(dict(self.lines.get(trial_id, [])).items())]
        return [record["value"] for record in records if record["type"] == kind]

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something that must happen."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"still waiting for {what}; statuses so far: {self.history}"
            await asyncio.sleep(0.01)

    async def abandon(self) -> None:
        """Leave like a manager that was killed."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def close(self) -> None:
        """Leave properly."""
        await self.service.clean_up()
        await self.abandon()


def form(trial_id: str, x: str, sequence: int = 0) -> TrialForm:
    """Return a trial whose script behaves according to `x`: done, fail, or wait."""
    configuration = {"parameter_id": sequence, "parameter_source": "algorithm", "parameters": {"x": x}}
    return TrialForm(trial_id, sequence, json.dumps(configuration))


class TrainingServiceConformance:
    """Every test is a clause of the contract."""

    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        """Return a new service for an experiment in `directory`; called again in a test for "the next manager"."""
        raise NotImplementedError

    async def forget(self, service: TrainingService) -> None:
        """Let go of a service the way the death of its manager does; override where that takes more than nothing."""

    def run(
        self, tmp_path: Path, scenario: Callable[[Callable[[], Observer]], Awaitable[None]], command: str = ""
    ) -> None:
        """Run a scenario on a loop of its own, with a trial script in place."""
        code = tmp_path / "code"
        code.mkdir()
        (code / "trial.py").write_text(_TRIAL)
        directory = tmp_path / "experiment"
        (directory / "trials").mkdir(parents=True)
        self.code = code
        self.directory = directory
        command = command or f"{sys.executable} trial.py"

        async def main() -> None:
            await scenario(lambda: Observer(self.make(directory, command, code)))

        asyncio.run(main())

    def test_three_trials_succeed_with_everything_they_reported(self, tmp_path: Path) -> None:
        async def scenario(start: Callable[[], Observer]) -> None:
            seen = start()
            for number, name in enumerate(["t0", "t1", "t2"]):
                await seen.service.submit_trial_job(form(name, f"x{number}", number))
            await seen.until(lambda: all(map(seen.ended, ["t0", "t1", "t2"])), "three trials")
            for number, name in enumerate(["t0", "t1", "t2"]):
                assert seen.history[name][-1] is TrialStatus.SUCCEEDED
                assert seen.values(name, "PERIODICAL") == [0, 1, 2]
                assert seen.values(name, "FINAL") == [{"default": 1.5, "x": f"x{number}"}]
                assert seen.details[name].exit_code == 0
            await seen.close()

        self.run(tmp_path, scenario)

    def test_statuses_are_told_once_and_in_order(self, tmp_path: Path) -> None:
        async def scenario(start: Callable[[], Observer]) -> None:
            seen = start()
            await seen.service.submit_trial_job(form("t0", "done"))
            await seen.until(lambda: seen.ended("t0"), "the trial")
            told = [status for status in seen.history["t0"] if status is not TrialStatus.WAITING]
            assert told == [TrialStatus.RUNNING, TrialStatus.SUCCEEDED]
            assert seen.history["t0"].index(TrialStatus.RUNNING) == len(seen.history["t0"]) - 2
            await seen.close()

        self.run(tmp_path, scenario)

    def test_a_failing_trial_gives_its_exit_code(self, tmp_path: Path) -> None:
        async def scenario(start: Callable[[], Observer]) -> None:
            seen = start()
            await seen.service.submit_trial_job(form("t0", "fail"))
            await seen.until(lambda: seen.ended("t0"), "the trial")
            assert seen.history["t0"][-1] is TrialStatus.FAILED
            assert seen.details["t0"].exit_code == 3
            assert seen.values("t0", "PERIODICAL") == [0, 1, 2]
            await seen.close()

        self.run(tmp_path, scenario)

    def test_a_log_can_be_read_while_the_trial_runs(self, tmp_path: Path) -> None:
        async def scenario(start: Callable[[], Observer]) -> None:
            seen = start()
            detail = await seen.service.submit_trial_job(form("t0", "wait"))
            log = Path(detail.working_directory) / "trial.log"
            await seen.until(lambda: log.exists() and "hello from wait" in log.read_text(), "the log")
            assert not seen.ended("t0")
            await seen.until(lambda: seen.values("t0", "PERIODICAL") == [0, 1, 2], "metrics of a running trial")
            assert not await seen.service.withdraw_trial_job("t0"), "a trial that runs is not taken back"
            self.let_go("t0")
            await seen.until(lambda: seen.ended("t0"), "the end")
            await seen.close()

        self.run(tmp_path, scenario)

    def test_cancelling_ends_a_trial_as_the_user_or_the_assessor_wanted(self, tmp_path: Path) -> None:
        async def scenario(start: Callable[[], Observer]) -> None:
            seen = start()
            for name in ("user", "early"):
                await seen.service.submit_trial_job(form(name, "wait"))
                await seen.until(lambda name=name: len(seen.values(name, "PERIODICAL")) == 3, name)  # type: ignore[misc]  # a default argument binds the loop's value
                await seen.service.cancel_trial_job(name, is_early_stopped=name == "early")
            await seen.until(lambda: seen.ended("user") and seen.ended("early"), "both ends")
            assert seen.history["user"][-1] is TrialStatus.USER_CANCELED
            assert seen.history["early"][-1] is TrialStatus.EARLY_STOPPED
            await seen.close()

        self.run(tmp_path, scenario)

    def test_no_process_of_a_cancelled_trial_is_left_even_if_it_ignores_sigterm(self, tmp_path: Path) -> None:
        command = "trap '' TERM; (trap '' TERM; sleep 300) & echo $! >\"$NNI_OUTPUT_DIR/child\"; wait; sleep 300"

        async def scenario(start: Callable[[], Observer]) -> None:
            seen = start()
            await seen.service.submit_trial_job(form("t0", "x"))
            note = self.output_directory("t0") / "child"
            await seen.until(lambda: note.exists() and bool(note.read_text().strip()), "the child")
            child = int(note.read_text())
            await seen.service.cancel_trial_job("t0")
            await seen.until(lambda: seen.ended("t0"), "the end")
            assert not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE
            await seen.close()

        self.run(tmp_path, scenario, command)

    def test_the_documented_environment_is_there(self, tmp_path: Path) -> None:
        names = "NNI_PLATFORM NNI_EXP_ID NNI_SYS_DIR NNI_TRIAL_JOB_ID NNI_OUTPUT_DIR NNI_TRIAL_SEQ_ID NNI_CODE_DIR"
        command = (
            " && ".join(f'test -n "${{{name}+set}}"' for name in names.split()) + ' && test "$NNI_TRIAL_SEQ_ID" = 7'
        )

        async def scenario(start: Callable[[], Observer]) -> None:
            seen = start()
            await seen.service.submit_trial_job(form("t0", "x", sequence=7))
            await seen.until(lambda: seen.ended("t0"), "the trial")
            assert seen.history["t0"][-1] is TrialStatus.SUCCEEDED
            await seen.close()

        self.run(tmp_path, scenario, command)

    def test_a_trial_that_outlives_its_manager_is_adopted_and_nothing_it_reported_is_lost(self, tmp_path: Path) -> None:
        async def scenario(start: Callable[[], Observer]) -> None:
            first = start()
            await first.service.submit_trial_job(form("t0", "wait"))
            await first.until(lambda: len(first.values("t0", "PERIODICAL")) == 3, "three results")
            await first.abandon()
            await self.forget(first.service)
            second = start()
            await second.service.adopt_trial_jobs([Adoption(form("t0", "wait"), first.offsets["t0"], 0, 1)])
            self.let_go("t0")
            await second.until(lambda: second.ended("t0"), "the end")
            assert second.history["t0"][-1] is TrialStatus.SUCCEEDED
            assert second.values("t0", "PERIODICAL") == []
            assert second.values("t0", "FINAL") == [{"default": 1.5, "x": "wait"}]
            assert self.starts("t0") == 1
            await second.close()

        self.run(tmp_path, scenario)

    def test_a_trial_that_ended_while_no_manager_ran_is_reported_with_its_exit_code(self, tmp_path: Path) -> None:
        async def scenario(start: Callable[[], Observer]) -> None:
            first = start()
            await first.service.submit_trial_job(form("t0", "wait"))
            await first.until(lambda: len(first.values("t0", "PERIODICAL")) == 3, "three results")
            await first.abandon()
            await self.forget(first.service)
            self.let_go("t0")
            state = self.trial_directory("t0") / ".nni" / "state"
            await first.until(state.exists, "the end of the trial")
            second = start()
            await second.service.adopt_trial_jobs([Adoption(form("t0", "wait"), 0, 0, 1)])
            await second.until(lambda: second.ended("t0"), "the end")
            assert second.history["t0"][-1] is TrialStatus.SUCCEEDED
            assert second.values("t0", "PERIODICAL") == [0, 1, 2]
            assert second.details["t0"].exit_code == 0
            await second.close()

        self.run(tmp_path, scenario)

    def test_a_trial_is_never_started_twice(self, tmp_path: Path) -> None:
        async def scenario(start: Callable[[], Observer]) -> None:
            first = start()
            await first.service.submit_trial_job(form("t0", "wait"))
            await first.until(lambda: self.starts("t0") == 1, "the start")
            await first.abandon()
            await self.forget(first.service)
            second = start()
            await second.service.submit_trial_job(form("t0", "wait"))  # its start had not been written down
            self.let_go("t0")
            await second.until(lambda: second.ended("t0"), "the end")
            assert self.starts("t0") == 1
            assert second.history["t0"][-1] is TrialStatus.SUCCEEDED
            await second.close()

        self.run(tmp_path, scenario)

    def test_an_unknown_trial_is_a_key_error(self, tmp_path: Path) -> None:
        async def scenario(start: Callable[[], Observer]) -> None:
            seen = start()
            try:
                await seen.service.get_trial_job("nope")
            except KeyError:
                pass
            else:
                raise AssertionError("an unknown trial must be a KeyError")
            await seen.service.submit_trial_job(form("t0", "done"))
            assert (await seen.service.get_trial_job("t0")).sequence_id == 0
            assert [detail.id for detail in await seen.service.list_trial_jobs()] == ["t0"]
            await seen.close()

        self.run(tmp_path, scenario)

    def test_cleaning_up_ends_everything(self, tmp_path: Path) -> None:
        async def scenario(start: Callable[[], Observer]) -> None:
            seen = start()
            for name in ("t0", "t1"):
                await seen.service.submit_trial_job(form(name, "wait"))
            await seen.until(lambda: self.starts("t0") + self.starts("t1") == 2, "both starts")
            pids = [int(self.started("t0")), int(self.started("t1"))]
            await seen.close()
            assert seen.ended("t0")
            assert seen.ended("t1")
            assert not any(psutil.pid_exists(pid) for pid in pids)

        self.run(tmp_path, scenario)

    def trial_directory(self, trial_id: str) -> Path:
        """Return the directory of a trial as the trial sees it; override where that is not the experiment's."""
        return self.directory / "trials" / trial_id

    def output_directory(self, trial_id: str) -> Path:
        """Return where a trial writes its own files; override where that is not its directory."""
        return self.trial_directory(trial_id)

    def let_go(self, trial_id: str) -> None:
        """Let a trial end that waits for a file in its code directory; override where it has a copy of its own."""
        del trial_id
        (self.code / "go").touch()

    def started(self, trial_id: str) -> str:
        """Return what the trial script noted at each of its starts."""
        note = self.output_directory(trial_id) / "started"
        return note.read_text() if note.exists() else ""

    def starts(self, trial_id: str) -> int:
        """Return how often the trial script was started."""
        return self.started(trial_id).count("\n")
