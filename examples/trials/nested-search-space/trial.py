"""Which model for the wine data, and with which hyper-parameters? Each model brings its own search space."""

import numpy as np
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC

import nni

SCALERS = {"none": "passthrough", "standard": StandardScaler(), "minmax": MinMaxScaler()}


def build_model(params):
    """Return the pipeline for ``{"scaler": ..., "model": {"_name": ..., <its own hyper-parameters>}}``."""
    own = dict(params["model"])
    name = own.pop("_name")
    if name == "svm":
        model = SVC(**own)
    elif name == "forest":
        model = RandomForestClassifier(
            n_estimators=int(own["n_estimators"]), max_features=own["max_features"], random_state=0
        )
    else:
        model = KNeighborsClassifier(n_neighbors=int(own["n_neighbors"]), weights=own["weights"])
    return make_pipeline(SCALERS[params["scaler"]], model)


def main():
    params = {"scaler": "standard", "model": {"_name": "svm", "C": 1.0, "gamma": 0.1}}
    params.update(nni.get_next_parameter())
    features, labels = load_wine(return_X_y=True)
    scores = []
    for train, validation in StratifiedKFold(5, shuffle=True, random_state=0).split(features, labels):
        model = build_model(params).fit(features[train], labels[train])
        scores.append(model.score(features[validation], labels[validation]))
        nni.report_intermediate_result(float(np.mean(scores)))
    nni.report_final_result(float(np.mean(scores)))


if __name__ == "__main__":
    main()
