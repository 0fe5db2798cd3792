"""Where trials run. The base class is public: a platform of your own is a subclass."""

from nni.training_service.base import (
    Adoption,
    MetricListener,
    StatusListener,
    TrainingService,
    TrialForm,
    TrialJobDetail,
    TrialJobMetric,
)

__all__ = [
    "Adoption",
    "MetricListener",
    "StatusListener",
    "TrainingService",
    "TrialForm",
    "TrialJobDetail",
    "TrialJobMetric",
]
