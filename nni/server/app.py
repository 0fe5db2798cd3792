"""The web application of one experiment: routes, error bodies, guard."""

from __future__ import annotations

import logging

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from nni.common.errors import NniError
from nni.common.version import __version__
from nni.server import page, routes, routes_2x, routes_files, routes_page, routes_tensorboard, tensorboard_way
from nni.server.answers import JsonResponse
from nni.server.pages import Pages, ShortWay
from nni.server.refused import RefusedError
from nni.server.security import Guard
from nni.server.served import ServedExperiment
from nni.server.tensorboard import TensorboardTasks
from nni.store.registry import ExperimentRegistry

_logger = logging.getLogger("nni.server")
API = "/api/v1/nni"


def build(experiment: ServedExperiment, registry: ExperimentRegistry, prefix: str, token: str | None) -> FastAPI:
    """Return the application; `prefix` (``"/x"`` or empty) stands before every path (PLT-225)."""
    app = FastAPI(
        title="NNI",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=f"{prefix}{API}/openapi.json",
    )
    tensorboards = TensorboardTasks()
    app.include_router(routes_2x.router(experiment, registry), prefix=prefix + API)
    app.include_router(routes.router(experiment), prefix=prefix + API)
    app.include_router(routes_page.router(experiment, registry), prefix=prefix + API)
    app.include_router(routes_files.router(experiment), prefix=prefix + API)
    app.include_router(routes_tensorboard.router(experiment, tensorboards), prefix=prefix + API)
    app.include_router(tensorboard_way.router(tensorboards), prefix=prefix)
    app.include_router(page.router(app, prefix + API), prefix=prefix)
    pages = Pages(experiment, API)

    async def close() -> None:
        await tensorboards.stop_all()
        await pages.close()

    app.state.close = close
    app.mount(prefix or "/", pages)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _bad_request)
    app.add_exception_handler(NniError, _refused)
    app.add_exception_handler(Exception, _crash)
    app.add_middleware(ShortWay, pages=pages, prefix=prefix)
    app.add_middleware(Guard, token=token)  # the outermost: nothing is answered without it
    return app


async def _http_error(_request: Request, error: Exception) -> JsonResponse:
    assert isinstance(error, HTTPException)
    return JsonResponse({"error": str(error.detail)}, status_code=error.status_code)


async def _bad_request(_request: Request, error: Exception) -> JsonResponse:
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in error.errors()]
    return JsonResponse({"error": "; ".join(faults)}, status_code=400)


async def _refused(_request: Request, error: Exception) -> JsonResponse:
    return JsonResponse({"error": str(error)}, status_code=409 if isinstance(error, RefusedError) else 400)


async def _crash(_request: Request, error: Exception) -> JsonResponse:
    _logger.error("a request failed", exc_info=error)
    return JsonResponse({"error": f"internal error: {error!r}; see log/nnimanager.log"}, status_code=500)
