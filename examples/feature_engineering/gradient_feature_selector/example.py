"""The columns that matter together, and a scikit-learn pipeline that starts with a selector."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nni.algorithms.feature_engineering.gradient_selector import FeatureGradientSelector


def load_data(noise=200):
    """Return the breast cancer data of scikit-learn with meaningless columns appended."""
    data = load_breast_cancer()
    random = np.random.default_rng(0)
    features = np.hstack([data.data, random.normal(size=(len(data.data), noise))])
    return train_test_split(features, data.target, test_size=0.33, random_state=42)


def main():
    train, test, y_train, y_test = load_data()

    selector = FeatureGradientSelector(n_features=10)
    selector.fit(train, y_train)
    found = selector.get_selected_features()
    print(f"{sum(column < 30 for column in found)} of the 10 columns found are real: {sorted(found)}")

    selectors = {
        "gradient": FeatureGradientSelector(n_features=10),
        "trees": SelectFromModel(ExtraTreesClassifier(n_estimators=50, random_state=0), max_features=10),
        "all columns": "passthrough",
    }
    for name, step in selectors.items():
        pipeline = make_pipeline(step, StandardScaler(), LogisticRegression())
        pipeline.fit(train, y_train)
        print(f"{name:12s} accuracy {pipeline.score(test, y_test):.3f}")

    pipeline = make_pipeline(FeatureGradientSelector(), StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipeline, {"featuregradientselector__n_features": [5, 20]}, cv=2)
    search.fit(train, y_train)
    print(f"grid search  accuracy {search.score(test, y_test):.3f} with {search.best_params_}")


if __name__ == "__main__":
    main()
