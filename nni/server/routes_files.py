"""Files of trials, the model in one of them, notes about them, and the whole experiment as one file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from fastapi.responses import FileResponse, Response, StreamingResponse
from pydantic import BaseModel

from nni.server.answers import JsonResponse
from nni.server.onnx_graph import read_graph
from nni.server.routes_2x import trial_path, unknown_trial
from nni.server.served import ServedExperiment

_MOST_FILES = 2000


def router(experiment: ServedExperiment) -> APIRouter:
    """Return the routes of one experiment."""
    routes = APIRouter(tags=["NNI page"], default_response_class=JsonResponse)

    @routes.get("/trials/{trial_id}/files", summary="The files in a trial's directory")
    def files(trial_id: str) -> Response:
        directory = _directory(experiment, trial_id)
        return JsonResponse([*_listing(directory, ""), *_outputs_elsewhere(experiment, directory)])

    @routes.get("/trials/{trial_id}/files/{name:path}", summary="One of them")
    def file(trial_id: str, name: str) -> Response:
        directory = _directory(experiment, trial_id)
        path = (directory / name).resolve()
        roots = (directory, _outputs_on_storage(experiment, directory) or directory)
        if not any(path.is_relative_to(root.resolve()) for root in roots) or not path.is_file():
            raise HTTPException(404, f"trial {trial_id} has no file {name}")
        # Never as a page of ours: a trial may write HTML.
        return FileResponse(path, media_type="application/octet-stream", filename=path.name)

    @routes.get("/trials/{trial_id}/model", summary="The graph in a trial's model.onnx")
    def model(trial_id: str) -> Response:
        return JsonResponse(read_graph(trial_path(experiment, trial_id, "model.onnx")))

    @routes.get("/experiment-summary", summary="Configuration, trials and all their results as one JSON file")
    def whole(download: bool = False) -> Response:
        name = f"{experiment.profile.id}.json"
        headers = {"Content-Disposition": f'attachment; filename="{name}"'} if download else {}
        return StreamingResponse(_whole(experiment), media_type="application/json", headers=headers)

    @routes.put("/trials/{trial_id}/note", summary="Write a note about a trial, and its tags")
    async def note(trial_id: str, body: Annotated[_Note, Body()]) -> Response:
        try:
            await experiment.annotate(trial_id, body.note, body.tags)
        except KeyError:
            raise unknown_trial(experiment, trial_id) from None
        return Response()

    return routes


class _Note(BaseModel):
    note: str = ""
    tags: list[str] = []


def _directory(experiment: ServedExperiment, trial_id: str) -> Path:
    found = experiment.queries.reader.trial(trial_id)
    if found is None:
        raise unknown_trial(experiment, trial_id)
    return experiment.directory / "trials" / found.id


def _outputs_on_storage(experiment: ServedExperiment, directory: Path) -> Path | None:
    """Return where a trial's output directory is on a shared storage that is mounted here; None if it is not.

    It is the one place outside of the experiment's directory to which a link of a trial's directory may lead.
    """
    storage = experiment.profile.config.get("sharedStorage") or {"localMounted": "nomount"}
    link = directory / "nnioutput"
    if storage["localMounted"] == "nomount" or not link.is_symlink():
        return None
    there = Path(storage["localMountPoint"]) / "nni" / experiment.profile.id / "trials" / directory.name / link.name
    return there if link.readlink() == there else None


def _outputs_elsewhere(experiment: ServedExperiment, directory: Path) -> list[dict[str, Any]]:
    outputs = _outputs_on_storage(experiment, directory)
    return [] if outputs is None else _listing(outputs, "nnioutput/")


def _listing(directory: Path, prefix: str) -> list[dict[str, Any]]:
    """Return name, size (bytes) and time of change (epoch milliseconds); links out of the directory are left out."""
    found = list[dict[str, Any]]()
    root = directory.resolve()
    for path in sorted(directory.rglob("*")):
        if len(found) == _MOST_FILES:
            break
        if path.is_file() and path.resolve().is_relative_to(root):
            status = path.stat()
            name = f"{prefix}{path.relative_to(directory).as_posix()}"
            found.append({"name": name, "size": status.st_size, "modified": int(1000 * status.st_mtime)})
    return found


def _whole(experiment: ServedExperiment) -> Iterator[str]:
    """Yield the file in pieces: experiment, then each trial with its intermediate results."""
    queries = experiment.queries
    yield f'{{"experimentParameters":{json.dumps(queries.profile_2x())},"trialMessage":['
    for place, trial in enumerate(queries.reader.trials()):
        described = queries.describe(trial)
        described["intermediate"] = [
            metric["value"] for metric in queries.trial_metrics(trial.sequence) if metric["type"] == "PERIODICAL"
        ]
        yield f"{',' if place else ''}\n{json.dumps(described)}"
    yield "]}"
