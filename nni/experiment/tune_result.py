"""What ``nni.tune`` found."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nni.common.errors import NniError
from nni.experiment.data import default_metric
from nni.experiment.stored import StoredExperiment
from nni.store.registry import ExperimentRegistry

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd  # type: ignore[import-untyped]
    from matplotlib.axes import Axes

    from nni.experiment.data import TrialRow

__all__ = ["TrialRecord", "TuneResult"]


@dataclass(frozen=True)
class TrialRecord:
    """One call of the function.

    Attributes
    ----------
    number
        From 0, in the order of submission.
    id
        Its id, as ``nnictl`` and the page show it.
    status
        ``SUCCEEDED``, ``FAILED``, ``EARLY_STOPPED``, ``USER_CANCELED`` or ``SYS_CANCELED`` (taken away by a stop).
    config
        What the function was called with.
    score
        The number it is ranked by; None unless it succeeded with a finite one.
    result
        What it returned or reported: a number, or a dict with ``default``. None without a result.
    intermediates
        What it reported on the way, in order.
    start_time, end_time
        Epoch milliseconds; None where it has not come to that.
    message
        Why it failed or was stopped.
    directory
        Where its log is, if it printed anything or failed, and what it left in ``NNI_OUTPUT_DIR``.
    """

    number: int
    id: str
    status: str
    config: dict[str, Any]
    score: float | None
    result: Any
    intermediates: tuple[Any, ...]
    start_time: int | None
    end_time: int | None
    message: str
    directory: str

    @property
    def duration(self) -> float | None:
        """Seconds from its start to its end."""
        if self.start_time is None or self.end_time is None:
            return None
        return (self.end_time - self.start_time) / 1000


@dataclass(frozen=True, repr=False)
class TuneResult:
    """The outcome of :func:`nni.tune`.

    Attributes
    ----------
    id
        The experiment's id: ``nnictl view ID`` shows it, ``nnictl resume ID`` goes on with it.
    status
        ``DONE``; ``INTERRUPTED`` by Ctrl-C; ``STOPPED`` from elsewhere; ``ERROR``, see `errors`.
    optimize_mode
        ``"maximize"`` or ``"minimize"``.
    history
        All trials, in the order of submission.
    errors
        What went wrong with the experiment.
    directory
        The experiment's directory.
    """

    id: str
    status: str
    optimize_mode: Literal["maximize", "minimize"]
    history: tuple[TrialRecord, ...]
    errors: tuple[str, ...]
    directory: Path

    @classmethod
    def load(
        cls,
        experiment_id: str,
        *,
        status: str | None = None,
        optimize_mode: Literal["maximize", "minimize"] | None = None,
    ) -> TuneResult:
        """Read the result of an experiment of this user from its disk, also while it runs.

        Parameters
        ----------
        experiment_id
            Its id.
        status
            How it ended, if the caller knows better. Default: as in the list of experiments.
        optimize_mode
            What is best. Default: what its tuner was told.

        Raises
        ------
        NniError
            There is no such experiment, or its database cannot be read.
        """
        entry = ExperimentRegistry().get(experiment_id)
        with StoredExperiment(entry.directory) as stored:
            summary = stored.summary()
            intermediates = defaultdict[str, list[Any]](list)
            for metric in stored.metric_data(kind="PERIODICAL"):
                intermediates[metric.trialJobId].append(metric.data)
            history = tuple(_record(row, intermediates[row["id"]]) for row in stored.trials())
        mode = optimize_mode or ("minimize" if summary["optimizeMode"] == "minimize" else "maximize")
        return cls(
            experiment_id, status or entry.status, mode, history, tuple(summary["errors"]), entry.directory.absolute()
        )

    @property
    def best_trial(self) -> TrialRecord:
        """The succeeded trial with the best score, the first of several.

        Raises
        ------
        NniError
            There is none.
        """
        ranked = [trial for trial in self.history if trial.score is not None]
        if not ranked:
            raise NniError(f"no trial of experiment {self.id} has a score{self._why()}")
        sign = -1 if self.optimize_mode == "maximize" else 1
        return min(ranked, key=lambda trial: sign * (trial.score or 0.0))

    @property
    def best_config(self) -> dict[str, Any]:
        """The configuration of :attr:`best_trial`."""
        return self.best_trial.config

    @property
    def best_score(self) -> float:
        """The score of :attr:`best_trial`."""
        score = self.best_trial.score
        assert score is not None
        return score

    def best_so_far(self) -> list[float | None]:
        """Return, for each trial of `history`, the best score up to and including it; None before the first one."""
        better = max if self.optimize_mode == "maximize" else min
        best: float | None = None
        scores = []
        for trial in self.history:
            if trial.score is not None:
                best = trial.score if best is None else better(best, trial.score)
            scores.append(best)
        return scores

    def to_pandas(self) -> pd.DataFrame:
        """Return a table with a row for each trial.

        Columns: ``number``, ``id``, ``status``, ``score``, ``start`` and ``end`` (UTC), ``duration`` (seconds), then
        ``config.NAME`` for each name in the configurations (``config.NAME.INNER`` in nested ones), ``message``.

        Raises
        ------
        NniError
            pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - only here
        except ImportError:
            raise NniError("to_pandas() needs pandas: pip install 'nni[pandas]'") from None
        rows = [
            {
                "number": trial.number,
                "id": trial.id,
                "status": trial.status,
                "score": math.nan if trial.score is None else trial.score,
                "start": trial.start_time,
                "end": trial.end_time,
                "duration": math.nan if trial.duration is None else trial.duration,
                **_flat(trial.config, "config"),
                "message": trial.message,
            }
            for trial in self.history
        ]
        columns = ["number", "id", "status", "score", "start", "end", "duration"]
        frame = pd.DataFrame(rows, columns=None if rows else [*columns, "message"])
        for name in ("start", "end"):
            frame[name] = pd.to_datetime(frame[name], unit="ms", utc=True)
        return frame[[name for name in frame.columns if name != "message"] + ["message"]]

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the scores and the best so far against the number of the trial.

        Parameters
        ----------
        ax
            Where to draw. Default: a new figure.

        Raises
        ------
        NniError
            matplotlib is not installed.
        """
        if ax is None:
            try:
                from matplotlib import pyplot as plt  # noqa: PLC0415 - only here
            except ImportError:
                raise NniError("plot() needs matplotlib: pip install 'nni[plot]'") from None
            ax = plt.subplots()[1]
        ranked = [trial for trial in self.history if trial.score is not None]
        best = self.best_so_far()
        ax.scatter([trial.number for trial in ranked], [trial.score or 0.0 for trial in ranked], s=12, label="trial")
        steps = [(trial.number, best[trial.number]) for trial in ranked]
        ax.step([number for number, _ in steps], [score or 0.0 for _, score in steps], where="post", label="best")
        ax.set_xlabel("trial")
        ax.set_ylabel("score")
        ax.legend()
        return ax

    def __repr__(self) -> str:
        """Say in one line how it went."""
        try:
            best = self.best_trial
            found = f"best {best.score:.6g} with {best.config}"
        except NniError:
            found = "none with a score"
        return f"TuneResult({self.status}, {len(self.history)} trials, {found}; experiment {self.id})"

    def _why(self) -> str:
        failed = next((trial for trial in self.history if trial.message), None)
        return "" if failed is None else f"; trial {failed.id}: {failed.message}; its log: {failed.directory}/stderr"


def _record(row: TrialRow, intermediates: list[Any]) -> TrialRecord:
    score = default_metric(row["value"]) if row["status"] == "SUCCEEDED" else None
    return TrialRecord(
        row["sequence"],
        row["id"],
        row["status"],
        row["parameters"],
        score if score is not None and math.isfinite(score) else None,
        row["value"],
        tuple(intermediates),
        row["startTime"],
        row["endTime"],
        row["message"],
        row["directory"],
    )


def _flat(value: dict[str, Any], path: str) -> dict[str, Any]:
    """Return the leaves of nested configurations by their dotted paths."""
    leaves: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, dict):
            leaves.update(_flat(item, f"{path}.{name}"))
        else:
            leaves[f"{path}.{name}"] = item
    return leaves
