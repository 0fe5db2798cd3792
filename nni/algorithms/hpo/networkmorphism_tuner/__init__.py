"""Network morphism: the tuner, and the graphs of networks that it sends to trials.

The tuner is imported when it is asked for, because trials need the graphs only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nni.algorithms.hpo.networkmorphism_tuner.graph import Graph, GraphError, graph_to_json, json_to_graph

if TYPE_CHECKING:
    from nni.algorithms.hpo.networkmorphism_tuner.networkmorphism_tuner import NetworkMorphismTuner

__all__ = ["Graph", "GraphError", "NetworkMorphismTuner", "graph_to_json", "json_to_graph"]


def __getattr__(name: str) -> Any:
    if name == "NetworkMorphismTuner":
        from nni.algorithms.hpo.networkmorphism_tuner.networkmorphism_tuner import (  # noqa: PLC0415 - scipy
            NetworkMorphismTuner,
        )

        return NetworkMorphismTuner
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
