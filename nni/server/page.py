"""Two plain pages without scripts: an overview that reloads itself, and the list of REST routes at ``/docs``."""

from __future__ import annotations

import html
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from nni.common.version import __version__
from nni.server.served import ServedExperiment

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a1a2e }
h1 { font-size: 1.4rem } table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
code { background: #f3f4f6; padding: .1rem .3rem; border-radius: 3px } .error { color: #b00020 }
@media (prefers-color-scheme: dark) { body { background: #14151a; color: #e6e6ea } code { background: #23252e }
td, th { border-color: #333 } .error { color: #ff8a80 } a { color: #8ab4f8 } }
"""


def router(experiment: ServedExperiment, app: FastAPI, api: str) -> APIRouter:
    """Return the pages; `api` is the path of the REST API."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/")
    @routes.get("/oview")
    async def overview() -> HTMLResponse:
        return HTMLResponse(_overview(experiment.summary(), api))

    @routes.get("/api/v1/nni/docs")
    @routes.get("/docs")
    def docs() -> HTMLResponse:
        return HTMLResponse(_docs(app.openapi(), f"{api}/openapi.json"))

    return routes


def _page(title: str, body: str, *, reload: bool = False) -> str:
    refresh = '<meta http-equiv="refresh" content="5">' if reload else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{refresh}<title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>{body}</body></html>'
    )


def _overview(summary: dict[str, Any], api: str) -> str:
    best = summary["best"]
    ended = summary["status"] in {"DONE", "STOPPED"}
    rows = {
        "Status": summary["status"],
        "Because" if ended else "Waiting": None if summary["status"] == "ERROR" else summary["waiting"],
        "Trials": f"{summary['trials']}" + (f" of {summary['maxTrialNumber']}" if summary["maxTrialNumber"] else ""),
        "By status": ", ".join(f"{number} {status}" for status, number in summary["counts"].items()),
        "Concurrency": summary["trialConcurrency"],
        "Tuner": f"{summary['tuner']} ({summary['optimizeMode']})",
        "Tuner says": summary["tunerNote"],
        "Best result": best and f"{best['metric']} (trial {best['id']}, number {best['sequence']})",
        "Best parameters": best and ", ".join(f"{name} = {value}" for name, value in best["parameters"].items()),
        "Directory": summary["directory"],
    }
    cells = "".join(
        f"<tr><th>{name}</th><td>{html.escape(str(value))}</td></tr>" for name, value in rows.items() if value
    )
    errors = "".join(f'<p class="error">{html.escape(error)}</p>' for error in summary["errors"])
    title = f"{summary['name'] or 'Experiment'} {summary['id']}"
    links = (
        f'<p><a href="{api}/trials">trials</a> · <a href="{api}/export-data">results</a> · '
        f'<a href="{api}/experiment">configuration</a> · <a href="{api}/logs/nnimanager.log">manager log</a> · '
        f'<a href="{api}/logs/dispatcher.log">dispatcher log</a> · <a href="{api}/docs">REST API</a> · '
        f"NNI {__version__}</p>"
    )
    return _page(title, f"<h1>{html.escape(title)}</h1>{errors}<table>{cells}</table>{links}", reload=True)


def _docs(schema: dict[str, Any], link: str) -> str:
    rows = [
        f"<tr><td><code>{method.upper()}</code></td><td><code>{html.escape(path)}</code></td>"
        f"<td>{html.escape(operation.get('summary', ''))}{_parameters(operation)}</td></tr>"
        for path, operations in schema["paths"].items()
        for method, operation in operations.items()
    ]
    events = "<tr><td><code>WS</code></td><td><code>…/events</code></td><td>What changes, as it comes</td></tr>"
    body = (
        f'<h1>REST API</h1><p>As <a href="{link}">OpenAPI</a>.</p>'
        f"<table><tr><th></th><th>Path</th><th></th></tr>{''.join(rows)}{events}</table>"
    )
    return _page("NNI REST API", body)


def _parameters(operation: dict[str, Any]) -> str:
    names = [item["name"] for item in operation.get("parameters", []) if item["in"] == "query"]
    return f"<br><small>query: {html.escape(', '.join(names))}</small>" if names else ""
