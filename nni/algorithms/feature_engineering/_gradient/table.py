"""The table of features: standardised on the fly, rows by rows, dense or sparse.

The search needs two things of a block of n rows, Z of shape (n, D) being its standardised values:

- the *weighted Gram matrix* ``K = Z diag(w) Z^T`` of shape (n, n),
- the *quadratic form* ``q_f = z_f^T C z_f`` of every column f with a symmetric matrix C with a zero diagonal, which is
  the gradient of any function of K with respect to w, if C is its gradient with respect to K.

Both cost time in O(n^2 D) for a dense block and far less for a sparse one, and memory in O(D + n^2).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy import sparse

# Values of one dense piece of a block: 32 MiB as float32.
PIECE = 1 << 23
# Standardised values beyond this many standard deviations are cut off for products of features: the product of two
# heavy tails would drown everything else.
CUT = 5.0


def table_of(
    X: Any,  # noqa: N803
    *,
    zscore: bool,
    batch_size: int,
    device: str,
    varies: Any = None,
) -> DenseTable | SparseTable:
    """Return the table of an array or a CSR matrix; constant columns are 0 where ``varies`` says which are not."""
    if sparse.issparse(X):
        return SparseTable(X.tocsr(), zscore=zscore, device=device)
    return DenseTable(X, zscore=zscore, batch_size=batch_size, device=device, varies=varies)


class DenseTable:
    """An array, in memory or memory-mapped; only pieces of it are converted at a time."""

    def __init__(
        self,
        X: Any,  # noqa: N803
        *,
        zscore: bool,
        batch_size: int,
        device: str,
        varies: Any = None,
    ) -> None:
        self.X = X
        self.shape: tuple[int, int] = X.shape
        self.device = torch.device(device)
        self._batch = batch_size
        mean, variance = _moments(X, batch_size)
        varies = np.ones(len(mean), dtype=bool) if varies is None else varies
        scale = np.sqrt(variance) if zscore else np.full(len(mean), np.sqrt(variance[varies].mean()))
        self._mean = mean
        self._scale = np.where(varies, scale, np.inf)

    def block(self, rows: Any) -> DenseBlock:
        """Return some rows; nothing is read yet."""
        return DenseBlock(self, np.asarray(rows))

    def read(self, rows: Any, columns: Any) -> Any:
        """Return standardised values as a float32 tensor on the device."""
        values = self.X[rows, columns] if isinstance(columns, slice) else self.X[np.ix_(rows, columns)]
        values = (values - self._mean[columns]) / self._scale[columns]
        return torch.as_tensor(values.astype(np.float32, copy=False)).to(self.device)

    def batches(self, rows: Any) -> list[Any]:
        """Return rows in groups of at most ``batch_size``."""
        return [rows[start : start + self._batch] for start in range(0, len(rows), self._batch)]

    def pieces(self, rows: int) -> list[slice]:
        """Return slices of columns such that a piece with so many rows fits into the budget."""
        step = max(1, PIECE // max(1, rows))
        return [slice(start, min(start + step, self.shape[1])) for start in range(0, self.shape[1], step)]


class DenseBlock:
    """Some rows of a dense table; read batch by batch and piece by piece whenever they are needed."""

    def __init__(self, table: DenseTable, rows: Any) -> None:
        self._table = table
        self._batches = table.batches(rows)
        self._ends = np.cumsum([0, *map(len, self._batches)])
        self.n = len(rows)
        self.has_tails = False

    def grams(self, weights: Any) -> tuple[Any, Any]:
        """Return K, and K of the values that are cut off at :data:`CUT` (the same matrix where there are none)."""
        plain = torch.zeros(self.n, self.n, device=self._table.device)
        change = torch.zeros_like(plain)
        for left, right, first, second, columns in self._pairs():
            plain[left, right] += (first * weights[columns]) @ second.T
            tails = _tails(first, second)  # few columns have any, so that only those are computed twice
            if len(tails):
                self.has_tails = True
                one, two, at = first[:, tails], second[:, tails], weights[columns][tails]
                change[left, right] += (one.clamp(-CUT, CUT) * at) @ two.clamp(-CUT, CUT).T - (one * at) @ two.T
        plain = _mirrored(plain)
        return plain, plain + _mirrored(change) if self.has_tails else plain

    def quadratics(self, matrices: list[Any], *, cut: list[bool]) -> Any:
        """Return the quadratic forms, of shape (len(matrices), D)."""
        found = torch.zeros(len(matrices), self._table.shape[1], device=self._table.device)
        for left, right, first, second, columns in self._pairs():
            twice = 1.0 if left == right else 2.0
            tails = _tails(first, second) if any(cut) else []
            for position, matrix in enumerate(matrices):
                sums = ((matrix[left, right] @ second) * first).sum(0)
                if cut[position] and len(tails):
                    one, two = (values[:, tails].clamp(-CUT, CUT) for values in (first, second))
                    sums[tails] = ((matrix[left, right] @ two) * one).sum(0)
                found[position, columns] += twice * sums
        return found

    def _pairs(self) -> Any:
        """Yield every pair of batches once, in pieces of columns, so that two pieces are in memory and no more."""
        longest = max(map(len, self._batches))
        for columns in self._table.pieces(longest):
            for i, rows in enumerate(self._batches):
                first = self._table.read(rows, columns)
                for j in range(i, len(self._batches)):
                    second = first if i == j else self._table.read(self._batches[j], columns)
                    yield slice(*self._ends[i : i + 2]), slice(*self._ends[j : j + 2]), first, second, columns


class SparseTable:
    """A CSR matrix; standardised without ever filling in its zeros."""

    def __init__(self, X: Any, *, zscore: bool, device: str) -> None:  # noqa: N803
        self.X = X
        self.shape: tuple[int, int] = X.shape
        self.device = torch.device(device)
        n = X.shape[0]
        columns, data = X.indices, X.data.astype(np.float64)
        mean = np.bincount(columns, data, X.shape[1]) / n
        variance = np.maximum(np.bincount(columns, data**2, X.shape[1]) / n - mean**2, 0.0)
        # A column with one value throughout (all zeros, say) explains nothing: its weight in every sum is 0.
        varies = variance > 1e-12 * np.maximum(mean**2, 1e-300)
        scale = np.sqrt(variance) if zscore else np.full(len(mean), np.sqrt(variance[varies].mean()))
        self.mean = mean
        self.scale = np.where(varies, scale, np.inf)

    def block(self, rows: Any) -> SparseBlock:
        """Return some rows."""
        return SparseBlock(self, self.X[np.asarray(rows)])

    def read(self, rows: Any, columns: Any) -> Any:
        """Return standardised values as a dense float32 tensor; for few columns."""
        values = self.X[rows][:, columns].toarray()
        values = (values - self.mean[columns]) / self.scale[columns]
        return torch.as_tensor(values.astype(np.float32)).to(self.device)


class SparseBlock:
    """Some rows of a sparse table.

    With v the values of a column, m its mean and s its scale, the sums over pairs of rows are those of v, corrected by
    terms of rank one. Columns with few values in the block enter pair by pair, the others as narrow dense pieces.
    """

    def __init__(self, table: SparseTable, X: Any) -> None:  # noqa: N803
        self._table = table
        self.n = X.shape[0]
        self._plain = _Pairs(X, table)
        tails = np.abs(X.data - table.mean[X.indices]) > CUT * table.scale[X.indices]
        self.has_tails = bool(tails.any())
        if self.has_tails:
            low, high = table.mean - CUT * table.scale, table.mean + CUT * table.scale
            data = np.clip(X.data, low[X.indices], high[X.indices])
            X = sparse.csr_matrix((data, X.indices, X.indptr), X.shape)  # noqa: N806
        self._cut = _Pairs(X, table) if self.has_tails else self._plain

    def grams(self, weights: Any) -> tuple[Any, Any]:
        """Return K, and K of the values that are cut off at :data:`CUT`."""
        plain = self._plain.gram(weights)
        return plain, self._cut.gram(weights) if self.has_tails else plain

    def quadratics(self, matrices: list[Any], *, cut: list[bool]) -> Any:
        """Return the quadratic forms, of shape (len(matrices), D)."""
        parts = [self._cut if short else self._plain for short in cut]
        return torch.stack([part.quadratic(matrix) for part, matrix in zip(parts, matrices, strict=True)])


class _Pairs:
    """The values of a sparse block, arranged so that sums over pairs of rows are cheap."""

    def __init__(self, X: Any, table: SparseTable) -> None:  # noqa: N803
        by_column = X.tocsc()
        by_column.sum_duplicates()
        n, n_columns = by_column.shape
        counts = np.diff(by_column.indptr)
        heavy = np.flatnonzero(counts > np.sqrt(n))
        self._n = n
        self._device = table.device
        self._heavy_columns = self._tensor(heavy, torch.int64)
        self._heavy = by_column[:, heavy]
        self._mean = self._tensor(table.mean, torch.float32)
        self._inverse = self._tensor(1.0 / table.scale**2, torch.float32)
        self._rows = self._tensor(by_column.indices, torch.int64)
        self._columns = self._tensor(np.repeat(np.arange(n_columns), counts), torch.int64)
        self._values = self._tensor(by_column.data, torch.float32)
        self._light_pairs(by_column, np.flatnonzero((counts >= 1) & (counts <= np.sqrt(n))), counts)

    def _tensor(self, values: Any, dtype: Any) -> Any:
        return torch.as_tensor(np.asarray(values)).to(self._device, dtype)

    def _light_pairs(self, by_column: Any, light: Any, counts: Any) -> None:
        """List the pairs of rows that share a column with few values; a value is paired with itself, too."""
        first, second = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        for count in np.unique(counts[light]):
            starts = by_column.indptr[light[counts[light] == count]].astype(np.int64)
            left, right = np.triu_indices(count)
            first.append((starts[:, None] + left).ravel())
            second.append((starts[:, None] + right).ravel())
        one, two = self._tensor(np.concatenate(first), torch.int64), self._tensor(np.concatenate(second), torch.int64)
        self._one, self._two, self._of = self._rows[one], self._rows[two], self._columns[one]
        self._product = self._values[one] * self._values[two]

    def _heavy_pieces(self) -> Any:
        step = max(1, PIECE // max(1, self._n))
        for start in range(0, self._heavy.shape[1], step):
            chosen = slice(start, start + step)
            yield self._heavy_columns[chosen], self._tensor(self._heavy[:, chosen].toarray(), torch.float32)

    def gram(self, weights: Any) -> Any:
        """Return K."""
        weights = weights * self._inverse
        gram = torch.zeros(self._n * self._n, device=self._device)
        gram.index_add_(0, self._one * self._n + self._two, self._product * weights[self._of])
        gram = _mirrored(gram.view(self._n, self._n))
        for columns, values in self._heavy_pieces():
            gram += (values * weights[columns]) @ values.T
        shift = weights * self._mean
        row = torch.zeros(self._n, device=self._device).index_add_(0, self._rows, self._values * shift[self._columns])
        return gram - row[:, None] - row + (shift * self._mean).sum()

    def quadratic(self, matrix: Any) -> Any:
        """Return z_f^T C z_f for every column."""
        total = matrix.sum(1)
        found = torch.zeros(len(self._mean), device=self._device)
        found.index_add_(0, self._of, 2.0 * self._product * matrix[self._one, self._two])  # the diagonal of C is 0
        for columns, values in self._heavy_pieces():
            found.index_add_(0, columns, ((matrix @ values) * values).sum(0))
        found.index_add_(0, self._columns, -2.0 * self._mean[self._columns] * self._values * total[self._rows])
        return (found + self._mean**2 * total.sum()) * self._inverse


def _tails(first: Any, second: Any) -> Any:
    """Return the columns with values beyond :data:`CUT` in one of the two pieces."""
    return torch.nonzero((first.abs().amax(0) > CUT) | (second.abs().amax(0) > CUT)).squeeze(1)


def _mirrored(matrix: Any) -> Any:
    """Return the symmetric matrix of which the upper triangle is given."""
    return torch.triu(matrix) + torch.triu(matrix, 1).T


def _moments(X: Any, batch_size: int) -> tuple[Any, Any]:  # noqa: N803
    """Return mean and variance of the columns, merging the batches' own (numerically safe for large offsets)."""
    n, mean, squares = 0, np.zeros(X.shape[1]), np.zeros(X.shape[1])
    for start in range(0, X.shape[0], batch_size):
        batch = np.asarray(X[start : start + batch_size], dtype=np.float64)
        m, centre = len(batch), batch.mean(0)
        squares += ((batch - centre) ** 2).sum(0) + (centre - mean) ** 2 * (n * m / (n + m))
        mean += (centre - mean) * (m / (n + m))
        n += m
    return mean, np.maximum(squares / n, np.finfo(np.float64).tiny)
