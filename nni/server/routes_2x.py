"""The REST API of NNI 2.x: same paths, same fields, so that people's scripts and dashboards go on working."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from fastapi.responses import FileResponse, PlainTextResponse, Response

from nni.common.version import __version__
from nni.experiment.stored import no_such_trial
from nni.server.answers import JsonResponse, json_stream, text_file
from nni.server.served import ServedExperiment
from nni.store import TrialStatus
from nni.store.registry import ExperimentRegistry

_TRIAL_FILES = {"trial.log", "stderr", "stdout", "model.onnx"}


def router(experiment: ServedExperiment, registry: ExperimentRegistry) -> APIRouter:
    """Return the documented routes of one experiment."""
    routes = APIRouter(tags=["NNI 2.x"], default_response_class=JsonResponse)
    _add_experiment(routes, experiment, registry)
    _add_trials(routes, experiment)
    _add_metrics(routes, experiment)
    return routes


def _add_experiment(routes: APIRouter, experiment: ServedExperiment, registry: ExperimentRegistry) -> None:
    @routes.get("/version", summary="Version of nni")
    async def version() -> Response:
        return PlainTextResponse(__version__)

    @routes.get("/check-status", summary="Status of the experiment, and its errors")
    async def check_status() -> Response:
        standing = experiment.standing
        return JsonResponse({"status": standing.status, "errors": standing.errors})

    @routes.get("/experiment", summary="Profile of the experiment")
    async def profile() -> Response:
        return JsonResponse(experiment.queries.profile_2x())

    @routes.put("/experiment", summary="Change concurrency, duration, trial number or search space")
    async def update(update_type: str, profile: Annotated[dict[str, Any], Body()]) -> Response:
        params = profile.get("params")
        if not isinstance(params, dict):
            raise HTTPException(400, "the body has no object 'params'")
        await experiment.update(update_type, params)
        return Response()

    @routes.post("/experiment", summary="Refused: a manager is started with its experiment")
    async def create() -> Response:
        message = f"this manager has experiment {experiment.profile.id} already; use nnictl create for another"
        raise HTTPException(409, message)

    @routes.delete("/experiment", summary="Stop the experiment")
    async def stop() -> Response:
        experiment.request_stop()
        return Response()

    @routes.post("/experiment/import-data", summary="Give the tuner results from elsewhere")
    async def import_data(data: Annotated[Any, Body()]) -> Response:
        await experiment.import_data(data)
        return Response()

    @routes.get("/experiment/imported-data", summary="What was imported")
    def imported_data() -> Response:
        return JsonResponse(experiment.queries.reader.imports())

    @routes.put("/experiment/cluster-metadata", summary="A setting of a legacy platform")
    async def cluster_metadata(settings: Annotated[dict[str, Any], Body()]) -> Response:
        try:
            await experiment.set_cluster_metadata(settings)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return Response()

    @routes.get("/experiment-metadata", summary="This experiment's entry in the list of all")
    def metadata() -> Response:
        return JsonResponse(registry.get(experiment.profile.id).to_json())

    @routes.get("/experiments-info", summary="All experiments of this user on this machine")
    def experiments() -> Response:
        return JsonResponse([entry.to_json() for entry in registry.entries()])


def _add_trials(routes: APIRouter, experiment: ServedExperiment) -> None:
    @routes.get("/job-statistics", summary="Number of trials by status")
    async def statistics() -> Response:
        counts = experiment.standing.counts
        return JsonResponse(
            [{"trialJobStatus": status.value, "trialJobNumber": number} for status, number in counts.items() if number]
        )

    @routes.get("/trial-jobs", summary="Trials")
    def trials(status: TrialStatus | None = None) -> Response:
        return json_stream(experiment.queries.trial_jobs([status] if status else None))

    @routes.get("/trial-jobs/{trial_id}", summary="One trial")
    def trial(trial_id: str) -> Response:
        found = experiment.queries.reader.trial(trial_id)
        if found is None:
            raise unknown_trial(experiment, trial_id)
        return JsonResponse(experiment.queries.trial_job(found))

    @routes.post("/trial-jobs", summary="Queue a trial with parameters of your own")
    async def add(parameters: Annotated[Any, Body()]) -> Response:
        sequence = await experiment.add_trial(parameters)
        return JsonResponse({"sequenceId": sequence})

    @routes.delete("/trial-jobs/{trial_id}", summary="Kill a trial")
    async def kill(trial_id: str) -> Response:
        try:
            await experiment.kill_trial(trial_id)
        except KeyError:
            raise unknown_trial(experiment, trial_id) from None
        return Response()

    @routes.get("/trial-file/{trial_id}/{filename}", summary="A file of a trial")
    def trial_file(trial_id: str, filename: str) -> Response:
        return _trial_file(experiment, trial_id, filename)

    @routes.get("/export-data", summary="Parameters and result of every succeeded trial")
    def export() -> Response:
        return JsonResponse(experiment.queries.export())


def _add_metrics(routes: APIRouter, experiment: ServedExperiment) -> None:
    queries = experiment.queries

    @routes.get("/metric-data", summary="Everything that trials reported")
    def metrics(type: str | None = None) -> Response:  # noqa: A002  (the documented name)
        return json_stream(queries.metric_records(type))

    @routes.get("/metric-data/{trial_id}", summary="Everything that one trial reported")
    def trial_metrics(trial_id: str, type: str | None = None) -> Response:  # noqa: A002  (the documented name)
        found = queries.reader.trial(trial_id)
        if found is None:
            raise unknown_trial(experiment, trial_id)
        return json_stream(queries.metric_records(type, (found.sequence, found.sequence)))

    @routes.get("/metric-data-range/{min_seq_id}/{max_seq_id}", summary="What a range of trials reported")
    def metric_range(min_seq_id: int, max_seq_id: int) -> Response:
        return json_stream(queries.metric_records(None, (min_seq_id, max_seq_id)))

    @routes.get("/metric-data-latest/", summary="Final results, and each trial's last intermediate result")
    @routes.get("/metric-data-latest", include_in_schema=False)
    def latest() -> Response:
        return json_stream(queries.metric_records(None, latest=True))


def _trial_file(experiment: ServedExperiment, trial_id: str, filename: str) -> Response:
    if filename not in _TRIAL_FILES:
        raise HTTPException(403, f"File unaccessible: {filename}; one of {', '.join(sorted(_TRIAL_FILES))}")
    path = trial_path(experiment, trial_id, filename)
    if path.stat().st_size == 0:
        return PlainTextResponse(f"{filename} is empty.")
    if filename == "model.onnx":
        return FileResponse(path, media_type="application/octet-stream")
    return text_file(path, None, None)


def trial_path(experiment: ServedExperiment, trial_id: str, filename: str) -> Path:
    """Return a file of a trial; 404 for an unknown trial (so no path can be smuggled in) or a missing file."""
    found = experiment.queries.reader.trial(trial_id)
    if found is None:
        raise unknown_trial(experiment, trial_id)
    directory = experiment.directory / "trials" / found.id
    path = directory / filename
    if filename == "stdout" and not path.exists():
        path = directory / "trial.log"  # where standard output goes on this platform
    if not path.is_file():
        raise HTTPException(404, f"File not found: {path}")
    return path


def unknown_trial(experiment: ServedExperiment, trial_id: str) -> HTTPException:
    """Return a 404 that offers the ids of trials that are meant perhaps."""
    return HTTPException(404, no_such_trial(trial_id, experiment.queries.reader.identifiers()))
