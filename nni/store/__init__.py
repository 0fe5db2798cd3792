"""Durable state: the database of one experiment, and (``nni.store.registry``) the list of all experiments."""

from nni.store.reader import ORDERS, Reader
from nni.store.records import RUN_SPAN, ExperimentStatus, Metric, Profile, Trial, TrialStatus, configuration
from nni.store.schema import StoreError
from nni.store.search import ParameterFilter, Search
from nni.store.store import Batch, Store

__all__ = [
    "ORDERS",
    "RUN_SPAN",
    "Batch",
    "ExperimentStatus",
    "Metric",
    "ParameterFilter",
    "Profile",
    "Reader",
    "Search",
    "Store",
    "StoreError",
    "Trial",
    "TrialStatus",
    "configuration",
]
