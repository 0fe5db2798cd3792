"""Trials on other machines, which are SSH servers of this one on the loopback interface.

    python benchmarks/platforms.py [--trials 200] [--many 20] [--faults 30]

- rate: trivial trials a minute on one machine in reuse mode, beside ``local`` in the same run;
- many: CPU time of the manager per trial with many machines, two trials on each, and until all are connected;
- first: seconds from ``create`` to the first trial RUNNING, a code directory of 10 MB, 4 machines;
- again: bytes sent of an unchanged code directory of 100 MB by the next experiment;
- faults: connections cut, runners killed, servers killed and managers killed at random; what was lost or doubled;
- lost: machines away for longer than they may be, or restarted; the same, and how many trials were run again.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from _bench import BIN, all_trials, create, free_port, get, home, nnictl, report, wait_done

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:" + os.environ["PATH"])
TRIAL = """
import nni
x = nni.get_next_parameter()["x"]
for step in range(5):
    nni.report_intermediate_result(x * step)
nni.report_final_result(x)
"""
SLOW = TRIAL.replace("    nni.report_int", "    import time; time.sleep(0.3)\n    nni.report_int")


class Server:
    """An SSH server whose users have a home of their own."""

    def __init__(self, folder: Path, key: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "host_key")], check=True)
        settings = {
            "ListenAddress": "127.0.0.1",
            "Port": self.port,
            "HostKey": folder / "host_key",
            "PidFile": "none",
            "UsePAM": "no",
            "StrictModes": "no",
            "AuthorizedKeysFile": f"{key}.pub",
            "PermitRootLogin": "yes",
            "SetEnv": f"HOME={self.home}",
        }
        (folder / "config").write_text("".join(f"{name} {value}\n" for name, value in settings.items()))
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen([str(SSHD), "-D", "-f", str(self.folder / "config"), "-E", "/dev/null"])

    def cut(self, *, all_of_it: bool, for_seconds: float = 0.3) -> None:
        sessions = psutil.Process(self.process.pid).children(recursive=True)
        if all_of_it:
            self.process.kill()
            self.process.wait()
        for session in sessions:
            with contextlib.suppress(psutil.Error):
                if session.name() == "sshd":
                    session.kill()
        if all_of_it:
            time.sleep(for_seconds)
            self.start()

    def restart(self) -> None:
        """End everything there at once, as a machine does that loses its power, and let it come back."""
        self.process.kill()
        self.process.wait()
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.suspend()  # so that none sees the end of another and notes it
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                process.kill()
        self.start()

    def runner(self) -> psutil.Process | None:
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if "serve" in process.cmdline():
                    return process
        return None

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("HOME") == str(self.home):
                    found.append(process)
        return found

    def stop(self) -> None:
        self.cut(all_of_it=False)
        self.process.kill()
        self.process.wait()
        for process in self.processes():
            process.kill()


@contextlib.contextmanager
def servers(count: int) -> Iterator[tuple[list[Server], Path]]:
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nni-sshd-", ignore_cleanup_errors=True) as folder:
        key = Path(folder) / "id"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        started = [Server(Path(folder) / str(number), key) for number in range(count)]
        time.sleep(0.5)
        try:
            yield started, key
        finally:
            for server in started:
                server.stop()


def config(machines: list[Server], key: Path, trials: int, concurrency: int) -> dict[str, Any]:
    logins = [
        {"host": "127.0.0.1", "port": s.port, "user": getpass.getuser(), "sshKeyFile": str(key), "pythonPath": str(BIN)}
        for s in machines
    ]
    service: dict[str, Any] = {"platform": "remote", "machineList": logins, "acceptNewHostKeys": True}
    return {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "python3 trial.py",
        "trialConcurrency": concurrency,
        "maxTrialNumber": trials,
        "tuner": {"name": "Random"},
        "trainingService": service if machines else {"platform": "local"},
    }


def per_minute(folder: Path, experiment: dict[str, Any]) -> float:
    port = create(folder, experiment, {"trial.py": TRIAL})
    summary = wait_done(port)
    assert summary["counts"] == {"SUCCEEDED": experiment["maxTrialNumber"]}, summary["counts"]
    rows = all_trials(port)
    assert all(row["intermediates"] == 5 for row in rows)
    return 60_000 * len(rows) / (max(row["endTime"] for row in rows) - min(row["startTime"] for row in rows))


def rate(trials: int) -> dict[str, float]:
    with servers(1) as (machines, key), home() as folder:
        remote = per_minute(folder, config(machines, key, trials, 4))
        nnictl(folder, "stop", "--all")
        local = per_minute(folder, config([], key, trials, 4))
    return {"remote_per_minute": remote, "local_per_minute": local, "ratio": remote / local}


def manager(folder: Path) -> psutil.Process:
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if "nni.server" in process.cmdline() and process.environ().get("HOME") == str(folder):
                return process
    raise SystemExit("no manager")


def many(count: int, trials: int) -> dict[str, float]:
    with servers(count) as (machines, key), home() as folder:
        experiment = config(machines, key, trials, 2 * count)
        port = create(folder, experiment, {"trial.py": TRIAL})
        before = sum(manager(folder).cpu_times()[:2])
        done = get(port, "/summary")["counts"].get("SUCCEEDED", 0)
        wait_done(port)
        used = sum(manager(folder).cpu_times()[:2]) - before
    return {
        "machines": count,
        "manager_ms_per_trial": 1000 * used / (trials - done),
        "manager_ms_to_start": 1000 * before,
    }


def first() -> dict[str, float]:
    with servers(4) as (machines, key), home() as folder:
        (folder / "code").mkdir()
        for number in range(10):
            (folder / "code" / f"data-{number}").write_bytes(os.urandom(1 << 20))
        started = time.time()
        port = create(folder, config(machines, key, 4, 4), {"trial.py": TRIAL})
        wait_done(port)
        return {"seconds_to_first_running": min(row["startTime"] for row in all_trials(port)) / 1000 - started}


def again() -> dict[str, float]:
    with servers(1) as (machines, key), home() as folder:
        (folder / "code").mkdir()
        for number in range(100):
            (folder / "code" / f"data-{number}").write_bytes(os.urandom(1 << 20))
        sent = []
        for _ in range(2):
            wait_done(create(folder, config(machines, key, 1, 1), {"trial.py": TRIAL}))
            logs = sorted(folder.glob("nni-experiments/*/log/nnimanager.log"), key=lambda path: path.stat().st_mtime)
            sent.append(int(re.findall(r"(\d+) bytes of the code directory", logs[-1].read_text())[-1]))
            nnictl(folder, "stop", "--all")
    return {"first_bytes": sent[0], "second_bytes": sent[1]}


def faults(count: int, trials: int) -> dict[str, Any]:
    """Nothing is lost and nothing doubled: no trial runs twice, each has all results once."""
    return _under_faults(count, trials, ["cut", "sshd", "runner", "manager"], {})


def lost(count: int, trials: int) -> dict[str, Any]:
    """Machines go away for longer than they may, or restart: trials run again, and only the last run counts."""
    kinds = ["cut", "manager", "away", "restart"]
    return _under_faults(count, trials, kinds, {"lostAfter": "1s", "rerunLostTrials": 100})


def _under_faults(count: int, trials: int, kinds: list[str], settings: dict[str, Any]) -> dict[str, Any]:
    with servers(3) as (machines, key), home() as folder:
        experiment = config(machines, key, trials, 6)
        experiment["trainingService"] |= settings
        port = create(folder, experiment, {"trial.py": NOTE + SLOW})
        identifier = next(iter(json.loads((folder / "nni-experiments" / ".experiment").read_text())))
        done: dict[str, int] = {}
        for number in range(count):
            _until_ended(port, number * (trials - 12) // count)  # spread over the whole experiment, however fast it is
            time.sleep(random.uniform(0.0, 0.5))
            kind = random.choice(kinds)
            done[kind] = done.get(kind, 0) + 1
            machine = random.choice(machines)
            if kind in {"cut", "sshd", "away"}:
                machine.cut(all_of_it=kind != "cut", for_seconds=4.0 if kind == "away" else 0.3)
            elif kind == "restart":
                machine.restart()
            elif kind == "runner":
                runner = machine.runner()
                if runner is not None:
                    runner.kill()
            else:
                port = _kill_and_resume(folder, identifier)
        wait_done(port)
        rows = all_trials(port)
        starts: dict[str, int] = {}
        for path in (path for machine in machines for path in machine.home.glob("starts/*")):
            starts[path.name] = starts.get(path.name, 0) + len(path.read_text().split())
        measured = {
            "faults": done,
            "trials": len(rows),
            "counts": get(port, "/summary")["counts"],
            "with_wrong_metrics": sum(_is_wrong(port, row) for row in rows),
            "run_again": sum(row["runs"] > 1 for row in rows),
            "started": len(starts),
            "started_too_often": sum(starts.get(row["id"], 0) > row["runs"] for row in rows),
        }
        nnictl(folder, "stop", identifier)
        time.sleep(1)
        measured["processes_left"] = sum(len(machine.processes()) for machine in machines)
        measured["directories_left"] = sum((machine.home / ".nni-remote").exists() for machine in machines)
    return measured


def _until_ended(port: int, trials: int) -> None:
    while get(port, "/summary")["counts"].get("SUCCEEDED", 0) < trials:
        time.sleep(0.05)


def _kill_and_resume(folder: Path, identifier: str) -> int:
    process = manager(folder)
    process.send_signal(signal.SIGKILL)
    process.wait()
    port = free_port()
    nnictl(folder, "resume", identifier, "-p", str(port))
    return port


def _is_wrong(port: int, row: dict[str, Any]) -> bool:
    metrics = get(port, f"/trials/{row['id']}/metrics")
    steps = [metric["sequence"] for metric in metrics if metric["type"] == "PERIODICAL"]
    return row["status"] == "SUCCEEDED" and (steps != list(range(5)) or row["value"] is None)


NOTE = """
import os, pathlib
import nni
note = pathlib.Path.home() / "starts"
note.mkdir(exist_ok=True)
with (note / nni.get_trial_id()).open("a") as file:
    file.write("started ")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--many", type=int, default=20)
    parser.add_argument("--faults", type=int, default=30)
    parser.add_argument("--only", choices=["rate", "many", "first", "again", "faults", "lost"])
    options = parser.parse_args()
    if SSHD is None:
        raise SystemExit("sshd is not installed (Debian: apt-get install openssh-server)")
    measured = {
        "rate": lambda: rate(options.trials),
        "many": lambda: many(options.many, options.trials),
        "first": first,
        "again": again,
        "faults": lambda: faults(options.faults, options.trials),
        "lost": lambda: lost(options.faults, options.trials),
    }
    for name, measure in measured.items():
        if options.only in {None, name}:
            report(f"platforms/{name}", **measure())


if __name__ == "__main__":
    main()
