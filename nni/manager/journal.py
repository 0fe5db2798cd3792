"""The manager's log for people: what became of trials and of the experiment, and why (PLT-184, 188)."""

from __future__ import annotations

import logging

from nni.store import ExperimentStatus, Profile, Trial, TrialStatus

_logger = logging.getLogger("nni.manager")


class Journal:
    """Writes a line for each change of status, and none for what stays as it was."""

    def __init__(self) -> None:
        self._trials: dict[str, TrialStatus] = {}
        self._experiment: ExperimentStatus | None = None

    def trial(self, trial: Trial) -> None:
        """Take note of a trial as it was just saved."""
        before = self._trials.get(trial.id)
        if before is trial.status or (trial.status is TrialStatus.WAITING and not trial.message):
            return  # what waits for no reason worth telling runs in a moment
        self._trials[trial.id] = trial.status
        if not trial.status.ended:
            what = "is waiting" if trial.status is TrialStatus.WAITING else "runs"
            reason = f" ({trial.message})" if trial.message else ""
            parameters = f": {trial.parameters:.300}" if before is None else ""
            _logger.info("trial %s (number %d) %s%s%s", trial.id, trial.sequence, what, reason, parameters)
            return
        self._trials.pop(trial.id, None)
        result = "" if trial.final is None else f", result {trial.final:.200}"
        reason = f": {trial.message}" if trial.message else ""
        _logger.info("trial %s (number %d) %s%s%s", trial.id, trial.sequence, trial.status.value, result, reason)

    def experiment(self, profile: Profile, reason: str | None) -> None:
        """Take note of the experiment as it was just saved; `reason` says why nothing further starts."""
        if profile.status is not self._experiment:
            self._experiment = profile.status
            why = f" ({reason})" if reason else ""
            _logger.info("experiment %s is %s%s", profile.id, profile.status.value, why)
