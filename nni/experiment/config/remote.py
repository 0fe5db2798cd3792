"""Documented place of the remote training service; see `nni.config`."""

from __future__ import annotations

from nni.config import RemoteConfig, RemoteMachineConfig

__all__ = ["RemoteConfig", "RemoteMachineConfig"]
