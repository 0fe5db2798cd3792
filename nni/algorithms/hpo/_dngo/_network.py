"""A small neural network whose last hidden layer are basis functions of the data."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HIDDEN = (50, 50, 50)  # units of the hidden layers (Snoek et al. 2015, section 3.1)
LEARNING_RATE = 0.01
WEIGHT_DECAY = 1e-4
LARGEST_BATCH = 128
_DECAY, _DECAY_OF_SQUARES, _SMALL = 0.9, 0.999, 1e-8


@dataclass(frozen=True)
class Network:
    """Layers of ``tanh`` units, and a linear output unit that is only there for the training.

    Attributes
    ----------
    weights, biases
        Of each layer, the output last.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]

    @classmethod
    def untrained(cls, inputs: int, rng: np.random.Generator) -> Network:
        """Draw weights after Glorot and Bengio (2010), for ``inputs`` columns on [-1, 1]."""
        sizes = [inputs, *HIDDEN, 1]
        weights = [
            rng.uniform(-1, 1, (before, after)) * np.sqrt(6 / (before + after))
            for before, after in itertools.pairwise(sizes)
        ]
        return cls(tuple(weights), tuple(np.zeros(size) for size in sizes[1:]))

    def features(self, inputs: Floats) -> Floats:
        """Return the last hidden layer, shape (n, units)."""
        return self._layers(inputs)[-1]

    def _layers(self, inputs: Floats) -> list[Floats]:
        layers = [inputs]
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            layers.append(np.tanh(layers[-1] @ weight + bias))
        return layers

    def loss_and_gradients(self, inputs: Floats, targets: Floats) -> tuple[float, list[Floats]]:
        """Return half the mean squared error plus weight decay, and its gradients: by weights, then by biases."""
        layers = self._layers(inputs)
        error = (layers[-1] @ self.weights[-1] + self.biases[-1])[:, 0] - targets
        decay = sum(float((weight**2).sum()) for weight in self.weights)
        loss = 0.5 * float(np.mean(error**2)) + 0.5 * WEIGHT_DECAY * decay
        back = error[:, None] / len(targets)
        by_weights: list[Floats] = []
        by_biases: list[Floats] = []
        for layer, weight in zip(reversed(layers), reversed(self.weights), strict=True):
            by_weights.insert(0, layer.T @ back + WEIGHT_DECAY * weight)
            by_biases.insert(0, back.sum(axis=0))
            back = (back @ weight.T) * (1 - layer**2)
        return loss, by_weights + by_biases


def train(inputs: Floats, targets: Floats, epochs: int, rng: np.random.Generator) -> Network:
    """Train a network with Adam (Kingma and Ba 2015), at a rate that falls to zero along a cosine.

    Parameters
    ----------
    inputs : array, shape (n, d)
        On [-1, 1].
    targets : array, shape (n,)
        Of mean 0 and variance 1.
    epochs
        How often each observation is looked at.
    rng
        Of the first weights and of the order of the observations.
    """
    network = Network.untrained(inputs.shape[1], rng)
    parameters = [*network.weights, *network.biases]
    first = [np.zeros_like(p) for p in parameters]
    second = [np.zeros_like(p) for p in parameters]
    batches = -(-len(inputs) // LARGEST_BATCH)
    steps = epochs * batches
    step = 0
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(inputs)), batches):
            step += 1
            rate = 0.5 * LEARNING_RATE * (1 + np.cos(np.pi * step / steps))
            rate *= np.sqrt(1 - _DECAY_OF_SQUARES**step) / (1 - _DECAY**step)
            _, gradients = network.loss_and_gradients(inputs[batch], targets[batch])
            for number, gradient in enumerate(gradients):
                first[number] += (1 - _DECAY) * (gradient - first[number])
                second[number] += (1 - _DECAY_OF_SQUARES) * (gradient**2 - second[number])
                parameters[number] -= rate * first[number] / (np.sqrt(second[number]) + _SMALL)  # in place
    return network
