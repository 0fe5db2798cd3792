"""The list of REST routes at ``/docs``: a plain page without scripts."""

from __future__ import annotations

import html
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1a1a2e }
h1 { font-size: 1.4rem } table { border-collapse: collapse; width: 100%; margin: 1rem 0 }
td, th { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top }
code { background: #f3f4f6; padding: .1rem .3rem; border-radius: 3px } .error { color: #b00020 }
@media (prefers-color-scheme: dark) { body { background: #14151a; color: #e6e6ea } code { background: #23252e }
td, th { border-color: #333 } .error { color: #ff8a80 } a { color: #8ab4f8 } }
"""


def router(app: FastAPI, api: str) -> APIRouter:
    """Return the page; `api` is the path of the REST API."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/api/v1/nni/docs")
    @routes.get("/docs")
    def docs() -> HTMLResponse:
        return HTMLResponse(_docs(app.openapi(), f"{api}/openapi.json"))

    return routes


def _page(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>{body}</body></html>'
    )


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
