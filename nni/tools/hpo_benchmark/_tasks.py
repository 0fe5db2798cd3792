"""Tasks: what a tuner is given to solve, and the predefined lists of them (HPO-420, HPO-424)."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nni.tools.hpo_benchmark._architectures import Architecture
from nni.tools.hpo_benchmark._data import Dataset, Kind

METRICS: dict[Kind, tuple[str, str]] = {
    "regression": ("rmse", "r2"),
    "binary": ("auc", "logloss"),
    "multiclass": ("logloss", "auc"),
}
"""For each kind of task the metric that ranks and the other one that is reported (X-26)."""

SMALLER_IS_BETTER = {"rmse", "logloss"}

_REGRESSION = ("cholesterol", "liver-disorders", "kin8nm", "cpu_small", "titanic_2", "boston", "stock", "space_ga")
_BINARY = (
    *("Australian", "blood-transfusion", "christine", "credit-g"),
    *("kc1", "kr-vs-kp", "phoneme", "sylvine"),
)
_MULTICLASS = ("car", "cnae-9", "dilbert", "fabert", "jasmine", "mfeat-factors", "segment", "vehicle")

BENCHMARKS: dict[str, tuple[str, ...]] = {
    "bundled": ("diabetes", "breast_cancer", "iris", "wine", "digits"),
    "nnivalid": ("kc2", "iris", "cholesterol"),
    "nnismall-regression": _REGRESSION,
    "nnismall-binary": _BINARY,
    "nnismall-multiclass": _MULTICLASS,
    "nnismall": (*_REGRESSION, *_BINARY, *_MULTICLASS),
}
"""Predefined benchmarks; all but ``bundled`` need the data in a folder."""

_INNER_FOLDS = 3
_OUTER_FOLDS = 5


@dataclass(frozen=True)
class Task:
    """One fold of one data set.

    The tuner sees cross-validated scores on the training part only; the test part measures what it found in the end.
    """

    data: Dataset
    fold: int
    architecture: Architecture
    seed: int

    @property
    def metric(self) -> str:
        """The metric that ranks."""
        return METRICS[self.data.kind][0]

    def evaluate(self, parameters: dict[str, Any], fraction: float = 1.0) -> float:
        """Return the cross-validated score of a configuration on the training part, the larger the better.

        Parameters
        ----------
        fraction
            Share of the training part to use: the budget of advisors that have one.
        """
        train = self._split()[0]
        if fraction < 1:
            train = train[: max(10 * _INNER_FOLDS, round(fraction * len(train)))]
        scores = [
            self._scores(parameters, train[fit], train[check])[self.metric]
            for fit, check in _folds(self.data, train, _INNER_FOLDS, self.seed)
        ]
        mean = float(np.mean(scores))
        return -mean if self.metric in SMALLER_IS_BETTER else mean

    def test(self, parameters: dict[str, Any]) -> dict[str, float]:
        """Fit a configuration on the whole training part and return its metrics on the test part."""
        return self._scores(parameters, *self._split())

    def _split(self) -> tuple[NDArray[Any], NDArray[Any]]:
        everything = np.arange(len(self.data.target))
        folds = _folds(self.data, everything, _OUTER_FOLDS, self.seed)
        train, test = folds[self.fold % _OUTER_FOLDS]
        order = np.random.default_rng(self.seed).permutation(len(train))  # a fraction must not be all of one class
        return train[order], test

    def _scores(self, parameters: dict[str, Any], fit: NDArray[Any], check: NDArray[Any]) -> dict[str, float]:
        data = self.data
        pipeline = self.architecture.build(data, parameters, self.seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # networks that stop early, rare classes: the scores tell
            pipeline.fit(data.features[fit], data.target[fit])
            if data.kind == "regression":
                return _regression_scores(data.target[check], pipeline.predict(data.features[check]))
            return _class_scores(data, pipeline, data.features[check], data.target[check])


def _folds(data: Dataset, rows: NDArray[Any], number: int, seed: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    from sklearn.model_selection import KFold, StratifiedKFold  # noqa: PLC0415  (slow to import)

    target = data.target[rows]
    common = data.kind != "regression" and np.bincount(target.astype(int)).min(initial=number) >= number
    splitter = (StratifiedKFold if common else KFold)(number, shuffle=True, random_state=seed)
    return list(splitter.split(rows, target))


def _regression_scores(truth: NDArray[Any], predicted: NDArray[Any]) -> dict[str, float]:
    from sklearn.metrics import mean_squared_error, r2_score  # noqa: PLC0415

    return {"rmse": float(mean_squared_error(truth, predicted) ** 0.5), "r2": float(r2_score(truth, predicted))}


def _class_scores(data: Dataset, pipeline: Any, features: NDArray[Any], truth: NDArray[Any]) -> dict[str, float]:
    from sklearn.metrics import log_loss, roc_auc_score  # noqa: PLC0415

    classes = np.arange(int(data.target.max()) + 1)
    chances = np.zeros((len(truth), len(classes)))
    chances[:, pipeline.classes_.astype(int)] = pipeline.predict_proba(features)
    chances = np.clip(chances, 1e-15, None)
    chances /= chances.sum(axis=1, keepdims=True)
    if data.kind == "binary":
        auc = roc_auc_score(truth, chances[:, 1])
    else:
        present = np.unique(truth)
        shares = chances[:, present] / chances[:, present].sum(axis=1, keepdims=True)
        auc = roc_auc_score(np.searchsorted(present, truth), shares, multi_class="ovr")
    return {"auc": float(auc), "logloss": float(log_loss(truth, chances, labels=classes))}


def benchmark(name: str) -> tuple[str, ...]:
    """Return the tasks of a benchmark: a predefined one, or a YAML file with a list of names.

    Raises
    ------
    NniError
        There is no such benchmark.
    """
    from nni.common.errors import NniError  # noqa: PLC0415

    if name in BENCHMARKS:
        return BENCHMARKS[name]
    file = Path(name)
    if not file.is_file():
        raise NniError(f"there is no benchmark {name!r}; there are {', '.join(BENCHMARKS)}, or give a YAML file")
    from ruamel.yaml import YAML  # noqa: PLC0415

    content = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8"))
    found = content if isinstance(content, list) else []
    named = [item.get("name") if isinstance(item, dict) else item for item in found]
    names = [one for one in named if isinstance(one, str)]
    if not names or len(names) < len(named):
        raise NniError(f"{file}: expected a list of data set names, or of objects with the key 'name'")
    return tuple(names)
