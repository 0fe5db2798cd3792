"""The way to TensorBoards through the manager: below its prefix, and with its token.

TensorBoard listens on loopback only, and knows neither. A browser on another machine, behind a proxy such as
JupyterLab's or at the end of a forwarded port reaches nothing but the manager.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from nni.server.host import LOOPBACK

if TYPE_CHECKING:
    import httpx

    from nni.server.tensorboard import Task, TensorboardTasks

_NOT_ON = {"cookie", "authorization", "host", "connection", "origin", "referer"}  # the token is none of its business
_NOT_BACK = {"connection", "keep-alive", "transfer-encoding", "server", "date"}


def router(tasks: TensorboardTasks) -> APIRouter:
    """Return the routes below ``/tensorboard/ID/``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/tensorboard/{task_id}")
    async def without_slash(request: Request, task_id: str) -> Response:
        _running(tasks, task_id)
        return RedirectResponse(f"{request.url.path}/")  # its pages name their files relative to it

    @routes.api_route("/tensorboard/{task_id}/{path:path}", methods=["GET", "POST"])
    async def through(request: Request, task_id: str, path: str) -> Response:
        return await _pass_on(request, _running(tasks, task_id), path)

    return routes


def _running(tasks: TensorboardTasks, task_id: str) -> Task:
    running = {task.id: task for task in tasks.all() if task.to_json()["status"] == "RUNNING"}
    if task_id not in running:
        known = ", ".join(running) or "none"
        raise HTTPException(404, f"no TensorBoard {task_id} runs; there are: {known}. Trials detail starts one")
    return running[task_id]


async def _pass_on(request: Request, task: Task, path: str) -> Response:
    import httpx  # noqa: PLC0415  (here only, and its import takes a while)

    # Whatever the environment says of proxies: it is on this machine (PLT-387).
    client = httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{task.port}", trust_env=False, timeout=60)
    try:
        asked = client.build_request(
            request.method,
            f"/{path}",
            params=[(name, value) for name, value in request.query_params.multi_items() if name != "token"],
            headers=[(name, value) for name, value in request.headers.items() if name not in _NOT_ON],
            content=await request.body(),
        )
        answer = await client.send(asked, stream=True)
    except httpx.HTTPError as error:
        await client.aclose()
        raise HTTPException(502, f"TensorBoard {task.id} does not answer ({error!r})") from None
    headers = {name: value for name, value in answer.headers.items() if name not in _NOT_BACK}
    return StreamingResponse(_body(client, answer), status_code=answer.status_code, headers=headers)


async def _body(client: httpx.AsyncClient, answer: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()
        await client.aclose()
