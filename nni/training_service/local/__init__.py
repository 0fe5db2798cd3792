"""Trials as processes of this machine."""

from nni.training_service.local.service import LocalSettings, LocalTrainingService
from nni.trial_runner.log_watch import LogLimit

__all__ = ["LocalSettings", "LocalTrainingService", "LogLimit"]
