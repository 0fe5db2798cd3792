"""From a graph to a network of torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nni.algorithms.hpo.networkmorphism_tuner import layers as stub
from nni.algorithms.hpo.networkmorphism_tuner.graph import Graph, GraphError

_WEIGHT_NAMES = ("weight", "bias", "running_mean", "running_var")
_MODULES: dict[type[stub.StubLayer], tuple[Any, ...]] = {  # one for each number of dimensions
    stub.StubConv: (nn.Conv1d, nn.Conv2d, nn.Conv3d),
    stub.StubBatchNormalization: (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d),
    stub.StubDropout: (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d),
    stub.StubPooling: (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d),
}


class TorchModel(nn.Module):
    """A network as its graph describes it; `layers` holds the module of each layer by its id."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self._order = graph.topological_order()
        self._inputs = [list(layer.inputs) for layer in graph.layer_list]
        self._outputs = [layer.output for layer in graph.layer_list]
        self._result = graph.output
        ranks = [len(graph.node_list[layer.inputs[0]]) for layer in graph.layer_list]
        self.layers = nn.ModuleList([_module(*one) for one in zip(graph.layer_list, ranks, strict=True)])
        if graph.weighted:
            for module, layer in zip(self.layers, graph.layer_list, strict=True):
                _load(module, layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the network's output for a batch, ``batch x channels x …``."""
        tensors = {0: x}
        for number in self._order:
            arguments = [tensors[node] for node in self._inputs[number]]
            tensors[self._outputs[number]] = self.layers[number](*arguments)
        return tensors[self._result]


class _Add(nn.Module):
    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return torch.stack(tensors).sum(dim=0)


class _Concatenate(nn.Module):
    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        return torch.cat(tensors, dim=1)


class _GlobalMean(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mean(dim=2)


_PLAIN: dict[type[stub.StubLayer], Any] = {
    stub.StubReLU: nn.ReLU,
    stub.StubSoftmax: lambda: nn.Softmax(dim=1),
    stub.StubFlatten: nn.Flatten,
    stub.StubAdd: _Add,
    stub.StubConcatenate: _Concatenate,
    stub.StubGlobalPooling: _GlobalMean,
}


def _module(layer: stub.StubLayer, rank: int) -> Any:
    for kind, make in _PLAIN.items():
        if isinstance(layer, kind):
            return make()
    if isinstance(layer, stub.StubDense):
        return nn.Linear(layer.input_units, layer.units)
    if isinstance(layer, stub.StubDropout) and rank == 1:  # behind global pooling, where channels are all there is
        return nn.Dropout(layer.rate)
    for kind, modules in _MODULES.items():
        if isinstance(layer, kind):
            return modules[layer.rank - 1](*layer.values)
    raise GraphError(f"{type(layer).__name__} has no module of torch")


def weights_of(model: nn.Module, number: int) -> list[NDArray[np.float64]]:
    """Return the weights of one layer of a model, in the order of the graph's layers."""
    module = model.get_submodule(f"layers.{number}")
    found = (getattr(module, name, None) for name in _WEIGHT_NAMES)
    return [tensor.detach().numpy().astype(np.float64) for tensor in found if isinstance(tensor, torch.Tensor)]


def _load(module: nn.Module, layer: stub.StubLayer) -> None:
    with torch.no_grad():
        for name, values in zip(_WEIGHT_NAMES, layer.weights or [], strict=False):
            getattr(module, name).copy_(torch.from_numpy(values))
