"""The base class of feature selectors (FE-007, FE-010)."""

from __future__ import annotations

from typing import Any


class FeatureSelector:
    """Base class of the built-in selectors and of your own.

    A selector learns from a table which of its columns matter, and gives their indices. A subclass implements
    :meth:`fit` and :meth:`get_selected_features`. To be a step of a scikit-learn pipeline it also inherits
    ``sklearn.feature_selection.SelectorMixin`` and ``sklearn.base.BaseEstimator``.

    Attributes
    ----------
    X, y
        The data of the last fit, or None. The base class keeps them; the built-in selectors do not, so that neither
        copying nor pickling one drags the table along.
    selected_features_ : list of int or None
        Indices of the chosen columns, once there are any.

    Examples
    --------
    >>> class LargestVariance(FeatureSelector):
    ...     def fit(self, X, y, **kwargs):
    ...         super().fit(X, y)
    ...         self.selected_features_ = [int(X.var(axis=0).argmax())]
    ...         return self
    ...     def get_selected_features(self):
    ...         return self.selected_features_
    >>> import numpy
    >>> LargestVariance().fit(numpy.array([[0, 1], [0, 5]]), [0, 1]).get_selected_features()
    [1]
    """

    # On the class, so that scikit-learn does not take a fresh selector for a fitted one.
    X: Any = None
    y: Any = None
    selected_features_: Any = None

    def __init__(self, **kwargs: Any) -> None:
        for name, value in kwargs.items():
            setattr(self, name, value)

    def fit(self, X: Any, y: Any, **kwargs: Any) -> Any:  # noqa: ARG002, N803  (documented)
        """Keep the data; a subclass also finds the columns, and should return ``self`` (FE-011, FE-021).

        Parameters
        ----------
        X
            The samples, of shape (n_samples, n_features).
        y
            The targets, of shape (n_samples,): class labels, or numbers in regression.
        **kwargs
            What a selector needs besides.
        """
        self.X = X
        self.y = y
        return self

    def get_selected_features(self, *args: Any, **kwargs: Any) -> list[int]:  # noqa: ARG002
        """Return the indices of the important columns (FE-012).

        Raises
        ------
        ValueError
            If the selector was not fitted.
        """
        if self.selected_features_ is None:
            raise ValueError(f"this {type(self).__name__} is not fitted yet; call fit(X, y) first")
        return list(self.selected_features_)
