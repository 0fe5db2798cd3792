"""The published benchmark's set-up on data that is at hand: accuracy, time and memory of logistic regression.

All columns, the 20 best of the gradient selector, or those of extra trees. The published data sets have to be
downloaded (from the LIBSVM page, by hand); give their files as arguments to use them:

    python3 benchmark_test.py [colon-cancer.bz2 gisette_scale.bz2 ...]
"""

import sys
import time
import tracemalloc
from pathlib import Path

from sklearn.datasets import load_svmlight_file, make_classification
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from nni.algorithms.feature_engineering.gradient_selector import FeatureGradientSelector

GENERATED = {
    "like colon-cancer": {"n_samples": 62, "n_features": 2000, "n_informative": 20, "class_sep": 2.0},
    "like gisette": {"n_samples": 1000, "n_features": 1000, "n_informative": 20, "class_sep": 2.0},
}


def data_sets(files):
    if files:
        for file in files:
            yield Path(file).name, load_svmlight_file(file)
    else:
        for name, shape in GENERATED.items():
            yield name, make_classification(**shape, random_state=0)


def measure(pipeline, features, target):
    train, test, y_train, y_test = train_test_split(features, target, test_size=0.1, random_state=0)
    tracemalloc.start()
    start = time.perf_counter()
    score = pipeline.fit(train, y_train).score(test, y_test)
    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return f"{score:.4f}, {seconds * 1000:.0f} ms, {peak:.0f} MiB of Python's own"


def main():
    for name, (features, target) in data_sets(sys.argv[1:]):
        pipelines = {
            "all columns": make_pipeline(LogisticRegression(max_iter=1000)),
            "gradient, 20": make_pipeline(FeatureGradientSelector(n_features=20), LogisticRegression(max_iter=1000)),
            "trees": make_pipeline(
                SelectFromModel(ExtraTreesClassifier(n_estimators=50, random_state=0)),
                LogisticRegression(max_iter=1000),
            ),
        }
        for label, pipeline in pipelines.items():
            print(f"{name}: {label}: {measure(pipeline, features, target)}", flush=True)


if __name__ == "__main__":
    main()
