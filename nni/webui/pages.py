"""The pages and their addresses."""

from __future__ import annotations

from fastapi import Request
from nicegui import ui

from nni.webui import detail, overview
from nni.webui.frame import frame
from nni.webui.live import Live
from nni.webui.tags import Tag
from nni.webui.widgets import Experiments, ExperimentsChart


def register(live: Live, api: str) -> None:
    """Give each page its address.

    Parameters
    ----------
    live
        The experiment.
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

    @ui.page("/experiments")
    @ui.page("/experiment")
    def show_experiments() -> None:
        with frame(live, api, "/experiments") as page, Tag("section", "card", aria_label="All experiments"):
            Experiments(page.summary["id"])

    @ui.page("/compare")
    def show_comparison() -> None:
        with frame(live, api, "/compare") as page, Tag("section", "card", aria_label="Compare experiments"):
            ExperimentsChart(page.summary["id"])


def _prefix(request: Request) -> str:
    return str(request.scope.get("root_path", ""))
