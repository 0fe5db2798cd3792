"""Synchronous client of a manager's REST API; it uses no event loop, so it works in notebooks (PLT-217).

Managers are on this machine, so proxies of the environment are ignored (PLT-193, PLT-387).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

import httpx

from nni.common.errors import NniError
from nni.experiment.data import ExperimentSummary, TrialJob, TrialMetricData, TrialResult, TrialRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from nni.store.registry import RegistryEntry

__all__ = ["ApiError", "NniClient", "NoAnswerError", "UpdateType"]

UpdateType: TypeAlias = Literal["TRIAL_CONCURRENCY", "MAX_EXEC_DURATION", "SEARCH_SPACE", "MAX_TRIAL_NUM"]

_PROFILE_FIELDS: dict[UpdateType, str] = {
    "TRIAL_CONCURRENCY": "trialConcurrency",
    "MAX_EXEC_DURATION": "maxExperimentDuration",
    "SEARCH_SPACE": "searchSpace",
    "MAX_TRIAL_NUM": "maxTrialNumber",
}
_PAGE = 1000


class NoAnswerError(NniError):
    """Nothing answers on the port, or not in time."""


class ApiError(NniError):
    """The manager refused a request; the text is its reason.

    Attributes
    ----------
    status
        HTTP status code.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NniClient:
    """All routes of one manager that clients need.

    Parameters
    ----------
    port
        Port of the manager on this machine.
    host
        An address of this machine on which it listens. Default 127.0.0.1.
    url_prefix
        The prefix the manager was started with, if any.
    token
        Needed when the manager listens on other addresses than loopback.
    timeout
        Seconds to wait for an answer. Default 60.

    Raises
    ------
    NoAnswerError
        From every method, if there is no answer.
    ApiError
        From every method, if the manager refuses.
    """

    def __init__(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        url_prefix: str | None = None,
        token: str | None = None,
        timeout: float = 60.0,
    ) -> None:
        prefix = f"/{url_prefix.strip('/')}" if url_prefix and url_prefix.strip("/") else ""
        self.port = port
        self.base_url = f"http://{f'[{host}]' if ':' in host else host}:{port}{prefix}/api/v1/nni"
        self._http = httpx.Client(
            base_url=self.base_url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout,
            trust_env=False,
        )

    @classmethod
    def of(cls, entry: RegistryEntry, *, timeout: float = 60.0) -> NniClient:
        """Return a client of a running experiment of the registry; ``timeout`` as in the constructor."""
        if entry.port is None:
            raise NoAnswerError(
                f"the port of experiment {entry.id} is not known, because the list of experiments was lost; "
                f"nnictl stop {entry.id} and nnictl resume {entry.id} bring it back"
            )
        host, token = _host(entry.urls), _token(entry.urls)
        return cls(entry.port, host=host, url_prefix=entry.url_prefix, token=token, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # The experiment

    def version(self) -> str:
        """Return the manager's version."""
        return self._request("GET", "/version").text.strip().strip('"')

    def check_status(self) -> tuple[str, list[str]]:
        """Return experiment status and error messages."""
        answer = self._json("GET", "/check-status")
        return answer["status"], list(answer.get("errors") or [])

    def summary(self) -> ExperimentSummary:
        """Return the state of the experiment at a glance."""
        return cast("ExperimentSummary", self._json("GET", "/summary"))

    def importance(self) -> dict[str, Any]:
        """Return how much each parameter decided about the results."""
        return cast("dict[str, Any]", self._json("GET", "/importance"))

    def profile(self) -> dict[str, Any]:
        """Return the experiment profile (REST 3.1)."""
        return cast("dict[str, Any]", self._json("GET", "/experiment"))

    def update_profile(self, update_type: UpdateType, value: Any) -> None:
        """Change one limit of the running experiment; the manager checks the value and says why if it refuses."""
        body = {"params": {_PROFILE_FIELDS[update_type]: value}}
        self._request("PUT", "/experiment", params={"update_type": update_type}, content=_encode(body))

    def import_data(self, data: Any) -> None:
        """Feed a list of ``{"parameter", "value"}`` records to the tuner; a custom algorithm may take other items."""
        self._request("POST", "/experiment/import-data", content=_encode(data))

    def metadata(self) -> dict[str, Any]:
        """Return this experiment's entry of the list of experiments (REST 3.5)."""
        return cast("dict[str, Any]", self._json("GET", "/experiment-metadata"))

    def experiments_info(self) -> list[dict[str, Any]]:
        """Return the entries of all experiments of this user."""
        return cast("list[dict[str, Any]]", self._json("GET", "/experiments-info"))

    def stop(self) -> None:
        """Ask the manager to stop its experiment and to exit."""
        self._request("DELETE", "/experiment")

    # Trials

    def trial(self, trial_job_id: str) -> TrialRow:
        """Return one trial."""
        return cast("TrialRow", self._json("GET", f"/trials/{trial_job_id}"))

    def trial_jobs(self, status: str | None = None) -> list[TrialJob]:
        """Return all trials, or those in one status."""
        answer = self._json("GET", "/trial-jobs", params={"status": status} if status else None)
        return [TrialJob.from_json(item) for item in answer]

    def trial_job(self, trial_job_id: str) -> TrialJob:
        """Return one trial."""
        return TrialJob.from_json(self._json("GET", f"/trial-jobs/{trial_job_id}"))

    def trials(self, *, status: str | None = None, order: str = "sequence", limit: int | None = None) -> list[TrialRow]:
        """Return trials in pages' own order: ``sequence``, ``metric``, ``duration``, each also with ``-`` before it."""
        rows: list[TrialRow] = []
        for page in self._pages(status, order, limit):
            rows.extend(page)
        return rows if limit is None else rows[:limit]

    def _pages(self, status: str | None, order: str, limit: int | None) -> Iterator[list[TrialRow]]:
        seen, total = 0, 1
        while seen < total and (limit is None or seen < limit):
            wanted = _PAGE if limit is None else min(_PAGE, limit - seen)
            params = {"offset": seen, "limit": wanted, "order": order, **({"status": status} if status else {})}
            answer = self._json("GET", "/trials", params=params)
            total = answer["total"]
            seen += len(answer["items"])
            yield answer["items"]
            if not answer["items"]:
                return

    def add_trial(self, parameters: Mapping[str, Any]) -> int:
        """Queue a trial with parameters of the user's own; returns its sequence number."""
        return int(self._json("POST", "/trial-jobs", content=_encode(parameters))["sequenceId"])

    def kill_trial(self, trial_job_id: str) -> None:
        """Cancel a waiting or running trial."""
        self._request("DELETE", f"/trial-jobs/{trial_job_id}")

    # TensorBoard

    def start_tensorboard(self, trial_job_ids: list[str], port: int | None = None) -> dict[str, Any]:
        """Start TensorBoard for some trials, on the first free port from 6006 by default; returns its task."""
        body = {"trials": ",".join(trial_job_ids), **({} if port is None else {"port": port})}
        return cast("dict[str, Any]", self._json("POST", "/tensorboard", content=_encode(body)))

    def tensorboards(self) -> list[dict[str, Any]]:
        """Return the TensorBoards of this experiment."""
        return cast("list[dict[str, Any]]", self._json("GET", "/tensorboard-tasks"))

    def stop_tensorboards(self) -> None:
        """End all TensorBoards of this experiment."""
        self._request("DELETE", "/tensorboard-tasks")

    def job_statistics(self) -> dict[str, int]:
        """Return the number of trials in each status that occurs."""
        return {item["trialJobStatus"]: item["trialJobNumber"] for item in self._json("GET", "/job-statistics")}

    def metric_data(self, trial_job_id: str | None = None, kind: str | None = None) -> list[TrialMetricData]:
        """Return results of one or all trials; ``kind`` FINAL or PERIODICAL, default both."""
        path = f"/metric-data/{trial_job_id}" if trial_job_id else "/metric-data"
        return [
            TrialMetricData.from_json(item) for item in self._json("GET", path, params={"type": kind} if kind else None)
        ]

    def export_data(self) -> list[TrialResult]:
        """Return parameters and final result of every succeeded trial."""
        answer = self._json("GET", "/export-data")
        items = json.loads(answer) if isinstance(answer, str) else answer
        return [TrialResult.from_json(item) for item in items]

    # HTTP

    def _json(self, method: str, path: str, **arguments: Any) -> Any:
        return self._request(method, path, **arguments).json()

    def _request(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        if "content" in arguments:
            arguments["headers"] = {"Content-Type": "application/json"}
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.TimeoutException:
            raise NoAnswerError(f"{self.base_url} did not answer {method} {path} in time") from None
        except httpx.TransportError as error:
            raise NoAnswerError(
                f"no experiment answers on port {self.port} ({error}); running ones: nnictl experiment list"
            ) from None
        if response.is_error:
            raise ApiError(_reason(response), response.status_code)
        return response


def _encode(body: Any) -> str:
    return json.dumps(body)  # NaN and Infinity as Python writes them, as the rest of NNI does


def _reason(response: httpx.Response) -> str:
    try:
        return str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"{response.request.method} {response.request.url}: {response.status_code} {response.reason_phrase}"


def _host(urls: list[str]) -> str:
    """Return where the manager listens: on loopback if it can be reached there."""
    hosts = [httpx.URL(url).host for url in urls]
    return "127.0.0.1" if not hosts or "127.0.0.1" in hosts else hosts[0]


def _token(urls: list[str]) -> str | None:
    return next((token for url in urls if (token := httpx.URL(url).params.get("token"))), None)
