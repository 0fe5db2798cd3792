"""Runs every tuner on every task, some at the same time, and keeps what is done on the disk."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nni.common.errors import NniError
from nni.tools.hpo_benchmark._architectures import ARCHITECTURES
from nni.tools.hpo_benchmark._data import load
from nni.tools.hpo_benchmark._drive import Limit, drive
from nni.tools.hpo_benchmark._ranking import Result
from nni.tools.hpo_benchmark._tasks import Task


@dataclass(frozen=True)
class Job:
    """One tuner on one fold of one task."""

    tuner: str
    class_args: dict[str, Any]
    task: str
    fold: int
    seed: int
    architecture: str
    search_space: dict[str, Any] | None
    limit: Limit
    folder: Path | None

    @property
    def key(self) -> tuple[str, str, int, int]:
        """What tells it from the others of a run."""
        return self.tuner, self.task, self.fold, self.seed


def run_jobs(jobs: list[Job], output: Path, at_once: int, done: Callable[[Result], None]) -> list[Result]:
    """Run the jobs that have no result yet, and return the results of all.

    Each result is a line of ``results.jsonl`` as soon as it is there, so an interrupted run goes on where it stopped.
    """
    file = output / "results.jsonl"
    wanted = {job.key for job in jobs}
    results = [result for result in _read(file) if _key(result) in wanted]
    have = {_key(result) for result in results}
    with file.open("a", encoding="utf-8") as stream:
        for result in _finished([job for job in jobs if job.key not in have], at_once):
            stream.write(json.dumps(dataclasses.asdict(result)) + "\n")
            stream.flush()
            results.append(result)
            done(result)
    return results


def _finished(jobs: list[Job], at_once: int) -> Iterator[Result]:
    if at_once == 1:
        yield from map(run_job, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(at_once, mp_context=context, initializer=_one_thread) as pool:
        waiting = {pool.submit(run_job, job): job for job in jobs}
        for future in as_completed(waiting):
            try:
                yield future.result()
            except BrokenProcessPool as error:
                raise NniError("a process of the benchmark was killed; run the same command again to go on") from error


def _one_thread() -> None:
    """Tuners that run beside each other must not take each other's processors."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def run_job(job: Job) -> Result:
    """Run one job; what goes wrong is part of the result."""
    started = time.monotonic()
    architecture = ARCHITECTURES[job.architecture]
    data = load(job.task, job.folder)
    task = Task(data, job.fold, architecture, job.seed)
    result = Result(job.tuner, job.task, job.fold, job.seed, task.metric)
    try:
        space = job.search_space or architecture.search_space
        steps = drive(job.tuner, job.class_args, space, task.evaluate, job.limit)
        result.trace = [(step.cost, step.score) for step in steps]
        whole = max((step.fraction for step in steps if step.score is not None), default=1.0)
        ended = [step for step in steps if step.score is not None and step.fraction == whole]
        if ended:
            best = max(ended, key=lambda step: step.score or 0.0)
            result.best = best.parameters
            result.scores = task.test(best.parameters)
        else:
            result.problem = "no trial succeeded"
    except NniError as error:
        result.problem = str(error)
    except Exception as error:  # noqa: BLE001  (a tuner of the user's: the others go on)
        result.problem = f"{type(error).__name__}: {error}"
    result.seconds = time.monotonic() - started
    return result


def _read(file: Path) -> Iterator[Result]:
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            yield Result(**json.loads(line))
        except (ValueError, TypeError):  # the last line of a run that was killed
            continue


def _key(result: Result) -> tuple[str, str, int, int]:
    return result.tuner, result.task, result.fold, result.seed
