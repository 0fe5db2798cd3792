"""Trials as jobs of DLTS."""

from __future__ import annotations

from typing import Literal

from nni.config._fields import Text, optional, required
from nni.config._training_service import TrainingServiceConfig


class DltsConfig(TrainingServiceConfig):
    """Trials run as jobs of DLTS; the keys are those of the old schema, in this one's spelling (PLT-107, 297)."""

    platform: Literal["dlts"] = optional("Run trials on DLTS.", "dlts")
    dashboard: Text = required("URL of the cluster's dashboard.", "https://dlts.example.com")
    docker_image: Text = optional("Image in which trials run.", "msranni/nni:latest")
