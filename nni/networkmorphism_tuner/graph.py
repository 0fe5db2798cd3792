"""The same as ``nni.algorithms.hpo.networkmorphism_tuner.graph``, which trials import from here (L1464)."""

from nni.algorithms.hpo.networkmorphism_tuner.graph import Graph, graph_to_json, json_to_graph

__all__ = ["Graph", "graph_to_json", "json_to_graph"]
