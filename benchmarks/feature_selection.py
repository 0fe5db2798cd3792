"""Which columns do selectors find, what is a model worth on them, and what does it cost?

*Planted*: pairs of columns that matter only together (exclusive or), among noise columns; in the sparse table also
columns that matter on their own. Figures: recall of the planted columns, seconds, peak memory (MiB, the whole process).

*Accuracy*: six data sets, bundled ones with appended noise columns and generated ones; 20 columns are selected on the
training rows, and a model is trained on them. Figures: mean accuracy on held-out rows of logistic regression and of
extra trees, seconds, peak memory. `behind` names the selectors that are ahead of the gradient selector by more than
one standard error of the paired difference, for the better of the two models.

    python benchmarks/feature_selection.py --seeds 3

prints one JSON line. Every selector runs with its default arguments, but for the number of columns, `ordinal=False`
where the classes have no order, and a larger target batch for the gradient selector in wide tables, as its
documentation says.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np

PLANTED = {"1000": (2000, 1000, 3), "10000": (5000, 10_000, 3), "1000000 sparse": (20_000, 1_000_000, 3)}
ACCURACY = ("breast cancer", "digits", "wine", "many clusters", "few rows", "interactions")
SELECTORS = ("gradient", "gbdt", "kbest", "trees", "rfe", "mutual information")
NOMINAL = ("digits", "wine")
# mutual_info_classif sorts every column and wants them dense; trees and boosting take hours on a million columns.
TOO_SLOW = {
    ("10000", "mutual information"),
    *(("1000000 sparse", name) for name in ("mutual information", "trees", "gbdt", "rfe")),
}


def planted(name: str, seed: int) -> tuple[Any, Any, set[int]]:
    random = np.random.default_rng(seed)
    rows, columns, pairs = PLANTED[name]
    places = [int(place) for place in random.permutation(columns)]
    if name.endswith("sparse"):
        return _planted_sparse(random, rows, columns, pairs, places)
    table = random.standard_normal((rows, columns))
    chosen = places[: 2 * pairs]
    score = sum(np.sign(table[:, a] * table[:, b]) for a, b in zip(chosen[::2], chosen[1::2], strict=True))
    return table, (score + 0.3 * random.standard_normal(rows) > 0).astype(int), set(chosen)


def _planted_sparse(random: Any, rows: int, columns: int, pairs: int, places: list[int]) -> tuple[Any, Any, set[int]]:
    """Ten columns that matter alone (present in a tenth of the rows), pairs (in half), noise of density 1e-4."""
    from scipy import sparse

    single, paired = places[:10], places[10 : 10 + 2 * pairs]
    count = rows * columns // 10_000
    noise = sparse.csr_matrix(
        (random.standard_normal(count), (random.integers(rows, size=count), random.integers(columns, size=count))),
        (rows, columns),
    )
    alone = (random.random((rows, 10)) < 0.1).astype(float)
    both = (random.random((rows, 2 * pairs)) < 0.5).astype(float)
    score = 2 * (alone - 0.1).sum(1) + sum(2 * (both[:, i] != both[:, i + 1]) - 1 for i in range(0, 2 * pairs, 2))
    values = np.hstack([alone, both])
    at_rows, at = np.nonzero(values)
    chosen = np.array(single + paired)
    table = noise + sparse.csr_matrix((values[at_rows, at], (at_rows, chosen[at])), (rows, columns))
    return table, (score + random.standard_normal(rows) > 0).astype(int), set(single + paired)


def dataset(name: str, seed: int) -> tuple[Any, Any]:
    from sklearn import datasets

    random = np.random.default_rng(seed)
    if name in ("breast cancer", "digits", "wine"):
        load = {
            "breast cancer": datasets.load_breast_cancer,
            "digits": datasets.load_digits,
            "wine": datasets.load_wine,
        }
        table, y = load[name](return_X_y=True)
        table = table[:, table.std(0) > 0]
        table = (table - table.mean(0)) / table.std(0)
        return np.hstack([table, random.standard_normal((len(table), 200 if name == "digits" else 500))]), y
    if name == "many clusters":
        return datasets.make_classification(
            2000, 1000, n_informative=20, n_redundant=50, n_clusters_per_class=4, random_state=seed
        )
    if name == "few rows":
        return datasets.make_classification(
            124, 2000, n_informative=20, n_redundant=100, class_sep=2.0, random_state=seed
        )
    table = random.standard_normal((2000, 500))
    chosen = random.permutation(500)[:10]
    score = sum(table[:, a] * table[:, b] > 0 for a, b in zip(chosen[::2], chosen[1::2], strict=True))
    return table, (score + 0.2 * random.standard_normal(2000) > 2.5).astype(int)


def select(selector: str, table: Any, y: Any, count: int, **options: Any) -> list[int]:
    from scipy import sparse
    from sklearn import feature_selection as sklearn_selection
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    if selector == "gradient":
        from nni.algorithms.feature_engineering.gradient_selector import FeatureGradientSelector

        return FeatureGradientSelector(n_features=count, **options).fit(table, y).get_selected_features()
    if selector == "gbdt":
        from nni.algorithms.feature_engineering.gbdt_selector import GBDTSelector

        return GBDTSelector(n_features=count).fit(table, y).get_selected_features(count)
    if selector == "rfe":
        table = StandardScaler(with_mean=not sparse.issparse(table)).fit_transform(table)
        model = LogisticRegression(max_iter=200)
        return list(
            sklearn_selection.RFE(model, n_features_to_select=count, step=0.2).fit(table, y).get_support(indices=True)
        )
    if selector == "trees":
        scores = ExtraTreesClassifier(50, random_state=0).fit(table, y).feature_importances_
    elif selector == "kbest":
        with np.errstate(all="ignore"):
            scores = np.nan_to_num(sklearn_selection.f_classif(table, y)[0])
    else:
        scores = sklearn_selection.mutual_info_classif(table, y, random_state=0)
    return [int(column) for column in np.argsort(-scores, kind="stable")[:count]]


def peak_mib() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def one_planted(name: str, selector: str, seeds: int) -> dict[str, Any]:
    """Recall: of all planted columns, and in the sparse table of the pairs alone, too."""
    options = {"target_batch_size": 5000} if name == "10000" else {}
    recalls, seconds = [], []
    for seed in range(seeds):
        table, y, chosen = planted(name, seed)
        start = time.process_time()
        found = select(selector, table, y, len(chosen), **options)
        seconds.append(time.process_time() - start)
        recalls.append(len(chosen & set(found)) / len(chosen))
    return {"recall": np.mean(recalls), "cpu_s": np.median(seconds), "peak_mib": peak_mib()}


def one_accuracy(name: str, selector: str, seeds: int) -> dict[str, Any]:
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    options = {"ordinal": False} if name in NOMINAL else {}
    scores, seconds = [], []
    for seed in range(seeds):
        table, y = dataset(name, seed)
        train, test, y_train, y_test = train_test_split(table, y, test_size=0.3, random_state=seed, stratify=y)
        varies = np.ptp(train, axis=0) > 0  # VarianceThreshold(), for every selector
        train, test = train[:, varies], test[:, varies]
        start = time.process_time()
        found = select(selector, train, y_train, 20, **options)
        seconds.append(time.process_time() - start)
        models = (make_pipeline(StandardScaler(), LogisticRegression()), ExtraTreesClassifier(100, random_state=0))
        scores.append([model.fit(train[:, found], y_train).score(test[:, found], y_test) for model in models])
    return {"scores": scores, "cpu_s": np.median(seconds), "peak_mib": peak_mib()}


def child(kind: str, name: str, selector: str, seeds: int) -> dict[str, Any]:
    """Measure in a process of its own, for its peak memory."""
    command = [sys.executable, "-W", "ignore", __file__, "--one", kind, name, selector, "--seeds", str(seeds)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    print(kind, name, selector, done.stdout.strip(), file=sys.stderr, flush=True)
    return dict(json.loads(done.stdout))


def summarised(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return mean accuracies, and who is ahead of the gradient selector."""
    scores = {name: np.array(figures.pop("scores")) for name, figures in found.items()}
    for name, figures in found.items():
        figures["logistic"], figures["trees"] = scores[name].mean(0)
    model = int(np.argmax(np.mean([values.mean(0) for values in scores.values()], axis=0)))  # the better for this data
    behind = []
    for name, values in scores.items():
        ahead = values[:, model] - scores["gradient"][:, model]
        error = ahead.std(ddof=1) / np.sqrt(len(ahead)) if len(ahead) > 1 else 0.0
        if ahead.mean() > max(error, 1e-9) and name != "gbdt":
            behind.append(name)
    return {**found, "model": ("logistic", "trees")[model], "behind": behind}


def main() -> None:
    from _bench import report

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[*PLANTED, *ACCURACY], help="names of tables")
    parser.add_argument("--one", nargs=3, metavar=("KIND", "TABLE", "SELECTOR"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        kind, name, selector = options.one
        print(json.dumps((one_planted if kind == "planted" else one_accuracy)(name, selector, options.seeds)))
        return
    found_planted = {
        name: {
            selector: child("planted", name, selector, 1 if name.endswith("sparse") else options.seeds)
            for selector in SELECTORS
            if (name, selector) not in TOO_SLOW
        }
        for name in PLANTED
        if name in options.only
    }
    found_accuracy = {
        name: summarised({selector: child("accuracy", name, selector, options.seeds) for selector in SELECTORS})
        for name in ACCURACY
        if name in options.only
    }
    not_behind = sum(not figures["behind"] for figures in found_accuracy.values())
    report("feature_selection", planted=found_planted, accuracy=found_accuracy, not_behind=not_behind)


if __name__ == "__main__":
    main()
