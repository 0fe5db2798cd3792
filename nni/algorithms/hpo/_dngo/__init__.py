"""Deep networks for global optimisation, apart from the tuner that offers them."""

from __future__ import annotations

from nni.algorithms.hpo._dngo._sampler import DngoSampler, DngoSettings

__all__ = ["DngoSampler", "DngoSettings"]
