"""Trials per minute of a trial that imports a heavy module, cold and with ``preload``, in turns.

    python benchmarks/warm_start.py [--module torch] [--cold 8] [--warm 200] [--repeat 3]

The floor of the cold start is the same number of bare interpreters importing the module with the same concurrency.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from _bench import all_trials, create, environment, home, median, report, wait_done

TRIAL = """
import nni
import {module}
x = nni.get_next_parameter()["x"]
nni.report_final_result(x)
"""


def per_minute(module: str, trials: int, preload: list[str] | None) -> float:
    """Return trials per minute; with preload, of the trials after the server was up."""
    service: dict[str, object] = {"platform": "local"}
    if preload:
        service["preload"] = preload
    config = {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "python trial.py",
        "trialConcurrency": 2,
        "maxTrialNumber": trials,
        "tuner": {"name": "Random"},
        "trainingService": service,
    }
    with home() as folder:
        port = create(folder, config, {"trial.py": TRIAL.format(module=module)})
        summary = wait_done(port)
        assert summary["counts"] == {"SUCCEEDED": trials}, summary["counts"]
        rows = all_trials(port)
        return 60_000 * trials / (max(row["endTime"] for row in rows) - min(row["startTime"] for row in rows))


def floor_per_minute(module: str, trials: int) -> float:
    with home() as folder:
        started = time.perf_counter()
        command = [sys.executable, "-c", f"import {module}"]
        for _ in range(trials // 2):
            pair = [subprocess.Popen(command, env=environment(folder)) for _ in range(2)]
            for process in pair:
                process.wait()
        return 60 * (trials // 2 * 2) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--module", default="torch")
    parser.add_argument("--cold", type=int, default=8)
    parser.add_argument("--warm", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    floors, cold, warm = [], [], []
    for _ in range(options.repeat):
        floors.append(floor_per_minute(options.module, options.cold))
        cold.append(per_minute(options.module, options.cold, None))
        warm.append(per_minute(options.module, options.warm, [options.module]))
    report(
        "warm_start",
        goal_speedup=10,
        module=options.module,
        cold_per_minute=median(cold),
        warm_per_minute=median(warm),
        speedup=median([fast / slow for fast, slow in zip(warm, cold, strict=True)]),
        floor_per_minute=median(floors),
    )


if __name__ == "__main__":
    main()
