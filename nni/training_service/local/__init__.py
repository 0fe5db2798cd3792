"""Trials as processes of this machine."""

from nni.training_service.local.log_watch import LogLimit
from nni.training_service.local.service import LocalSettings, LocalTrainingService

__all__ = ["LocalSettings", "LocalTrainingService", "LogLimit"]
