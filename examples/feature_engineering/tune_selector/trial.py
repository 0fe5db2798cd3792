"""Tune a selector together with the model that follows it: how many columns, and of what order?"""

import numpy as np
from sklearn.datasets import load_wine
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import nni
from nni.algorithms.feature_engineering.gradient_selector import FeatureGradientSelector


def load_data():
    features, target = load_wine(return_X_y=True)
    noise = np.random.default_rng(0).normal(size=(len(target), 40))
    return np.hstack([features, noise]), target


def main():
    params = {"n_features": 8, "order": 2, "C": 1.0}
    params.update(nni.get_next_parameter())
    # Inside the pipeline, so that the selector never sees the rows it is judged by.
    selector = FeatureGradientSelector(n_features=int(params["n_features"]), order=params["order"], ordinal=False)
    pipeline = make_pipeline(selector, StandardScaler(), SVC(C=params["C"]))
    nni.report_final_result(float(cross_val_score(pipeline, *load_data(), cv=3).mean()))


if __name__ == "__main__":
    main()
