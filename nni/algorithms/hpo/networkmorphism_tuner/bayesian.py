"""Bayesian optimisation over architectures: a Gaussian process on edit-distances, and a tree search for its optimum.

H. Jin, Q. Song and X. Hu, "Auto-Keras: An Efficient Neural Architecture Search System", KDD 2019, sections 3.1 to 3.3.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from scipy.linalg import cho_solve, cholesky, solve_triangular

from nni.algorithms.hpo.networkmorphism_tuner.descriptor import Array, Descriptor, DistanceTable, describe, distances
from nni.algorithms.hpo.networkmorphism_tuner.graph import Graph
from nni.algorithms.hpo.networkmorphism_tuner.graph_transformer import random_morphism

_LENGTHS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the kernel, in median distances
_NOISES = (1e-4, 1e-2, 1e-1)
_COOLING = 0.9
_CHILDREN = 6  # morphisms tried of each graph that the search looks at
_MOST_MORPHISMS = 4  # from an observed architecture to a suggestion; beyond, the model says nothing but "unknown"
_MOST_CHILDREN = 300  # that are scored for one suggestion
_EMBEDDING_SEED = 20190804

Item = TypeVar("Item")


class BourgainEmbedding:
    """Points of a metric space as points of a Euclidean one, where kernels are positive definite (Bourgain 1985).

    A coordinate is the distance from a random subset of the known points, of sizes about n/2, n/4, n/8, …. As these are
    known points, a new one has coordinates as well.
    """

    def __init__(self, n: int) -> None:
        rng = np.random.default_rng([_EMBEDDING_SEED, n])
        scales = max(1, math.ceil(math.log2(max(n, 2))))
        drawn = [rng.random(n) < 2.0**-scale for scale in range(1, scales + 1) for _ in range(2 * scales)]
        singles = [np.arange(n) == point for point in rng.permutation(n)[: 4 * scales]]
        self._subsets = [subset for subset in (*drawn, *singles) if subset.any()]

    def coordinates(self, from_known: Array) -> Array:
        """Return coordinates, ``points x dimensions``, from the distances to the known points, ``points x n``."""
        nearest = [from_known[:, subset].min(axis=1) for subset in self._subsets]
        return np.stack(nearest, axis=1) / math.sqrt(len(nearest))


class GaussianProcess:
    """Regression of metrics on architectures.

    The kernel is exp(-rho² / 2 l²), where rho is the distance after the embedding (equation 1). Length l and noise are
    those of a grid that make the observations most likely.

    Parameters
    ----------
    descriptors
        Of the architectures that have been observed.
    y
        Their metrics, larger is better, shape ``n``.
    table
        Where distances between them are kept.
    """

    def __init__(self, descriptors: Sequence[Descriptor], y: Array, table: DistanceTable | None = None) -> None:
        self._descriptors = list(descriptors)
        self._mean, self._scale = float(y.mean()), float(y.std()) or 1.0
        table = table or DistanceTable()
        known = np.stack([table.row(one, self._descriptors) for one in self._descriptors])
        self._embedding = BourgainEmbedding(len(y))
        self._points = self._embedding.coordinates(known)
        squared = _squared(self._points, self._points)
        typical = float(np.sqrt(np.median(squared[squared > 0]))) if (squared > 0).any() else 1.0
        normal = (y - self._mean) / self._scale
        fits = [_Fit(squared, normal, typical * length, noise) for length in _LENGTHS for noise in _NOISES]
        self._fit = max(fits, key=lambda fit: fit.likelihood)

    def predict(self, descriptor: Descriptor) -> tuple[float, float]:
        """Return mean and standard deviation of the metric of an architecture."""
        point = self._embedding.coordinates(distances(descriptor, self._descriptors)[None])
        mean, std = self._fit.predict(_squared(point, self._points)[0])
        return mean * self._scale + self._mean, std * self._scale


class _Fit:
    def __init__(self, squared: Array, y: Array, length: float, noise: float) -> None:
        self._length = length
        kernel = self._kernel(squared) + (noise + 1e-8) * np.eye(len(y))
        self._factor = cholesky(kernel, lower=True)
        self._alpha = cho_solve((self._factor, True), y)
        self.likelihood = float(-0.5 * y @ self._alpha - np.log(np.diag(self._factor)).sum())

    def predict(self, squared: Array) -> tuple[float, float]:
        covariance = self._kernel(squared)
        v = solve_triangular(self._factor, covariance, lower=True)
        return float(covariance @ self._alpha), math.sqrt(max(1 - float(v @ v), 0.0))

    def _kernel(self, squared: Array) -> Array:
        return np.asarray(np.exp(-0.5 * squared / self._length**2))


def _squared(a: Array, b: Array) -> Array:
    return np.asarray(((a[:, None, :] - b[None, :, :]) ** 2).sum(axis=-1))


class Parent(NamedTuple):
    """An architecture that has been observed, from which the search may start; or one on the way from there."""

    model_id: int
    graph: Graph
    morphisms: int = 0


class Found(NamedTuple):
    """An architecture that the search found, and the observed one that it was morphed from."""

    graph: Graph
    father_id: int
    acquisition: float


class _Queue(Generic[Item]):
    """Gives out what scored highest; of equal scores what came first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Item]] = []
        self._order = itertools.count()

    def push(self, score: float, item: Item) -> None:
        heapq.heappush(self._heap, (-score, next(self._order), item))

    def pop(self) -> Item:
        return heapq.heappop(self._heap)[2]

    def __len__(self) -> int:
        return len(self._heap)


class BayesianOptimizer:
    """Looks for the architecture with the best upper confidence bound among the morphisms of all observed ones.

    Parameters
    ----------
    t_min
        Temperature at which the annealing ends; it starts at 1 and loses a tenth with each graph that is expanded.
    beta
        Weight of the standard deviation in the acquisition, mean + beta · std.
    max_model_size
        Most weights of an architecture.
    """

    def __init__(self, t_min: float, beta: float, max_model_size: int) -> None:
        self.t_min = t_min
        self.beta = beta
        self.max_model_size = max_model_size

    def acquisition(self, process: GaussianProcess, descriptor: Descriptor) -> float:
        """Return the upper confidence bound of an architecture."""
        mean, std = process.predict(descriptor)
        return mean + self.beta * std

    def search(
        self,
        process: GaussianProcess,
        parents: Sequence[Parent],
        known: set[Descriptor],
        rng: np.random.Generator,
        unit: float = 1.0,
    ) -> Found | None:
        """Search the tree of morphisms with simulated annealing (algorithm 1).

        Parameters
        ----------
        process
            Says how good an architecture may be.
        parents
            Where the tree begins: all architectures with a result.
        known
            Architectures that are not to be suggested again.
        rng
            Of the morphisms and of the annealing.
        unit
            Of the metric: the temperature counts in it.

        Returns
        -------
        Found or None
            None if no morphism leads to a new architecture that is small enough.
        """
        queue: _Queue[Parent] = _Queue()
        for parent in parents:
            queue.push(self.acquisition(process, describe(parent.graph)), parent)
        best: Found | None = None
        seen, temperature, scored = set(known), 1.0, 0
        while queue and temperature > self.t_min and scored < _MOST_CHILDREN:
            temperature *= _COOLING
            father = queue.pop()
            for child in self.children(father.graph, rng):
                descriptor = describe(child)
                if descriptor in seen:
                    continue
                seen.add(descriptor)
                scored += 1
                score = self.acquisition(process, descriptor)
                if best is None or score > best.acquisition:
                    best = Found(child, father.model_id, score)
                chance = math.exp(min(0.0, (score - best.acquisition) / (unit * temperature)))
                if rng.random() < chance and father.morphisms + 1 < _MOST_MORPHISMS:
                    queue.push(score, Parent(father.model_id, child, father.morphisms + 1))
        return best

    def children(self, graph: Graph, rng: np.random.Generator, number: int = _CHILDREN) -> list[Graph]:
        """Return some graphs that are one morphism away and small enough."""
        found = (random_morphism(graph, rng, self.max_model_size) for _ in range(number))
        return [child for child in found if child is not None]
