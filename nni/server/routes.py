"""Our own routes beside the documented ones: plain JSON, paged, made for the page and the command line."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, WebSocket, WebSocketDisconnect
from fastapi.responses import Response

from nni.server.answers import JsonResponse, text_file
from nni.server.broadcast import PAUSE, Broadcaster
from nni.server.routes_2x import trial_path, unknown_trial
from nni.server.served import ServedExperiment
from nni.store import ORDERS, TrialStatus

_LOGS = ("nnimanager.log", "dispatcher.log", "nnictl_stdout.log", "nnictl_stderr.log", "dispatcher_stderr.log")
_TRIAL_LOGS = ("trial.log", "stderr", "stdout")

Lines = Annotated[int | None, Query(ge=0)]


def router(experiment: ServedExperiment) -> APIRouter:
    """Return our routes of one experiment."""
    routes = APIRouter(tags=["NNI"], default_response_class=JsonResponse)
    broadcaster = Broadcaster(experiment)
    _add_reading(routes, experiment)
    _add_files(routes, experiment)

    @routes.websocket("/events")
    async def events(socket: WebSocket, after: int = 0, compact: bool = False) -> None:
        await socket.accept()
        sender = asyncio.create_task(_push(socket, broadcaster, after, compact=compact))
        try:
            while True:  # this is also how a closed connection is noticed
                text = await socket.receive_text()
                if text.isdecimal():  # a page that knows all trials up to a revision wants the changes from there on
                    sender.cancel()
                    sender = asyncio.create_task(_push(socket, broadcaster, int(text), compact=compact))
        except WebSocketDisconnect:
            pass
        finally:
            sender.cancel()

    return routes


def _add_reading(routes: APIRouter, experiment: ServedExperiment) -> None:
    @routes.get("/summary", summary="Everything one wants to know first")
    async def summary() -> Response:
        return JsonResponse(experiment.summary())

    @routes.get("/importance", summary="How much each parameter decided about the results")
    def importance() -> Response:
        return JsonResponse(experiment.queries.importance())

    @routes.get("/trials", summary="A page of trials")
    def trials(
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        status: Annotated[list[TrialStatus] | None, Query()] = None,
        order: str = "sequence",
        after: Annotated[int, Query(ge=0, description="only trials changed after this revision")] = 0,
    ) -> Response:
        if order not in ORDERS:
            raise HTTPException(400, f"order {order!r} is unknown; one of {', '.join(ORDERS)}")
        return JsonResponse(experiment.queries.trials(status, order, limit, offset, after))

    @routes.get("/trials/{trial_id}", summary="One trial")
    def trial(trial_id: str) -> Response:
        found = experiment.queries.trial(trial_id)
        if found is None:
            raise unknown_trial(experiment, trial_id)
        return JsonResponse(found)

    @routes.get("/trials/{trial_id}/metrics", summary="What one trial reported")
    def trial_metrics(trial_id: str) -> Response:
        found = experiment.queries.reader.trial(trial_id)
        if found is None:
            raise unknown_trial(experiment, trial_id)
        return JsonResponse(experiment.queries.trial_metrics(found.sequence))


def _add_files(routes: APIRouter, experiment: ServedExperiment) -> None:
    @routes.get("/logs/{name}", summary="A log file of the experiment")
    def log(name: str, head: Lines = None, tail: Lines = None) -> Response:
        path = experiment.directory / "log" / name
        if name not in _LOGS or not path.is_file():
            raise HTTPException(404, f"no log {name}; one of {', '.join(_LOGS)}")
        return text_file(path, head, tail)

    @routes.get("/trial-log/{trial_id}/{name}", summary="A log file of a trial")
    def trial_log(trial_id: str, name: str, head: Lines = None, tail: Lines = None) -> Response:
        if name not in _TRIAL_LOGS:
            raise HTTPException(404, f"no log {name}; one of {', '.join(_TRIAL_LOGS)}")
        return text_file(trial_path(experiment, trial_id, name), head, tail)


async def _push(socket: WebSocket, broadcaster: Broadcaster, after: int, *, compact: bool) -> None:
    """Send what changed, as fast as this client takes it and at most five times a second; no trials if `after` < 0."""
    while True:
        changed = broadcaster.changed
        if after >= 0:
            text, after = await broadcaster.trials(after, compact=compact)
            if text is not None:
                await socket.send_text(text)
        await socket.send_text(broadcaster.summary())
        if broadcaster.ended:
            await socket.send_text('{"type":"end"}')
        await asyncio.sleep(PAUSE)
        await changed.wait()
