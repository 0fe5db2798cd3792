"""Does every result belong to the configuration it stands beside? Many deterministic trials through the whole stack.

Each trial computes its result from the parameters it was given and nothing else. Afterwards the result is computed
again from the parameters in every place that records them, and compared with the result in every place that records
it: database, REST (ours and 2.x), ``parameter.cfg``, the metric file, and what the tuner was told.

    python benchmarks/attribution.py --trials 10000 --concurrency 8

prints one JSON line; ``mismatches`` must be 0, and then the exit code is 0.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import sqlite3
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

# Shared by the trial and by the check: the result of a configuration.
FORMULA = """
import hashlib, json

def result(parameters):
    text = json.dumps(parameters, sort_keys=True)
    digest = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    return {"default": digest / 2**64, "echo": parameters["number"]}
"""

TRIAL = """
import nni
from formula import result
parameters = nni.get_next_parameter()
assert nni.get_next_parameter() is None
final = result(parameters)
nni.report_intermediate_result(final["default"] / 2)
nni.report_final_result(final)
"""

# Suggests values of every kind that JSON knows, and writes down what it is told.
TUNER = """
import json, random
from pathlib import Path
from nni.tuner import Tuner

class Random(Tuner):
    def __init__(self):
        self.random = random.Random(0)
        self.told = (Path(__file__).parent / "told").open("a", buffering=1)

    def update_search_space(self, search_space):
        pass

    def generate_parameters(self, parameter_id, **kwargs):
        chance = self.random
        return {
            "number": parameter_id,
            "uniform": chance.random(),
            "tiny": 10 ** chance.uniform(-300, -1),
            "large": chance.randrange(-(10**18), 10**18),
            "text": "".join(chance.choices("abc äöü € 漢字 \\\\\\" \\n", k=chance.randrange(12))),
            "nested": {"_name": chance.choice("xyz"), "depth": [chance.random(), None, True, {"k": -0.0}]},
        }

    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.told.write(json.dumps([parameter_id, parameters, value]) + "\\n")
"""


def config(code: Path, folder: Path, trials: int, concurrency: int) -> dict[str, Any]:
    return {
        "trialCommand": f"{sys.executable} trial.py",
        "trialCodeDirectory": str(code),
        "trialConcurrency": concurrency,
        "maxTrialNumber": trials,
        "searchSpace": {"uniform": {"_type": "uniform", "_value": [0, 1]}},
        "tuner": {"className": "tuner.Random", "codeDirectory": str(code)},
        "trainingService": {"platform": "local"},
        "experimentWorkingDirectory": str(folder / "experiments"),
    }


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Rest:
    """The REST API of the experiment."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}/api/v1/nni"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def __call__(self, path: str, method: str = "GET") -> Any:
        request = urllib.request.Request(self._base + path, method=method)
        with self._opener.open(request) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def trials(self) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        while items := self(f"/trials?limit=1000&offset={len(found)}")["items"]:
            found |= {item["id"]: item for item in items}
        return found


def run(folder: Path, trials: int, concurrency: int) -> tuple[Path, Rest]:
    """Run the experiment to its end; returns its directory and its REST API, which still answers."""
    from nni.experiment.launch import LaunchOptions, create

    code = folder / "code"
    code.mkdir()
    for name, text in {"formula.py": FORMULA, "trial.py": TRIAL, "tuner.py": TUNER}.items():
        (code / name).write_text(text)
    launched = create(config(code, folder, trials, concurrency), LaunchOptions(port=free_port()))
    rest = Rest(launched.port)
    while (status := rest("/check-status"))["status"] not in {"DONE", "ERROR"}:
        done = {item["trialJobStatus"]: item["trialJobNumber"] for item in rest("/job-statistics")}
        print(f"\r{done.get('SUCCEEDED', 0)} of {trials}", end="", file=sys.stderr, flush=True)
        time.sleep(1)
    print(file=sys.stderr)
    if status["status"] == "ERROR":
        raise SystemExit(f"the experiment failed: {status['errors']}")
    return launched.directory, rest


def check(directory: Path, code: Path, rest: Rest, trials: int) -> list[str]:
    """Return what does not fit together, one line each."""
    names: dict[str, Any] = {}
    exec(FORMULA, names)
    result = names["result"]
    told = {item[0]: item[1:] for item in map(json.loads, (code / "told").read_text().splitlines())}
    ours, twox = rest.trials(), {item["trialJobId"]: item for item in rest("/trial-jobs")}
    exported = {item["trialJobId"]: (item["parameter"], item["value"]) for item in rest("/export-data")}
    wrong: list[str] = []
    with contextlib.closing(sqlite3.connect(f"file:{directory / 'db' / 'nni.sqlite'}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT id, sequence, parameter_id, parameters, final, status FROM trial").fetchall()
        metrics = database.execute("SELECT trial, type, value FROM metric ORDER BY trial, position").fetchall()
    stored: dict[int, list[Any]] = {}
    for sequence, kind, value in metrics:
        stored.setdefault(sequence, []).append((kind, json.loads(value)))
    if not len(rows) == len(told) == len(ours) == len(twox) == len(exported) == trials:
        wrong.append(f"{trials} trials, but {[len(x) for x in (rows, told, ours, twox, exported)]} are recorded")
    for identifier, sequence, parameter_id, parameters_text, final, status in rows:
        parameters = json.loads(parameters_text)
        value = result(parameters)
        spool = (directory / "trials" / identifier / ".nni" / "metrics").read_text().splitlines()
        given = json.loads((directory / "trials" / identifier / "parameter.cfg").read_text())
        job = twox[identifier]
        reports = [("PERIODICAL", value["default"] / 2), ("FINAL", value)]
        places = {
            "status": (status, "SUCCEEDED"),
            "parameter id": (parameters["number"], parameter_id),
            "database": (json.loads(final), value),
            "metrics of the database": (stored[sequence], reports),
            "metric file": ([(item["type"], item["value"]) for item in map(json.loads, spool)], reports),
            "parameter.cfg": ((given["parameter_id"], given["parameters"]), (parameter_id, parameters)),
            "tuner": (told.get(parameter_id), [parameters, value]),
            "REST": ((ours[identifier]["parameters"], ours[identifier]["value"]), (parameters, value)),
            "REST 2.x parameters": (json.loads(job["hyperParameters"][0])["parameters"], parameters),
            "REST 2.x result": (json.loads(json.loads(job["finalMetricData"][0]["data"])), value),
            "export": (exported[identifier], (parameters, value)),
        }
        wrong += [f"trial {identifier}: {place}: {a!r} is not {b!r}" for place, (a, b) in places.items() if a != b]
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--concurrency", type=int, default=8)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="nni-attribution-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        os.environ["HOME"] = name
        start = time.monotonic()
        directory, rest = run(folder, options.trials, options.concurrency)
        seconds = time.monotonic() - start
        try:
            wrong = check(directory, folder / "code", rest, options.trials)
        finally:
            rest("/experiment", "DELETE")
    for line in wrong[:20]:
        print(line, file=sys.stderr)
    figures = {"trials": options.trials, "concurrency": options.concurrency, "mismatches": len(wrong)}
    rate = {"seconds": round(seconds, 1), "trials_per_second": round(options.trials / seconds, 1)}
    print(json.dumps({"benchmark": "attribution", **figures, **rate, "cores": os.cpu_count()}))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
