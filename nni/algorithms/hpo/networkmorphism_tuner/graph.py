"""Networks as graphs: tensors are the nodes, layers the edges between them (HPO-308 … HPO-311)."""

from __future__ import annotations

import copy
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nni.algorithms.hpo.networkmorphism_tuner.layers import GraphError, Shape, StubLayer, make

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Graph", "GraphError", "graph_to_json", "json_to_graph"]


class Graph:
    """The architecture of a network.

    Parameters
    ----------
    input_shape
        Of the input without the batch axis, channels last, as in ``(32, 32, 3)``.
    weighted
        Whether the layers have weights. Architectures that a tuner sends to trials have none.

    Attributes
    ----------
    layer_list : list of StubLayer
        The position is the layer's id.
    node_list : list of tuple
        Shapes of the tensors; the position is the tensor's id. The first one is the input.
    operation_history : list
        The morphisms that made this graph, each a list of its name and arguments.
    """

    def __init__(self, input_shape: Sequence[int], weighted: bool = False) -> None:
        self.input_shape: Shape = tuple(int(side) for side in input_shape)
        self.weighted = weighted
        self.operation_history: list[list[Any]] = []
        self.layer_list: list[StubLayer] = []
        self.node_list: list[Shape] = [self.input_shape]

    # ------------------------------------------------------------------------------------ building

    def add_layer(self, layer: StubLayer, *inputs: int) -> int:
        """Put a layer behind tensors, and return the id of the tensor that it makes."""
        shape = layer.output_shape([self.node_list[node] for node in inputs])
        layer.inputs, layer.output = list(inputs), len(self.node_list)
        self.layer_list.append(layer)
        self.node_list.append(shape)
        return layer.output

    def redirect(self, old: int, new: int, layers: Sequence[int]) -> None:
        """Let layers take one tensor in place of another."""
        for number in layers:
            layer = self.layer_list[number]
            layer.inputs = [new if node == old else node for node in layer.inputs]

    def copy(self) -> Graph:
        """Return a copy that can be changed without this graph; weights are shared until a morphism replaces them."""
        twin = Graph(self.input_shape, self.weighted)
        twin.operation_history = [list(operation) for operation in self.operation_history]
        twin.node_list = list(self.node_list)
        twin.layer_list = [layer.copy() for layer in self.layer_list]
        return twin

    # ------------------------------------------------------------------------------------ looking

    def consumers(self, node: int) -> list[int]:
        """Return the layers that take a tensor."""
        return [number for number, layer in enumerate(self.layer_list) if node in layer.inputs]

    def all_consumers(self) -> dict[int, list[int]]:
        """Return the layers that take each tensor."""
        found = defaultdict[int, list[int]](list)
        for number, layer in enumerate(self.layer_list):
            for node in dict.fromkeys(layer.inputs):
                found[node].append(number)
        return found

    def producer(self, node: int) -> int | None:
        """Return the layer that makes a tensor; None of the input."""
        return next((number for number, layer in enumerate(self.layer_list) if layer.output == node), None)

    @property
    def output(self) -> int:
        """The tensor that no layer takes."""
        taken = {node for layer in self.layer_list for node in layer.inputs}
        left = [node for node in range(len(self.node_list)) if node not in taken]
        if len(left) != 1:
            raise GraphError(f"expected one output, got the tensors {left}")
        return left[0]

    def topological_order(self) -> list[int]:
        """Return the layers, each behind those whose results it takes."""
        waits = [set(layer.inputs) - {0} for layer in self.layer_list]
        consumers = self.all_consumers()
        order = [number for number, waited in enumerate(waits) if not waited]
        for number in order:
            made = self.layer_list[number].output
            for follower in consumers[made]:
                waits[follower].discard(made)
                if not waits[follower]:
                    order.append(follower)
        if len(order) < len(self.layer_list):
            waiting = [number for number, waited in enumerate(waits) if waited]
            raise GraphError(f"the layers {waiting} wait for tensors that nothing makes")
        return order

    def size(self) -> int:
        """Return the number of weights."""
        return sum(layer.size() for layer in self.layer_list)

    def check(self) -> None:
        """Work out all shapes anew.

        Raises
        ------
        GraphError
            If a layer does not fit behind another one, or if there is not one output.
        """
        for number in self.topological_order():
            layer = self.layer_list[number]
            self.node_list[layer.output] = layer.output_shape([self.node_list[node] for node in layer.inputs])
        _ = self.output

    # ------------------------------------------------------------------------------------ adjacency, see HPO-310

    @property
    def adj_list(self) -> dict[int, list[list[int]]]:
        """For each tensor the ``[tensor, layer]`` pairs that follow it."""
        return {node: list(self._edges(node, forward=True)) for node in range(len(self.node_list))}

    @property
    def reverse_adj_list(self) -> dict[int, list[list[int]]]:
        """For each tensor the ``[tensor, layer]`` pairs that it comes from."""
        return {node: list(self._edges(node, forward=False)) for node in range(len(self.node_list))}

    def _edges(self, node: int, *, forward: bool) -> Iterator[list[int]]:
        for number, layer in enumerate(self.layer_list):
            for one in layer.inputs:
                if forward and one == node:
                    yield [layer.output, number]
                elif not forward and layer.output == node:
                    yield [one, number]

    # ------------------------------------------------------------------------------------ networks

    def produce_torch_model(self) -> nn.Module:
        """Return the network as a torch module, which takes ``batch x channels x height x width``.

        With :attr:`weighted`, it has the weights of the graph; otherwise fresh ones.

        Raises
        ------
        GraphError
            If PyTorch is not installed.
        """
        try:
            from nni.algorithms.hpo.networkmorphism_tuner.torch_model import TorchModel  # noqa: PLC0415 - torch
        except ImportError as error:
            raise GraphError(f"a model needs PyTorch ({error}): pip install nni[networkmorphism]") from None
        return TorchModel(self)

    def read_weights(self, model: nn.Module) -> None:
        """Take over the weights of a model that :meth:`produce_torch_model` made, and be weighted from now on."""
        from nni.algorithms.hpo.networkmorphism_tuner.torch_model import weights_of  # noqa: PLC0415 - torch

        for number, layer in enumerate(self.layer_list):
            layer.weights = weights_of(model, number)
        self.weighted = True

    def clear_operation_history(self) -> None:
        """Forget the morphisms that made this graph."""
        self.operation_history = []


def graph_to_json(graph: Graph) -> dict[str, Any]:
    """Return the documented JSON form of a graph, without weights (HPO-310)."""
    layers = list(enumerate(graph.layer_list))
    return {
        "input_shape": list(graph.input_shape),
        "weighted": False,
        "operation_history": copy.deepcopy(graph.operation_history),
        "layer_id_to_input_node_ids": {str(number): list(layer.inputs) for number, layer in layers},
        "layer_id_to_output_node_ids": {str(number): [layer.output] for number, layer in layers},
        "adj_list": {str(node): edges for node, edges in graph.adj_list.items()},
        "reverse_adj_list": {str(node): edges for node, edges in graph.reverse_adj_list.items()},
        "node_list": [[node, list(shape)] for node, shape in enumerate(graph.node_list)],
        "layer_list": [[number, layer.record()] for number, layer in layers],
    }


def json_to_graph(json_model: str | dict[str, Any]) -> Graph:
    """Return the graph of a JSON form: what ``nni.get_next_parameter()`` gives a trial, or the text of a model file.

    Raises
    ------
    GraphError
        If it is not the description of a network; the text says which layer is wrong.
    """
    try:
        description = json.loads(json_model) if isinstance(json_model, str) else json_model
        graph = Graph(description["input_shape"])
        records = [record for _, record in sorted(description["layer_list"], key=_number)]
        graph.node_list = [tuple(shape) for _, shape in sorted(description["node_list"], key=_number)]
        graph.operation_history = copy.deepcopy(list(description.get("operation_history", [])))
        for name, inputs, output, *values in records:
            layer = make(name, *values)
            layer.inputs = [inputs] if isinstance(inputs, int) else list(inputs)
            layer.output = output
            graph.layer_list.append(layer)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise GraphError(f"not the JSON form of a network: {type(error).__name__}: {error}") from None
    graph.check()
    return graph


def _number(pair: Sequence[Any]) -> int:
    return int(pair[0])
