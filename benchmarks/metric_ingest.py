"""Intermediate results per second that one manager takes over durably from many trials, beside the floor of SQLite.

    python benchmarks/metric_ingest.py [--trials 8] [--results 50000] [--repeat 3]

All trials report as fast as they can. Counted is the time from the first report to the moment at which the last one is
committed in the manager's store; afterwards every single one must be there. The floor is a loop that inserts as many
rows of the same size into a table with the same key, a transaction for each 5 000.
"""

from __future__ import annotations

import argparse
import sqlite3
import tempfile
import time
from pathlib import Path

from _bench import all_trials, create, get, home, median, report

TRIAL = """
import os, time
import nni
nni.get_next_parameter()
while not os.path.exists(os.path.join(os.environ["NNI_CODE_DIR"], "go")):
    time.sleep(0.005)
began = time.time()
for step in range({results}):
    nni.report_intermediate_result(step * 0.5)
with open(os.path.join(os.environ["NNI_OUTPUT_DIR"], "began"), "w") as file:
    file.write(f"{{began}} {{time.time()}}")
time.sleep(600)
"""


def ingest(trials: int, results: int) -> tuple[float, float]:
    """Return results per second as taken over, and as the trials could report them."""
    config = {
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "python trial.py",
        "trialConcurrency": trials,
        "maxTrialNumber": trials,
        "tuner": {"name": "Random"},
        "trainingService": {"platform": "local"},
    }
    with home() as folder:
        port = create(folder, config, {"trial.py": TRIAL.format(results=results)})
        while len([row for row in all_trials(port) if row["status"] == "RUNNING"]) < trials:
            time.sleep(0.05)
        (folder / "code" / "go").touch()
        total = trials * results
        directory = Path(get(port, "/summary")["directory"])
        with sqlite3.connect(f"file:{directory}/db/nni.sqlite?mode=ro", uri=True) as store:
            while store.execute("SELECT sum(intermediates) FROM trial").fetchone()[0] < total:
                time.sleep(0.02)
            ended = time.time()
            stored = store.execute("SELECT count(*), count(DISTINCT trial || ' ' || sequence) FROM metric").fetchone()
        assert stored == (total, total), f"{stored} of {total} results are in the store"
        notes = list(directory.glob("trials/*/began"))
        while len(notes) < trials:
            notes = list(directory.glob("trials/*/began"))
        times = [tuple(map(float, note.read_text().split())) for note in notes]
        began = min(first for first, _ in times)
        return total / (ended - began), total / (max(last for _, last in times) - began)


def floor(rows: int) -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = sqlite3.connect(Path(folder) / "floor.sqlite", isolation_level=None)
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("PRAGMA synchronous = NORMAL")
        store.execute(
            "CREATE TABLE metric (trial INT, position INT, type TEXT, sequence INT, timestamp INT, parameter INT, "
            "value TEXT, PRIMARY KEY (trial, position)) WITHOUT ROWID"
        )
        started = time.perf_counter()
        for block in range(0, rows, 5000):
            store.execute("BEGIN")
            values = (
                (0, place * 110, "PERIODICAL", place, 1_700_000_000_000, 0, "0.5")
                for place in range(block, block + 5000)
            )
            store.executemany("INSERT INTO metric VALUES (?, ?, ?, ?, ?, ?, ?)", values)
            store.execute("COMMIT")
        seconds = time.perf_counter() - started
        store.close()
        return rows / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--results", type=int, default=50_000)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    floors, taken, offered = [], [], []
    for _ in range(options.repeat):
        floors.append(floor(options.trials * options.results))
        rate, possible = ingest(options.trials, options.results)
        taken.append(rate)
        offered.append(possible)
    report(
        "metric_ingest",
        goal_per_second=20_000,
        results_per_second=median(taken),
        reported_per_second=median(offered),
        lost=0,
        floor_per_second=median(floors),
        ratio_to_floor=median([rate / base for rate, base in zip(taken, floors, strict=True)]),
        trials=options.trials,
        results_per_trial=options.results,
    )


if __name__ == "__main__":
    main()
