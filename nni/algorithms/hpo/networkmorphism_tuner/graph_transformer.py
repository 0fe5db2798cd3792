"""Morphisms of graphs: deeper, wider and skipping networks that compute what the network before them did.

Wei et al., "Network Morphism", ICML 2016; Jin, Song and Hu, "Auto-Keras: An Efficient Neural Architecture Search
System", KDD 2019, section 3.2. The function is kept by the weights; of a graph without weights only the architecture
changes. Each morphism changes its graph in place and writes itself into its history.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nni.algorithms.hpo.networkmorphism_tuner import layer_transformer as change
from nni.algorithms.hpo.networkmorphism_tuner.graph import Graph
from nni.algorithms.hpo.networkmorphism_tuner.layers import (
    GraphError,
    StubAdd,
    StubBatchNormalization,
    StubConcatenate,
    StubConv,
    StubDense,
    StubFlatten,
    StubGlobalPooling,
    StubLayer,
    StubPooling,
    StubReLU,
    make,
)

KERNEL_SIZES = (1, 3, 5)
_MOST_TRIES = 30


def deepen(graph: Graph, relu: int, kernel_size: int = 3) -> None:
    """Insert a convolution, a batch normalisation and a rectifier behind a rectifier; of vectors a dense layer and one.

    The new layer is the identity and the tensor is not negative, so the second rectifier changes nothing.

    Parameters
    ----------
    graph
        The graph to change.
    relu
        Id of a :class:`StubReLU` layer.
    kernel_size
        Of the convolution; odd.
    """
    layer = graph.layer_list[relu]
    if not isinstance(layer, StubReLU):
        raise GraphError(f"deepen: layer {relu} is a {type(layer).__name__}, expected a StubReLU")
    node = layer.output
    followers = graph.consumers(node)
    rank, channels = len(graph.node_list[node]) - 1, graph.node_list[node][-1]
    if rank:
        conv = change.identity_convolution(rank, channels, kernel_size, weighted=graph.weighted)
        new = graph.add_layer(conv, node)
        new = graph.add_layer(change.identity_normalization(rank, channels, weighted=graph.weighted), new)
    else:
        new = graph.add_layer(change.mixing_dense(np.eye(channels), weighted=graph.weighted), node)
    graph.redirect(node, graph.add_layer(make("StubReLU"), new), followers)
    _done(graph, "deepen", relu, kernel_size)


def widen(graph: Graph, target: int, n_add: int) -> None:
    """Give a convolution or dense layer more channels: copies of those that it has.

    What follows is widened along: up to the next convolutions and dense layers, and across additions, whose other
    operand has to have as many channels.

    Raises
    ------
    GraphError
        If that would change the input or the output of the network, or one part of a concatenation only.
    """
    layer = graph.layer_list[target]
    if not isinstance(layer, (StubConv, StubDense)):
        raise GraphError(f"widen: layer {target} is a {type(layer).__name__}, expected a convolution or dense layer")
    channels = graph.node_list[layer.output][-1]
    sources = np.concatenate([np.arange(channels), np.arange(n_add) % channels])
    for number, change_input, known in _Widening(graph, layer.output, sources).changes():
        _widened(graph.layer_list[number], known, change_input=change_input)
    graph.check()
    _done(graph, "widen", target, n_add)


def add_skip(graph: Graph, start: int, end: int) -> None:
    """Add a tensor to a later one: pooled to its size, and through a 1 x 1 convolution that is zero at first."""
    node = _pooled(graph, start, end)
    mixture = np.zeros((graph.node_list[end][-1], graph.node_list[node][-1]))
    followers = graph.consumers(end)
    new = _mixed(graph, node, mixture)
    graph.redirect(end, graph.add_layer(StubAdd(), end, new), followers)
    _done(graph, "add_skip", start, end)


def concat_skip(graph: Graph, start: int, end: int) -> None:
    """Concatenate a tensor to a later one, pooled; a 1 x 1 convolution lets only the later one through at first."""
    node = _pooled(graph, start, end)
    followers = graph.consumers(end)
    channels = graph.node_list[end][-1]
    joined = graph.add_layer(StubConcatenate(), end, node)
    mixture = np.hstack([np.eye(channels), np.zeros((channels, graph.node_list[node][-1]))])
    graph.redirect(end, _mixed(graph, joined, mixture), followers)
    _done(graph, "concat_skip", start, end)


# ---------------------------------------------------------------------------------------- which ones there are


def random_morphism(graph: Graph, rng: np.random.Generator, max_size: int) -> Graph | None:
    """Return a graph that is one random morphism away; None if none was found that has at most `max_size` weights."""
    for _ in range(_MOST_TRIES):
        child = graph.copy()
        try:
            _random_change(child, rng)
        except GraphError:
            continue
        if child.size() <= max_size:
            return child
    return None


def _random_change(graph: Graph, rng: np.random.Generator) -> None:
    kind = int(rng.integers(3))
    if kind == 0:
        deepen(graph, int(rng.choice(_relus(graph))), int(rng.choice(KERNEL_SIZES)))
    elif kind == 1:
        found = [n for n, layer in enumerate(graph.layer_list) if isinstance(layer, (StubConv, StubDense))]
        target = int(rng.choice(found))
        width = graph.node_list[graph.layer_list[target].output][-1]
        widen(graph, target, max(1, int(width * rng.choice([0.5, 1.0]))))
    else:
        start = graph.layer_list[int(rng.choice(_relus(graph)))].output
        ends = _skip_ends(graph, start)
        if not ends:
            raise GraphError("there is no place for a skip connection")
        (add_skip if rng.random() < 0.5 else concat_skip)(graph, start, int(rng.choice(ends)))


def _relus(graph: Graph) -> list[int]:
    return [number for number, layer in enumerate(graph.layer_list) if isinstance(layer, StubReLU)]


def skip_candidates(graph: Graph) -> Iterator[tuple[int, int]]:
    """Yield the pairs of tensors that a skip connection may join.

    From what a rectifier made to what a normalisation or a dense layer made further on, both spatial or both vectors.
    """
    for number in graph.topological_order():
        if isinstance(graph.layer_list[number], StubReLU):
            start = graph.layer_list[number].output
            yield from ((start, end) for end in _skip_ends(graph, start))


def _skip_ends(graph: Graph, start: int) -> list[int]:
    rank, last = len(graph.node_list[start]), graph.output
    reached = _reached(graph, start).values()
    return [
        layer.output
        for _, layer in reached
        if isinstance(layer, (StubBatchNormalization, StubDense))
        and layer.output != last
        and len(graph.node_list[layer.output]) == rank
    ]


# ---------------------------------------------------------------------------------------- details


class _Widening:
    """Which layers have to change when a tensor gets more channels."""

    def __init__(self, graph: Graph, node: int, sources: change.Sources) -> None:
        self._graph = graph
        self._known: dict[int, change.Sources] = {}
        self._waiting = [(node, sources)]
        self._last = graph.output

    def changes(self) -> Iterator[tuple[int, bool, change.Sources]]:
        """Yield layer, whether its input changes (or its output), and the sources of that tensor."""
        while self._waiting:
            node, sources = self._waiting.pop()
            if node in self._known:
                if not np.array_equal(self._known[node], sources):
                    raise GraphError("widen: one tensor would have to be widened in two ways")
                continue
            if node in (0, self._last):
                raise GraphError("widen: the input and the output of the network keep their widths")
            self._known[node] = sources
            self._backward(node, sources)
            for number in self._graph.consumers(node):
                self._forward(number, node, sources)
        for node, sources in self._known.items():
            yield from self._of_node(node, sources)

    def _of_node(self, node: int, sources: change.Sources) -> Iterator[tuple[int, bool, change.Sources]]:
        producer = self._graph.producer(node)
        if producer is not None and not isinstance(self._graph.layer_list[producer], StubConcatenate):
            yield producer, False, sources
        for number in self._graph.consumers(node):
            if isinstance(self._graph.layer_list[number], (StubConv, StubDense)):
                yield number, True, sources

    def _forward(self, number: int, node: int, sources: change.Sources) -> None:
        layer = self._graph.layer_list[number]
        if layer.keeps_channels:
            self._waiting.append((layer.output, sources))
        elif isinstance(layer, StubConcatenate):
            self._waiting.append((layer.output, self._joined(layer, node, sources)))
        elif isinstance(layer, StubFlatten):
            places = int(np.prod(self._graph.node_list[node][:-1]))
            spread = (sources[:, None] * places + np.arange(places)).ravel()  # channel by channel, as torch flattens
            self._waiting.append((layer.output, spread))
        elif not isinstance(layer, (StubConv, StubDense)):
            raise GraphError(f"widen: {type(layer).__name__} mixes channels")

    def _backward(self, node: int, sources: change.Sources) -> None:
        number = self._graph.producer(node)
        layer = self._graph.layer_list[number] if number is not None else None
        if layer is not None and layer.keeps_channels:
            self._waiting += [(one, sources) for one in layer.inputs if one not in self._known]
        elif isinstance(layer, (StubConcatenate, StubFlatten)) and not self._came_from(layer):
            raise GraphError(f"widen: a {type(layer).__name__} cannot be widened from behind")

    def _came_from(self, layer: StubLayer) -> bool:
        return any(node in self._known for node in layer.inputs)

    def _joined(self, layer: StubLayer, node: int, sources: change.Sources) -> change.Sources:
        parts, offset = [], 0
        for one in layer.inputs:
            width = self._graph.node_list[one][-1]
            parts.append(offset + (sources if one == node else np.arange(width)))
            offset += width
        return np.concatenate(parts)


def _widened(layer: StubLayer, sources: change.Sources, *, change_input: bool) -> None:
    if isinstance(layer, StubBatchNormalization):
        change.wider_normalization(layer, sources)
    elif isinstance(layer, (StubConv, StubDense)):
        (change.wider_input if change_input else change.wider_output)(layer, sources)


def _mixed(graph: Graph, node: int, mixture: NDArray[np.float64]) -> int:
    """Put a 1 x 1 convolution and a normalisation behind a tensor, or a dense layer behind a vector."""
    rank = len(graph.node_list[node]) - 1
    if not rank:
        return graph.add_layer(change.mixing_dense(mixture, weighted=graph.weighted), node)
    new = graph.add_layer(change.mixing_convolution(rank, mixture, weighted=graph.weighted), node)
    normalization = change.identity_normalization(rank, len(mixture), weighted=graph.weighted)
    return graph.add_layer(normalization, new)


def _pooled(graph: Graph, start: int, end: int) -> int:
    """Put behind a tensor what shrinks it on its way to another one, and return what comes out."""
    path = _path(graph, start, end)
    if path is None or len(graph.node_list[start]) != len(graph.node_list[end]):
        raise GraphError(f"there is no way from tensor {start} to tensor {end} that a skip connection could go beside")
    node, rank = start, len(graph.node_list[start]) - 1
    for layer in path:
        if isinstance(layer, StubPooling):
            node = graph.add_layer(make(f"StubPooling{rank}d", *layer.values), node)
        elif isinstance(layer, StubConv) and layer.stride > 1:
            node = graph.add_layer(make(f"StubPooling{rank}d", layer.stride, layer.stride, 0), node)
    if graph.node_list[node][:-1] != graph.node_list[end][:-1]:
        raise GraphError(f"tensor {start} cannot be pooled to the size of tensor {end}")
    return node


def _reached(graph: Graph, start: int) -> dict[int, tuple[int, StubLayer]]:
    """Return the tensors that follow from one without global pooling: from which, and by which layer on a way there."""
    came: dict[int, tuple[int, StubLayer]] = {}
    consumers, waiting = graph.all_consumers(), [start]
    for node in waiting:
        for number in consumers[node]:
            layer = graph.layer_list[number]
            if layer.output not in came and not isinstance(layer, (StubGlobalPooling, StubFlatten)):
                came[layer.output] = node, layer
                waiting.append(layer.output)
    return came


def _path(graph: Graph, start: int, end: int) -> list[StubLayer] | None:
    """Return the layers of one way between two tensors; None if there is none but through global pooling."""
    came = _reached(graph, start)
    if end not in came:
        return None
    path: list[StubLayer] = []
    node = end
    while node != start:
        node, layer = came[node]
        path.append(layer)
    return path[::-1]


def _done(graph: Graph, *operation: object) -> None:
    graph.operation_history.append(list(operation))
