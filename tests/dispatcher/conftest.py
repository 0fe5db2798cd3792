"""The manager's end of the channel, for tests that drive a real ``python -m nni``."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TIMEOUT = 60


class Peer:
    """Starts a dispatcher process and talks to it as the manager does."""

    def __init__(self, directory: Path, **environment: str) -> None:
        self.log = directory / "log"
        self.code = directory / "code"
        self.log.mkdir()
        self.code.mkdir()
        self._environment = environment
        self.process: Any = None

    def write(self, name: str, source: str) -> None:
        (self.code / name).write_text(source)

    def start(self, first: bytes | None = None, **setup: Any) -> None:
        ours, theirs = socket.socketpair()
        self.socket = ours
        ours.settimeout(TIMEOUT)
        environment = {**os.environ, "NNI_DISPATCHER_FD": str(theirs.fileno()), "NNI_LOG_DIRECTORY": str(self.log)}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "nni"],
            env={**environment, "NNI_LOG_LEVEL": "debug", **self._environment},
            pass_fds=[theirs.fileno()],
            cwd=self.log,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._file = ours.makefile("rb")
        if first is not None:
            ours.sendall(first)
        else:
            self.tell("Setup", {"experimentId": "test", "tuner": None, "assessor": None, "advisor": None, **setup})

    def custom(self, class_name: str, **class_args: Any) -> dict[str, Any]:
        return {"className": class_name, "codeDirectory": str(self.code), "classArgs": class_args}

    def tell(self, command: str, data: Any = None) -> None:
        self.socket.sendall(json.dumps({"type": command, "data": data}).encode() + b"\n")

    def hear(self) -> tuple[str, Any] | None:
        line = self._file.readline()
        if not line:
            return None
        message = json.loads(line)
        return message["type"], message["data"]

    def expect(self, command: str) -> Any:
        heard = self.hear()
        assert heard is not None, f"expected {command}, the dispatcher is gone:\n{self.text()}"
        assert heard[0] == command, heard
        return heard[1]

    def initialize(self, space: Any = None) -> None:
        self.tell("Initialize", {} if space is None else space)
        self.expect("Initialized")

    def request(self, count: int = 1) -> list[Any]:
        self.tell("RequestTrialJobs", count)
        return [self.expect("NewTrialJob") for _ in range(count)]

    def report(self, trial: str, parameter_id: int, value: Any, sequence: int | None = None) -> None:
        kind = "FINAL" if sequence is None else "PERIODICAL"
        data = {"parameter_id": parameter_id, "trial_job_id": trial, "type": kind, "sequence": sequence or 0}
        self.tell("ReportMetricData", {**data, "value": json.dumps(value)})

    def end(self, trial: str, job: Any, event: str = "SUCCEEDED") -> None:
        text = job if isinstance(job, str) else json.dumps(job)
        self.tell("TrialEnd", {"trial_job_id": trial, "event": event, "hyper_params": text})

    def text(self) -> str:
        return (self.log / "dispatcher.log").read_text()

    def wait(self) -> int:
        code: int = self.process.wait(TIMEOUT)
        return code

    def terminate(self) -> int:
        self.tell("Terminate")
        return self.wait()

    def close(self) -> None:
        if self.process is not None:
            self._file.close()
            self.socket.close()
            self.process.kill()
            self.process.wait()


@pytest.fixture
def peer(tmp_path, request):
    """Return a dispatcher that is not started yet; ``@pytest.mark.parametrize`` it indirectly for environment."""
    peer = Peer(tmp_path, **getattr(request, "param", {}))
    yield peer
    peer.close()
