"""Problems that no tuner of this package was developed on, to check that they are good at more than their benchmark.

Other functions, other numbers of variables, rotated and shifted, noisy, integer-heavy, categorical, conditional, and
the tuning of a real model on scikit-learn's bundled data. Everything random about a problem is drawn from its name::

    python benchmarks/hpo_heldout.py --tuners Auto,TPE,CMAES,Random --seeds 3 --trials 100
"""

from __future__ import annotations

import argparse
import math
import os
import statistics
import time
import warnings
import zlib
from collections.abc import Callable
from typing import Any

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  (thread limits come first)

from nni.algorithms import registry  # noqa: E402

Space = dict[str, Any]
Objective = Callable[[dict[str, Any]], float]


def entry(kind: str, *value: Any) -> dict[str, Any]:
    return {"_type": kind, "_value": list(value)}


def generator(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def rotated(name: str, n: int, function: Callable[[np.ndarray], float], reach: float) -> tuple[Space, Objective]:
    """A function of a rotated and shifted vector; variables have ranges of their own."""
    rng = generator(name)
    turn, _ = np.linalg.qr(rng.normal(size=(n, n)))
    shift, widths = rng.uniform(0.2, 0.8, n), 10 ** rng.uniform(-1, 2, n)
    space = {f"v{i}": entry("uniform", 0, float(widths[i])) for i in range(n)}

    def objective(p: dict[str, Any]) -> float:
        unit = np.array([p[f"v{i}"] for i in range(n)]) / widths
        return function(turn @ (unit - shift) * 2 * reach)

    return space, objective


def ellipsoid(x: np.ndarray) -> float:
    return float((10 ** np.linspace(0, 3, len(x)) * x**2).sum())


def griewank(x: np.ndarray) -> float:
    return float(1 + (x**2).sum() / 4000 - np.prod(np.cos(x / np.sqrt(np.arange(1, len(x) + 1)))))


def rastrigin(x: np.ndarray) -> float:
    return float((x**2 - 3 * np.cos(2 * math.pi * x) + 3).sum())


def styblinski_tang(x: np.ndarray) -> float:
    return float(((x**4 - 16 * x**2 + 5 * x) / 2 + 39.1661657).sum())


def noisy_bowl() -> tuple[Space, Objective]:
    space, objective = rotated("noisy", 4, lambda x: float((x**2).sum()), 2)
    rng = np.random.default_rng(0)
    return space, lambda p: objective(p) + 0.1 * rng.normal()


def integers() -> tuple[Space, Objective]:
    rng = generator("integers")
    sizes = [3, 5, 9, 20, 50, 200, 1000]
    best = [int(rng.integers(size)) for size in sizes]
    space = {f"n{i}": entry("randint", 0, size) for i, size in enumerate(sizes)}

    def objective(p: dict[str, Any]) -> float:
        off = [(p[f"n{i}"] - best[i]) / sizes[i] for i in range(len(sizes))]
        return sum(o * o for o in off) + 0.5 * abs(off[2] * off[4]) + 0.3 * abs(off[5] - off[6])

    return space, objective


def categories() -> tuple[Space, Objective]:
    """Six choices of three to six options with effects of pairs, and a number whose best depends on one of them."""
    rng = generator("categories")
    sizes = [3, 4, 6, 5, 3, 4]
    alone = [rng.uniform(0, 1, size) for size in sizes]
    pairs = {(i, i + 1): rng.uniform(0, 0.6, (sizes[i], sizes[i + 1])) for i in range(5)}
    best = rng.uniform(0.1, 0.9, sizes[0])
    space = {f"c{i}": entry("choice", *"abcdef"[:size]) for i, size in enumerate(sizes)} | {"t": entry("uniform", 0, 1)}

    def objective(p: dict[str, Any]) -> float:
        picks = ["abcdef".index(p[f"c{i}"]) for i in range(6)]
        total = sum(float(alone[i][pick]) for i, pick in enumerate(picks))
        total += sum(float(effect[picks[i], picks[j]]) for (i, j), effect in pairs.items())
        return total + 2 * (p["t"] - float(best[picks[0]])) ** 2

    return space, objective


def pipeline() -> tuple[Space, Objective]:
    """Two nested choices beside a shared number."""
    space = {
        "shared": entry("loguniform", 1e-4, 1),
        "prepare": entry("choice", {"_name": "none"}, {"_name": "pca", "keep": entry("quniform", 1, 40, 1)}),
        "model": entry(
            "choice",
            {"_name": "tree", "depth": entry("quniform", 1, 30, 1), "leaf": entry("quniform", 1, 50, 1)},
            {"_name": "boost", "rate": entry("loguniform", 1e-3, 1), "rounds": entry("qloguniform", 10, 1000, 1)},
            {"_name": "linear", "penalty": entry("loguniform", 1e-5, 1e2)},
        ),
    }

    def objective(p: dict[str, Any]) -> float:
        loss = 0.05 * (math.log10(p["shared"]) + 2.5) ** 2
        prepare, model = p["prepare"], p["model"]
        loss += 0.15 if prepare["_name"] == "none" else 0.002 * (prepare["keep"] - 17) ** 2 / 4
        if model["_name"] == "tree":
            return loss + 0.3 + 0.002 * (model["depth"] - 9) ** 2 + 0.0005 * (model["leaf"] - 12) ** 2
        if model["_name"] == "boost":
            steps = math.log10(model["rate"]) + math.log10(model["rounds"])
            return loss + 0.6 * (steps - 0.7) ** 2 + 0.2 * (math.log10(model["rate"]) + 1.6) ** 2
        return loss + 0.45 + 0.02 * (math.log10(model["penalty"]) + 1) ** 2

    return space, objective


def wine() -> tuple[Space, Objective]:
    from sklearn.datasets import load_wine
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    data, target = load_wine(return_X_y=True)
    space = {
        "model": entry(
            "choice",
            {"_name": "logistic", "C": entry("loguniform", 1e-4, 1e4)},
            {"_name": "svc", "C": entry("loguniform", 1e-3, 1e3), "gamma": entry("loguniform", 1e-5, 10)},
            {"_name": "neighbours", "k": entry("randint", 1, 40), "p": entry("uniform", 1, 4)},
        )
    }

    def objective(p: dict[str, Any]) -> float:
        m = p["model"]
        made = {
            "logistic": lambda: LogisticRegression(C=m["C"], max_iter=300),
            "svc": lambda: SVC(C=m["C"], gamma=m["gamma"], probability=True, random_state=0),
            "neighbours": lambda: KNeighborsClassifier(m["k"], p=m["p"]),
        }[m["_name"]]()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = cross_val_predict(make_pipeline(StandardScaler(), made), data, target, cv=3, method="predict_proba")
        found = np.clip(found, 1e-4, 1)
        return float(log_loss(target, found / found.sum(axis=1, keepdims=True)))

    return space, objective


PROBLEMS: dict[str, Callable[[], tuple[Space, Objective]]] = {
    "ellipsoid3": lambda: rotated("ellipsoid3", 3, ellipsoid, 3),
    "griewank7": lambda: rotated("griewank7", 7, griewank, 30),
    "rastrigin4": lambda: rotated("rastrigin4", 4, rastrigin, 3),
    "styblinski12": lambda: rotated("styblinski12", 12, styblinski_tang, 3),
    "ellipsoid20": lambda: rotated("ellipsoid20", 20, ellipsoid, 1),
    "noisy4": noisy_bowl,
    "integers7": integers,
    "categories7": categories,
    "pipeline": pipeline,
    "wine": wine,
}


def run(tuner_name: str, problem: str, seed: int, trials: int) -> tuple[list[float], float]:
    """Return the best value after each trial, and the tuner's CPU seconds."""
    space, objective = PROBLEMS[problem]()
    tuner = registry.create(tuner_name, {"optimize_mode": "minimize", "seed": seed})
    tuner.update_search_space(space)
    curve, spent = [], 0.0
    for number in range(trials):
        start = time.process_time()
        parameters = tuner.generate_parameters(number)
        spent += time.process_time() - start
        value = objective(parameters)
        start = time.process_time()
        tuner.receive_trial_result(number, parameters, value)
        tuner.trial_end(number, success=True)
        spent += time.process_time() - start
        curve.append(min([value, *curve[-1:]]))
    return curve, spent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tuners", default="Auto,TPE,CMAES,Random")
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=100)
    arguments = parser.parse_args()
    tuners = arguments.tuners.split(",")
    ranks: dict[str, list[int]] = {name: [] for name in tuners}
    print("Median best value, and mean CPU ms per trial\n\n| problem | " + " | ".join(tuners) + " |")
    print("|---" * (len(tuners) + 1) + "|")
    for problem in arguments.problems.split(","):
        results = {name: [run(name, problem, s, arguments.trials) for s in range(arguments.seeds)] for name in tuners}
        cells = []
        for name in tuners:
            median = statistics.median(curve[-1] for curve, _ in results[name])
            spent = statistics.mean(seconds for _, seconds in results[name]) / arguments.trials * 1e3
            cells.append(f"{median:.3g} ({spent:.0f})")
        for s in range(arguments.seeds):
            order = sorted(tuners, key=lambda name: results[name][s][0][-1])
            for place, name in enumerate(order, 1):
                ranks[name].append(place)
        print(f"| {problem} | " + " | ".join(cells) + " |", flush=True)
    print("| mean rank | " + " | ".join(f"{statistics.mean(ranks[name]):.2f}" for name in tuners) + " |")


if __name__ == "__main__":
    main()
