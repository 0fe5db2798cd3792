"""Data sets: those that scikit-learn brings, and files of the documented task lists where they are present."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nni.common.errors import NniError

Kind = Literal["regression", "binary", "multiclass"]

_BUNDLED = {
    "iris": "iris",
    "wine": "wine",
    "breast_cancer": "breast_cancer",
    "digits": "digits",
    "diabetes": "diabetes",
}


class DataError(NniError):
    """A data set that cannot be had or used."""


@dataclass(frozen=True)
class Dataset:
    """A table and what to predict.

    Attributes
    ----------
    features : array, shape (n, d)
        Numbers; categories as their codes, missing values as NaN.
    target : array, shape (n,)
        Numbers for regression, class indices from 0 for classification.
    categorical : array of bool, shape (d,)
        Which columns hold codes of categories.
    """

    name: str
    kind: Kind
    features: NDArray[Any]
    target: NDArray[Any]
    categorical: NDArray[Any]


def load(name: str, folder: Path | None, kind: Kind | None = None) -> Dataset:
    """Return a data set by its name.

    Parameters
    ----------
    name
        A bundled one, or the name of a ``.csv`` or ``.arff`` file in `folder`, whose last column is the target.
    folder
        Where files are looked for, before those that scikit-learn brings.
    kind
        What the task is; by default classification if the target is text or has at most 20 whole numbers (X-27).

    Raises
    ------
    DataError
        There is no such data set, or its file cannot be read; the text says where it was looked for.
    """
    file = find(name, folder)
    if file is None and name in _BUNDLED:
        return _bundled(name)
    if file is None:
        where = f"{folder} has no {name}.csv or {name}.arff" if folder else "no --data folder is given"
        raise DataError(f"{name}: {where}, and scikit-learn brings only {', '.join(_BUNDLED)}")
    try:
        columns = _read_arff(file) if file.suffix == ".arff" else _read_csv(file)
    except (OSError, ValueError, NotImplementedError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from error
    return _tabular(name, columns, kind, file)


def find(name: str, folder: Path | None) -> Path | None:
    """Return the file of a data set, None if there is none."""
    files = [] if folder is None else [folder / f"{name}{suffix}" for suffix in (".csv", ".arff")]
    return next((file for file in files if file.is_file()), None)


def is_present(name: str, folder: Path | None) -> bool:
    """Whether a data set can be loaded."""
    return name in _BUNDLED or find(name, folder) is not None


def _bundled(name: str) -> Dataset:
    from sklearn import datasets  # noqa: PLC0415  (slow to import)

    data = getattr(datasets, f"load_{name}")()
    features = np.asarray(data.data, dtype=float)
    kind: Kind = "regression" if name == "diabetes" else _kind_of_classes(len(np.unique(data.target)))
    return Dataset(name, kind, features, np.asarray(data.target), np.zeros(features.shape[1], dtype=bool))


def _kind_of_classes(number: int) -> Kind:
    return "binary" if number == 2 else "multiclass"


def _read_csv(file: Path) -> list[NDArray[Any]]:
    import csv  # noqa: PLC0415

    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.reader(stream) if row]
    if len(rows) < 2:
        raise ValueError("expected a line of names and lines of values")
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"lines have {min(widths)} to {max(widths)} values")
    return [_column([row[index] for row in rows[1:]]) for index in range(len(rows[0]))]


def _column(texts: list[str]) -> NDArray[Any]:
    """Return numbers where all values are, else text; empty ones and ``?`` are missing."""
    cleaned = [None if text.strip() in {"", "?", "NA", "nan"} else text.strip() for text in texts]
    try:
        return np.array([np.nan if text is None else float(text) for text in cleaned])
    except ValueError:
        return np.array(cleaned, dtype=object)


def _read_arff(file: Path) -> list[NDArray[Any]]:
    from scipy.io import arff  # noqa: PLC0415

    data, meta = arff.loadarff(file)
    columns = []
    for name in meta.names():
        if meta[name][0] == "nominal":
            texts = [value.decode() for value in data[name]]
            columns.append(np.array([None if text == "?" else text for text in texts], dtype=object))
        else:
            columns.append(np.asarray(data[name], dtype=float))
    return columns


def _tabular(name: str, columns: list[NDArray[Any]], kind: Kind | None, file: Path) -> Dataset:
    *inputs, target = columns
    if not inputs:
        raise DataError(f"{file}: has one column only; the last one is the target, the others are the features")
    known = np.array([value is not None and value == value for value in target])  # noqa: PLR0124  (NaN is not itself)
    target, inputs = target[known], [column[known] for column in inputs]
    if kind is None:
        kind = _guess(target)
    if kind == "regression":
        if target.dtype == object:
            raise DataError(f"{file}: the last column is text, so this is no regression task")
        values = target
    else:
        values = np.unique(target.astype(str), return_inverse=True)[1]
        kind = _kind_of_classes(int(values.max()) + 1)
    features = np.column_stack([_codes(column) if column.dtype == object else column for column in inputs])
    return Dataset(name, kind, features, values, np.array([column.dtype == object for column in inputs]))


def _guess(target: NDArray[Any]) -> Kind:
    classes = set(target.tolist())
    is_whole = target.dtype == object or all(float(value).is_integer() for value in classes)
    return _kind_of_classes(len(classes)) if is_whole and len(classes) <= 20 else "regression"


def _codes(column: NDArray[Any]) -> NDArray[Any]:
    missing = np.array([value is None for value in column])
    codes = np.full(len(column), np.nan)
    codes[~missing] = np.unique(column[~missing].astype(str), return_inverse=True)[1]
    return codes
