"""Documented place of the FrameworkController training service; see `nni.config`."""

from __future__ import annotations

from nni.config import (
    FrameworkAttemptCompletionPolicy,
    FrameworkControllerConfig,
    FrameworkControllerRoleConfig,
    FrameworkControllerStorageConfig,
)

__all__ = [
    "FrameworkAttemptCompletionPolicy",
    "FrameworkControllerConfig",
    "FrameworkControllerRoleConfig",
    "FrameworkControllerStorageConfig",
]
