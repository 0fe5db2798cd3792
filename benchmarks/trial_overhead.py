"""Trials per minute for a trivial trial, beside the floor of starting bare ``bash run.sh`` + ``python`` processes.

    python benchmarks/trial_overhead.py [--trials 1000] [--repeat 3]

The trial reports 5 intermediate results and a final one. The floor starts the same number of launchers, with the same
concurrency, whose Python does nothing at all. Floor and experiment take turns, so that drift of the machine hits both.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
import time
from pathlib import Path

from _bench import BIN, all_trials, create, environment, home, median, report, wait_done

TRIAL = """
import nni
x = nni.get_next_parameter()["x"]
for step in range(5):
    nni.report_intermediate_result(x * step)
nni.report_final_result(x)
"""


def experiment_seconds(trials: int, concurrency: int) -> float:
    config = {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "python trial.py",
        "trialConcurrency": concurrency,
        "maxTrialNumber": trials,
        "tuner": {"name": "Random"},
        "trainingService": {"platform": "local"},
    }
    with home() as folder:
        port = create(folder, config, {"trial.py": TRIAL})
        summary = wait_done(port)
        assert summary["counts"] == {"SUCCEEDED": trials}, summary["counts"]
        rows = all_trials(port)
        assert all(row["intermediates"] == 5 for row in rows)
        return (max(row["endTime"] for row in rows) - min(row["startTime"] for row in rows)) / 1000


def floor_seconds(trials: int, concurrency: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "run.sh"
        Path(folder, "bare.py").write_text("")
        script.write_text(f"#!/bin/bash\ncd {folder}\npython bare.py\nexit $?\n")
        variables = environment(Path(folder))
        assert (BIN / "python").exists()
        started = time.perf_counter()
        running: dict[int, subprocess.Popen[bytes]] = {}
        left = trials
        while left or running:
            while left and len(running) < concurrency:
                process = subprocess.Popen(["bash", str(script)], env=variables, stdout=subprocess.DEVNULL)
                running[process.pid] = process
                left -= 1
            pid, status = os.wait()
            assert os.waitstatus_to_exitcode(status) == 0
            process = running.pop(pid)
            process.returncode = 0
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    figures: dict[str, object] = {"goal_ratio": 0.7, "trials": options.trials}
    for concurrency in (2, 8):
        ours, floor, ratios = [], [], []
        for _ in range(options.repeat):
            floor.append(floor_seconds(options.trials, concurrency))
            ours.append(experiment_seconds(options.trials, concurrency))
            ratios.append(floor[-1] / ours[-1])
        figures[f"concurrency_{concurrency}"] = {
            "trials_per_minute": 60 * options.trials / median(ours),
            "floor_per_minute": 60 * options.trials / median(floor),
            "ratio": median(ratios),
            "ratios": ratios,
        }
    report("trial_overhead", **figures)


if __name__ == "__main__":
    main()
