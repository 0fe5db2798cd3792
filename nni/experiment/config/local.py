"""Documented place of the local training service; see `nni.config`."""

from __future__ import annotations

from nni.config import LocalConfig

__all__ = ["LocalConfig"]
