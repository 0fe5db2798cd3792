"""Members, generations and exploration; what is behind ``PBTTuner``."""

from __future__ import annotations

from nni.algorithms.hpo._pbt._explore import explore
from nni.algorithms.hpo._pbt._generations import Checkpoint, Generations, Member

__all__ = ["Checkpoint", "Generations", "Member", "explore"]
