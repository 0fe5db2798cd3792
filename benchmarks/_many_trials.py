"""Writes a large, plausible experiment straight into the store of a stopped one: for measuring what shows it."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

from nni.store import Batch, Metric, Store, Trial, TrialStatus

SEARCH_SPACE: dict[str, Any] = {
    "learning_rate": {"_type": "loguniform", "_value": [0.0001, 0.1]},
    "batch_size": {"_type": "choice", "_value": [16, 32, 64, 128]},
    "hidden_size": {"_type": "qloguniform", "_value": [32, 1024, 8]},
    "dropout": {"_type": "uniform", "_value": [0, 0.7]},
    "momentum": {"_type": "uniform", "_value": [0.5, 0.99]},
    "optimizer": {"_type": "choice", "_value": ["SGD", "Adam", "RMSprop"]},
    "layers": {"_type": "randint", "_value": [1, 9]},
    "weight_decay": {"_type": "loguniform", "_value": [0.000001, 0.01]},
}
_ENDS = [TrialStatus.FAILED, TrialStatus.EARLY_STOPPED, TrialStatus.USER_CANCELED]


def _parameters(random_: random.Random) -> dict[str, Any]:
    return {
        "learning_rate": 10 ** random_.uniform(-4, -1),
        "batch_size": random_.choice([16, 32, 64, 128]),
        "hidden_size": 8 * round(2 ** random_.uniform(2, 7)),
        "dropout": random_.uniform(0, 0.7),
        "momentum": random_.uniform(0.5, 0.99),
        "optimizer": random_.choice(["SGD", "Adam", "RMSprop"]),
        "layers": random_.randint(1, 8),
        "weight_decay": 10 ** random_.uniform(-6, -2),
    }


def _quality(parameters: dict[str, Any], random_: random.Random) -> float:
    far = (math.log10(parameters["learning_rate"]) + 2.5) ** 2 / 3 + (parameters["dropout"] - 0.3) ** 2
    far += 0.05 * abs(parameters["layers"] - 4) + (0.08 if parameters["optimizer"] == "SGD" else 0)
    return max(0.1, 0.95 - 0.5 * far + random_.gauss(0, 0.02))


def fill(directory: Path, trials: int, results: int, start: int = 1_760_000_000_000) -> None:
    """Write ended trials into the store of a stopped experiment, after those that are there."""
    store = Store(directory / "db" / "nni.sqlite")
    profile = store.profile()
    assert profile is not None
    random_ = random.Random(7)
    begin = start
    for block in range(profile.next_sequence, trials, 500):
        rows, metrics = {}, []
        for number in range(block, min(block + 500, trials)):
            parameters = _parameters(random_)
            quality = _quality(parameters, random_)
            begin += random_.randint(1000, 9000)
            took = int(20_000 + 40 * parameters["hidden_size"] + random_.expovariate(1 / 15_000))
            status = random_.choices([TrialStatus.SUCCEEDED, *_ENDS], [88, 4, 7, 1])[0]
            steps = results if status is TrialStatus.SUCCEEDED else random_.randint(0, results)
            final = round(quality, 6) if status is TrialStatus.SUCCEEDED else None
            message = "exit code 1: RuntimeError: out of memory" if status is TrialStatus.FAILED else ""
            rows[number] = Trial(
                f"x{number:06x}", number, number, "algorithm", json.dumps(parameters), status, message, begin, begin,
                begin + took, 1 if message else 0, None, steps, None if final is None else json.dumps(final), final,
            )  # fmt: skip
            rate = random_.uniform(0.05, 0.3)
            metrics += [
                Metric(number, step * 100, "PERIODICAL", step, begin + step * took // results, number,
                       f"{quality * (1 - math.exp(-rate * (step + 1))) + random_.gauss(0, 0.005):.6f}")
                for step in range(steps)
            ]  # fmt: skip
        profile.next_sequence = profile.next_parameter_id = max(rows) + 1
        store.commit(Batch(rows, metrics, [], profile))
    store.checkpoint()
    store.close()
