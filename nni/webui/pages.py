"""The pages and their addresses."""

from __future__ import annotations

from fastapi import Request
from nicegui import ui

from nni.webui import detail, overview
from nni.webui.frame import frame
from nni.webui.live import Live
from nni.webui.subject import Registry


def register(live: Live, registry: Registry, api: str) -> None:
    """Give each page its address.

    Parameters
    ----------
    live
        The experiment.
    registry
        The list of all experiments.
    api
        Path of the REST API below the prefix.
    """

    @ui.page("/")
    @ui.page("/oview")
    def show_overview(request: Request) -> None:
        with frame(live, api, "/oview") as page:
            overview.build(live, page, _prefix(request))

    @ui.page("/detail")
    def show_detail() -> None:
        with frame(live, api, "/detail") as page:
            detail.build(live, page)


def _prefix(request: Request) -> str:
    return str(request.scope.get("root_path", ""))
