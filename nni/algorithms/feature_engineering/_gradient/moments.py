"""Learnability: how much of the target's variance the weighted features can explain, estimated from moments.

With n rows x_i in D dimensions, targets y_i and feature weights w in [0, 1]^D, let K_ij = sum_f w_f x_if x_jf and T its
strict upper triangle. Kong & Valiant (Estimating Learnability in the Sublinear Data Regime, NeurIPS 2018, arXiv
1805.01626) show that

    M_{j+1} = y' T^j y / C(n, j+1)

is an unbiased estimate of beta' S^{j+1} beta, where S is the population covariance of the weighted features and beta
the coefficients of the best linear model: a sum over chains of j+1 *different* rows, so nothing is fitted and
nothing overfits, even with far fewer rows than features. The share of variance that is explained, beta' S beta, is a
polynomial of these moments as far as a polynomial without its two lowest terms can be close to the identity.

Sheth & Fusi (arXiv 1908.10382) make the subset of features the variable of this estimate, relax the 0/1 indicators to
weights in [0, 1], and follow the gradient.

The polynomial here is that of `order` steps of gradient descent (Landweber): q(x) = 1 - (1 - x/c)^order, which rises
monotonically from 0 to 1 on [0, c], so that M_{j+1} has the coefficient (-1)^{j+1} C(order, j) / c^j. c is `order`
times the largest eigenvalue of K/n: more moments resolve smaller directions, and the noise of long chains stays
bounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch


def coefficients(count: int, order: int | None = None) -> list[float]:
    """Return the coefficients of M_2, ..., M_{count+1} for c = 1; ``order`` is ``count`` if not given.

    >>> coefficients(2)
    [2.0, -1.0]
    """
    return [float((-1) ** (j + 1) * math.comb(order or count, j)) for j in range(1, count + 1)]


def learnability(gram: Any, targets: Any, weights: Any, order: int) -> tuple[float, Any]:
    """Return the estimated share of variance that a linear model on the kernel's features explains, and its gradient.

    Parameters
    ----------
    gram
        K of shape (n, n), symmetric.
    targets
        Tensor of shape (n, C).
    weights
        Of the rows, shape (n,); the moments are those of K and y with their square roots multiplied in.
    order
        Length of the longest chain in steps, at least 1.

    Returns
    -------
    share
        May fall outside [0, 1], as unbiased estimates do.
    gradient
        With respect to K, symmetric with a zero diagonal, shape (n, n); c counts as a constant.
    """
    n = len(gram)
    scale = order * largest_eigenvalue(gram, weights) / n
    # M_{j+1} / c^j = y' steps^j y * factors[j - 1]; C(n, j+1) is built up factor by factor, as it overflows float32.
    factors, factor = [], 1.0 / n
    for j, coefficient in enumerate(coefficients(min(order, n - 1), order), start=1):
        factor *= (j + 1) / (n - j) * (1.0 if j == 1 else n)
        factors.append(coefficient * factor / n ** (j - 1))
    return _chains(gram.triu(1), targets, weights[:, None], factors, scale)


def _chains(upper: Any, y: Any, weights: Any, factors: list[float], scale: Any) -> tuple[float, Any]:
    """Return sum_j factors[j-1] y' steps^j y, and its gradient, for steps = upper / scale.

    The gradient is sum_p (steps'^p y) (sum_{j>p} factors[j-1] steps^(j-1-p) y)', its symmetric part. The weights are
    multiplied into the vectors, which is far cheaper than into the matrices.
    """
    right, left = [weights * y], [weights * y]
    metric = weights / scale
    for _ in factors[1:]:
        right.append(metric * (upper @ right[-1]))
        left.append(metric * (upper.T @ left[-1]))
    ends = [sum(factors[p + q] * right[q] for q in range(len(factors) - p)) for p in range(len(factors))]
    share = float((right[0] * (upper @ ends[0])).sum() / scale)
    gradient = (torch.cat(left, 1) @ (torch.cat(ends, 1) / (2 * scale)).T).triu_(1)
    return share, gradient + gradient.T


def product_gradients(
    gram: Any, targets: Any, weights: Any, order: int, degrees: Sequence[int]
) -> list[tuple[float, Any]]:
    """Return the learnability by products of so many features, and its gradient with respect to K, for each degree.

    The features of a kernel are products of d columns, each weighted by the product of the columns' weights: k^d of the
    centred K, as the degree-d Hermite polynomial of k = K / rms(K) (k is nearly Gaussian where many features take
    part), which keeps what products of fewer columns explain out of it. The scale rms(K) counts as a constant.
    """
    if not degrees:
        return []
    k = _centre(gram.clone())
    n = len(k)
    rms = ((k.norm() ** 2 - k.diagonal().norm() ** 2) / (n * (n - 1))).sqrt().clamp_min(1e-30)
    k /= rms
    polynomials = [torch.ones_like(k), k]  # He_d' = d He_{d-1}
    for d in range(1, max(degrees)):
        polynomials.append((k * polynomials[d]).sub_(polynomials[d - 1], alpha=d))
    found = []
    for degree in degrees:
        norm = math.sqrt(math.factorial(degree))
        share, gradient = learnability(_centre(polynomials[degree] / norm), targets, weights, order)
        gradient = _centre(gradient).mul_(polynomials[degree - 1]).mul_(degree / norm / rms)
        found.append((share, _centre(gradient).fill_diagonal_(0)))
    return found


def evidence(matrix: Any) -> Any:
    """Return a gradient matrix in units of noise.

    Its quadratic form of a column that has nothing to do with the target then has a standard deviation of 1: of
    independent values with unit variance it has sqrt(2) times the Frobenius norm.
    """
    return matrix / (math.sqrt(2) * matrix.norm()).clamp_min(1e-30)


def largest_eigenvalue(matrix: Any, weights: Any, steps: int = 8) -> Any:
    """Return the largest eigenvalue of a positive semidefinite matrix, by the power method; at least 1e-30.

    The matrix is that with the square roots of ``weights`` multiplied into its rows and columns.
    """
    root = weights.sqrt()
    vector = root * (matrix @ root) + weights * matrix.diagonal()
    for _ in range(steps):
        vector = root * (matrix @ (root * (vector / vector.norm().clamp_min(1e-30))))
    return vector.norm().clamp_min(1e-30)


def _centre(matrix: Any) -> Any:
    """Take the means of rows and columns away from a symmetric matrix, in place, and return it."""
    means = matrix.mean(1)
    ones = torch.ones_like(means)
    return matrix.addmm_(torch.stack([means, ones], 1), torch.stack([ones, means - means.mean()]), alpha=-1)
