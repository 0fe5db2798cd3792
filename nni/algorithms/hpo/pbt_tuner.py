"""Population based training under its documented name (HPO-290 … HPO-299)."""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nni.algorithms._validators.pbt import CHECKPOINT_KEYS, PbtValidator
from nni.algorithms.hpo._late import LateTuner
from nni.algorithms.hpo._metric import scalar, sign
from nni.algorithms.hpo._pbt import Checkpoint, Generations
from nni.common.errors import NniError
from nni.search_space import parse

_logger = logging.getLogger(__name__)

LOAD, SAVE = CHECKPOINT_KEYS


class PBTTuner(LateTuner):
    """Trains a population of models step by step, and lets the worse ones go on from where the better ones are.

    Each trial is one step of one member: it loads what is in ``load_checkpoint_dir``, trains with its other
    parameters, saves to ``save_checkpoint_dir``, and reports. When all members have taken a step, the worst
    ``fraction`` of them copy checkpoint and hyper-parameters of one of the best, and perturb the latter; then all take
    the next step. What comes out is a trained model, and the schedule of hyper-parameters that it was trained with.

    Directories are ``<all_checkpoint_dir>/<member>/<steps>``: what is in there has been trained for that many steps.
    They exist when a trial gets them. The one with 0 steps is empty, as there is nothing to load before the first.

    A member whose trial fails takes over from a better one, too. A step that all members failed is repeated from the
    same checkpoints with other hyper-parameters. While a step is under way, further trials are owed until its last
    one has ended. Results of elsewhere cannot be imported: they have no checkpoint.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    all_checkpoint_dir : str, optional
        An absolute path that all trials can reach, for this experiment only. By default
        ``~/nni/checkpoint/<experiment id>``.
    population_size : int, default 10
        Number of members.
    factors : sequence of float, default (1.2, 0.8)
        What numbers are perturbed with, each as likely; options are drawn anew.
    fraction : float, default 0.2
        Share of members that copy, and of those that are copied; at most 0.5.
    seed : int, optional
        For a run that can be repeated. Drawn, and logged, by default.

    References
    ----------
    M. Jaderberg et al., "Population Based Training of Neural Networks", 2017, arXiv:1711.09846.
    """

    def __init__(
        self,
        optimize_mode: str = "maximize",
        all_checkpoint_dir: str | None = None,
        population_size: int = 10,
        factors: Sequence[float] = (1.2, 0.8),
        fraction: float = 0.2,
        *,
        seed: int | None = None,
    ) -> None:
        own = {"all_checkpoint_dir": all_checkpoint_dir, "factors": factors, "fraction": fraction}
        others = {"optimize_mode": optimize_mode, "population_size": population_size}
        PbtValidator().validate_class_args(**own, **others, **({} if seed is None else {"seed": seed}))
        super().__init__(seed)
        self._sign = sign(optimize_mode)
        self._directory = Path(all_checkpoint_dir).expanduser() if all_checkpoint_dir else _default_directory()
        self._losses: dict[int, float] = {}  # results of trials that have not ended
        self._generations = Generations(int(population_size), list(factors), fraction, self._seed)
        self._make(self._directory)

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take a search space. Of a changed one (HPO-059), members whose hyper-parameters do not fit get others.

        Raises
        ------
        SearchSpaceError
            If the space is malformed, has a type of a custom tuner's, or a variable of the name of a directory.
        """
        space = parse(search_space)
        PbtValidator().validate_search_space(space)
        self._generations.move_to(space)
        self.deliver()

    def suggest(self, parameter_id: int) -> dict[str, Any] | None:
        """Return the hyper-parameters and directories of a member's next step; None until all can take it."""
        m = self._generations.next()
        if m is None:
            return None
        member = self._generations.members[m]
        load, save = self._path(member.source), self._path(Checkpoint(m, self._generations.step + 1))
        for directory in (load, save):
            self._make(directory)
        member.key = parameter_id
        return {**member.configuration, LOAD: str(load), SAVE: str(save)}

    def remember(self, parameter_id: int, parameters: Any) -> None:
        """Note that a member's trial runs; which one's, its directories say."""
        try:
            source, target = (self._checkpoint(parameters[key]) for key in (LOAD, SAVE))
            member = self._generations.members[target.member]
        except (KeyError, TypeError, ValueError, IndexError):
            raise NniError(f"parameter {parameter_id} is no step of a member in {self._directory}") from None
        if target.steps != self._generations.step + 1 or member.key is not None or member.loss is not None:
            raise NniError(f"parameter {parameter_id} is not the present step of member {target.member}")
        member.configuration = {key: value for key, value in parameters.items() if key not in CHECKPOINT_KEYS}
        member.source = source
        member.key = parameter_id

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Take a result: a number, or a dict with a number under ``default``. It counts when its trial has ended.

        Raises
        ------
        MetricError
            If it is neither (HPO-445); the trial then counts as failed.
        """
        self._losses[parameter_id] = self._sign * scalar(value, f"parameter {parameter_id}")

    def trial_end(self, parameter_id: int, success: bool, **kwargs: Any) -> None:  # noqa: ARG002  (HPO-114)
        """Note that a member has taken its step; without success or a result, that it has failed to."""
        loss = self._losses.pop(parameter_id, math.inf)
        member = self._generations.of(parameter_id)
        if member is not None:
            self._generations.end(member, loss if success else math.inf)
            self.deliver()

    def canceled(self, parameter_id: int) -> None:
        """Let a member whose trial was taken away take the same step again."""
        self._losses.pop(parameter_id, None)
        member = self._generations.of(parameter_id)
        if member is not None:
            member.key = None

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Do nothing: there are no checkpoints to go on from."""
        _logger.warning("PBTTuner cannot go on from imported results, which have no checkpoints; %d ignored", len(data))

    def _path(self, checkpoint: Checkpoint) -> Path:
        return self._directory / str(checkpoint.member) / str(checkpoint.steps)

    def _checkpoint(self, path: str) -> Checkpoint:
        member, steps = Path(path).relative_to(self._directory).parts
        return Checkpoint(int(member), int(steps))

    def _make(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NniError(f"classArgs.all_checkpoint_dir: cannot make {directory}: {error.strerror}") from error


def _default_directory() -> Path:
    """Return a directory of the experiment's own; the dispatcher works in ``<experiment>/log``."""
    log = os.environ.get("NNI_LOG_DIRECTORY")
    base = Path.home() / "nni" / "checkpoint"
    return base / Path(log).parent.name if log else base
