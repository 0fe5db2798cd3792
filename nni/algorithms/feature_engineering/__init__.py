"""Built-in feature selectors. What they are made of (torch, LightGBM) is imported when one is fitted."""

from __future__ import annotations

from nni.algorithms.feature_engineering.gbdt_selector import GBDTSelector
from nni.algorithms.feature_engineering.gradient_selector import FeatureGradientSelector

__all__ = ["FeatureGradientSelector", "GBDTSelector"]
