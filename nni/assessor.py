"""The base class of assessors: who may stop a trial early (HPO-130 … HPO-136)."""

from __future__ import annotations

from enum import Enum
from typing import Any


class AssessResult(Enum):
    """The verdict on a running trial. Compare by identity: ``bool(AssessResult.Bad)`` is True, as for any Enum."""

    Good = True
    Bad = False


class Assessor:
    """Judges running trials by their intermediate results.

    A subclass must override :meth:`assess_trial`. The history it gets is never empty and always longer than at the
    last call for that trial; it may have grown by several results at once (HPO-135).

    After a restart, each succeeded trial's whole history is shown to :meth:`assess_trial` once more before its
    :meth:`trial_end`. A subclass that judges slowly may define ``replay(self, events)`` instead: it gets dicts, in the
    order of what happened, with ``kind`` (``intermediate`` with ``sequence`` and ``value``, or ``end`` with the trial's
    status as ``event``), ``trial_job_id`` and ``parameter_id`` (HPO-413).
    """

    def assess_trial(self, trial_job_id: str, trial_history: list[Any]) -> AssessResult:
        """Return :attr:`AssessResult.Bad` to have the trial stopped.

        Parameters
        ----------
        trial_job_id
            Id of the trial.
        trial_history
            Every intermediate result so far, the raw objects the trial reported (HPO-134).
        """
        raise NotImplementedError(f"{type(self).__name__} must override assess_trial")

    def trial_end(self, trial_job_id: str, success: bool) -> None:
        """Hear that a trial ended; ``success`` is False when it failed or was stopped (HPO-132)."""

    def load_checkpoint(self) -> None:
        """Load internal state; reserved by the documented interface (HPO-133), not called."""

    def save_checkpoint(self) -> None:
        """Save internal state; reserved by the documented interface (HPO-133), not called."""
