"""The documented path of the graphs that NetworkMorphism sends to trials (X-10)."""

from nni.networkmorphism_tuner.graph import Graph, json_to_graph

__all__ = ["Graph", "json_to_graph"]
