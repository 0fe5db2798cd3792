"""Feature engineering: the base class of selectors; the built-in ones are in ``nni.algorithms.feature_engineering``."""

from __future__ import annotations

from nni.feature_engineering.feature_selector import FeatureSelector

__all__ = ["FeatureSelector"]
