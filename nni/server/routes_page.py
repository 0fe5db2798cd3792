"""What the web page fetches: many trials in few bytes, and curves that fit a chart."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query
from fastapi.responses import Response

from nni.experiment.stored import history
from nni.manager.queries import changed_columns, curves, found_columns
from nni.server.answers import JsonResponse
from nni.server.served import ServedExperiment
from nni.server.snapshot import Snapshot
from nni.store import ParameterFilter, Search, TrialStatus
from nni.store.registry import ExperimentRegistry

_SMALL = 1000  # bytes that are not worth compressing


def router(experiment: ServedExperiment, registry: ExperimentRegistry) -> APIRouter:
    """Return the page's routes of one experiment."""
    routes = APIRouter(tags=["NNI page"], default_response_class=JsonResponse)
    snapshot = Snapshot(experiment)

    @routes.get("/columns", summary="Trials as compact rows: all of them, or those changed after a revision")
    async def columns(
        after: Annotated[int, Query(ge=0)] = 0, accept_encoding: Annotated[str, Header()] = ""
    ) -> Response:
        if after == 0 and "gzip" in accept_encoding:
            return _compressed(await snapshot.body())
        text = await asyncio.to_thread(changed_columns, experiment.queries, after)
        return await _answer(text, accept_encoding)

    @routes.get("/columns/search", summary="A page of trials as compact rows")
    async def search(
        offset: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
        text: str = "",
        status: Annotated[list[TrialStatus] | None, Query()] = None,
        where: Annotated[str, Query(description='JSON: [{"name", "values"} or {"name", "low", "high"}]')] = "[]",
        order: str = "sequence",
        descending: bool = False,
        accept_encoding: Annotated[str, Header()] = "",
    ) -> Response:
        wanted = Search(text, tuple(status or ()), _conditions(where), order, descending)
        try:
            found = await asyncio.to_thread(found_columns, experiment.queries, wanted, limit, offset)
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        return await _answer(found, accept_encoding)

    @routes.get("/curves", summary="Intermediate results of some trials, thinned to what a chart shows")
    async def some_curves(
        trials: Annotated[list[int] | None, Query(description="numbers; default the best and the running ones")] = None,
        top: Annotated[int, Query(ge=1, le=500)] = 50,
        key: str = "default",
        step: Annotated[int | None, Query(ge=0, description="counted from 0")] = None,
        low: float = -math.inf,
        high: float = math.inf,
        accept_encoding: Annotated[str, Header()] = "",
    ) -> Response:
        window = None if step is None else (step, low, high)

        def make() -> str:
            found = curves(experiment.queries, sequences=trials, top=top, key=key, window=window)
            return json.dumps(found, separators=(",", ":"))

        return await _answer(await asyncio.to_thread(make), accept_encoding)

    @routes.get("/experiments/{experiment_id}/history", summary="The best result so far of any experiment of this user")
    def best_so_far(experiment_id: str) -> Response:
        return JsonResponse(history(registry.get(experiment_id).directory))

    return routes


def _conditions(text: str) -> tuple[ParameterFilter, ...]:
    try:
        return tuple(_condition(item) for item in json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise HTTPException(
            400, f'where: a JSON list of {{"name", "values" or "low" and "high"}} ({error!r})'
        ) from None


def _condition(item: dict[str, Any]) -> ParameterFilter:
    bounds = {name: None if item.get(name) is None else float(item[name]) for name in ("low", "high")}
    return ParameterFilter(str(item["name"]), tuple(item.get("values") or ()), bounds["low"], bounds["high"])


async def _answer(text: str, accept_encoding: str) -> Response:
    if len(text) < _SMALL or "gzip" not in accept_encoding:
        return Response(text, media_type="application/json")
    return _compressed(await asyncio.to_thread(lambda: gzip.compress(text.encode(), 4)))


def _compressed(body: bytes) -> Response:
    headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
    return Response(body, media_type="application/json", headers=headers)
