"""What a morphism does to single layers: new ones that change nothing, and wider ones.

Chen, Goodfellow and Shlens, "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016.

A widened tensor is described by its `sources`: its channel i is a copy of channel ``sources[i]`` of the old one.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nni.algorithms.hpo.networkmorphism_tuner.layers import StubLayer, make

Sources: TypeAlias = "NDArray[np.int64]"

_EPSILON = 1e-5  # of batch normalisation in torch


def identity_convolution(rank: int, channels: int, kernel_size: int, *, weighted: bool) -> StubLayer:
    """Return a convolution that gives back what it gets. The kernel size must be odd."""
    return mixing_convolution(rank, np.eye(channels), kernel_size, weighted=weighted)


def mixing_convolution(rank: int, mixture: NDArray[np.float64], kernel_size: int = 1, *, weighted: bool) -> StubLayer:
    """Return a convolution whose output at a place is a mixture (outputs x inputs) of the channels at that place."""
    outputs, inputs = mixture.shape
    layer = make(f"StubConv{rank}d", inputs, outputs, kernel_size)
    if weighted:
        weight = np.zeros((outputs, inputs, kernel_size**rank))
        weight[:, :, kernel_size**rank // 2] = mixture  # the place in the middle
        layer.weights = [weight.reshape(outputs, inputs, *[kernel_size] * rank), np.zeros(outputs)]
    return layer


def mixing_dense(mixture: NDArray[np.float64], *, weighted: bool) -> StubLayer:
    """Return a dense layer whose output is a mixture (outputs x inputs) of its input."""
    outputs, inputs = mixture.shape
    layer = make("StubDense", inputs, outputs)
    if weighted:
        layer.weights = [mixture.astype(float), np.zeros(outputs)]
    return layer


def identity_normalization(rank: int, channels: int, *, weighted: bool) -> StubLayer:
    """Return a batch normalisation that gives back what it gets, when it is evaluated."""
    layer = make(f"StubBatchNormalization{rank}d", channels)
    if weighted:
        scale = np.full(channels, np.sqrt(1 + _EPSILON))
        layer.weights = [scale, np.zeros(channels), np.zeros(channels), np.ones(channels)]
    return layer


def wider_output(layer: StubLayer, sources: Sources) -> None:
    """Let a convolution or dense layer make more channels, copies of those that it has."""
    layer.values[1] = len(sources)
    if layer.weights is not None:
        layer.weights = [values[sources] for values in layer.weights]


def wider_input(layer: StubLayer, sources: Sources) -> None:
    """Let a convolution or dense layer take copied channels, and make of them what it made before.

    The weight of a channel is divided among its copies, 1 : 2 : 3 …, and not evenly: copies that were treated alike
    would be trained alike for ever (Net2Net breaks this symmetry with noise, which changes the function).
    """
    if layer.weights is not None:
        weight, bias = layer.weights
        share = _shares(sources).reshape(1, -1, *[1] * (weight.ndim - 2))
        layer.weights = [weight[:, sources] * share, bias]
    layer.values[0] = len(sources)


def wider_normalization(layer: StubLayer, sources: Sources) -> None:
    """Let a batch normalisation treat copied channels as their originals."""
    layer.values[0] = len(sources)
    if layer.weights is not None:
        layer.weights = [values[sources] for values in layer.weights]


def _shares(sources: Sources) -> NDArray[np.float64]:
    rank = np.array([np.count_nonzero(sources[: place + 1] == source) for place, source in enumerate(sources)])
    total = np.bincount(sources, weights=rank)
    return np.asarray(rank / total[sources])
