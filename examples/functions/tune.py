"""Tune a classifier that is a Python function: ``python3 tune.py`` (some seconds, no network, no GPU)."""

from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score
from sklearn.svm import SVC

import nni

features, labels = load_digits(return_X_y=True)  # goes to the workers with the function


def accuracy(config):
    """Return the mean accuracy of three folds, and report it after each of them."""
    model = SVC(C=config["C"], gamma=config["gamma"], kernel=config["kernel"])
    scores = []
    for fold in range(3):
        rows = slice(fold * 300, fold * 300 + 600)
        scores.append(cross_val_score(model, features[rows], labels[rows], cv=2).mean())
        nni.report_intermediate_result(sum(scores) / len(scores))
    return {"default": sum(scores) / len(scores), "worst": min(scores)}


space = {
    "C": {"_type": "loguniform", "_value": [0.01, 100]},
    "gamma": {"_type": "loguniform", "_value": [1e-5, 1]},
    "kernel": {"_type": "choice", "_value": ["rbf", "sigmoid"]},
}
result = nni.tune(accuracy, space, max_trials=30, concurrency=2, seed=1, assessor="Medianstop")
print(result)
print("stopped early:", sum(trial.status == "EARLY_STOPPED" for trial in result.history))
