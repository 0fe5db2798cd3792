"""The selector by gradient boosted trees (FE-006, FE-060 to FE-072)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted

from nni.algorithms.feature_engineering import _checks
from nni.algorithms.feature_engineering._checks import FeatureSelectionError
from nni.algorithms.feature_engineering._selector import BuiltinSelector

IMPORTANCES = ("split", "gain")
BINARY = ("binary", "cross_entropy", "xentropy")
MULTICLASS = ("multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr")

# Without an objective, numbers with more different values than FEW_CLASSES are a regression, unless they are integers
# of which each occurs ROWS_PER_CLASS times or more on average.
FEW_CLASSES, ROWS_PER_CLASS = 20, 10


class GBDTSelector(BuiltinSelector):
    """Rank the columns by their importance in a LightGBM model that is trained on them.

    A strong baseline, especially before a model of gradient boosted trees.

    The arguments of the constructor are defaults for those of :meth:`fit`, so that the selector can stand in a pipeline
    and be tuned; NNI 2.x gives them to ``fit`` only, and ``GBDTSelector()`` takes them there all the same.

    Parameters
    ----------
    lgb_params : dict, optional
        Parameters of LightGBM. Without an ``objective``, it follows from the target: ``binary``, ``multiclass`` or
        ``regression``. Numbers with more than 20 different values are a regression, unless they are integers of which
        each occurs ten times or more on average.
    eval_ratio : float, default 0.1
        Share of the rows to hold out for early stopping, between 0 and 1, both excluded.
    early_stopping_rounds : int, default 10
        Stop when the metric on the held-out rows has not improved for so many rounds.
    importance_type : {'gain', 'split'}, default 'gain'
        'split': how often a column is used; 'gain': the total gain of the splits that use it.
    num_boost_round : int, default 100
        Most rounds of boosting.
    n_features : int, optional
        How many columns ``transform`` keeps. None: those that the model uses.
    constant_columns : {'error', 'ignore'}, default 'error'
        What to do about dense columns with one value only. 'error' names the first one; 'ignore' never selects them,
        as it is with sparse tables anyway: for cross-validation, where a column may be constant in some folds.
    random_state : int, numpy.random.RandomState or None, default 0
        Seed of the split, and of LightGBM where ``lgb_params`` has none.

    Attributes
    ----------
    importances_ : ndarray of shape (n_features,)
        Importance of the columns.
    selected_features_ : list of int
        The columns that ``transform`` keeps, the most important first.
    booster_ : lightgbm.Booster
        The model.
    n_features_in_, feature_names_in_
        As in scikit-learn.

    Examples
    --------
    >>> import numpy
    >>> X = numpy.random.default_rng(0).normal(size=(300, 6))
    >>> selector = GBDTSelector().fit(
    ...     X, X[:, 4] > 0, lgb_params={"verbosity": -1}, eval_ratio=0.1, early_stopping_rounds=10,
    ...     importance_type="gain", num_boost_round=20)
    >>> selector.get_selected_features(1)
    [4]
    """

    def __init__(
        self,
        *,
        lgb_params: Mapping[str, Any] | None = None,
        eval_ratio: float = 0.1,
        early_stopping_rounds: int = 10,
        importance_type: str = "gain",
        num_boost_round: int = 100,
        n_features: int | None = None,
        constant_columns: str = "error",
        random_state: Any = 0,
    ) -> None:
        self.lgb_params = lgb_params
        self.eval_ratio = eval_ratio
        self.early_stopping_rounds = early_stopping_rounds
        self.importance_type = importance_type
        self.num_boost_round = num_boost_round
        self.n_features = n_features
        self.constant_columns = constant_columns
        self.random_state = random_state

    def fit(  # type: ignore[override]  # documented with this signature
        self,
        X: Any,  # noqa: N803
        y: Any,
        lgb_params: Mapping[str, Any] | None = None,
        eval_ratio: float | None = None,
        early_stopping_rounds: int | None = None,
        importance_type: str | None = None,
        num_boost_round: int | None = None,
    ) -> GBDTSelector:
        """Train the model and rank the columns.

        Parameters
        ----------
        X
            Array, CSR matrix, or pandas or polars frame of numbers, of shape (n_samples, n_features).
        y
            Class labels, or numbers in regression, of shape (n_samples,).
        lgb_params, eval_ratio, early_stopping_rounds, importance_type, num_boost_round
            As in the constructor, before which they go.

        Raises
        ------
        FeatureSelectionError
            A ``ValueError`` that names the argument and the column.
        """
        given: dict[str, Any] = {
            "lgb_params": lgb_params,
            "eval_ratio": eval_ratio,
            "early_stopping_rounds": early_stopping_rounds,
            "importance_type": importance_type,
            "num_boost_round": num_boost_round,
        }
        settings = {name: getattr(self, name) if value is None else value for name, value in given.items()}
        _check(settings, self.n_features)
        lightgbm = _checks.need("lightgbm", type(self).__name__)
        X, y, varies = self._read(X, y, numeric_y=False, dtype=[np.float64, np.float32])  # noqa: N806
        if self.n_features is not None and self.n_features > (there := int(varies.sum())):
            constant = "" if varies.all() else f" ({len(varies) - there} columns are constant)"
            raise FeatureSelectionError(
                f"n_features: expected at most {there}, as many columns as X has{constant}, got {self.n_features}"
            )
        params, y, classes = _objective(dict(settings["lgb_params"] or {}), y)
        self.booster_ = self._train(lightgbm, params, X, y, classes, settings)
        self.importances_ = self.booster_.feature_importance(settings["importance_type"]).astype(np.float64)
        self._ranking = np.lexsort((-self.importances_, ~varies)).tolist()  # constant columns behind unused ones
        self.selected_features_ = self._best(self._kept())
        return self

    def get_selected_features(self, topk: int | None = None) -> list[int]:  # FE-071
        """Return the indices of the ``topk`` most important columns, the best first.

        Parameters
        ----------
        topk
            How many; None for those that ``transform`` keeps.

        Raises
        ------
        FeatureSelectionError
            If there are not so many columns.
        """
        check_is_fitted(self)
        if topk is None:
            return list(self.selected_features_)
        return self._best(_checks.integer("topk", topk, 1, self.n_features_in_))

    def _kept(self) -> int:
        if self.n_features is not None:
            return int(self.n_features)
        used = int((self.importances_ > 0).sum())
        if not used:
            raise FeatureSelectionError(
                "lgb_params: the model found no split, so no column is selected; with few rows lower min_data_in_leaf, "
                "or ask for a number of columns with n_features"
            )
        return used

    def _best(self, count: int) -> list[int]:
        return list(self._ranking[:count])

    def _train(self, lightgbm: Any, params: dict[str, Any], X: Any, y: Any, classes: int, settings: Any) -> Any:  # noqa: N803
        random = check_random_state(self.random_state)
        seed = int(random.randint(2**31 - 1))
        if not {"seed", "random_seed", "random_state"} & set(params):
            params["seed"] = seed
        rows = _split(y, classes, float(settings["eval_ratio"]), seed)
        train, held_out = (lightgbm.Dataset(X[part], y[part]) for part in rows)
        held_out.reference = train
        try:
            return lightgbm.train(
                params,
                train,
                num_boost_round=int(settings["num_boost_round"]),
                valid_sets=[held_out],
                callbacks=[lightgbm.early_stopping(int(settings["early_stopping_rounds"]), verbose=False)],
            )
        except (lightgbm.basic.LightGBMError, ValueError) as error:
            raise FeatureSelectionError(f"lgb_params: LightGBM refuses them: {error}") from error


def _check(settings: dict[str, Any], n_features: Any) -> None:
    if settings["lgb_params"] is not None and not isinstance(settings["lgb_params"], Mapping):
        raise FeatureSelectionError(f"lgb_params: expected a dict, got {settings['lgb_params']!r}")
    _checks.number("eval_ratio", settings["eval_ratio"], "a number between 0 and 1", lambda value: 0 < value < 1)
    _checks.integer("early_stopping_rounds", settings["early_stopping_rounds"], 1)
    _checks.choice("importance_type", settings["importance_type"], IMPORTANCES)
    _checks.integer("num_boost_round", settings["num_boost_round"], 1)
    if n_features is not None:
        _checks.integer("n_features", n_features, 1)


def _objective(params: dict[str, Any], y: Any) -> tuple[dict[str, Any], Any, int]:
    """Return the parameters with an objective, the target as LightGBM wants it, and the number of classes or 0."""
    name = next(
        (params[key] for key in ("objective", "objective_type", "app", "application", "loss") if key in params), None
    )
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise FeatureSelectionError(f"y: expected at least two different values, got one class ({classes[0]!r})")
    if not params:  # LightGBM's own default of 20 rows in a leaf finds nothing in a small table
        params["min_data_in_leaf"] = max(1, min(20, len(y) // 20))
    params.setdefault("verbosity", -1)
    if name is None:
        name = "regression" if not _are_classes(y, len(classes)) else "binary" if len(classes) == 2 else "multiclass"
        params["objective"] = name
    if name in BINARY[:1] or name in MULTICLASS:
        if name in BINARY and len(classes) > 2:
            raise FeatureSelectionError(f"lgb_params: objective 'binary' needs two classes; y has {len(classes)}")
        if name in MULTICLASS:
            params.setdefault("num_class", len(classes))
        return params, codes, len(classes)
    try:
        return params, np.asarray(y, dtype=np.float64), 0
    except ValueError:
        raise FeatureSelectionError(f"y: objective {name!r} needs numbers, got text ({y[0]!r})") from None


def _are_classes(y: Any, different: int) -> bool:
    """Return whether targets are taken as classes: whole numbers may be measurements as well (65 kg, 66 kg)."""
    if type_of_target(y) not in ("binary", "multiclass"):
        return False
    numbers = np.asarray(y).dtype.kind
    return (
        different <= FEW_CLASSES or numbers not in "iuf" or (numbers in "iu" and len(y) >= ROWS_PER_CLASS * different)
    )


def _split(y: Any, classes: int, ratio: float, seed: int) -> tuple[Any, Any]:
    """Return the rows to train on and those held out, each class in both where it has two rows at least."""
    n = len(y)
    held_out = min(n - 1, max(1, math.ceil(n * ratio)))
    counts = np.bincount(y) if classes else np.zeros(1)
    stratify = y if classes and counts.min() >= 2 and min(held_out, n - held_out) >= classes else None
    train, test = train_test_split(np.arange(n), test_size=held_out, random_state=seed, stratify=stratify)
    return train, test


__all__ = ["FeatureSelectionError", "GBDTSelector"]
