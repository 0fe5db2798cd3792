"""Documented place of the OpenPAI training service; see `nni.config`."""

from __future__ import annotations

from nni.config import OpenpaiConfig

__all__ = ["OpenpaiConfig"]
