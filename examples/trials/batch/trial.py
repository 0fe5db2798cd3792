"""Tumour diagnosis by logistic regression, for a fixed list of configurations."""

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nni


def main():
    params = {"C": 1.0, "solver": "lbfgs"}
    params.update(nni.get_next_parameter())
    features, labels = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(**params, max_iter=1000))
    nni.report_final_result(float(np.mean(cross_val_score(model, features, labels))))


if __name__ == "__main__":
    main()
