"""Documented place of the AdaptDL training service; see `nni.config`."""

from __future__ import annotations

from nni.config import AdlCheckpointConfig, AdlConfig, AdlNfsConfig, AdlPullSecretConfig

__all__ = ["AdlCheckpointConfig", "AdlConfig", "AdlNfsConfig", "AdlPullSecretConfig"]
