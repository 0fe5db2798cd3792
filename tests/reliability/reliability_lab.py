"""A laboratory: one experiment with a real manager process that a test may kill and start again."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

ENDED = {"SUCCEEDED", "FAILED", "EARLY_STOPPED", "USER_CANCELED", "SYS_CANCELED"}
_DEADLINE = 120.0  # seconds; generous, because it only decides when a test that hangs fails

# A tuner that suggests what a file says, and writes down everything it is told. Each line carries the id of its
# process, so that what one dispatcher was told can be told apart from what the next one was.
RECORDER = """
import json, os
from pathlib import Path
import nni
from nni.tuner import Tuner

HERE = Path(__file__).parent

def note(kind, **fields):
    line = json.dumps({"life": os.getpid(), "kind": kind, **fields}) + "\\n"
    file = os.open(HERE / "told", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, line.encode())
    os.close(file)

class Recorder(Tuner):
    def update_search_space(self, search_space):
        note("space", space=search_space)

    def generate_parameters(self, parameter_id, **kwargs):
        plan = json.loads((HERE / "plan").read_text())
        if plan["once"] and parameter_id >= len(plan["items"]):
            raise nni.NoMoreTrialError
        parameters = {"id": parameter_id, **plan["items"][parameter_id % len(plan["items"])]}
        note("asked", id=parameter_id)
        return parameters

    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        note("result", id=parameter_id, parameters=parameters, value=value)

    def trial_end(self, parameter_id, success, **kwargs):
        note("end", id=parameter_id, success=success)
"""

# What trials of these tests import: reports that are also written to a file of the test's own, after they were made.
WITNESS = """
import json, os, time
import nni

def note(name, *fields):
    file = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, json.dumps([nni.get_trial_id(), os.getpid(), *fields]).encode() + b"\\n")
    os.close(file)

def start():
    note("starts", time.time())
    return nni.get_next_parameter()

_next = {"PERIODICAL": 0, "FINAL": 0}

def report(kind, value):
    (nni.report_final_result if kind == "FINAL" else nni.report_intermediate_result)(value)
    note("reports", kind, _next[kind], value, time.time())
    _next[kind] += 1
"""


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a zombie that nobody has reaped does not."""
    left = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                left.append(process)
    return left


class Lab:
    """One experiment in a directory of its own."""

    def __init__(self, root: Path, port: int) -> None:
        self.root = root
        self.port = port
        self.code = root / "code"
        self.directory = root / "experiments" / "reLiab01"
        self.code.mkdir()
        self.write("recorder.py", RECORDER)
        self.write("witness.py", WITNESS)
        self.plan([{}])
        self.manager: subprocess.Popen[bytes] | None = None
        self._everybody: list[subprocess.Popen[bytes]] = []

    # Before the start

    def write(self, name: str, text: str) -> None:
        (self.code / name).write_text(text)

    def plan(self, items: list[dict[str, Any]], *, once: bool = False) -> None:
        """Say what the recorder suggests; `once`: nothing more after the last item."""
        new = self.code / "plan.new"
        new.write_text(json.dumps({"items": items, "once": once}))
        new.replace(self.code / "plan")

    def config(self, **changes: Any) -> dict[str, Any]:
        return {
            "trialCommand": f"{sys.executable} trial.py",
            "trialCodeDirectory": str(self.code),
            "trialConcurrency": 2,
            "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
            "tuner": {"className": "recorder.Recorder", "codeDirectory": str(self.code)},
            "trainingService": {"platform": "local"},
            "experimentWorkingDirectory": str(self.directory.parent),
            **changes,
        }

    def store_function(self, function: Callable[[Any], Any]) -> dict[str, str]:
        """Put a function of a test module where its workers load it; returns what the config says of it."""
        import cloudpickle

        module = sys.modules[function.__module__]
        cloudpickle.register_pickle_by_value(module)
        try:
            pickled = cloudpickle.dumps(function)
        finally:
            cloudpickle.unregister_pickle_by_value(module)
        place = self.directory / "function"
        place.mkdir(parents=True, exist_ok=True)
        (place / "function.pkl").write_bytes(pickled)
        about = {"path": [str(self.code), *sys.path], "interpreter": sys.executable, "python": "3"}
        (place / "function.json").write_text(json.dumps(about))
        return {"trialCommand": f"<function {function.__name__}>"}

    # The manager's life

    def start(self, **changes: Any) -> dict[str, Any]:
        """Create the experiment; returns what the manager says first."""
        self.directory.mkdir(parents=True, exist_ok=True)
        return self._ready(*self.spawn("create", json.dumps(self.config(**changes)).encode()))

    def resume(self) -> dict[str, Any]:
        return self._ready(*self.spawn("resume"))

    def spawn(self, action: str, config: bytes = b"", port: int | None = None) -> tuple[subprocess.Popen[bytes], int]:
        """Start a manager process without waiting; returns it and the descriptor on which it will tell."""
        receive, send = os.pipe()
        command = [sys.executable, "-m", "nni.server", "--experiment-id", self.directory.name]
        command += ["--directory", str(self.directory), "--action", action]
        command += ["--port", str(port or self.port), "--ready-fd", str(send)]
        with (self.root / "manager.out").open("ab") as output:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                pass_fds=(send,),
                cwd=self.root,
                start_new_session=True,
            )
        os.close(send)
        self._everybody.append(process)
        self.manager = process
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as stream:
            stream.write(config)
        return process, receive

    def _ready(self, process: subprocess.Popen[bytes], receive: int) -> dict[str, Any]:
        try:
            said = b""
            while not said.endswith(b"\n"):
                if not select.select([receive], [], [], _DEADLINE)[0]:
                    self.fail("the manager to say anything")
                piece = os.read(receive, 65536)
                if not piece:
                    self.fail(f"the manager's first word; it ended with {process.wait()}")
                said += piece
        finally:
            os.close(receive)
        event: dict[str, Any] = json.loads(said.splitlines()[0])
        if event["event"] == "error":
            process.wait(_DEADLINE)
        return event

    def kill(self) -> None:
        """SIGKILL: nothing in the manager gets a chance."""
        assert self.manager is not None
        self.manager.kill()
        self.manager.wait()

    def stop(self) -> int:
        """End the experiment as ``nnictl stop`` does; returns the manager's exit code."""
        assert self.manager is not None
        self.manager.terminate()
        return self.manager.wait(_DEADLINE)

    def close(self) -> None:
        for process in self._everybody:
            if process.poll() is None:
                process.terminate()
        for process in self._everybody:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in self.trial_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # Questions to the manager

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; returns the JSON (or text) of the answer."""
        data = None if body is None else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.port}/api/v1/nni{path}"
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
        with urllib.request.urlopen(request, timeout=_DEADLINE) as answer:
            text = answer.read().decode()
        return json.loads(text) if answer.headers.get_content_type() == "application/json" else text

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def refused(self, method: str, path: str, body: Any = None) -> str:
        """Send a request that must be refused; returns the error."""
        with pytest.raises(urllib.error.HTTPError) as refusal:
            self.ask(method, path, body)
        return str(json.loads(refusal.value.read())["error"])

    def update(self, kind: str, **params: Any) -> None:
        self.ask("PUT", f"/experiment?update_type={kind}", {"params": params})

    def status(self) -> str:
        return str(self.get("/check-status")["status"])

    def trials(self) -> list[dict[str, Any]]:
        """Every trial, in the order of their numbers."""
        items: list[dict[str, Any]] = []
        while page := self.get(f"/trials?limit=1000&offset={len(items)}")["items"]:
            items += page
        return items

    def statuses(self) -> list[str]:
        return [trial["status"] for trial in self.trials()]

    def wait(self, condition: Callable[[], Any], what: str, deadline: float = _DEADLINE) -> Any:
        """Return the condition's first true value; fails with the experiment's logs when there is none in time."""
        end = time.monotonic() + deadline
        while time.monotonic() < end:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if value := condition():
                    return value
            time.sleep(0.05)
        self.fail(what)
        raise AssertionError  # never: fail raises

    def wait_for_end(self) -> list[dict[str, Any]]:
        """Wait until the experiment is DONE; returns its trials."""
        self.wait(lambda: self.status() == "DONE", "the experiment to be DONE")
        return self.trials()

    def fail(self, what: str) -> None:
        parts = [f"waited in vain for {what}"]
        with contextlib.suppress(Exception):  # whatever state it is in, the logs matter more
            parts.append(json.dumps(self.get("/summary")))
        logs = [self.root / "manager.out", *sorted((self.directory / "log").glob("*"))]
        parts += [f"--- {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in logs if path.is_file()]
        pytest.fail("\n".join(parts))

    # What is on the disk

    def told(self, kind: str) -> list[dict[str, Any]]:
        """What the tuner wrote down, of one kind."""
        lines = [json.loads(line) for line in self.lines(self.code / "told")]
        return [line for line in lines if line["kind"] == kind]

    def noted(self, name: str) -> list[Any]:
        """What trials wrote down beside their reports, as lists of trial, process, and more."""
        return [json.loads(line) for line in self.lines(self.code / name)]

    @staticmethod
    def lines(path: Path) -> list[str]:
        return path.read_text().splitlines() if path.exists() else []

    def trial_directory(self, trial: dict[str, Any]) -> Path:
        return self.directory / "trials" / str(trial["id"])

    def spool(self, trial: dict[str, Any]) -> list[dict[str, Any]]:
        """The records in a trial's metric file; a line counts when its newline is there."""
        path = self.trial_directory(trial) / ".nni" / "metrics"
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []

    def database(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database itself."""
        uri = f"file:{self.directory / 'db' / 'nni.sqlite'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            return connection.execute(query).fetchall()

    # Processes

    def dispatcher(self) -> int | None:
        """Process id of the running dispatcher."""
        assert self.manager is not None
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self.manager.pid).children():
                with contextlib.suppress(psutil.Error):
                    if child.cmdline()[1:] == ["-m", "nni"]:
                        return child.pid
        return None

    def processes(self) -> list[psutil.Process]:
        """Everything that the present manager started and that still is its child."""
        assert self.manager is not None
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.manager.pid).children(recursive=True)
        return []

    def trial_processes(self) -> list[int]:
        """Process ids of everything that works for a trial of this experiment."""
        return [process.pid for process in self._processes_of_trials()]

    def _processes_of_trials(self) -> Iterator[psutil.Process]:
        mark = str(self.directory / "trials")
        places = (mark, str(self.directory / "workers"))
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if mark in " ".join(process.cmdline()) or process.environ().get("NNI_SYS_DIR", "").startswith(places):
                    yield process
