"""A population, its tournaments and its mutations; what is behind ``Evolution``."""

from __future__ import annotations

from nni.algorithms.hpo._evolution._mutation import mutate
from nni.algorithms.hpo._evolution._population import Individual, Population

__all__ = ["Individual", "Population", "mutate"]
