"""The gradient selector (FE-005, FE-030 to FE-052)."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from nni.algorithms.feature_engineering import _checks
from nni.algorithms.feature_engineering._checks import FeatureSelectionError
from nni.algorithms.feature_engineering._selector import BuiltinSelector

INITIAL_LOGITS = {"zero": 0.0, "on": 1.0, "off": -1.0, "onhigh": 4.0, "offhigh": -4.0}
INITS = (*INITIAL_LOGITS, "sklearn")


class FeatureGradientSelector(BuiltinSelector):
    """Find the columns that explain the target best together, by gradient search over weights in [0, 1].

    After S. Sheth & N. Fusi, "Feature Gradients: Scalable Feature Selection via Discrete Relaxation" (arXiv 1908.10382,
    AISTATS 2020 as "Differentiable Feature Selection by Discrete Relaxation"). Where its parts are, by
    name, as the numbers of its equations could not be verified:

    - the *learnability*, the share of the target's variance that is explainable, estimated without fitting a model from
      moments over chains of rows (Kong & Valiant, arXiv 1805.01626), the polynomial of the moments up to ``order``, and
      its gradient: ``_gradient/moments.py``;
    - the *discrete relaxation*, indicators of columns as weights in [0, 1], the penalty on their number, the groups and
      the search along the gradient: ``_gradient/search.py``;
    - the *mini-batches* and the accumulation of gradients, in linear time and space: ``_gradient/table.py``;
    - classes as *targets*: ``_gradient/targets.py``.

    Beyond the paper: besides the columns themselves, products of up to ``order`` columns count, so that columns that
    matter only together (exclusive or) are found; the search screens all columns once an epoch and takes its small
    steps on the best thousand.

    Parameters
    ----------
    order : int, default 4
        What order of interactions to include, 1 to 12: the length of the chains of rows in the moments, and the largest
        number of columns in a product. With 1, only columns that matter on their own are found. Products of degrees
        that the rows cannot tell from noise are left out.
    penalty : int or float, default 1
        Multiplier of the regularisation, the price of a column: 1 lets a column without meaning in only by bad luck
        (the risk inflation criterion). Where ``n_features`` or ``max_features`` is given, the price follows from it
        instead.
    n_features : int, optional
        How many columns to select (with ``groups``: how many groups). None: as many as are worth their price.
    max_features : int, optional
        Choose the number by the elbow of the sorted importances, with this upper limit. Not used with ``n_features``.
    learning_rate : float, default 0.1
        Speed of the weights: with 0.1 a weight can go from 1/2 to 0 or 1 in ten steps.
    init : {'zero', 'on', 'off', 'onhigh', 'offhigh', 'sklearn'}, default 'zero'
        Where the logits of the weights start: 0, 1, -1, 4, -4, or in [-1, 1] by the rank of scikit-learn's F-test.
    n_epochs : int, default 1
        Passes over the data; each is followed by at least 60 gradient steps on the best columns.
    shuffle : bool, default True
        Whether to shuffle the rows before each epoch.
    batch_size : int, default 1000
        Rows of a dense table to read at a time.
    target_batch_size : int, default 1000
        Rows whose gradient is accumulated exactly, at most 8192; gradients of several such batches are averaged. More
        is more accurate for wide tables, and needs memory and time with its square.
    classification : bool, default True
        Whether the target is a class; otherwise a number.
    ordinal : bool, default True
        Whether the order of the classes means something. Text labels and two classes have none. Not used in regression.
    balanced : bool, default True
        Whether every class has the same weight; otherwise by its support. Not used in regression.
    preprocess : {'zscore', 'center'}, default 'zscore'
        'zscore' centres every column and scales it to unit variance; 'center' only centres.
    soft_grouping : bool, default True
        What ``groups`` means for the search. True: columns have weights of their own, with a penalty that favours few
        groups and few columns in them. False: the columns of a group share one weight. Either way a group is selected
        as a whole.
    verbose : int, default 0
        Print a line every ``verbose`` gradient steps.
    device : str, default 'cpu'
        'cpu' or 'cuda'.
    penatly, prerocess
        ``penalty`` and ``preprocess`` as NNI 2.x spelt them; leave them None otherwise.
    constant_columns : {'error', 'ignore'}, default 'error'
        What to do about dense columns with one value only. 'error' names the first one; 'ignore' never selects them,
        as it is with sparse tables anyway: for cross-validation, where a column may be constant in some folds.
    random_state : int, numpy.random.RandomState or None, default 0
        Seed of the shuffling.

    Attributes
    ----------
    selected_features_ : list of int
        The selected columns, the most important first.
    scores_ : ndarray of shape (n_features,)
        Final weights of the columns, in [0, 1].
    importances_ : ndarray of shape (n_features,)
        Weight times marginal gain of learnability, in standard deviations of a meaningless column; not negative.
    n_iter_ : int
        Gradient steps taken.
    n_features_in_, feature_names_in_, classes_
        As in scikit-learn; ``classes_`` only with ``classification``.

    Examples
    --------
    >>> import numpy
    >>> X = numpy.random.default_rng(0).normal(size=(500, 8))
    >>> y = X[:, 2] * X[:, 5] > 0    # neither column tells anything on its own
    >>> sorted(FeatureGradientSelector(n_features=2).fit(X, y).get_selected_features())
    [2, 5]
    """

    def __init__(
        self,
        order: int = 4,
        penalty: float = 1,
        n_features: int | None = None,
        max_features: int | None = None,
        learning_rate: float = 1e-1,
        init: str = "zero",
        n_epochs: int = 1,
        shuffle: bool = True,
        batch_size: int = 1000,
        target_batch_size: int = 1000,
        classification: bool = True,
        ordinal: bool = True,
        balanced: bool = True,
        preprocess: str = "zscore",
        soft_grouping: bool = True,
        verbose: int = 0,
        device: str = "cpu",
        *,
        penatly: float | None = None,
        prerocess: str | None = None,
        constant_columns: str = "error",
        random_state: Any = 0,
    ) -> None:
        self.order = order
        self.penalty = penalty
        self.n_features = n_features
        self.max_features = max_features
        self.learning_rate = learning_rate
        self.init = init
        self.n_epochs = n_epochs
        self.shuffle = shuffle
        self.batch_size = batch_size
        self.target_batch_size = target_batch_size
        self.classification = classification
        self.ordinal = ordinal
        self.balanced = balanced
        self.preprocess = preprocess
        self.soft_grouping = soft_grouping
        self.verbose = verbose
        self.device = device
        self.penatly = penatly
        self.prerocess = prerocess
        self.constant_columns = constant_columns
        self.random_state = random_state

    def fit(  # type: ignore[override]  # documented with this signature
        self,
        X: Any,  # noqa: N803
        y: Any,
        groups: Any = None,
    ) -> FeatureGradientSelector:
        """Find the columns.

        Parameters
        ----------
        X
            Array, CSR matrix, or pandas or polars frame of numbers, of shape (n_samples, n_features). A
            ``numpy.memmap`` is read in batches; a sparse matrix is never filled in.
        y
            Class labels, or numbers in regression, of shape (n_samples,).
        groups
            Id of each column's group, of shape (n_features,): columns with the same id are selected as a unit.

        Raises
        ------
        FeatureSelectionError
            A ``ValueError`` that names the argument and the column.
        """
        self._check_arguments()
        X, y, varies = self._read(  # noqa: N806
            X, y, numeric_y=not self.classification, dtype=[np.float64, np.float32]
        )
        units = self._units(groups, X.shape[1])
        self._check_number(units, varies)
        result = self._search(X, y, units, varies)
        chosen = self._choose(result, np.unique(units[varies]))
        if not len(chosen):
            raise FeatureSelectionError(
                f"penalty: no column is worth its price at penalty={self._penalty():g}, so nothing is selected; "
                "lower penalty, or ask for a number of columns with n_features"
            )
        self.scores_ = 1 / (1 + np.exp(-result.logits))
        self.importances_ = result.importances
        self.n_iter_ = result.n_steps
        self.selected_features_ = self._columns(chosen, units)
        return self

    def get_selected_features(self) -> list[int]:  # documented without arguments (FE-051)
        """Return the indices of the selected columns, the most important first."""
        check_is_fitted(self)
        return list(self.selected_features_)

    # --- arguments ------------------------------------------------------------------------------------------------

    def _penalty(self) -> Any:
        return self._either("penalty", "penatly", 1)

    def _preprocess(self) -> Any:
        return self._either("preprocess", "prerocess", "zscore")

    def _either(self, name: str, misspelt: str, default: Any) -> Any:
        right, wrong = getattr(self, name), getattr(self, misspelt)
        if wrong is None:
            return right
        if right not in (default, wrong):
            raise FeatureSelectionError(f"{misspelt}: {name}={right!r} and {misspelt}={wrong!r} contradict each other")
        return wrong

    def _check_arguments(self) -> None:
        _checks.integer("order", self.order, 1, 12)
        _checks.number("penalty", self._penalty(), "a number of at least 0", lambda value: value >= 0)
        _checks.number("learning_rate", self.learning_rate, "a number above 0", lambda value: value > 0)
        for name in ("n_features", "max_features"):
            if getattr(self, name) is not None:
                _checks.integer(name, getattr(self, name), 1)
        for name in ("n_epochs", "batch_size"):
            _checks.integer(name, getattr(self, name), 1)
        _checks.integer("target_batch_size", self.target_batch_size, 2)
        _checks.integer("verbose", self.verbose, 0)
        _checks.choice("init", self.init, INITS)
        _checks.choice("preprocess", self._preprocess(), ("zscore", "center"))
        for name in ("shuffle", "classification", "ordinal", "balanced", "soft_grouping"):
            if not isinstance(getattr(self, name), (bool, np.bool_)):
                raise FeatureSelectionError(f"{name}: expected True or False, got {getattr(self, name)!r}")
        self._check_device()

    def _check_device(self) -> None:
        torch = _checks.need("torch", type(self).__name__)
        kind, _, index = str(self.device).partition(":")
        if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
            raise FeatureSelectionError(f"device: expected 'cpu' or 'cuda', got {self.device!r}")
        if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
            raise FeatureSelectionError(
                f"device: {self.device!r} is not available, torch sees {torch.cuda.device_count()} GPUs; use 'cpu'"
            )

    def _check_number(self, units: Any, varies: Any) -> None:
        there = len(np.unique(units[varies]))
        noun = "columns" if int(units.max()) + 1 == len(units) else "groups"
        constant = "" if varies.all() else f" ({int((~varies).sum())} columns are constant)"
        for name in ("n_features", "max_features"):
            value = getattr(self, name)
            if value is not None and value > there:
                raise FeatureSelectionError(
                    f"{name}: expected at most {there}, as many {noun} as X has{constant}, got {value}"
                )

    def _units(self, groups: Any, n_columns: int) -> Any:
        """Return the number of each column's unit, from 0."""
        if groups is None:
            return np.arange(n_columns)
        groups = np.asarray(groups)
        if groups.shape != (n_columns,):
            raise FeatureSelectionError(
                f"groups: expected one id for each of the {n_columns} columns of X, got shape {groups.shape}"
            )
        return np.unique(groups, return_inverse=True)[1]

    # --- search ---------------------------------------------------------------------------------------------------

    def _search(self, X: Any, y: Any, units: Any, varies: Any) -> Any:  # noqa: N803
        from nni.algorithms.feature_engineering import _gradient as gradient  # noqa: PLC0415  (torch)

        random = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        table = gradient.table_of(
            X,
            zscore=self._preprocess() == "zscore",
            batch_size=int(self.batch_size),
            device=str(self.device),
            varies=varies,
        )
        wanted = self.n_features if self.n_features is not None else self.max_features
        options = gradient.SearchOptions(
            order=int(self.order),
            penalty=float(self._penalty()),
            n_select=None if wanted is None else int(wanted),
            learning_rate=float(self.learning_rate),
            n_epochs=int(self.n_epochs),
            shuffle=bool(self.shuffle),
            target_batch_size=int(self.target_batch_size),
            soft_grouping=bool(self.soft_grouping),
            verbose=int(self.verbose),
        )
        targets = self._targets(y, gradient)
        return gradient.Search(table, targets, units, self._initial(X, y), options, random).run()

    def _targets(self, y: Any, gradient: Any) -> Any:
        if not self.classification:
            y = np.asarray(y, dtype=np.float64)
            if np.ptp(y) == 0:
                raise FeatureSelectionError(f"y: every target is {y[0]:g}, so there is nothing to explain")
            return gradient.real_targets(y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise FeatureSelectionError(f"y: expected at least two classes, got one class ({self.classes_[0]!r})")
        ordered = bool(self.ordinal) and self.classes_.dtype.kind in "biuf"
        return gradient.class_targets(codes, len(self.classes_), ordinal=ordered, balanced=bool(self.balanced))

    def _initial(self, X: Any, y: Any) -> Any:  # noqa: N803
        """Return the logits to start from."""
        if self.init != "sklearn":
            return np.full(X.shape[1], INITIAL_LOGITS[self.init])
        from sklearn.feature_selection import f_classif, f_regression  # noqa: PLC0415  (rarely needed)

        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Features .* are constant")  # they rank last
            scores = (f_classif if self.classification else f_regression)(X, y)[0]
        ranks = np.argsort(np.argsort(np.nan_to_num(scores, posinf=np.finfo(np.float64).max)))
        return 2 * ranks / max(1, len(ranks) - 1) - 1

    # --- choice ---------------------------------------------------------------------------------------------------

    def _choose(self, result: Any, usable: Any) -> Any:
        """Return the chosen ones of the usable units, the best first."""
        ranked = np.lexsort((-result.unit_importances, -result.unit_scores))
        ranked = ranked[np.isin(ranked, usable)]
        if self.n_features is not None:
            return ranked[: self.n_features]
        if self.max_features is not None:
            ranked = ranked[np.argsort(-result.unit_importances[ranked], kind="stable")]
            return ranked[: elbow(result.unit_importances[ranked], int(self.max_features))]
        return ranked[result.unit_scores[ranked] > 0]

    def _columns(self, chosen: Any, units: Any) -> list[int]:
        if int(units.max()) + 1 == len(units):
            position = np.argsort(units)
            return [int(position[unit]) for unit in chosen]
        return [int(column) for unit in chosen for column in np.flatnonzero(units == unit)]


def elbow(importances: Any, most: int) -> int:
    """Return how many of the sorted importances come before their elbow, at least 1 and at most ``most``.

    The elbow is where the curve is farthest below the straight line from its first point to the one after ``most``.

    >>> elbow([9.0, 8.5, 8.0, 0.2, 0.1, 0.0], 5)
    3
    """
    heights = np.asarray(importances[: most + 1], dtype=np.float64)
    if len(heights) < 3 or heights[0] <= heights[-1]:
        return min(most, len(heights))
    line = np.linspace(heights[0], heights[-1], len(heights))
    return int(np.clip(np.argmax(line - heights), 1, most))


__all__ = ["FeatureGradientSelector", "FeatureSelectionError"]
