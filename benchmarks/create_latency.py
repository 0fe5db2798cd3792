"""Seconds from typing ``nnictl create`` to the first trial RUNNING, beside the floor of what must be imported for it.

    python benchmarks/create_latency.py [--repeat 7] [--tuner TPE]

The first trial's own first line of output (its process runs Python code) is taken as the moment. The floor is one
process after the other importing what the launcher, and then the manager and the tuner side by side, cannot do without.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from _bench import all_trials, create, environment, home, median, report

TRIAL = "import time, pathlib, os\npathlib.Path(os.environ['NNI_OUTPUT_DIR'], 'began').write_text(str(time.time()))\n"
FLOOR = [["import pydantic, ruamel.yaml"], ["import fastapi, uvicorn", "import numpy"]]


def measure(tuner: str) -> tuple[float, float, float]:
    config = {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "python trial.py",
        "trialConcurrency": 2,
        "maxTrialNumber": 2,
        "tuner": {"name": tuner},
        "trainingService": {"platform": "local"},
    }
    with home() as folder:
        started = time.time()
        port = create(folder, config, {"trial.py": TRIAL})
        returned = time.time()
        while not (rows := [row for row in all_trials(port) if row["startTime"]]):
            time.sleep(0.01)
        first = min(rows, key=lambda row: row["startTime"])
        note = Path(first["directory"]) / "began"
        while not note.exists() or not note.read_text():
            time.sleep(0.005)
        return first["startTime"] / 1000 - started, float(note.read_text()) - started, returned - started


def floor() -> float:
    started = time.perf_counter()
    with home() as folder:
        for side_by_side in FLOOR:
            commands = [[sys.executable, "-c", code] for code in side_by_side]
            for process in [subprocess.Popen(command, env=environment(folder)) for command in commands]:
                process.wait()
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--tuner", default="TPE")
    options = parser.parse_args()
    floors, results = [], []
    for _ in range(options.repeat):
        floors.append(floor())
        results.append(measure(options.tuner))
    running, code, returned = zip(*results, strict=True)
    report(
        "create_latency",
        goal_seconds=1.5,
        first_trial_running_seconds=median(list(running)),
        first_trial_code_seconds=median(list(code)),
        create_returns_seconds=median(list(returned)),
        floor_seconds=median(floors),
        ratio_to_floor=median([value / base for value, base in zip(running, floors, strict=True)]),
        all_seconds=list(running),
        tuner=options.tuner,
    )


if __name__ == "__main__":
    main()
