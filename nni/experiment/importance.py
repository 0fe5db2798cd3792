"""Which parameters decided about the results: PED-ANOVA of the trials of an experiment."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nni.common.errors import NniError
from nni.experiment.data import TrialResult, default_metric
from nni.experiment.queries import BUDGET
from nni.experiment.queries import optimize_mode as mode_of
from nni.search_space import json_key

__all__ = ["ImportanceError", "ParameterImportance", "parameter_importance"]

Floats = NDArray[np.float64]

LEAST_TRIALS = 8
MOST_LEVELS = 32  # numbers with more values are looked at by their rank, in so many bins
SHUFFLES = 200  # made-up selections of "good" trials that tell what chance alone gives
_NO_PARAMETERS = {BUDGET, "load_checkpoint_dir", "save_checkpoint_dir"}


@runtime_checkable
class _Experiment(Protocol):
    """What is asked of an :class:`nni.experiment.Experiment`."""

    def get_experiment_profile(self) -> dict[str, Any]: ...

    def export_data(self) -> list[TrialResult]: ...


class ImportanceError(NniError):
    """There are too few trials, or none of them has a result."""


class ParameterImportance(NamedTuple):
    """How much one parameter had to do with a trial being good.

    Attributes
    ----------
    name
        Names from the top of the search space; a nested one with the option that it belongs to: ``layer.conv.kernel``.
    importance
        Its share; those of all parameters add up to 1, or are all 0 if the results do not depend on any.
    chance
        How often a random selection of the trials makes the parameter look at least as important; above 0.05 its
        importance may well be an accident.
    """

    name: str
    importance: float
    chance: float


def parameter_importance(
    source: _Experiment | Iterable[TrialResult | Mapping[str, Any]],
    optimize_mode: str | None = None,
    *,
    top: float = 0.1,
) -> list[ParameterImportance]:
    """Tell which parameters matter, the most important first.

    The question is what the best trials have in common that the others have not: for each parameter, the Pearson
    divergence between its distribution among the best trials and among all of them, which is the variance of its
    marginal in an analysis of variance of "is this one of the best" (Watanabe, Bansal and Hutter 2023, "PED-ANOVA:
    Efficiently Quantifying Hyperparameter Importance in Arbitrary Subspaces", theorem 1). It does not matter that a
    tuner tried good places more often. Numbers are compared by their rank, so that their scale does not matter. What a
    random selection of so many trials would give is subtracted; that is a lot when there are few.

    A parameter of a nested search space counts where it is active, by what it adds to the choice it belongs to.
    Interactions count only as far as they show in a single parameter. Of trials with budgets (Hyperband, BOHB), those
    with the largest one that enough trials have are looked at.

    Parameters
    ----------
    source
        An experiment, or what one exports: items with ``parameter`` and ``value``. A result that is no finite number
        counts as bad.
    optimize_mode : {"maximize", "minimize"}, optional
        Which results are good. By default as in the experiment; ``maximize`` for exported items.
    top
        The share of trials that are the best, between 0 and 1; of few trials, more of them.

    Returns
    -------
    list of ParameterImportance
        One for every parameter that varies, even if it does not matter.

    Raises
    ------
    ImportanceError
        If fewer than 8 trials have a result.

    Examples
    --------
    >>> trials = [{"parameter": {"x": n % 10, "y": n % 7}, "value": n % 10} for n in range(100)]
    >>> [found.name for found in parameter_importance(trials)]
    ['x', 'y']
    """
    if optimize_mode not in (None, "maximize", "minimize"):
        raise ImportanceError(f"optimize_mode: expected 'maximize' or 'minimize', got {optimize_mode!r}")
    if not 0 < top < 1:
        raise ImportanceError(f"top: expected a share between 0 and 1, got {top!r}")
    if isinstance(source, _Experiment):
        optimize_mode = optimize_mode or mode_of(source.get_experiment_profile()["params"])
        source = source.export_data()
    sign = 1.0 if optimize_mode == "minimize" else -1.0
    configurations, losses = _read(source, sign)
    good = _best(losses, top)
    found = [_of(name, column, good) for name, column in _columns(configurations).items()]
    total = math.fsum(spread for _, spread, _ in found)
    shares = [ParameterImportance(name, spread / total if total else 0.0, chance) for name, spread, chance in found]
    return sorted(shares, key=lambda one: (-one.importance, one.chance))


# ------------------------------------------------------------------------------------------------ trials


def _read(items: Iterable[Any], sign: float) -> tuple[list[Mapping[str, Any]], Floats]:
    """Return configurations and losses, those of failures infinite; of one budget where there are several."""
    pairs = [_pair(item) for item in items]
    usable = [(c, v) for c, v in pairs if isinstance(c, Mapping) and v is not None]
    budgets = sorted({c[BUDGET] for c, _ in usable if isinstance(c.get(BUDGET), (int, float))}, reverse=True)
    for budget in budgets:
        same = [(c, v) for c, v in usable if c.get(BUDGET) == budget]
        if len(same) >= 2 * LEAST_TRIALS:
            usable = same
            break
    if len(usable) < LEAST_TRIALS:
        count = f"there {'is' if len(usable) == 1 else 'are'} {len(usable)}"
        raise ImportanceError(f"the importance of parameters needs {LEAST_TRIALS} trials with a result; {count}")
    losses = sign * np.array([value for _, value in usable], dtype=float)
    return [c for c, _ in usable], np.where(np.isfinite(losses), losses, np.inf)


def _pair(item: Any) -> tuple[Any, float | None]:
    if isinstance(item, TrialResult):
        return item.parameter, default_metric(item.value)
    if isinstance(item, Mapping) and "parameter" in item and "value" in item:
        return item["parameter"], default_metric(item["value"])
    raise ImportanceError(f"expected trials with 'parameter' and 'value', got {item!r:.100}")


def _best(losses: Floats, top: float) -> Floats:
    """Return how much each trial belongs to the best ones, shape (n,): 0 or 1, or a share where equals compete."""
    count = max(math.ceil(top * len(losses)), min(LEAST_TRIALS, len(losses) // 2))
    bound = np.sort(losses)[count - 1]
    inside, equal = losses < bound, losses == bound
    return np.where(inside, 1.0, np.where(equal, (count - inside.sum()) / equal.sum(), 0.0))


# ------------------------------------------------------------------------------------------------ parameters


@dataclass(frozen=True)
class _Column:
    """The values of a parameter in the trials in which it is active."""

    trials: list[int]
    values: list[Any]


def _columns(configurations: Sequence[Mapping[str, Any]]) -> dict[str, _Column]:
    """Return the parameters that vary; a nested one by the option that it belongs to."""
    found: dict[str, _Column] = {}
    for number, configuration in enumerate(configurations):
        for name, value in _flat(configuration, ""):
            column = found.setdefault(name, _Column([], []))
            column.trials.append(number)
            column.values.append(value)
    return {name: column for name, column in found.items() if _varies(column, len(configurations))}


def _varies(column: _Column, trials: int) -> bool:
    first = json_key(column.values[0])
    return len(column.values) < trials or any(json_key(value) != first for value in column.values)


def _flat(configuration: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, Any]]:
    for name, value in configuration.items():
        if not prefix and name in _NO_PARAMETERS:
            continue
        if isinstance(value, Mapping) and "_name" in value:
            yield prefix + name, value["_name"]
            rest = {key: item for key, item in value.items() if key != "_name"}
            yield from _flat(rest, f"{prefix}{name}.{value['_name']}.")
        else:
            yield prefix + name, value


# ------------------------------------------------------------------------------------------------ divergence


def _of(name: str, column: _Column, good: Floats) -> tuple[str, float, float]:
    """Return the variance of a marginal beyond what chance gives, and how often chance gives as much."""
    levels, is_ranked = _levels(column.values)
    weights = good[column.trials]
    size = int(levels.max()) + 1
    everyone, best = np.bincount(levels, minlength=size), np.bincount(levels, weights, minlength=size)
    count = round(float(weights.sum()))
    if count == 0 or size == 1:
        return name, 0.0, 1.0
    smoothing = _smoothing(size, count) if is_ranked else np.eye(size)
    # Of an inactive parameter the choice above it tells already; what it adds is the variance within its branch.
    share = count**2 / good.sum() ** 2 / (len(levels) / len(good))
    rng = np.random.default_rng(len(good))
    by_chance = rng.multivariate_hypergeometric(everyone, count, size=SHUFFLES).astype(float)
    spreads = share * _divergence(np.concatenate([best[None], by_chance]), everyone, smoothing)
    excess = max(float(spreads[0] - spreads[1:].mean()), 0.0)
    chance = float((1 + np.sum(spreads[1:] >= spreads[0] - 1e-12)) / (1 + SHUFFLES))
    return name, excess, chance


def _levels(values: Sequence[Any]) -> tuple[NDArray[np.int64], bool]:
    """Return the level of each value, and whether neighbouring levels are alike: bins of the ranks of a number."""
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values)
    if not numeric:
        numbers: dict[Hashable, int] = {}
        return np.array([numbers.setdefault(json_key(value), len(numbers)) for value in values]), False
    distinct, places, counts = np.unique(np.array(values, dtype=float), return_inverse=True, return_counts=True)
    if len(distinct) <= min(MOST_LEVELS, len(values) // 4):
        return places, False
    middle = (np.cumsum(counts) - counts / 2) / len(values)  # of equal values, the middle of their ranks
    return np.minimum((middle[places] * MOST_LEVELS).astype(np.int64), MOST_LEVELS - 1), True


def _smoothing(size: int, count: int) -> Floats:
    """Return the matrix that smooths counts of bins with a Gaussian kernel, mirrored at the ends.

    Its width follows Scott's rule for so many of the best trials, whose ranks are uniform if the parameter does not
    matter.
    """
    width = 1.06 * (size / math.sqrt(12)) * count**-0.2
    bins = np.arange(size)
    images = [bins, -1 - bins, 2 * size - 1 - bins]
    kernel = sum(np.exp(-0.5 * ((bins[:, None] - image[None]) / width) ** 2) for image in images)
    return np.asarray(kernel / np.sum(kernel, axis=0))


def _divergence(best: Floats, everyone: NDArray[np.int64], smoothing: Floats) -> Floats:
    """Return the Pearson divergence of each row of counts from the counts of all, shape (rows,)."""
    reference = smoothing @ everyone / everyone.sum()
    among_best = best @ smoothing.T / best.sum(axis=1, keepdims=True)
    known = reference > 0
    ratio = among_best[:, known] / reference[known]
    return np.asarray((ratio - 1) ** 2 @ reference[known])
