"""The settings of a configuration that the manager decides by, read once per change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from nni.common.durations import parse_duration


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of an experiment; None is unlimited. Durations in seconds."""

    concurrency: int
    trials: int | None
    duration: float | None
    trial_duration: float | None
    intermediates_wanted: bool
    """Whether anybody looks at intermediate results: assessor, advisor, or a tuner whose trials may be cut short."""

    @classmethod
    def of(cls, config: dict[str, Any]) -> Limits:
        """Read the bounds from a canonical configuration."""
        return cls(
            concurrency=config["trialConcurrency"],
            trials=config.get("maxTrialNumber"),
            duration=_seconds(config.get("maxExperimentDuration")),
            trial_duration=_seconds(config.get("maxTrialDuration")),
            intermediates_wanted=any(config.get(key) for key in ("assessor", "advisor", "maxTrialDuration")),
        )


def _seconds(text: str | None) -> float | None:
    return None if text is None else parse_duration(text)
