"""How many configurations run with which budget (HPO-325, HPO-326)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Round:
    """One round of a bracket: ``size`` configurations run with ``budget`` each."""

    size: int
    budget: int


def deepest(max_budget: int, min_budget: int, eta: int) -> int:
    """Return how often the largest budget can be divided by `eta` without falling below the smallest.

    That is the logarithm of their ratio to the base `eta`, rounded down; in integers, as in floating-point numbers
    the logarithm of 243 to the base 3 is below 5.
    """
    depth, budget = 0, min_budget
    while budget * eta <= max_budget:
        budget *= eta
        depth += 1
    return depth


def bracket_table(max_budget: int, eta: int, s_max: int) -> list[tuple[Round, ...]]:
    """Return the rounds of the brackets ``s_max`` … 0, of which one after the other is run.

    Bracket s begins with ``n = floor((s_max + 1) / (s + 1)) eta^s`` configurations; round i has ``floor(n / eta^i)``
    of them with a budget of ``floor(max_budget / eta^(s - i))``, so that the last round has the whole budget.
    Li et al. 2017 round n up to ``ceil((s_max + 1) eta^s / (s + 1))``; the documented table has the floor (X-18).

    Examples
    --------
    >>> [(rounds[0].size, rounds[0].budget) for rounds in bracket_table(81, 3, 4)]
    [(81, 1), (27, 3), (9, 9), (6, 27), (5, 81)]
    """
    table = []
    for s in range(s_max, -1, -1):
        n = (s_max + 1) // (s + 1) * eta**s
        table.append(tuple(Round(n // eta**i, max(1, max_budget // eta ** (s - i))) for i in range(s + 1)))
    return table
