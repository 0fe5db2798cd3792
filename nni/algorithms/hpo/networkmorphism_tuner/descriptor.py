"""How far two architectures are apart: how much morphing takes one into the other.

H. Jin, Q. Song and X. Hu, "Auto-Keras: An Efficient Neural Architecture Search System", KDD 2019, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from nni.algorithms.hpo.networkmorphism_tuner.graph import Graph
from nni.algorithms.hpo.networkmorphism_tuner.layers import StubAdd, StubConcatenate, StubConv, StubDense

Array: TypeAlias = "NDArray[np.float64]"
Layer: TypeAlias = tuple[int, int, int]
Skip: TypeAlias = tuple[int, int, str]

_SKIP_WEIGHT = 1.0  # lambda in equation 2
_WEIGHTED = (StubConv, StubDense)


@dataclass(frozen=True)
class Descriptor:
    """What of an architecture counts for its distance from others.

    Attributes
    ----------
    layers
        Of the main chain, the longest way through the network: width, kernel size (0 for a dense layer), stride.
    skips
        Connections past it: the number of layers of the chain before its start, and before its end, and its kind.
    """

    layers: tuple[Layer, ...]
    skips: tuple[Skip, ...]


def describe(graph: Graph) -> Descriptor:
    """Return the descriptor of a graph."""
    depth, before = {0: 0}, dict[int, int]()
    for number in graph.topological_order():
        layer = graph.layer_list[number]
        deepest = max(layer.inputs, key=lambda node: depth[node])
        depth[layer.output] = depth[deepest] + isinstance(layer, _WEIGHTED)
        before[layer.output] = number
    chain = _chain(graph, before, depth)
    layers = [graph.layer_list[number] for number in chain]
    described = tuple(
        (int(layer.values[1]), int(layer.kernel_size), int(layer.stride))
        if isinstance(layer, StubConv)
        else (int(layer.units), 0, 1)
        for layer in layers
        if isinstance(layer, _WEIGHTED)
    )
    return Descriptor(described, tuple(sorted(_skips(graph, chain, before))))


def _chain(graph: Graph, before: dict[int, int], depth: dict[int, int]) -> list[int]:
    chain: list[int] = []
    node = graph.output
    while node:
        chain.append(before[node])
        node = max(graph.layer_list[chain[-1]].inputs, key=lambda one: depth[one])
    return chain[::-1]


def _skips(graph: Graph, chain: list[int], before: dict[int, int]) -> list[Skip]:
    places, place = {0: 0}, 0  # how many weighted layers of the chain lie before each of its tensors
    for number in chain:
        place += isinstance(graph.layer_list[number], _WEIGHTED)
        places[graph.layer_list[number].output] = place
    found: list[Skip] = []
    for layer in graph.layer_list:
        if isinstance(layer, (StubAdd, StubConcatenate)) and layer.output in places:
            kind = "add" if isinstance(layer, StubAdd) else "concat"
            for node in layer.inputs:
                start = node
                while start not in places:  # back through pooling and projection to the chain
                    start = graph.layer_list[before[start]].inputs[0]
                if places[start] != places[layer.output]:
                    found.append((places[start], places[layer.output], kind))
    return found


class DistanceTable:
    """Distances that have been worked out before; a search asks for those of observed architectures again and again.

    They are rounded, so that it does not matter which way round one was worked out first.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Descriptor, Descriptor], float] = {}

    def row(self, one: Descriptor, others: Sequence[Descriptor]) -> Array:
        """Return the distances of one architecture from others, shape ``len(others)``."""
        missing = [other for other in others if (one, other) not in self._known]
        for other, distance in zip(missing, distances(one, missing), strict=True):
            self._known[one, other] = self._known[other, one] = round(float(distance), 9)
        return np.array([self._known[one, other] for other in others])


def distances(one: Descriptor, others: Sequence[Descriptor]) -> Array:
    """Return the edit-distances of one architecture from others (equation 2), shape ``len(others)``."""
    if not others:
        return np.zeros(0)
    skips = np.array([_skip_distance(one.skips, other.skips) for other in others])
    return _layer_distances(one.layers, [other.layers for other in others]) + _SKIP_WEIGHT * skips


def _layer_distances(one: tuple[Layer, ...], others: Sequence[tuple[Layer, ...]]) -> Array:
    """Return the edit-distances of sequences of layers, for all others at once (equations 3 to 5)."""
    lengths = np.array([len(other) for other in others])
    width = int(lengths.max())
    padded = np.ones((len(others), width, 3))
    for row, other in enumerate(others):
        padded[row, : len(other)] = np.reshape(other, (-1, 3))
    mine = np.array(one, dtype=float).reshape(-1, 3)
    substitution = _substitution(mine[:, None, None, :], padded[None])  # mine x others x layers
    table = np.broadcast_to(np.arange(width + 1.0), (len(others), width + 1)).copy()
    for row in range(len(mine)):
        above, table = table, np.empty_like(table)
        table[:, 0] = row + 1
        for column in range(width):
            cheapest = np.minimum(above[:, column + 1], table[:, column]) + 1
            table[:, column + 1] = np.minimum(cheapest, above[:, column] + substitution[row, :, column])
    return np.asarray(table[np.arange(len(others)), lengths])


def _substitution(a: Array, b: Array) -> Array:
    """Return what it costs to widen one layer to the other: 1 - smaller width / larger width, and so for kernels."""
    similar = np.ones(np.broadcast_shapes(a.shape, b.shape)[:-1])
    for place in range(3):
        low, high = np.minimum(a[..., place], b[..., place]), np.maximum(a[..., place], b[..., place])
        similar = similar * np.where(high == 0, 1.0, low / np.maximum(high, 1.0))
    return np.asarray(1 - similar)


def _skip_distance(one: tuple[Skip, ...], other: tuple[Skip, ...]) -> float:
    """Return the cost of the best matching of skip connections, and 1 for each without partner (equation 6)."""
    if not one or not other:
        return float(len(one) + len(other))
    costs = np.array([[_one_skip(a, b) for b in other] for a in one])
    rows, columns = linear_sum_assignment(costs)
    return float(costs[rows, columns].sum()) + abs(len(one) - len(other))


def _one_skip(a: Skip, b: Skip) -> float:
    """Return how far two skip connections are apart, by their starts and their lengths (equation 7)."""
    if a[2] != b[2]:
        return 1.0
    lengths = a[1] - a[0], b[1] - b[0]
    scale = max(a[0], b[0]) + max(lengths)
    return (abs(a[0] - b[0]) + abs(lengths[0] - lengths[1])) / scale
