"""Checks of arguments and tables: each error names the argument, and the column where there is one."""

from __future__ import annotations

import datetime as dt
import difflib
import importlib
import math
import numbers
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

import numpy as np
from scipy import sparse

from nni.common.errors import NniError


class FeatureSelectionError(NniError, ValueError):
    """A wrong argument or a table that cannot be used; the text starts with the argument's name."""


class FeatureSelectionTypeError(FeatureSelectionError, TypeError):
    """An argument of a wrong type."""


class MissingPackageError(NniError, ImportError):
    """A package of the extra ``features`` is not installed."""


def need(package: str, selector: str) -> ModuleType:
    """Import a package of the extra ``features``; one sentence if it is not there."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f"{selector} needs {package}, which cannot be imported ({error}); "
            f"install it with: pip install nni[features]  (or: pip install {package})"
        ) from error


def integer(name: str, value: Any, low: int, high: float = math.inf) -> int:
    """Return an integer argument within ``[low, high]``."""
    real = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)) and math.isfinite(value)
    if not real or value != math.floor(value) or not low <= value <= high:
        limits = f"of at least {low}" if math.isinf(high) else f"between {low} and {high:g}"
        raise FeatureSelectionError(f"{name}: expected an integer {limits}, got {value!r}")
    return int(value)


def number(name: str, value: Any, expected: str, accepts: Callable[[float], bool]) -> float:
    """Return a finite number that is accepted."""
    real = isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_))
    if not real or not math.isfinite(value) or not accepts(float(value)):
        raise FeatureSelectionError(f"{name}: expected {expected}, got {value!r}")
    return float(value)


def choice(name: str, value: Any, allowed: Collection[str]) -> str:
    """Return a text argument that is one of these; the nearest one is named if it is not."""
    if isinstance(value, str) and value in allowed:
        return value
    near = difflib.get_close_matches(str(value), allowed, 1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise FeatureSelectionError(f"{name}: expected one of {', '.join(map(repr, allowed))}, got {value!r}{hint}")


def refuse_text(X: Any) -> None:  # noqa: N803
    """Raise if the table has a text column, which scikit-learn would report without its name."""
    if hasattr(X, "columns") and hasattr(X, "dtypes"):
        numeric = [_is_numeric(dtype) for dtype in X.dtypes]
        for position, fine in enumerate(numeric):
            if not fine:  # by position, since pandas allows a name twice
                column = X.iloc[:, position] if hasattr(X, "iloc") else X[:, position]
                _refuse_values(np.asarray(column, dtype=object), repr(X.columns[position]))
        return
    if sparse.issparse(X) or not isinstance(X, (np.ndarray, list, tuple)):
        return
    table = np.asarray(X, dtype=object) if isinstance(X, (list, tuple)) and _has_text(X) else np.asanyarray(X)
    if table.dtype.kind in "OUS" and table.ndim == 2:
        for position, column in enumerate(table.T):
            _refuse_values(column, str(position))


def _is_numeric(dtype: Any) -> bool:
    is_numeric = getattr(dtype, "is_numeric", None)  # polars
    if callable(is_numeric):
        return bool(is_numeric()) or str(dtype) == "Boolean"
    return getattr(dtype, "kind", "O") in "biuf"  # numpy, and the extension types of pandas


def _has_text(rows: Any) -> bool:
    return any(isinstance(value, (str, bytes)) for row in rows if isinstance(row, (list, tuple)) for value in row)


def _refuse_values(column: Any, name: str) -> None:
    text = next((value for value in column if isinstance(value, (str, bytes))), None)
    if text is not None and not _is_number(text):
        raise FeatureSelectionError(
            f"X: column {name} holds text ({text!r}); encode it first, for example with sklearn's OneHotEncoder"
        )
    moment = next((value for value in column if isinstance(value, (dt.date, dt.timedelta))), None)
    if moment is not None:
        raise FeatureSelectionError(f"X: column {name} holds dates or times ({moment}); turn them into numbers first")


def _is_number(text: Any) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def refuse_non_finite(X: Any, names: Any) -> None:  # noqa: N803
    """Raise if a value is NaN or infinite; names the first such column.

    The table is read in blocks of rows, so that a memory-mapped one stays on the disk.
    """
    if sparse.issparse(X):
        wrong = ~np.isfinite(X.data)
        if wrong.any():
            first = int(np.argmax(wrong))
            _refuse_value(X.data[first], int(X.indices[first]), names)
        return
    for rows in row_blocks(X.shape[0], X.shape[1]):
        block = X[rows]
        if not np.isfinite(block.sum(dtype=np.float64)):  # cheap, and almost always the answer
            wrong = ~np.isfinite(block)
            if wrong.any():
                row, column = np.argwhere(wrong)[0]
                _refuse_value(block[row, column], int(column), names)


def _refuse_value(value: Any, column: int, names: Any) -> None:
    kind = "NaN" if np.isnan(value) else "infinity (inf)"
    raise FeatureSelectionError(
        f"X: column {label(column, names)} contains {kind}; impute or drop it first, "
        "for example with sklearn's SimpleImputer (NaN and inf are not supported)"
    )


def refuse_constant(varies: Any, names: Any) -> None:
    """Raise if a column has one value only."""
    where = np.flatnonzero(~varies)
    if len(where):
        others = f" and {len(where) - 1} more are" if len(where) > 1 else " is"
        raise FeatureSelectionError(
            f"X: column {label(int(where[0]), names)}{others} constant, which tells nothing about y; drop it, put "
            "sklearn's VarianceThreshold() before the selector, or set constant_columns='ignore' if it is so in some "
            "folds of a cross-validation"
        )


def label(column: int, names: Any) -> str:
    """Return how an error names a column."""
    return str(column) if names is None else repr(str(names[column]))


def row_blocks(n_rows: int, n_columns: int, budget: int = 1 << 22) -> list[slice]:
    """Return slices of rows with at most ``budget`` values each."""
    step = max(1, budget // max(1, n_columns))
    return [slice(start, min(start + step, n_rows)) for start in range(0, n_rows, step)]
