"""Trials as calls of one Python function, in a few processes that stay."""

from nni.training_service.function.service import FunctionSettings, FunctionTrainingService

__all__ = ["FunctionSettings", "FunctionTrainingService"]
