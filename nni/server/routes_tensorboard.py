"""The TensorBoard routes of the 2.x API."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body, HTTPException
from fastapi.responses import Response

from nni.experiment.outputs import tensorboard_directory
from nni.server.answers import JsonResponse
from nni.server.host import LOOPBACK
from nni.server.routes_2x import unknown_trial
from nni.server.served import ServedExperiment
from nni.server.tensorboard import Task, TensorboardTasks

_PORTS = 65536


def router(experiment: ServedExperiment, tasks: TensorboardTasks) -> APIRouter:
    """Return the routes of one experiment."""
    routes = APIRouter(tags=["NNI 2.x"], default_response_class=JsonResponse)

    @routes.post("/tensorboard", summary="Start TensorBoard for some trials")
    async def start(body: Annotated[dict[str, Any], Body()]) -> Response:
        wanted = body.get("trials")
        identifiers = [part.strip() for part in wanted.split(",")] if isinstance(wanted, str) else []
        if not any(identifiers):
            raise HTTPException(400, 'the body must be {"trials": "id1,id2,..."}')
        port = body.get("port")
        if port is not None and not (isinstance(port, int) and 0 < port < _PORTS):
            raise HTTPException(400, f"port: a number from 1 to {_PORTS - 1} is expected, not {port!r}")
        # It answers on loopback only: TensorBoard has no token, so nobody else may reach it.
        trials = [_trial(name) for name in identifiers if name]
        return JsonResponse((await tasks.start(trials, LOOPBACK, port)).to_json())

    @routes.get("/tensorboard/{task_id}", summary="One TensorBoard")
    async def one(task_id: str) -> Response:
        return JsonResponse(_task(task_id).to_json())

    @routes.put("/tensorboard/{task_id}", summary="Look again for what its trials wrote")
    async def again(task_id: str) -> Response:
        task = _task(task_id)
        if task.to_json()["status"] != "RUNNING":
            raise HTTPException(409, f"TensorBoard {task_id} does not run any more; start another one")
        return JsonResponse(task.to_json())  # its trials' directories are on this machine: it reads on by itself

    @routes.delete("/tensorboard/{task_id}", summary="Stop one TensorBoard")
    async def stop(task_id: str) -> Response:
        task = _task(task_id)
        await tasks.stop(task)
        return JsonResponse(task.to_json())

    @routes.get("/tensorboard-tasks", summary="All TensorBoards")
    async def listing() -> Response:
        return JsonResponse([task.to_json() for task in tasks.all()])

    @routes.delete("/tensorboard-tasks", summary="Stop all TensorBoards")
    async def stop_all() -> Response:
        await tasks.stop_all()
        return Response()

    def _trial(identifier: str) -> tuple[int, str, Any]:
        trial = experiment.queries.reader.trial(identifier)
        if trial is None:
            raise unknown_trial(experiment, identifier)
        return trial.sequence, trial.id, tensorboard_directory(experiment.directory / "trials" / trial.id)

    def _task(identifier: str) -> Task:
        try:
            return tasks.get(identifier)
        except KeyError:
            known = ", ".join(task.id for task in tasks.all()) or "none"
            raise HTTPException(404, f"no TensorBoard {identifier}; there are: {known}") from None

    return routes
