"""What is tuned: a method of scikit-learn's and its search space (HPO-425, HPO-426)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from nni.tools.hpo_benchmark._data import Dataset

SearchSpace = dict[str, Any]


def _choice(*values: Any) -> dict[str, Any]:
    return {"_type": "choice", "_value": list(values)}


class Architecture(ABC):
    """A method together with the hyper-parameters to tune.

    Attributes
    ----------
    name
        As on the command line.
    search_space
        The documented one; another may be given instead.
    """

    name: str
    search_space: SearchSpace

    def build(self, data: Dataset, parameters: dict[str, Any], seed: int) -> Any:
        """Return an unfitted pipeline: missing values filled in, categories one-hot, then the model."""
        from sklearn.compose import ColumnTransformer  # noqa: PLC0415  (slow to import)
        from sklearn.impute import SimpleImputer  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import OneHotEncoder, StandardScaler  # noqa: PLC0415

        categories = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
        numbers = make_pipeline(SimpleImputer(), StandardScaler())
        prepare = ColumnTransformer([("n", numbers, ~data.categorical), ("c", categories, data.categorical)])
        return make_pipeline(prepare, self.model(data.kind == "regression", parameters, seed))

    @abstractmethod
    def model(self, regression: bool, parameters: dict[str, Any], seed: int) -> Any:
        """Return an unfitted model."""


class RandomForest(Architecture):
    """scikit-learn's random forest; 0 means unlimited (HPO-425)."""

    name = "random_forest"
    search_space: SearchSpace = {  # noqa: RUF012  (never changed)
        "n_estimators": {"_type": "randint", "_value": [4, 2048]},
        "max_depth": _choice(4, 8, 16, 32, 64, 128, 256, 0),
        "min_samples_leaf": {"_type": "randint", "_value": [1, 8]},
        "min_samples_split": {"_type": "randint", "_value": [2, 16]},
        "max_leaf_nodes": {"_type": "randint", "_value": [0, 4096]},
    }

    def model(self, regression: bool, parameters: dict[str, Any], seed: int) -> Any:
        """Return a forest; at most 0 or 1 leaf nodes are no limit."""
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor  # noqa: PLC0415

        leaves = parameters.get("max_leaf_nodes", 0)
        settings = {
            **parameters,
            "max_depth": parameters.get("max_depth") or None,
            "max_leaf_nodes": leaves if leaves >= 2 else None,
            "random_state": seed,
        }
        return RandomForestRegressor(**settings) if regression else RandomForestClassifier(**settings)


class Mlp(Architecture):
    """scikit-learn's multi-layer perceptron (HPO-426)."""

    name = "mlp"
    search_space: SearchSpace = {  # noqa: RUF012  (never changed)
        "hidden_layer_sizes": _choice(
            *([width] * depth for depth in (1, 2, 3) for width in (16, 64, 128, 256)),
            [256, 128, 64, 16],
            [128, 64, 16],
            [64, 16],
            [16, 64, 128, 256],
            [16, 64, 128],
            [16, 64],
        ),
        "learning_rate_init": _choice(0.1, 0.05, 0.01, 0.005, 0.001, 0.0005, 0.0001, 0.00005, 0.00001),
        "alpha": _choice(0.1, 0.05, 0.01, 0.005, 0.001, 0.0005, 0.0001),
        "momentum": {"_type": "uniform", "_value": [0, 1]},
        "beta_1": {"_type": "uniform", "_value": [0, 1]},
        "tol": _choice(0.001, 0.0005, 0.0001, 0.00005, 0.00001),
        "max_iter": {"_type": "randint", "_value": [2, 256]},
    }

    def model(self, regression: bool, parameters: dict[str, Any], seed: int) -> Any:
        """Return a network."""
        from sklearn.neural_network import MLPClassifier, MLPRegressor  # noqa: PLC0415

        settings = {**parameters, "random_state": seed, "beta_1": min(parameters.get("beta_1", 0.9), 0.999999)}
        return MLPRegressor(**settings) if regression else MLPClassifier(**settings)


ARCHITECTURES: dict[str, Architecture] = {one.name: one for one in (RandomForest(), Mlp())}
