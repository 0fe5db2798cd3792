"""What the configurations of all platforms with a trial runner have in common."""

from __future__ import annotations

from nni.config._fields import Duration, NonNegative, optional
from nni.config._training_service import TrainingServiceConfig


class RunnerServiceConfig(TrainingServiceConfig):
    """Base of platforms whose machines may be lost while their trials run; the settings are ours, 2.x had none."""

    lost_after: Duration = optional(
        "How long a machine may be without a connection before it counts as lost.", "30m", examples=["5m"]
    )
    rerun_lost_trials: NonNegative = optional(
        "How often a trial that was lost with its machine is run again, from its beginning, wherever there is room; "
        "0: it fails.",
        0,
        examples=[2],
    )
