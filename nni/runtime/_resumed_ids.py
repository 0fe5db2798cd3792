"""Parameter ids of an advisor that counts from 0 after a resume, kept apart from those of the earlier run."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from nni.runtime._replay import algorithm_events
from nni.runtime.protocol import CommandType, MetricType, continue_ids_from

if TYPE_CHECKING:
    from collections.abc import Callable

    Import = Callable[[list[dict[str, Any]]], None]


class ResumedIds:
    """Translates between the ids an advisor counts and those of the experiment.

    Parameters
    ----------
    history
        Data of ``ReplayHistory``.
    """

    def __init__(self, history: dict[str, Any]) -> None:
        self._first: int = history["next_parameter_id"]
        self._running = _running(algorithm_events(history["events"]))
        continue_ids_from(self._first)

    def translate(self, command: CommandType, data: Any, import_data: Import) -> Any:
        """Return the data as the advisor expects it; None if it is about a trial of the earlier run.

        A final result of such a trial goes to `import_data` at once.
        """
        if command is CommandType.ReportMetricData:
            return self._metric(data, import_data)
        if command is CommandType.TrialEnd:
            return self._end(data)
        return data

    def _metric(self, data: dict[str, Any], import_data: Import) -> dict[str, Any] | None:
        parameter_id = data["parameter_id"]
        if not isinstance(parameter_id, int):
            return data
        if parameter_id >= self._first:
            return {**data, "parameter_id": parameter_id - self._first}
        if data["type"] == MetricType.FINAL and parameter_id in self._running:
            parameters = self._running.pop(parameter_id)
            import_data([{"parameter": parameters, "value": json.loads(data["value"])}])
        return None

    def _end(self, data: dict[str, Any]) -> dict[str, Any] | None:
        job = json.loads(data["hyper_params"])
        if not isinstance(job["parameter_id"], int):
            return data
        if job["parameter_id"] < self._first:
            return None
        job["parameter_id"] -= self._first
        return {**data, "hyper_params": json.dumps(job)}


def _running(events: list[dict[str, Any]]) -> dict[Any, Any]:
    """Return the parameters of the trials that have neither a result nor an end yet."""
    running: dict[Any, Any] = {}
    for event in events:
        if event["kind"] == "parameters":
            running[event["parameter_id"]] = event["parameters"]
        elif event["kind"] in {"result", "end"}:
            running.pop(event["parameter_id"], None)
    return running
