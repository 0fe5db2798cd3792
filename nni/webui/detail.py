"""All trials: charts, and the table in which one finds, compares and steers them."""

from __future__ import annotations

from typing import Any

from nicegui import events

from nni.common.errors import NniError
from nni.webui.customized import CustomizedTrial
from nni.webui.live import Live, OpenPage
from nni.webui.steering import confirm
from nni.webui.tags import Tag, done, failed
from nni.webui.widgets import Charts, TrialTable


def build(live: Live, page: OpenPage) -> None:
    """Fill the page."""
    summary = page.summary
    actions = TrialActions(live)
    space = live.experiment.profile.config.get("searchSpace")
    with Tag("section", "card charts-card", aria_label="Charts"):
        maximize, budgets = summary["optimizeMode"] == "maximize", live.experiment.queries.has_budgets
        Charts(summary["id"], maximize=maximize, budgets=budgets, search_space=space)
    with Tag("section", "card table-card", aria_label="Trials"):
        table = TrialTable(summary["id"], read_only=summary["status"] == "VIEWED")
        table.on("kill", actions.kill)
        table.on("rerun", actions.rerun)
        table.on("customize", actions.customize)


class TrialActions:
    """What a person does to trials.

    Parameters
    ----------
    live
        The experiment.
    """

    def __init__(self, live: Live) -> None:
        self._live = live
        self._experiment = live.experiment

    def kill(self, event: events.GenericEventArguments) -> None:
        """Ask, then end a trial."""
        trial = self._trial(event)
        if trial is None:
            return

        async def act() -> None:
            await self._experiment.kill_trial(trial["id"])
            done(f"Trial {trial['sequence']} is being killed")

        text = f"Trial {trial['sequence']} ({trial['id']}) is stopped, and counts as canceled by the user."
        confirm("Kill this trial?", text, "Kill", act)

    async def rerun(self, event: events.GenericEventArguments) -> None:
        """Queue a trial's parameters once more."""
        trial = self._trial(event)
        if trial is None:
            return
        try:
            sequence = await self._experiment.add_trial(trial["parameters"])
        except NniError as error:
            failed(str(error))
        else:
            done(f"Queued as trial {sequence}, with the parameters of trial {trial['sequence']}")

    def customize(self, event: events.GenericEventArguments) -> None:
        """Open the form for a trial of one's own, filled with a trial's parameters if one is given."""
        given = event.args if isinstance(event.args, str) else None
        trial = self._experiment.queries.trial(given) if given else None
        CustomizedTrial(self._live).open(trial)

    def _trial(self, event: events.GenericEventArguments) -> dict[str, Any] | None:
        trial = self._experiment.queries.trial(str(event.args))
        if trial is None:
            failed(f"There is no trial {event.args}")
        return trial
