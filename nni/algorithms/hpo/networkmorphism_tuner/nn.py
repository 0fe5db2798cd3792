"""The network that a search begins with."""

from __future__ import annotations

from collections.abc import Sequence

from nni.algorithms.hpo.networkmorphism_tuner.graph import Graph
from nni.algorithms.hpo.networkmorphism_tuner.layers import make

_DROPOUT = 0.25
_MOST_POOLINGS = 4


class CnnGenerator:
    """Makes plain convolutional networks for images.

    Parameters
    ----------
    n_output_node
        Number of classes.
    input_shape
        Height, width and channels.
    """

    def __init__(self, n_output_node: int, input_shape: Sequence[int]) -> None:
        self._n_output_node = n_output_node
        self._input_shape = input_shape

    def generate(self, model_len: int, model_width: int) -> Graph:
        """Return a network of ``model_len`` convolutions of ``model_width`` channels, as in the documented example.

        Each convolution stands between a rectifier and a batch normalisation. At most four of them are followed by
        pooling, evenly spread, and none once the image is too small.
        """
        rank = len(self._input_shape) - 1
        graph = Graph(self._input_shape)
        node, channels = 0, self._input_shape[-1]
        step = max(1, -(-model_len // _MOST_POOLINGS))
        for number in range(model_len):
            node = graph.add_layer(make("StubReLU"), node)
            node = graph.add_layer(make(f"StubConv{rank}d", channels, model_width, 3), node)
            node = graph.add_layer(make(f"StubBatchNormalization{rank}d", model_width), node)
            if (number + 1) % step == 0 and min(graph.node_list[node][:-1]) >= 2:
                node = graph.add_layer(make(f"StubPooling{rank}d", 2, 2, 0), node)
            channels = model_width
        node = graph.add_layer(make(f"StubGlobalPooling{rank}d"), node)
        node = graph.add_layer(make(f"StubDropout{rank}d", _DROPOUT), node)
        node = graph.add_layer(make("StubDense", channels, model_width), node)
        node = graph.add_layer(make("StubReLU"), node)
        graph.add_layer(make("StubDense", model_width, self._n_output_node), node)
        return graph
