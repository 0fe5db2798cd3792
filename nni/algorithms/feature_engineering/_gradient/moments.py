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
from typing import Any

import torch


def coefficients(count: int, order: int | None = None) -> list[float]:
    """Return the coefficients of M_2, ..., M_{count+1} for c = 1; ``order`` is ``count`` if not given.

    >>> coefficients(2)
    [2.0, -1.0]
    """
    return [float((-1) ** (j + 1) * math.comb(order or count, j)) for j in range(1, count + 1)]


def learnability(gram: Any, targets: Any, order: int) -> tuple[float, Any]:
    """Return the estimated share of variance that a linear model on the kernel's features explains, and its gradient.

    Parameters
    ----------
    gram
        K of shape (n, n), symmetric, with the square roots of the row weights multiplied in.
    targets
        Tensor of shape (n, C), likewise.
    order
        Length of the longest chain in steps, at least 1.

    Returns
    -------
    share
        May fall outside [0, 1], as unbiased estimates do.
    gradient
        With respect to the upper triangle of K (the entries below are 0), shape (n, n); c counts as a constant.
    """
    n = len(gram)
    scale = order * largest_eigenvalue(gram) / n
    steps = torch.triu(gram, 1) / scale
    # M_{j+1} / c^j = y' steps^j y * factors[j - 1]; C(n, j+1) is built up factor by factor, as it overflows float32.
    factors, factor = [], 1.0 / n
    for j, coefficient in enumerate(coefficients(min(order, n - 1), order), start=1):
        factor *= (j + 1) / (n - j) * (1.0 if j == 1 else n)
        factors.append(coefficient * factor / n ** (j - 1))
    return _chains(steps, targets, factors, scale)


def _chains(steps: Any, y: Any, factors: list[float], scale: Any) -> tuple[float, Any]:
    """Return sum_j factors[j-1] y' steps^j y, and its gradient.

    The gradient is sum_p (steps'^p y) (sum_{j>p} factors[j-1] steps^(j-1-p) y)'.
    """
    right, left = [y], [y]
    for _ in factors[1:]:
        right.append(steps @ right[-1])
        left.append(steps.T @ left[-1])
    ends = [sum(factors[p + q] * right[q] for q in range(len(factors) - p)) for p in range(len(factors))]
    share = float((y * (steps @ ends[0])).sum())
    return share, torch.triu(torch.cat(left, 1) @ torch.cat(ends, 1).T, 1) / scale


def linear_gradient(gram: Any, targets: Any, weights: Any, order: int) -> tuple[Any, float]:
    """Return the gradient of the linear learnability with respect to K, and the learnability."""
    gradient, share = _weighted(gram, targets, weights, order)
    return _symmetric(gradient), share


def product_gradient(gram: Any, targets: Any, weights: Any, order: int, degree: int) -> tuple[Any, float]:
    """Return the gradient of the learnability by products of ``degree`` features with respect to K, and it itself.

    The features of this kernel are products of ``degree`` columns, each weighted by the product of the columns'
    weights: k^d of the centred K, as the degree-d Hermite polynomial of k = K / rms(K) (k is nearly Gaussian where
    many features take part), which keeps what products of fewer columns explain out of it. The scale rms(K) counts as
    a constant.
    """
    k = _centred(gram)
    n = len(k)
    rms = ((k.square().sum() - k.diagonal().square().sum()) / (n * (n - 1))).sqrt().clamp_min(1e-30)
    k /= rms
    polynomial, lower = _hermite(k, degree)
    norm = math.sqrt(math.factorial(degree))
    gradient, share = _weighted(_centred(polynomial / norm), targets, weights, order)
    return _symmetric(_centred(_centred(gradient) * lower * (degree / norm / rms))), share


def evidence(matrix: Any) -> Any:
    """Return a gradient matrix in units of noise.

    Its quadratic form of a column that has nothing to do with the target then has a standard deviation of 1: of
    independent values with unit variance it has sqrt(2) times the Frobenius norm.
    """
    return matrix / (math.sqrt(2) * matrix.norm()).clamp_min(1e-30)


def largest_eigenvalue(matrix: Any, steps: int = 8) -> Any:
    """Return the largest eigenvalue of a positive semidefinite matrix, by the power method; at least 1e-30."""
    vector = matrix.sum(1) + matrix.diagonal()
    for _ in range(steps):
        vector = matrix @ (vector / vector.norm().clamp_min(1e-30))
    return vector.norm().clamp_min(1e-30)


def _weighted(kernel: Any, targets: Any, weights: Any, order: int) -> tuple[Any, float]:
    root = weights.sqrt()
    share, gradient = learnability(root[:, None] * kernel * root, targets * root[:, None], order)
    return _symmetric(root[:, None] * gradient * root), share


def _symmetric(matrix: Any) -> Any:
    """Return the symmetric part, without the diagonal."""
    return ((matrix + matrix.T) / 2).fill_diagonal_(0)


def _hermite(k: Any, degree: int) -> tuple[Any, Any]:
    """Return the Hermite polynomials of ``degree`` and one less: He_d' = d He_{d-1}."""
    before, current = torch.ones_like(k), k
    for d in range(1, degree):
        before, current = current, k * current - d * before
    return current, before


def _centred(matrix: Any) -> Any:
    """Return a symmetric matrix with the means of rows and columns taken away."""
    means = matrix.mean(0)
    return matrix - means - (means - means.mean())[:, None]
