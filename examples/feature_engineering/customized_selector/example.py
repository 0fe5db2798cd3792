"""A selector of your own: subclass FeatureSelector, and inherit from scikit-learn to stand in a pipeline."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.datasets import load_wine
from sklearn.feature_selection import SelectorMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import validate_data

from nni.feature_engineering.feature_selector import FeatureSelector


class UncorrelatedSelector(SelectorMixin, FeatureSelector, BaseEstimator):
    """Keep the columns that correlate with the target, but none that correlates with one that is kept."""

    def __init__(self, n_features=3, most=0.7):
        self.n_features = n_features
        self.most = most

    def fit(self, X, y, **kwargs):  # noqa: N803  (scikit-learn's names)
        X, y = validate_data(self, X, y)  # noqa: N806
        correlations = np.abs(np.corrcoef(X.T, y))
        self.selected_features_ = []
        for column in np.argsort(-correlations[-1, :-1]):
            if len(self.selected_features_) < self.n_features and all(
                correlations[column, other] <= self.most for other in self.selected_features_
            ):
                self.selected_features_.append(int(column))
        return self

    def get_selected_features(self):
        return self.selected_features_

    def _get_support_mask(self):  # what get_support, transform and inverse_transform of scikit-learn are made from
        return np.isin(np.arange(self.n_features_in_), self.selected_features_)


def main():
    data, target = load_wine(return_X_y=True)
    pipeline = make_pipeline(UncorrelatedSelector(), StandardScaler(), LogisticRegression())
    pipeline.fit(data, target)
    print("Columns:", pipeline[0].get_selected_features())
    print("Pipeline Score: ", pipeline.score(data, target))


if __name__ == "__main__":
    main()
