"""Documented place of the PAI-DLC training service; see `nni.config`."""

from __future__ import annotations

from nni.config import DlcConfig

__all__ = ["DlcConfig"]
