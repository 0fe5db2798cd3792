"""Predict the progression of diabetes; the model itself is a hyper-parameter."""

from sklearn.datasets import load_diabetes
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeRegressor

import nni

MODELS = {
    "LinearRegression": lambda params: LinearRegression(),
    "KNeighborsRegressor": lambda params: KNeighborsRegressor(weights=params["knr_weights"]),
    "SVR": lambda params: SVR(kernel=params["svr_kernel"], C=100),
    "DecisionTreeRegressor": lambda params: DecisionTreeRegressor(
        criterion=params["tree_criterion"], max_depth=4, random_state=0
    ),
}


def main():
    params = {
        "model_name": "LinearRegression",
        "svr_kernel": "rbf",
        "knr_weights": "uniform",
        "tree_criterion": "squared_error",
    }
    params.update(nni.get_next_parameter())
    features, progression = load_diabetes(return_X_y=True)
    train, test, train_values, test_values = train_test_split(features, progression, random_state=99, test_size=0.25)
    model = make_pipeline(StandardScaler(), MODELS[params["model_name"]](params)).fit(train, train_values)
    nni.report_final_result(r2_score(test_values, model.predict(test)))


if __name__ == "__main__":
    main()
