"""Jobs of a Slurm cluster, each with a trial runner in it.

The runner is the job's script. It is reached by a step of the job (``srun --overlap``), whose standard input and output
are the connection: nothing has to be opened in the cluster's network, and a step that ends takes nothing with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import shlex
import shutil
import time
from pathlib import Path

from nni.common.programs import Answer, ask
from nni.training_service.pool import Channel, Cluster, Environment, UnreachableError, UnusableError
from nni.training_service.pool.archive import archive
from nni.training_service.pool.process_site import ProcessChannel

_FRESH = 1.0  # seconds for which the list of jobs is taken for true
_PATIENCE = 60.0  # seconds for one of Slurm's programs
_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
_THERE = {"RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "RESIZING", "STAGE_OUT"}
_SHOWN = 300  # characters of what Slurm says


class SlurmCluster(Cluster):
    """Slurm's programs, and what all jobs of an experiment have in common.

    Parameters
    ----------
    experiment_id
        Part of the jobs' names.
    directory
        Where the jobs' files are; the same path here and on the nodes.
    options
        Of ``sbatch``.
    setup
        Shell commands at the beginning of each job.
    """

    def __init__(self, experiment_id: str, directory: Path, options: list[str], setup: list[str]) -> None:
        self.experiment_id = experiment_id
        self.directory = directory
        self._options = options
        self._setup = setup
        self._states: dict[str, tuple[str, str]] = {}
        self._asked_at = 0.0
        self._turn = asyncio.Lock()
        self._checked = False
        self._is_cleared = False

    async def check(self) -> None:
        """Ask Slurm once whether it would take such a job; raises `UnusableError` with its answer if not."""
        if self._checked:
            return
        code, _, complaint = await run("sbatch", "--test-only", *self._options, "--wrap=true")
        if code != 0:
            raise UnusableError(f"slurm: sbatch refuses such a job: {_said(complaint)}")
        self._checked = True

    def runner(self) -> Path:
        """Return the trial runner in the shared directory; written there if it is not."""
        data = archive()
        path = self.directory / f"runner-{hashlib.sha256(data).hexdigest()[:16]}.pyz"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(f".{os.getpid()}")
            new.write_bytes(data)
            new.replace(path)
        return path

    async def submit(self, name: str, root: Path) -> str:
        """Submit a job with a runner for a directory; returns its id."""
        os.makedirs(root, 0o700, exist_ok=True)  # noqa: PTH103  (in no time)
        script = root.with_suffix(".sh")
        serve = f"exec python3 {shlex.quote(str(self.runner()))} serve {shlex.quote(str(root))}"
        note = f"command -v python3 >{shlex.quote(str(root / 'python'))}"
        script.write_text("\n".join(["#!/bin/bash", *self._setup, f"{note} || exit 127", serve, ""]))
        output = root.with_suffix(".log")
        code, text, complaint = await run(
            "sbatch", "--parsable", f"--job-name={name}", f"--output={output}", *self._options, str(script)
        )
        if code != 0:
            raise UnreachableError(f"{name}: sbatch refuses the job: {_said(complaint)}")
        self._asked_at = 0.0
        return text.strip().partition(";")[0]

    async def find(self, name: str) -> tuple[str, str, str] | None:
        """Return id, state and the reason for it of the job of a name; None if there is none in the queue."""
        for job, (state, reason) in (await self._jobs(name)).items():
            return job, state, reason
        return None

    async def clear(self) -> None:
        """Cancel all jobs of the experiment, and remove their files."""
        if self._is_cleared:
            return
        self._is_cleared = True
        user = str(os.getuid())
        _, text, _ = await run("squeue", "--noheader", f"--user={user}", "--format=%i|%j")
        lines = [line.strip().split("|", 1) for line in text.splitlines()]
        jobs = [line[0] for line in lines if len(line) == 2 and line[1].startswith(f"nni-{self.experiment_id}-")]
        if jobs:
            await run("scancel", *jobs)
        await asyncio.to_thread(shutil.rmtree, self.directory, ignore_errors=True)

    async def _jobs(self, name: str) -> dict[str, tuple[str, str]]:
        async with self._turn:
            if time.monotonic() - self._asked_at > _FRESH:
                user = str(os.getuid())
                code, text, complaint = await run("squeue", "--noheader", f"--user={user}", "--format=%i|%T|%j|%r")
                if code != 0:
                    raise UnreachableError(f"slurm: squeue does not answer: {_said(complaint)}")
                self._states = {}
                for line in text.splitlines():
                    job, state, owner, reason = line.strip().split("|", 3)
                    if state in _WAITING | _THERE:
                        self._states[job] = (state, f"{owner}|{reason}")
                self._asked_at = time.monotonic()
        return {
            job: (state, reason.partition("|")[2])
            for job, (state, reason) in self._states.items()
            if reason.partition("|")[0] == name
        }


class SlurmEnvironment(Environment):
    """One job."""

    def __init__(self, cluster: SlurmCluster, number: int) -> None:
        self.name = f"slurm-{number}"
        self._cluster = cluster
        self._job_name = f"nni-{cluster.experiment_id}-{number}"
        self._root = cluster.directory / str(number)

    def first_bytes(self) -> bytes:
        """Return nothing: the runner is in the shared directory."""
        return b""

    async def connect(self) -> Channel:
        """Submit the job if there is none, and join its runner once it runs."""
        found = await self._cluster.find(self._job_name)
        if found is None:
            await self._cluster.submit(self._job_name, self._root)
            found = await self._cluster.find(self._job_name)
        if found is None:
            raise UnreachableError(f"{self.name}: its job ended at once: {self._last_words()}")
        job, state, reason = found
        if state not in _THERE:
            raise UnreachableError(f"{self.name}: job {job} is {state.lower()} ({reason})")
        line = f'exec "$(cat {shlex.quote(str(self._root / "python"))})" {shlex.quote(str(self._cluster.runner()))}'
        line = f"{line} join {shlex.quote(str(self._root))}"
        process = await asyncio.create_subprocess_exec(
            *("srun", f"--jobid={job}", "--overlap", "--quiet", "--unbuffered", "-n1", "-N1", "/bin/sh", "-c", line),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return ProcessChannel(process)

    async def stop(self) -> None:
        """Cancel the job, if it has not ended by itself."""
        await run("scancel", f"--user={os.getuid()}", f"--name={self._job_name}")
        for path in (self._root.with_suffix(".sh"), self._root.with_suffix(".log")):
            with contextlib.suppress(OSError):
                path.unlink()

    def _last_words(self) -> str:
        try:
            lines = self._root.with_suffix(".log").read_text(errors="replace").splitlines()
        except OSError:
            return "it left no output"
        return _said("\n".join(lines)) or "it left no output"


async def run(*command: str) -> Answer:
    """Return what one of Slurm's programs says."""
    try:
        return await ask(*command, patience=_PATIENCE)
    except FileNotFoundError:
        raise UnusableError(f"slurm: there is no {command[0]} on PATH; start the experiment on a login node") from None
    except asyncio.TimeoutError:
        raise UnreachableError(f"slurm: {command[0]} does not answer within {_PATIENCE:.0f} s") from None


def _said(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(line.removeprefix("sbatch: ").removeprefix("error: ") for line in lines)[:_SHOWN]
