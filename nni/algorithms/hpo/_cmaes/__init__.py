"""Covariance matrix adaptation over encoded configurations; the strategy itself is the ``cmaes`` library's."""

from __future__ import annotations

from nni.algorithms.hpo._cmaes._sampler import CmaesSampler, CmaesSettings
from nni.algorithms.hpo._cmaes._strategy import Genes, Strategy

__all__ = ["CmaesSampler", "CmaesSettings", "Genes", "Strategy"]
