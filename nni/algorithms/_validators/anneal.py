"""Of Anneal."""

from __future__ import annotations

from nni.algorithms._validators.hyperopt import RandomValidator


class AnnealValidator(RandomValidator):
    """``optimize_mode`` (HPO-215) and ``seed``."""

    algorithm = "Anneal"
