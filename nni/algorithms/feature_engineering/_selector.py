"""What the built-in selectors share: they are scikit-learn transformers that keep some columns of a table."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator
from sklearn.feature_selection import SelectorMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from nni.algorithms.feature_engineering import _checks
from nni.algorithms.feature_engineering._checks import FeatureSelectionError
from nni.feature_engineering import FeatureSelector

CONSTANT = ("error", "ignore")


class BuiltinSelector(SelectorMixin, FeatureSelector, BaseEstimator):  # type: ignore[misc]  # sklearn is untyped
    """A selector that is a real scikit-learn estimator (FE-014 to FE-022).

    ``get_support``, ``transform``, ``inverse_transform``, ``get_feature_names_out`` and ``set_output`` are those of
    scikit-learn's own selectors.
    """

    constant_columns: str

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = False
        return tags

    def _read(self, X: Any, y: Any, *, numeric_y: bool, dtype: Any) -> tuple[Any, Any, Any]:  # noqa: N803
        """Check a table and its target, remember the names of the columns, and return which columns vary, too."""
        _checks.choice("constant_columns", self.constant_columns, CONSTANT)
        _checks.refuse_text(X)
        X, y = validate_data(  # noqa: N806
            self,
            X,
            y,
            accept_sparse="csr",
            dtype=dtype,
            ensure_all_finite=False,  # ours names the column
            ensure_min_samples=2,
            y_numeric=numeric_y,
        )
        names = getattr(self, "feature_names_in_", None)
        _checks.refuse_non_finite(X, names)
        varies = _varies(X)
        if not varies.any():
            raise FeatureSelectionError("X: every column is constant, which tells nothing about y")
        # A sparse table of words or clicks has empty columns in almost any subset of its rows.
        if self.constant_columns == "error" and not sparse.issparse(X):
            _checks.refuse_constant(varies, names)
        return X, y, varies

    def _get_support_mask(self) -> Any:
        check_is_fitted(self)
        mask = np.zeros(self.n_features_in_, dtype=bool)
        mask[self._chosen()] = True
        return mask

    def _chosen(self) -> list[int]:
        return list(self.selected_features_)


def _varies(X: Any) -> Any:  # noqa: N803
    """Return which columns have more than one value."""
    if sparse.issparse(X):
        low, high = X.min(axis=0).toarray(), X.max(axis=0).toarray()
        return (low != high).ravel()
    varies = np.zeros(X.shape[1], dtype=bool)
    for rows in _checks.row_blocks(*X.shape):
        varies |= (X[rows] != X[0]).any(axis=0)
        if varies.all():
            break
    return varies
