"""Documented place of the Kubeflow training service; see `nni.config`."""

from __future__ import annotations

from nni.config import KubeflowConfig, KubeflowRoleConfig, KubeflowStorageConfig

__all__ = ["KubeflowConfig", "KubeflowRoleConfig", "KubeflowStorageConfig"]
