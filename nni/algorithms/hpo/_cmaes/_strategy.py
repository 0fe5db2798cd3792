"""One run of the strategy, between encoded configurations and the solutions of the ``cmaes`` library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from cmaes import CatCMAwM  # type: ignore[import-untyped]
from numpy.typing import NDArray

from nni.search_space import Encoder, Kind, from_unit, to_unit

Floats = NDArray[np.float64]

MOST_STEPS = 256
"""Values of a number with steps that are told apart from each other; of more, it is taken as real and rounded."""

_SMALLEST = 1e-7  # deviation in all dimensions at which a run has converged, in parts of the range
_STALE = 20  # generations without an improvement, and as many again for each 3 dimensions, that end a run


class Genes:
    """How rows of the unit cube are laid out for the strategy: real, stepped and categorical columns.

    A column that is not active in a configuration has a gene all the same, which then has no effect.

    Parameters
    ----------
    encoder
        The space.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.real, self.stepped, self.categorical = [], [], []
        self.steps: list[Floats] = []
        for d in encoder.dimensions:
            if d.kind is Kind.CATEGORICAL:
                if (d.size or 1) > 1:
                    self.categorical.append(d.index)
            elif d.lower == d.upper:
                continue  # a constant
            elif d.size is not None and d.size <= MOST_STEPS:
                self.stepped.append(d.index)
                self.steps.append(self._values(d.index, d.size))
            else:
                self.real.append(d.index)
        self.options = [encoder.dimensions[i].size or 1 for i in self.categorical]

    def __len__(self) -> int:
        return len(self.real) + len(self.stepped) + len(self.categorical)

    def _values(self, column: int, size: int) -> Floats:
        scale = self.encoder.scale.take(column)
        numbers = np.clip((scale.first + np.arange(size)) * scale.q, scale.low, scale.high)
        return np.unique(scale.internal(numbers))

    def row(self, solution: CatCMAwM.Solution) -> Floats:
        """Return the row of a solution in the unit cube, shape (d,); branches not taken are blank."""
        row = np.full(len(self.encoder), 0.5)
        for columns, values in ((self.real, solution.x), (self.stepped, solution.z)):
            if columns:
                row[columns] = values
        for number, column in enumerate(self.categorical):
            row[column] = int(np.argmax(solution.c[number]))
        for d in self.encoder.dimensions:
            if d.kind is Kind.CATEGORICAL and (d.size or 1) == 1:
                row[d.index] = 0.0
        internal = from_unit(self.encoder, row[None])
        return np.asarray(to_unit(self.encoder, self.encoder.snap(internal))[0])

    def solution(self, row: Floats, mean: Floats) -> CatCMAwM.Solution:
        """Return a solution that stands for a row; genes of branches not taken are those of the ``mean``."""
        full = np.where(np.isnan(row), mean, row)
        x, z = full[self.real], full[self.stepped]
        one_hot = np.zeros((len(self.categorical), max(self.options, default=1)), dtype=bool)
        for number, column in enumerate(self.categorical):
            one_hot[number, int(full[column])] = True
        return CatCMAwM.Solution(
            x if self.real else None,
            z if self.stepped else None,
            one_hot if self.categorical else None,
            np.concatenate([x, z]) if self.real or self.stepped else None,
        )


@dataclass
class _Progress:
    best: float = math.inf
    stale: int = 0


class Strategy:
    """One run: CMA-ES with margin for steps and categories (Hamano et al. 2022 and 2025).

    Parameters
    ----------
    genes
        The layout.
    mean : array, shape (d,)
        Where to start: a complete row of the unit cube.
    sigma
        Standard deviation to start with, in parts of the range.
    population
        Solutions per generation; None for 4 + 3 ln(d).
    seed
        For what is drawn outside of :meth:`ask`.
    """

    def __init__(self, genes: Genes, mean: Floats, sigma: float, population: int | None, seed: int) -> None:
        self.genes = genes
        self.mean = mean
        numbers = [*genes.real, *genes.stepped]
        arguments: dict[str, Any] = {}
        if genes.real:
            arguments["x_space"] = [[0.0, 1.0]] * len(genes.real)
        if genes.stepped:
            arguments["z_space"] = [values.tolist() for values in genes.steps]
        if genes.categorical:
            arguments["c_space"] = genes.options
        if numbers:
            arguments |= {"mean": mean[numbers].copy(), "sigma": sigma}
        if population is None:
            population = 4 + math.floor(3 * math.log(max(len(genes), 1)))
        self.population = population
        self._optimizer = CatCMAwM(population_size=population, seed=seed, **arguments)
        self._buffer: list[tuple[CatCMAwM.Solution, float]] = []
        self._progress = _Progress()
        self.generation = 0

    def ask(self, rng: np.random.Generator) -> CatCMAwM.Solution:
        """Draw a solution from the present distribution."""
        self._optimizer.reseed_rng(int(rng.integers(2**32)))
        return self._optimizer.ask()

    def tell(self, solution: CatCMAwM.Solution, loss: float) -> None:
        """Take a result, in any order; a generation is complete when there are as many as its population."""
        self._buffer.append((solution, loss))
        if len(self._buffer) < self.population:
            return
        buffer, self._buffer = self._buffer, []
        losses = np.array([loss for _, loss in buffer])
        finite = losses[np.isfinite(losses)]
        if len(set(losses.tolist())) > 1 and len(finite):  # else the generation says nothing
            worst = float(finite.max() + max(finite.max() - finite.min(), 1e-12))
            self._optimizer.tell([(one, loss if math.isfinite(loss) else worst) for one, loss in buffer])
        self.generation += 1
        best = float(finite.min()) if len(finite) else math.inf
        self._progress.stale = 0 if best < self._progress.best else self._progress.stale + 1
        self._progress.best = min(self._progress.best, best)

    @property
    def is_done(self) -> bool:
        """Whether the run has converged or makes no progress."""
        if self._progress.stale > _STALE * (1 + len(self.genes) // 3):
            return True
        if not (self.genes.real or self.genes.stepped) or self.generation == 0:
            return False
        return bool(self._optimizer.should_stop())
