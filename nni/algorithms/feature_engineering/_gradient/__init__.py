"""The mathematics of the gradient selector, over torch: targets, tables, moments, search."""

from __future__ import annotations

from nni.algorithms.feature_engineering._gradient.search import Search, SearchOptions, SearchResult
from nni.algorithms.feature_engineering._gradient.table import DenseTable, SparseTable, table_of
from nni.algorithms.feature_engineering._gradient.targets import Targets, class_targets, real_targets

__all__ = [
    "DenseTable",
    "Search",
    "SearchOptions",
    "SearchResult",
    "SparseTable",
    "Targets",
    "class_targets",
    "real_targets",
    "table_of",
]
