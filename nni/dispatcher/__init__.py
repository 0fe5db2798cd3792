"""The process that holds tuner and assessor, or an advisor (PLT-005): ``python -m nni``."""

from __future__ import annotations

from nni.dispatcher._process import main

__all__ = ["main"]
