"""A population, its tournaments and its mutations; what is behind ``Evolution``."""

from __future__ import annotations

from nni.algorithms.hpo._evolution._mutation import mutate
from nni.algorithms.hpo._evolution._population import Population

__all__ = ["Population", "mutate"]
