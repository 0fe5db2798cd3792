"""Rank columns by their importance in a LightGBM model (pip install nni[features])."""

from sklearn.datasets import load_diabetes
from sklearn.model_selection import train_test_split

from nni.algorithms.feature_engineering.gbdt_selector import GBDTSelector


def main():
    data = load_diabetes()
    train, _, y_train, _ = train_test_split(data.data, data.target, test_size=0.33, random_state=42)
    selector = GBDTSelector()
    selector.fit(
        train,
        y_train,
        lgb_params={
            "objective": "regression",
            "metric": "l2",
            "num_leaves": 15,
            "learning_rate": 0.05,
            "verbosity": -1,
        },
        eval_ratio=0.1,
        early_stopping_rounds=20,
        importance_type="gain",
        num_boost_round=300,
    )
    print(
        "The five most important columns:", [data.feature_names[column] for column in selector.get_selected_features(5)]
    )


if __name__ == "__main__":
    main()
