"""Documented place of the shared storages; see `nni.config`."""

from __future__ import annotations

from nni.config import AzureBlobConfig, NfsConfig

__all__ = ["AzureBlobConfig", "NfsConfig"]
