"""Rebuilding a tuner after a restart by living through its history again (HPO-413)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from nni.common.errors import NniError
from nni.tuner import Tuner

_logger = logging.getLogger(__name__)


class ReplayingTuner(Tuner):
    """A tuner whose state follows from what it suggested and heard, in that order.

    A subclass says with :meth:`remember` what it notes down when it suggests a configuration; results, ends and
    imports go through the methods that took them the first time.
    """

    def remember(self, parameter_id: int, parameters: Any) -> None:
        """Note that a configuration was suggested; its trial is running from now on."""
        raise NotImplementedError

    def replay(self, events: list[dict[str, Any]]) -> None:
        """Restore the exact state: results, running trials, imports. See :meth:`nni.tuner.Tuner.replay`.

        Trials that the user added by hand are left out, as a tuner does not hear of them while running (HPO-113).
        """
        suggested: dict[int, Any] = {}
        for event in events:
            try:
                self._live_through(event, suggested)
            except NniError as error:  # it was reported when it happened first; the rest of the history still counts
                _logger.warning("replay: %s", error)

    def canceled(self, parameter_id: int) -> None:
        """Hear that the system took a trial away, as `stop` does; by default the same as a failure."""
        self.trial_end(parameter_id, success=False)

    def _end(self, parameter_id: int, status: str) -> None:
        if status == "SYS_CANCELED":
            self.canceled(parameter_id)
        else:
            self.trial_end(parameter_id, status == "SUCCEEDED")

    def _live_through(self, event: dict[str, Any], suggested: dict[int, Any]) -> None:
        handlers: dict[str, Callable[[int, Any, dict[str, Any]], None]] = {
            "result": lambda number, parameters, e: self.receive_trial_result(number, parameters, e["value"]),
            "end": lambda number, _, e: self._end(number, e["event"]),
        }
        kind = event["kind"]
        if kind == "import":
            self.import_data(event["data"])
        elif kind == "parameters":
            if event.get("parameter_source", "algorithm") == "algorithm":
                suggested[event["parameter_id"]] = event["parameters"]
                self.remember(event["parameter_id"], event["parameters"])
        elif kind in handlers and event["parameter_id"] in suggested:
            number = event["parameter_id"]
            handlers[kind](number, suggested[number], event)
