"""Documented place of the Azure Machine Learning training service; see `nni.config`."""

from __future__ import annotations

from nni.config import AmlConfig

__all__ = ["AmlConfig"]
