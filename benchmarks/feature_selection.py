"""Which columns do selectors find, what is a model worth on them, and what does it cost?

*Planted*: pairs of columns that matter only together, among noise columns; in the sparse table also columns that matter
on their own. `recall` is of the pairs' columns, `recall_alone` of the others.

*Accuracy*: six tables, bundled ones with appended noise columns and generated ones; 20 columns are selected on the
training rows, and a linear model and extra trees are trained on them. Figures are means on held-out rows: accuracy, or
R2 in a regression. `behind` names the compared selectors that are ahead of the gradient selector by more than one
standard error of the paired difference, with the model of the two that is better for the table.

    python benchmarks/feature_selection.py           # about 15 minutes of CPU
    python benchmarks/feature_selection.py --quick   # about 2: one seed, and neither of the two large tables

prints one JSON line, with the CPU seconds and the peak memory (MiB, of the process, data and libraries included) of
every selector. Each runs in a process of its own, on one thread; every single fit has `--limit` CPU seconds and the
process `--memory` GiB, and a selector that needs more is reported as such. All have default arguments, but for the
number of columns, `classification`, `ordinal=False` for digits, and a larger target batch for the gradient selector
where there are 10 000 columns, as its documentation says. In the sparse table `kbest` is by chi2, `mutual information`
takes the columns as discrete, and `trees` get it as CSC.

None of these tables was looked at while the gradient selector was made.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

PLANTED = {"1000": (2000, 1000, 3), "10000": (5000, 10_000, 3), "1000000 sparse": (20_000, 1_000_000, 3)}
LARGE = ("10000", "1000000 sparse")
ACCURACY = ("digits 3 or 8", "diabetes", "housing", "friedman", "clusters", "genes")
REGRESSIONS = ("diabetes", "housing", "friedman")
OWN = ("gradient", "gbdt")
SELECTORS = (*OWN, "kbest", "trees", "rfe", "mutual information")
FIRST_SEED = 31_000


class Table(NamedTuple):
    """Columns, target, and the planted columns: pairs, and those that matter alone."""

    values: Any
    y: Any
    pairs: frozenset[int] = frozenset()
    alone: frozenset[int] = frozenset()


# --- tables ---------------------------------------------------------------------------------------------------------


def planted(name: str, seed: int) -> Table:
    """Return a table whose classes depend on products of two columns."""
    random = np.random.default_rng(seed)
    rows, columns, pairs = PLANTED[name]
    places = [int(place) for place in random.permutation(columns)]
    if name.endswith("sparse"):
        return _planted_sparse(random, rows, columns, pairs, places)
    table = random.standard_normal((rows, columns))
    table[:, ::2] = random.uniform(-1.7, 1.7, (rows, (columns + 1) // 2))
    chosen = places[: 2 * pairs]
    products = table[:, chosen[::2]] * table[:, chosen[1::2]]
    score = products @ random.uniform(0.8, 1.2, pairs) + 0.3 * random.standard_normal(rows)
    return Table(table, (score > 0).astype(int), frozenset(chosen))


def _planted_sparse(random: Any, rows: int, columns: int, pairs: int, places: list[int]) -> Table:
    """Counts of density 1e-4; ten columns that matter alone (in 8 % of the rows), exclusive ors (in half)."""
    from scipy import sparse

    single, paired = places[:10], places[10 : 10 + 2 * pairs]
    count = rows * columns // 10_000
    at = random.integers(rows, size=count), random.integers(columns, size=count)
    noise = sparse.csr_matrix((random.poisson(1.0, count) + 1.0, at), (rows, columns))
    alone = (random.random((rows, 10)) < 0.08).astype(float)
    both = (random.random((rows, 2 * pairs)) < 0.5).astype(float)  # at any other rate each would tell something alone
    score = 2 * (alone - 0.08).sum(1) + (2 * (both[:, ::2] != both[:, 1::2]) - 1).sum(1)
    values = np.hstack([alone, both])
    at_rows, of = np.nonzero(values)
    chosen = np.array(single + paired)
    table = noise + sparse.csr_matrix((values[at_rows, of], (at_rows, chosen[of])), (rows, columns))
    y = (score + random.standard_normal(rows) > 0).astype(int)
    return Table(table.tocsr(), y, frozenset(paired), frozenset(single))


def dataset(name: str, seed: int) -> Table:
    """Return one of the six tables of the accuracy."""
    from sklearn import datasets

    random = np.random.default_rng(seed)
    if name == "digits 3 or 8":
        table, y = datasets.load_digits(return_X_y=True)
        kept = (y == 3) | (y == 8)
        return Table(np.hstack([table[kept], 4 * random.standard_normal((kept.sum(), 300))]), y[kept])
    if name == "diabetes":
        table, y = datasets.load_diabetes(return_X_y=True)
        return Table(np.hstack([table, random.standard_normal((len(y), 300))]), y)
    if name == "friedman":
        return Table(*datasets.make_friedman1(600, 400, noise=1.0, random_state=seed))
    if name == "clusters":
        return Table(
            *datasets.make_classification(
                1200, 800, n_informative=12, n_redundant=30, flip_y=0.05, hypercube=False, class_sep=1.3,
                random_state=seed,
            )
        )  # fmt: skip
    return _housing(random) if name == "housing" else _genes(random)


def _housing(random: Any) -> Table:
    """Prices by place (two hills), income (saturating), rooms per head and age, with skewed columns and copies."""
    n = 1500
    place = random.uniform(0, 1, (n, 2))
    income, rooms, heads = np.exp(random.normal([1.3, 1.6, 1.0], [0.5, 0.3, 0.4], (n, 3))).T
    age = random.uniform(1, 52, n)
    hills = sum(np.exp(-((place - centre) ** 2).sum(1) / 0.05) for centre in ([0.2, 0.7], [0.8, 0.3]))
    price = 2 * np.tanh(income / 5) + hills + 0.4 * np.log(rooms / heads) + 0.004 * age * (income > 4)
    columns = np.column_stack([place, income, rooms, heads, age])
    copies = columns * np.exp(0.3 * random.standard_normal(columns.shape))
    noise = np.exp(0.5 * random.standard_normal((n, 200)))
    return Table(np.hstack([columns, copies, noise]), price + 0.25 * random.standard_normal(n))


def _genes(random: Any) -> Table:
    """Few rows: modules of genes that go up and down together, two of which differ between the classes."""
    rows, modules, size = 150, 60, 25
    y = (np.arange(rows) % 2).astype(int)
    activity = random.standard_normal((rows, modules))
    activity[:, :2] += np.where(y == 1, 0.9, -0.9)[:, None]
    loading = random.uniform(0.2, 0.9, modules * size)
    levels = np.repeat(activity, size, axis=1) * loading + random.standard_normal((rows, modules * size))
    return Table(np.exp(levels / 2), y)


# --- selectors ------------------------------------------------------------------------------------------------------


def select(selector: str, data: Table, count: int, *, regression: bool, **options: Any) -> list[int]:
    """Return the columns that a selector chooses."""
    if selector == "gradient":
        from nni.algorithms.feature_engineering.gradient_selector import FeatureGradientSelector

        found = FeatureGradientSelector(
            n_features=count, classification=not regression, constant_columns="ignore", **options
        ).fit(data.values, data.y)
    elif selector == "gbdt":
        from nni.algorithms.feature_engineering.gbdt_selector import GBDTSelector

        found = GBDTSelector(n_features=count, constant_columns="ignore").fit(data.values, data.y)
    else:
        return _select_of_sklearn(selector, data, count, regression=regression)
    return found.get_selected_features()


def _select_of_sklearn(selector: str, data: Table, count: int, *, regression: bool) -> list[int]:
    from functools import partial

    from scipy import sparse
    from sklearn import feature_selection as of
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    is_sparse = sparse.issparse(data.values)
    if selector == "kbest":
        step = of.SelectKBest(of.f_regression if regression else of.chi2 if is_sparse else of.f_classif, k=count)
    elif selector == "mutual information":
        score = of.mutual_info_regression if regression else of.mutual_info_classif
        step = of.SelectKBest(partial(score, random_state=0, discrete_features=is_sparse), k=count)
    elif selector == "trees":
        trees = (ExtraTreesRegressor if regression else ExtraTreesClassifier)(50, random_state=0)
        step = of.SelectFromModel(trees, threshold=-np.inf, max_features=count)
    else:
        model = Ridge() if regression else LogisticRegression(max_iter=200)
        step = of.RFE(model, n_features_to_select=count, step=0.2)
    first = StandardScaler(with_mean=not is_sparse) if selector == "rfe" else "passthrough"
    table = data.values.tocsc() if selector == "trees" and is_sparse else data.values
    pipeline = make_pipeline(first, step).fit(table, data.y)
    return [int(column) for column in pipeline[-1].get_support(indices=True)]


# --- one selector on one table, in a process of its own ---------------------------------------------------------------


def measured(name: str, selector: str, seeds: int, limit: int) -> Iterator[dict[str, Any]]:
    """Yield the figures of each seed; the process is ended by the system where a fit takes longer."""
    regression = name in REGRESSIONS
    tiny = np.random.default_rng(0).standard_normal((60, 3))
    select(selector, Table(tiny, (tiny[:, 0] > 0).astype(int)), 1, regression=False)  # loads the libraries
    for seed in range(FIRST_SEED, FIRST_SEED + seeds):
        if name in PLANTED:
            data = planted(name, seed)
            options = {"target_batch_size": 5000} if name == "10000" and selector == "gradient" else {}
            found, seconds = _timed(selector, data, len(data.pairs | data.alone), limit, options)
            figures = {"recall": len(data.pairs & found) / len(data.pairs)}
            if data.alone:
                figures["recall_alone"] = len(data.alone & found) / len(data.alone)
        else:
            train, test = _halves(dataset(name, seed), seed, regression=regression)
            options = {"ordinal": False} if name.startswith("digits") and selector == "gradient" else {}
            found, seconds = _timed(selector, train, 20, limit, {"regression": regression, **options})
            figures = _downstream(train, test, sorted(found), regression=regression)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        yield {**figures, "cpu_s": seconds, "peak_mib": memory}


def _timed(selector: str, data: Table, count: int, limit: int, options: dict[str, Any]) -> tuple[set[int], float]:
    start = time.process_time()
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (int(start) + limit + 1, hard))
    found = select(selector, data, count, **{"regression": False, **options})
    resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))
    return set(found), time.process_time() - start


def _halves(data: Table, seed: int, *, regression: bool) -> tuple[Table, Table]:
    from sklearn.model_selection import train_test_split

    stratify = None if regression else data.y
    train, test, y_train, y_test = train_test_split(
        data.values, data.y, test_size=0.4, random_state=seed, stratify=stratify
    )
    return Table(train, y_train), Table(test, y_test)


def _downstream(train: Table, test: Table, found: list[int], *, regression: bool) -> dict[str, float]:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.linear_model import LogisticRegression, RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    linear = make_pipeline(StandardScaler(), RidgeCV() if regression else LogisticRegression())
    trees = (ExtraTreesRegressor if regression else ExtraTreesClassifier)(100, random_state=0)
    return {
        name: model.fit(train.values[:, found], train.y).score(test.values[:, found], test.y)
        for name, model in (("linear", linear), ("trees", trees))
    }


def child(name: str, selector: str, options: Any) -> list[dict[str, Any]] | dict[str, Any]:
    """Return the figures of the seeds, or what kept the selector from finishing."""
    command = [sys.executable, __file__, "--one", name, selector, "--seeds", str(_seeds(name, options))]
    command += ["--limit", str(options.limit), "--memory", str(options.memory)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    result: Any = found
    if done.returncode == -signal.SIGXCPU:
        result = {"not_finished": f"a fit takes more than {options.limit} s of CPU time", "seeds_done": len(found)}
    elif done.returncode and any(word in done.stderr for word in ("MemoryError", "not enough memory", "bad_alloc")):
        result = {"not_finished": f"more than {options.memory} GiB of memory", "seeds_done": len(found)}
    elif done.returncode:
        result = {"not_finished": (done.stderr.strip() or str(done.returncode)).splitlines()[-1]}
    print(f"{name}, {selector}: {json.dumps(result)}", file=sys.stderr, flush=True)
    return result


def _seeds(name: str, options: Any) -> int:
    return 1 if name in LARGE or options.quick else int(options.seeds)


def one(options: Any) -> None:
    """Measure in this process, and print a line for each seed."""
    most = int(options.memory * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("ignore")
    name, selector = options.one
    for figures in measured(name, selector, options.seeds, options.limit):
        print(json.dumps(figures), flush=True)


# --- summary --------------------------------------------------------------------------------------------------------


def averaged(found: Any) -> dict[str, Any]:
    """Return the means over the seeds; the greatest of the peaks."""
    if isinstance(found, dict):
        return found
    means = {key: float(np.mean([figures[key] for figures in found])) for key in found[0]}
    return {**means, "peak_mib": max(figures["peak_mib"] for figures in found)}


def compared(found: dict[str, Any]) -> dict[str, Any]:
    """Return the averages, and which compared selectors are ahead of the gradient selector."""
    averages = {selector: averaged(figures) for selector, figures in found.items()}
    finished = {selector: figures for selector, figures in found.items() if isinstance(figures, list)}
    if "gradient" not in finished:
        return {**averages, "model": None, "behind": ["all"]}
    model = max(("linear", "trees"), key=lambda key: np.mean([averages[selector][key] for selector in finished]))
    scores = {selector: np.array([one[model] for one in figures]) for selector, figures in finished.items()}
    behind = []
    for selector in set(scores) - set(OWN):
        ahead = scores[selector] - scores["gradient"]
        error = ahead.std(ddof=1) / np.sqrt(len(ahead)) if len(ahead) > 1 else 0.0
        if ahead.mean() > max(error, 1e-9):
            behind.append(selector)
    return {**averages, "model": model, "behind": sorted(behind)}


def main() -> None:
    from _bench import report

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--seeds", type=int, default=4, help="of the tables that are not large (default: 4)")
    parser.add_argument("--limit", type=int, default=60, help="CPU seconds of a fit (default: 60)")
    parser.add_argument("--memory", type=float, default=8, help="GiB of a process (default: 8)")
    parser.add_argument("--jobs", type=int, default=1, help="processes at a time (default: 1)")
    parser.add_argument("--only", nargs="*", default=[*PLANTED, *ACCURACY], help="names of tables")
    parser.add_argument("--one", nargs=2, metavar=("TABLE", "SELECTOR"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options)
        return
    names = [name for name in options.only if not (options.quick and name in LARGE)]
    with ThreadPoolExecutor(options.jobs) as workers:
        pending = {(n, s): workers.submit(child, n, s, options) for n in names for s in SELECTORS}
    found = {name: {selector: pending[name, selector].result() for selector in SELECTORS} for name in names}
    tables = {name: compared(figures) for name, figures in found.items() if name in ACCURACY}
    report(
        "feature_selection",
        planted={n: {s: averaged(f) for s, f in figures.items()} for n, figures in found.items() if n in PLANTED},
        accuracy=tables,
        not_behind=sum(not figures["behind"] for figures in tables.values()),
        limits={"cpu_s": options.limit, "memory_gib": options.memory},
    )


if __name__ == "__main__":
    main()
