"""Recognise handwritten digits with a support vector machine."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import nni


def load_data():
    digits = load_digits()
    train, test, train_labels, test_labels = train_test_split(
        digits.data, digits.target, random_state=99, test_size=0.25
    )
    scaler = StandardScaler().fit(train)
    return scaler.transform(train), scaler.transform(test), train_labels, test_labels


def main():
    params = {"C": 1.0, "kernel": "linear", "degree": 3, "gamma": 0.01, "coef0": 0.01}
    params.update(nni.get_next_parameter())
    train, test, train_labels, test_labels = load_data()
    model = SVC(**params).fit(train, train_labels)
    nni.report_final_result(model.score(test, test_labels))


if __name__ == "__main__":
    main()
