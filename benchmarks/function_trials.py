"""Trials per second for a Python function that returns at once, through the durable store.

    python benchmarks/function_trials.py [--trials 3000] [--repeat 3]

Random search at concurrency 2, as ``nni.tune`` runs it: from the start of the first trial to the end of the last, and
the whole call with the start and stop of the experiment. Beside it Optuna with its random sampler, in memory and on
SQLite, with two threads, where it can be imported (by this Python, or by the one that OPTUNA_PYTHON names). They take
turns, so that drift of the machine hits all.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from _bench import environment, home, median, report

OURS = """
import json, logging, sys, time
import nni
logging.getLogger("nni.experiment").setLevel(logging.ERROR)
trials = int(sys.argv[1])

def objective(config):
    return config["x"] ** 2

space = {"x": {"_type": "uniform", "_value": [-1, 1]}}
started = time.perf_counter()
result = nni.tune(objective, space, tuner="Random", max_trials=trials, concurrency=2)
whole = time.perf_counter() - started
assert len(result.history) == trials and all(trial.score == trial.config["x"] ** 2 for trial in result.history)
first, last = min(t.start_time for t in result.history), max(t.end_time for t in result.history)
print(json.dumps({"seconds": (last - first) / 1000, "whole_seconds": whole}))
"""

OPTUNA = """
import json, sys, time
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
trials, storage = int(sys.argv[1]), sys.argv[2] or None
study = optuna.create_study(storage=storage, sampler=optuna.samplers.RandomSampler())
started = time.perf_counter()
study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=trials, n_jobs=2)
seconds = time.perf_counter() - started
assert len(study.trials) == trials
print(json.dumps({"seconds": seconds, "whole_seconds": seconds}))
"""


def run(python: str, folder: Path, script: str, *arguments: str) -> dict[str, float]:
    done = subprocess.run(
        [python, "-c", script, *arguments],
        cwd=folder,
        env={**environment(folder), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}{done.stderr}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def optuna_python() -> str | None:
    """Return a Python that has Optuna."""
    for python in (os.environ.get("OPTUNA_PYTHON"), sys.executable):
        if python and not subprocess.run([python, "-c", "import optuna"], capture_output=True, check=False).returncode:
            return python
    return None


def rates(runs: list[dict[str, float]], trials: int) -> dict[str, Any]:
    found = [trials / one["seconds"] for one in runs]
    return {
        "trials_per_second": median(found),
        "all": found,
        "whole_seconds": median([r["whole_seconds"] for r in runs]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=3000)
    parser.add_argument("--sqlite-trials", type=int, default=300, help="for Optuna with SQLite, which takes long")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    peer = optuna_python()
    ours, memory, sqlite = [], [], []
    for number in range(options.repeat):
        with home() as folder:
            ours.append(run(sys.executable, folder, OURS, str(options.trials)))
            if peer is not None:
                memory.append(run(peer, folder, OPTUNA, str(options.trials), ""))
                file = folder / f"optuna{number}.db"
                sqlite.append(run(peer, folder, OPTUNA, str(options.sqlite_trials), f"sqlite:///{file}"))
        time.sleep(0.1)
    figures: dict[str, Any] = {"goal_trials_per_second": 200, "trials": options.trials, "concurrency": 2}
    figures["ours"] = rates(ours, options.trials)
    if peer is None:
        figures["note"] = "Optuna is not installed here; OPTUNA_PYTHON may name a Python that has it"
    else:
        figures["optuna_in_memory"] = rates(memory, options.trials)
        figures["optuna_sqlite"] = {"trials": options.sqlite_trials, **rates(sqlite, options.sqlite_trials)}
    report("function_trials", **figures)


if __name__ == "__main__":
    main()
