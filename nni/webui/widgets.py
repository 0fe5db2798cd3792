"""The parts of pages that run in the browser: one script each, fed by REST and the event stream."""

from __future__ import annotations

from nicegui import __version__ as nicegui_version
from nicegui.dependencies import esm_modules
from nicegui.element import Element

PACKAGE = "nni-page"
"""The scripts that the components share."""


class Clock(Element, component="static/clock.js", esm={PACKAGE: "static"}):
    """Nothing to be seen: lets times and durations go on, watches the connection, and knows the page's address.

    Parameters
    ----------
    api
        Path of the REST API below the prefix.
    """

    def __init__(self, api: str) -> None:
        super().__init__()
        self._props["api"] = api


class TrialTable(Element, component="static/trial_table.js"):
    """The table of all trials.

    Parameters
    ----------
    experiment
        Experiment id: choices of columns are remembered by it.
    read_only
        Offer no changes.
    """

    def __init__(self, experiment: str, *, read_only: bool) -> None:
        super().__init__()
        self._props["experiment"] = experiment
        self._props["readOnly"] = read_only


class Charts(Element, component="static/charts.js"):
    """Charts of all trials: metric, durations, intermediate results, slices.

    Parameters
    ----------
    experiment
        Experiment id.
    maximize
        Whether larger results are better.
    budgets
        Whether results of larger ``TRIAL_BUDGET`` come first.
    search_space
        By which axes know their scale.
    only
        Show this chart alone, without tabs.
    """

    def __init__(
        self,
        experiment: str,
        *,
        maximize: bool,
        budgets: bool,
        search_space: object,
        only: str | None = None,
    ) -> None:
        super().__init__()
        self._props["experiment"] = experiment
        self._props["maximize"] = maximize
        self._props["budgets"] = budgets
        self._props["searchSpace"] = search_space
        self._props["only"] = only


class BestTrials(Element, component="static/best_trials.js"):
    """The best trials, as many as one likes, by the largest or the smallest metric.

    Parameters
    ----------
    experiment
        Experiment id: the choice is remembered by it.
    maximize
        Whether larger results are better.
    budgets
        Whether results of larger ``TRIAL_BUDGET`` come first.
    """

    def __init__(self, experiment: str, *, maximize: bool, budgets: bool) -> None:
        super().__init__()
        self._props["experiment"] = experiment
        self._props["maximize"] = maximize
        self._props["budgets"] = budgets


class Experiments(Element, component="static/experiments.js"):
    """The list of all experiments of this user on this machine; `experiment` is the id of the one that shows it."""

    def __init__(self, experiment: str) -> None:
        super().__init__()
        self._props["experiment"] = experiment


class ExperimentsChart(Element, component="static/experiments_chart.js"):
    """The best results of several experiments over trials or time; `experiment` is shown at first."""

    def __init__(self, experiment: str) -> None:
        super().__init__()
        self._props["experiment"] = experiment


class LogView(Element, component="static/log_view.js"):
    """A log file with search, wrapping and download.

    Parameters
    ----------
    files
        Names of the files that can be chosen.
    search
        What is searched for at first.
    """

    def __init__(self, files: list[str], search: str = "") -> None:
        super().__init__()
        self._props["files"] = files
        self._props["search"] = search


def address(file: str) -> str:
    """Return the path of a file of the pages below the prefix; a new installation has new paths."""
    key = next(key for key, module in esm_modules.items() if module.name == PACKAGE)
    return f"/_nicegui/{nicegui_version}/esm/{key}/{file}"
