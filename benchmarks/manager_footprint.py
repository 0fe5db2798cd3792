"""Memory and CPU of manager and dispatcher, idle and with 10 000 finished trials of 100 results each.

    python benchmarks/manager_footprint.py [--trials 10000] [--results 100] [--idle 20]

The trials are written straight into a store, which a real manager then resumes. The floor for memory is a process
that has imported the same web framework and done nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import psutil
from _bench import create, environment, free_port, get, home, median, nnictl, report, wait_done

from nni.store import Batch, Metric, Store, Trial, TrialStatus

FLOOR = "import fastapi, uvicorn, pydantic, psutil, resource, os; print(psutil.Process().memory_info().rss)"


def processes(directory: str) -> tuple[psutil.Process, psutil.Process]:
    """Return manager and dispatcher of an experiment."""
    for process in psutil.process_iter(["cmdline"]):
        if "nni.server" in (process.info["cmdline"] or []) and directory in process.info["cmdline"]:
            return process, next(child for child in process.children() if "nni" in child.cmdline())
    raise SystemExit(f"no manager of {directory} found")


def footprint(port: int, idle: float) -> dict[str, float]:
    manager, dispatcher = processes(get(port, "/summary")["directory"])
    time.sleep(2)
    before = [sum(process.cpu_times()[:2]) for process in (manager, dispatcher)]
    time.sleep(idle)
    after = [sum(process.cpu_times()[:2]) for process in (manager, dispatcher)]
    return {
        "manager_rss_mb": manager.memory_info().rss / 1e6,
        "dispatcher_rss_mb": dispatcher.memory_info().rss / 1e6,
        "manager_idle_cpu_percent": 100 * (after[0] - before[0]) / idle,
        "dispatcher_idle_cpu_percent": 100 * (after[1] - before[1]) / idle,
    }


def fill(directory: Path, trials: int, results: int) -> None:
    """Write finished trials into the store of a stopped experiment."""
    store = Store(directory / "db" / "nni.sqlite")
    profile = store.profile()
    assert profile is not None
    for block in range(profile.next_sequence, trials, 500):
        rows = [
            Trial(f"x{n:06}", n, n, "algorithm", json.dumps({"x": n / trials, "layers": n % 7, "name": "relu"}),
                  TrialStatus.SUCCEEDED, "", n, n, n + 1, 0, None, results, str(n / trials), n / trials)
            for n in range(block, min(block + 500, trials))
        ]  # fmt: skip
        metrics = [
            Metric(row.sequence, step * 100, "PERIODICAL", step, step, row.sequence, "0.5")
            for row in rows
            for step in range(results)
        ]
        profile.next_sequence = profile.next_parameter_id = rows[-1].sequence + 1
        store.commit(Batch({row.sequence: row for row in rows}, metrics, [], profile))
    store.checkpoint()
    store.close()


def seconds(call: object) -> float:
    started = time.perf_counter()
    call()  # type: ignore[operator]
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--results", type=int, default=100)
    parser.add_argument("--idle", type=float, default=20)
    options = parser.parse_args()
    config = {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "true",
        "trialConcurrency": 2,
        "maxTrialNumber": 2,
        "tuner": {"name": "TPE"},
        "trainingService": {"platform": "local"},
    }
    with home() as folder:
        port = create(folder, config, {})
        summary = wait_done(port)
        empty = footprint(port, options.idle)
        nnictl(folder, "stop", summary["id"])
        fill(Path(summary["directory"]), options.trials, options.results)
        port = free_port()
        nnictl(folder, "resume", summary["id"], "-p", str(port))
        wait_done(port)
        full = footprint(port, options.idle)
        pages = [seconds(lambda: get(port, "/trials?limit=100&order=-metric")) for _ in range(21)]
        listing = [seconds(lambda: nnictl(folder, "trial", "ls", summary["id"], "--head", "100")) for _ in range(5)]
        after = footprint(port, 1)["manager_rss_mb"]
        bare = subprocess.run([sys.executable, "-c", FLOOR], env=environment(folder), capture_output=True, check=True)
    report(
        "manager_footprint",
        goal_manager_rss_mb=150,
        goal_idle_cpu_percent=1,
        goal_page_ms=50,
        empty=empty,
        full={**full, "trials": options.trials, "results": options.results},
        manager_rss_after_requests_mb=after,
        rest_page_of_100_ms=1000 * median(pages),
        nnictl_trial_ls_100_ms=1000 * median(listing),
        floor_rss_mb=int(bare.stdout) / 1e6,
        ratio_to_floor=full["manager_rss_mb"] / (int(bare.stdout) / 1e6),
    )


if __name__ == "__main__":
    main()
