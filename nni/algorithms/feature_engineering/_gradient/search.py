"""The search: weights in [0, 1] for the columns, moved along the gradient of the learnability.

A column's *utility* is the derivative of the learnability with respect to its weight, given the weights of the
others, in standard deviations of what a column without any meaning would get (:func:`moments.evidence`). The
learnability by the columns themselves and that by products of 2, 3, ... of them (up to ``order``) each give a utility.

An epoch has two parts:

1. *Screening*, where there are more columns than :data:`POOL`: one pass over all rows and columns at the present
   weights, the utilities of the batches added up. The columns with the highest ones become the pool.
2. *Steps* on the pool. The logit of a weight rises with the utility beyond a threshold and falls below it (mirror
   descent on the entropy of [0, 1]^D; one scale for all columns, since a scale for each, as Adam has, would blow the
   noise of thousands of meaningless columns up to the size of the signal). The threshold is a penalty on the number of
   columns. It is tightened step by step, so that redundant columns are sorted out one after another: until the wanted
   number passes, or, if the number is to be found, until each column is worth a fixed price.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from nni.algorithms.feature_engineering._gradient import moments
from nni.algorithms.feature_engineering._gradient.table import CUT, DenseTable, SparseTable
from nni.algorithms.feature_engineering._gradient.targets import Targets

POOL = 1000  # columns that are searched step by step
STEPS = 60  # least number of gradient steps in an epoch
STEP_ROWS = 512  # rows whose pairs are taken together in a step on the pool: its cost grows with their square
GRAM_ROWS = 8192  # rows whose Gram matrix is held at once (256 MiB); a larger target batch is averaged over such parts
POOL_VALUES = 1 << 26  # values of the pool that are kept in memory
LIMIT = 8.0  # logits stay within +-LIMIT, so that a column can come back
GAIN = 8.0  # a logit moves by at most GAIN * learning_rate a step: with 0.1, from 0 to LIMIT in 10 steps
MEMORY = 0.8  # the utilities of a step are averaged with those of the steps before
RESERVE, LEAST = 3, 32  # RESERVE times the columns that are in play, LEAST at least, stay in memory to come back
PRODUCT_WEIGHT = 0.5  # a product of d columns counts PRODUCT_WEIGHT ** (d - 1) of what a single column does


@dataclass(frozen=True)
class SearchOptions:
    """How to search; the names are those of the selector's arguments.

    ``n_select`` is the number of units (columns, or groups of them) to keep, or None.
    """

    order: int
    penalty: float
    n_select: int | None
    learning_rate: float
    n_epochs: int
    shuffle: bool
    target_batch_size: int
    soft_grouping: bool
    verbose: int


@dataclass(frozen=True)
class SearchResult:
    """What the search found.

    Attributes
    ----------
    logits
        Final logit of each column's weight, shape (D,).
    importances
        Weight times utility of each column, shape (D,); not negative.
    unit_scores
        What to rank the units by, shape (U,): selected ones are positive where the number was to be found.
    unit_importances
        Sum of the importances of a unit's columns, shape (U,).
    n_steps
        Gradient steps taken.
    """

    logits: Any
    importances: Any
    unit_scores: Any
    unit_importances: Any
    n_steps: int


class Search:
    """One search over a table.

    Parameters
    ----------
    table
        N rows, D columns.
    targets
        Of the N rows.
    units
        For each column the number of its unit, from 0 to U - 1; ``range(D)`` where there are no groups.
    logits
        Where to start, shape (D,).
    """

    def __init__(
        self,
        table: DenseTable | SparseTable,
        targets: Targets,
        units: Any,
        logits: Any,
        options: SearchOptions,
        random: np.random.Generator,
    ) -> None:
        self._table, self._options, self._random = table, options, random
        self._n, self._d = table.shape
        self._units = torch.as_tensor(np.asarray(units)).to(table.device, torch.int64)
        self._sizes = torch.bincount(self._units).to(torch.float32)
        self._logits = torch.as_tensor(logits).to(table.device, torch.float32).clone()
        self._utilities = torch.zeros(self._d, device=table.device)
        self._y = torch.as_tensor(targets.values).to(table.device, torch.float32)
        self._weights = torch.as_tensor(targets.weights).to(table.device, torch.float32)
        self._steps = 0
        self._parts = math.ceil(self._n / min(options.target_batch_size, GRAM_ROWS))

    def run(self) -> SearchResult:
        """Search, and return what was found."""
        for _ in range(self._options.n_epochs):
            pool = self._screened() if self._d > self._pool_size() else np.arange(self._d)
            self._search(pool)
        weights = torch.sigmoid(self._logits)
        importances = weights * self._utilities.clamp_min(0)
        grouped = torch.zeros_like(self._sizes)
        highest = grouped.scatter_reduce(0, self._units, self._logits, "amax", include_self=False)
        return SearchResult(
            logits=_array(self._logits),
            importances=_array(importances),
            unit_scores=_array(highest),
            unit_importances=_array(grouped.index_add(0, self._units, importances)),
            n_steps=self._steps,
        )

    # --- screening ------------------------------------------------------------------------------------------------

    def _pool_size(self) -> int:
        wanted = self._options.n_select or 0
        return max(POOL, math.ceil(4 * wanted * self._d / len(self._sizes)))

    def _screened(self) -> Any:
        """Return the columns of the pool: those of the units with the greatest utilities over all rows."""
        weights = torch.sigmoid(self._logits)
        degrees = self._degrees(self._d, self._n / self._parts * math.sqrt(self._parts))
        total = torch.zeros(len(degrees), self._d, device=self._table.device)
        order = self._random.permutation(self._n) if self._options.shuffle else np.arange(self._n)
        for part in np.array_split(order, self._parts):
            rows = self._random.permutation(part)  # chains of rows that are sorted by their targets would be biased
            block = self._table.block(rows)
            matrices = self._gradients(block.grams(weights), rows, degrees)
            total += block.quadratics(matrices, cut=[degree > 1 for degree in degrees])
        utilities = total.max(0).values / math.sqrt(self._parts)
        self._utilities = utilities
        by_unit = self._by_unit(utilities)
        kept = self._logits > 0 if self._steps else torch.zeros_like(self._logits, dtype=torch.bool)
        by_unit[self._units[kept]] = math.inf  # what an earlier epoch chose is compared with what comes new
        ranked = by_unit.argsort(descending=True, stable=True)
        full = torch.cumsum(self._sizes[ranked], 0) <= self._pool_size()
        chosen = torch.zeros(len(self._sizes), dtype=torch.bool, device=self._table.device)
        chosen[ranked[full]] = True
        chosen[ranked[: (self._options.n_select or 1)]] = True
        outside = ~chosen[self._units]
        if not self._steps:
            self._logits[outside] = -LIMIT
        return _array(torch.nonzero(~outside).squeeze(1))

    def _degrees(self, columns: int, rows: float) -> list[int]:
        """Return the degrees of products that so many rows can tell from noise among so many columns.

        At equal weights the utility of a column in a product of d grows with the rows and falls with
        columns^((d-1)/2); below 1 standard deviation even a target without noise would not be seen.
        """
        return [1, *(d for d in range(2, self._options.order + 1) if rows > columns ** ((d - 1) / 2))]

    def _gradients(self, grams: tuple[Any, Any], rows: Any, degrees: list[int]) -> list[Any]:
        order = self._options.order
        index = torch.as_tensor(rows).to(self._table.device)
        y, weights = self._y[index], self._weights[index]
        plain, cut = grams
        found = [moments.learnability(plain, y, weights, order)]
        found += moments.product_gradients(cut, y, weights, order, degrees[1:])
        return [moments.evidence(gradient) for _, gradient in found]

    # --- steps ----------------------------------------------------------------------------------------------------

    def _search(self, pool: Any) -> None:
        """Move the logits of the pool's columns."""
        columns = torch.as_tensor(pool).to(self._table.device)
        rows = self._pool_rows(len(pool))
        values = _Pool(self._table.read(rows, pool))
        batch = min(len(rows), self._options.target_batch_size)
        steps = max(STEPS, math.ceil(self._n / self._options.target_batch_size))
        index = torch.as_tensor(rows).to(self._table.device)
        logits, average = self._logits[columns], torch.zeros(len(pool), device=self._table.device)
        state = _Threshold(self, columns, steps)
        for step in range(steps):
            chosen = self._step_rows(len(rows), batch, step)
            share, utilities = self._utility(values, chosen, index, torch.sigmoid(logits), state.in_play)
            average = average + max(1 - MEMORY, 1 / (step + 1)) * (utilities - average)
            logits = state.moved(logits, average, step)
            self._steps += 1
            self._tell(share, logits)
            kept = state.worth_keeping(logits, average)
            if kept is not None:
                self._logits[columns], self._utilities[columns] = -LIMIT, average
                columns, logits, average, values = columns[kept], logits[kept], average[kept], values.only(kept)
        self._logits[columns], self._utilities[columns] = logits, average

    def _pool_rows(self, columns: int) -> Any:
        most = max(STEP_ROWS, POOL_VALUES // columns)
        if self._n <= most:
            return np.arange(self._n)
        return np.sort(self._random.choice(self._n, most, replace=False))

    def _step_rows(self, rows: int, batch: int, step: int) -> Any:
        if self._options.shuffle:
            chosen = self._random.choice(rows, batch, replace=False)
        else:
            chosen = self._random.permutation((np.arange(batch) + step * batch) % rows)
        return torch.as_tensor(chosen).to(self._table.device)

    def _utility(self, pool: _Pool, chosen: Any, index: Any, weights: Any, in_play: int) -> tuple[float, Any]:
        """Return the learnability and the utilities, accumulated over parts of the chosen rows."""
        parts = chosen.tensor_split(math.ceil(len(chosen) / STEP_ROWS))
        found = [self._utility_of_part(pool, part, index, weights, in_play) for part in parts]
        share = sum(share for share, _ in found) / len(found)
        return share, torch.stack([utility for _, utility in found]).sum(0) / math.sqrt(len(found))

    def _utility_of_part(self, pool: _Pool, chosen: Any, index: Any, weights: Any, in_play: int) -> tuple[float, Any]:
        order, of = self._options.order, index[chosen]
        y, row_weights = self._y[of], self._weights[of]
        batch = pool.batch(chosen)
        plain, cut = batch.grams(weights)
        share, gradient = moments.learnability(plain, y, row_weights, order)
        degrees = self._degrees(in_play, len(chosen))[1:]
        products = torch.zeros_like(gradient)
        for degree, (_, one) in zip(
            degrees, moments.product_gradients(cut, y, row_weights, order, degrees), strict=True
        ):
            products += moments.evidence(one).mul_(PRODUCT_WEIGHT ** (degree - 1))
        return share, batch.quadratic(moments.evidence(gradient), products)

    def _tell(self, share: float, logits: Any) -> None:
        every = self._options.verbose
        if every and self._steps % every == 0:
            open_ = int((logits > 0).sum())
            print(f"step {self._steps}: learnability {share:.4f}, {open_} columns above 0.5", flush=True)  # noqa: T201

    def _by_unit(self, utilities: Any) -> Any:
        """Return the utility of the units: the best column's, or where they share a weight, that of all together."""
        zeros = torch.zeros_like(self._sizes)
        if self._options.soft_grouping:
            return zeros.scatter_reduce(0, self._units, utilities, "amax", include_self=False)
        return zeros.index_add(0, self._units, utilities) / self._sizes.sqrt()


class _Pool:
    """The pool's standardised values in memory, of shape (rows, columns), and those beyond :data:`CUT` cut off.

    Few columns have such tails, so they alone are kept, and computed with, twice.
    """

    def __init__(self, values: Any, tails: Any = None) -> None:
        self._values = values
        self._tails = torch.nonzero((values.abs() > CUT).any(0)).squeeze(1) if tails is None else tails

    def only(self, columns: Any) -> _Pool:
        """Return the pool with these columns alone."""
        return _Pool(self._values[:, columns], torch.nonzero(torch.isin(columns, self._tails)).squeeze(1))

    def batch(self, rows: Any) -> _Pool:
        """Return the pool with these rows alone."""
        return _Pool(self._values[rows], self._tails)

    def grams(self, weights: Any) -> tuple[Any, Any]:
        """Return K of all rows, and K of the cut values."""
        plain = _gram(self._values, weights)
        if not len(self._tails):
            return plain, plain
        long, at = self._values[:, self._tails], weights[self._tails]
        return plain, plain - _gram(long, at) + _gram(long.clamp(-CUT, CUT), at)

    def quadratic(self, matrix: Any, products: Any) -> Any:
        """Return the quadratic forms with both matrices, of the cut values with ``products``."""
        found = _quadratic(self._values, matrix + products)
        if len(self._tails):
            long = self._values[:, self._tails]
            found[self._tails] += _quadratic(long.clamp(-CUT, CUT), products) - _quadratic(long, products)
        return found


def _gram(values: Any, weights: Any) -> Any:
    return (values * weights) @ values.T


def _quadratic(values: Any, matrix: Any) -> Any:
    return ((matrix @ values) * values).sum(0)


class _Threshold:
    """The penalty on the number of columns, and the step that it and the utilities make."""

    def __init__(self, search: Search, columns: Any, steps: int) -> None:
        options = search._options  # noqa: SLF001  (of this module)
        self._options = options
        present, units = torch.unique(search._units[columns], return_inverse=True)  # noqa: SLF001
        self._units, self._sizes = units, search._sizes[present]  # noqa: SLF001
        self._shared = not options.soft_grouping and len(present) < len(columns)
        self._soft = options.soft_grouping and len(present) < len(columns)
        self._start = len(present) if self._shared else len(columns)
        self._wanted = options.n_select
        if self._wanted is not None and not self._shared:
            self._wanted = max(1, round(self._wanted * len(columns) / len(present)))
        # The largest of D meaningless utilities, (chi^2_1 - 1) / sqrt(2) each: the penalty 2 ln D per column of the
        # risk inflation criterion (Foster & George 1994). Twice that where products take part: there are D^2 / 2 pairs.
        self._noise = math.sqrt(2) * math.log(max(2, search._d)) * min(options.order, 2)  # noqa: SLF001
        self._tightening = 0.8 * steps
        self.in_play = self._start

    def worth_keeping(self, logits: Any, utilities: Any) -> Any:
        """Return which columns to go on with, or None for all of them.

        A column whose weight has gone to 0 costs as much as any other, so those far below the threshold leave for good.
        With groups all stay, as a column's penalty depends on the others of its group.
        """
        if self._shared or self._soft:
            return None
        most = RESERVE * max(self.in_play, int((logits > 0).sum()), LEAST)
        if 2 * most > len(logits):
            return None
        return utilities.topk(most).indices.sort().values

    def moved(self, logits: Any, utilities: Any, step: int) -> Any:
        """Return the logits after a step."""
        if self._shared:
            zeros = torch.zeros_like(self._sizes)
            together = zeros.index_add(0, self._units, utilities) / self._sizes.sqrt()
            return self._stepped(logits, together[self._units], *self._level(together, step))
        level, scale = self._level(utilities, step)
        return self._stepped(logits, utilities, level * self._share(logits), scale)

    def _level(self, utilities: Any, step: int) -> tuple[Any, Any]:
        """Return the threshold, and the excess over it that makes a full step."""
        price = None if self._wanted is not None else utilities.new_tensor(self._options.penalty * self._noise)
        wanted = self._wanted or 1
        done = min(1.0, (step + 1) / self._tightening)
        if price is not None and (done == 1.0 or len(utilities) == 1):
            return price, price.clamp_min(1.0)
        if wanted >= len(utilities):
            return utilities.min() - 1, utilities.new_ones(())
        count = round(self._start * (wanted / self._start) ** done)
        count = self.in_play = min(max(count, wanted), len(utilities) - 1)
        ranked = utilities.sort(descending=True).values
        level = (ranked[count - 1] + ranked[count]) / 2
        if price is not None:  # what is worth its price stays; what is not may become so when others have gone
            level = torch.minimum(level, price)
        return level, (ranked[:count] - level).mean().clamp_min(1e-12)

    def _share(self, logits: Any) -> Any:
        """Return each column's part of the penalty: half for the column, half for its group.

        It is the penalty of the sparse-group lasso (Simon et al. 2013): the column that carries a group pays more.
        """
        if not self._soft:
            return 1.0
        weights = torch.sigmoid(logits)
        norms = torch.zeros_like(self._sizes).index_add(0, self._units, weights.square()).sqrt()
        return 0.5 + 0.5 * (self._sizes.sqrt() / norms.clamp_min(1e-12))[self._units] * weights

    def _stepped(self, logits: Any, utilities: Any, level: Any, scale: Any) -> Any:
        step = GAIN * self._options.learning_rate * ((utilities - level) / scale).clamp(-1, 1)
        return (logits + step).clamp(-LIMIT, LIMIT)


def _array(tensor: Any) -> Any:
    return tensor.detach().cpu().numpy()
