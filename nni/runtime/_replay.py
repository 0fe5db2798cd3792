"""What happened before a restart, sorted for those who take over."""

from __future__ import annotations

import json
from typing import Any

from nni.runtime._curves import STOPPED, Curves


def algorithm_events(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events without those of customised trials, which no algorithm made (HPO-113)."""
    customized = {event["trial_job_id"] for event in events if event.get("parameter_source") == "customized"}
    return [event for event in events if event.get("trial_job_id") not in customized]


def import_samples(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the finished results in a history as ``{"parameter", "value"}`` pairs (HPO-410), imported ones too."""
    parameters: dict[Any, Any] = {}
    samples: list[dict[str, Any]] = []
    for event in algorithm_events(events):
        if event["kind"] == "parameters":
            parameters[event["parameter_id"]] = event["parameters"]
        elif event["kind"] == "import":
            samples.extend(event["data"])
        elif event["kind"] == "result" and event["parameter_id"] in parameters:
            samples.append({"parameter": parameters[event["parameter_id"]], "value": event["value"]})
    return samples


class History:
    """Takes the events of ``ReplayHistory`` for a tuner.

    Attributes
    ----------
    events
        For :meth:`nni.tuner.Tuner.replay`: what the tuner would have heard of; customised trials and intermediate
        results left out (HPO-113), the last intermediate result of an early-stopped trial added as its final one
        if wanted (HPO-121).
        With `curves`, each of those that the tuner would have heard of at its trial's end, as an event of its own:
        ``{"kind": "intermediates", "trial_job_id", "parameter_id", "values"}``.
    running
        Parameters by id of the trials that did not end.
    with_result
        Ids of those of them that have a final result.
    last_intermediate
        JSON text by trial id, for the trials that did not end.
    """

    def __init__(
        self,
        events: list[dict[str, Any]],
        *,
        include_intermediate_results: bool = False,
        curves: Curves | None = None,
    ) -> None:
        self.events: list[dict[str, Any]] = []
        self.running: dict[int, Any] = {}
        self.with_result: set[int] = set()
        self._last: dict[str, Any] = {}
        self._include = include_intermediate_results
        self._reported: dict[str, dict[int, Any]] | None = None if curves is None else {}
        for event in algorithm_events(events):
            getattr(self, f"_{event['kind']}")(event)
        if curves is not None:
            for trial, reported in (self._reported or {}).items():
                for sequence, value in reported.items():
                    curves.restore(trial, sequence, value)

    @property
    def last_intermediate(self) -> dict[str, str]:
        """See the class."""
        return {trial: json.dumps(value) for trial, value in self._last.items()}

    def _parameters(self, event: dict[str, Any]) -> None:
        self.running[event["parameter_id"]] = event["parameters"]
        self.events.append(event)

    def _intermediate(self, event: dict[str, Any]) -> None:
        self._last[event["trial_job_id"]] = event["value"]
        if self._reported is not None:
            self._reported.setdefault(event["trial_job_id"], {})[event["sequence"]] = event["value"]

    def _result(self, event: dict[str, Any]) -> None:
        self.with_result.add(event["parameter_id"])
        self._tell_curve(event)
        self.events.append(event)

    def _end(self, event: dict[str, Any]) -> None:
        parameter_id = event["parameter_id"]
        last = self._last.pop(event["trial_job_id"], self)
        early = event["event"] == "EARLY_STOPPED" and parameter_id not in self.with_result
        if self._include and early and last is not self:
            self.events.append({**event, "kind": "result", "value": last})
        elif event["event"] in STOPPED:
            self._tell_curve(event)
        if self._reported is not None:
            self._reported.pop(event["trial_job_id"], None)
        self.events.append(event)
        self.running.pop(parameter_id, None)
        self.with_result.discard(parameter_id)

    def _tell_curve(self, event: dict[str, Any]) -> None:
        reported = (self._reported or {}).pop(event["trial_job_id"], None)
        if reported:
            about = {"trial_job_id": event["trial_job_id"], "parameter_id": event["parameter_id"]}
            values = [value for _, value in sorted(reported.items())]
            self.events.append({"kind": "intermediates", **about, "values": values})

    def _import(self, event: dict[str, Any]) -> None:
        self.events.append(event)
