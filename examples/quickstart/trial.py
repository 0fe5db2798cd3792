"""One trial: gradient boosting that predicts how a patient's diabetes progresses, scored by cross-validation.

``python3 trial.py`` runs it on its own, with scikit-learn's default hyper-parameters.
"""

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import KFold, train_test_split

import nni

DEFAULTS = {  # scikit-learn's
    "learning_rate": 0.1,
    "n_estimators": 100,
    "max_depth": 3,
    "min_samples_leaf": 1,
    "subsample": 1.0,
    "max_features": 1.0,
    "loss": "squared_error",
}
FOLDS = KFold(n_splits=5, shuffle=True, random_state=0)


def load_data():
    """Return the patients to tune on, and a quarter of them that tuning never sees."""
    features, progression = load_diabetes(return_X_y=True)
    return train_test_split(features, progression, test_size=0.25, random_state=0)


def build_model(params):
    whole = {name: int(params[name]) for name in ("n_estimators", "max_depth", "min_samples_leaf")}
    return GradientBoostingRegressor(random_state=0, **{**params, **whole})


def scores_by_fold(params):
    """Yield the coefficient of determination (R²) of each fold; 1 is perfect, 0 is as good as the mean."""
    features, _, progression, _ = load_data()
    for train, validation in FOLDS.split(features):
        model = build_model(params).fit(features[train], progression[train])
        yield model.score(features[validation], progression[validation])


def main():
    params = {**DEFAULTS, **nni.get_next_parameter()}
    scores = []
    for score in scores_by_fold(params):
        scores.append(score)
        nni.report_intermediate_result(float(np.mean(scores)))
    nni.report_final_result(float(np.mean(scores)))


if __name__ == "__main__":
    main()
