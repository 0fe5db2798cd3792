"""The tuner that learns a policy of choices by reinforcement (HPO-084, HPO-312)."""

from __future__ import annotations

import logging
import math
import secrets
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from nni.algorithms._validators.ppo import PpoValidator
from nni.algorithms.hpo._metric import MetricError, scalar, sign
from nni.algorithms.hpo._ppo import Decision, Learner, Policy, PpoSettings, Trajectory
from nni.algorithms.hpo._replay import ReplayingTuner
from nni.algorithms.hpo._samples import samples
from nni.common.errors import NoMoreTrialError
from nni.search_space import (
    Encoder,
    Kind,
    SearchSpace,
    SearchSpaceError,
    check_configuration,
    contains,
    parse,
    space_size,
)

_logger = logging.getLogger(__name__)

_TRIES = 20  # draws at one temperature, before it is doubled in search of a configuration that is new
_HOTTEST = 2.0**20
_ENUMERABLE = 100_000


class PPOTuner(ReplayingTuner):
    """Proximal policy optimisation, for search spaces of choices such as those of architectures.

    A recurrent network makes the choices of a configuration one after the other. After each `trials_per_update`
    results its probabilities are moved towards what did better than expected. It takes ``choice``, nested ones
    included, and ``randint`` of up to 1024 values, as unordered ones; of a nested choice only the branch that is taken
    is decided on.

    The reward of a trial is the rank of its result among all so far, from -1 to 1, so the unit of the metric does not
    matter. A trial that fails, or whose result is NaN, ranks worst. No configuration is suggested twice as long as
    there is another one.

    Parameters
    ----------
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    trials_per_update : int, default 20
        Results between two updates of the policy.
    epochs_per_update : int, default 4
        Passes over them in one update.
    minibatch_size : int, default 4
        Trials in one gradient step.
    ent_coef : float, default 0.01
        Weight of the entropy of the policy; larger explores more.
    lr : float, default 0.003
        Learning rate.
    vf_coef : float, default 0.5
        Weight of the loss of the value function.
    max_grad_norm : float, default 0.5
        Largest norm of a gradient.
    gamma : float, default 0.99
        Discount.
    lam : float, default 0.95
        Lambda of the advantage estimates.
    cliprange : float, default 0.2
        Epsilon of the clipped objective.
    seed : int, optional
        Of the random numbers; by default a different one each time.

    References
    ----------
    J. Schulman et al., "Proximal Policy Optimization Algorithms", arXiv:1707.06347, 2017.
    """

    def __init__(
        self,
        optimize_mode: str = "maximize",
        trials_per_update: int = 20,
        epochs_per_update: int = 4,
        minibatch_size: int = 4,
        ent_coef: float = 0.01,
        lr: float = 0.003,
        vf_coef: float = 0.5,
        max_grad_norm: float = 0.5,
        gamma: float = 0.99,
        lam: float = 0.95,
        cliprange: float = 0.2,
        seed: int | None = None,
    ) -> None:
        numbers: dict[str, Any] = {"epochs_per_update": epochs_per_update, "minibatch_size": minibatch_size}
        numbers |= {"ent_coef": ent_coef, "lr": lr, "vf_coef": vf_coef, "max_grad_norm": max_grad_norm}
        numbers |= {"gamma": gamma, "lam": lam, "cliprange": cliprange}
        PpoValidator().validate_class_args(
            optimize_mode=optimize_mode,
            trials_per_update=trials_per_update,
            **numbers,
            **({} if seed is None else {"seed": seed}),
        )
        whole = {name: int(numbers[name]) for name in ("epochs_per_update", "minibatch_size")}
        self._settings = PpoSettings(**{**numbers, **whole})
        self._trials_per_update = int(trials_per_update)
        self._sign = -sign(optimize_mode)  # larger is better in here
        self._seed = secrets.randbits(63) if seed is None else int(seed)
        self._space: SearchSpace = parse({})
        self._running: dict[int, Any] = {}
        self._trajectories: dict[int, Trajectory] = {}  # of running trials
        self._results: list[tuple[Any, float]] = []  # configuration and metric, larger is better; -inf of a failure
        self._start_learning()

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take a search space. Of a changed one (HPO-059), results that fit into it teach the new policy.

        Raises
        ------
        SearchSpaceError
            If the space is malformed or has other variables than choices.
        """
        space = parse(search_space)
        PpoValidator().validate_search_space(space)
        self._space = space
        results, self._results = self._results, []
        self._start_learning()
        for configuration, metric in results:
            self._learn(configuration, metric, None)
        self._trajectories = {}
        for number, configuration in self._running.items():
            if contains(space, configuration):
                self.remember(number, configuration)

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002  (HPO-111)
        """Return a configuration that was not suggested yet.

        Raises
        ------
        NoMoreTrialError
            If every configuration of the space was.
        """
        actions = self._new_actions(np.random.default_rng([self._seed, 0, parameter_id]))
        configuration = self._encoder.decode(self._rows(actions))[0]
        self.remember(parameter_id, configuration)
        return configuration

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Learn from a result: a number, or a dict with a number under ``default``.

        Raises
        ------
        MetricError
            If it is neither (HPO-445); the tuner goes on without it.
        """
        metric = self._sign * scalar(value, f"parameter {parameter_id}")
        self._running.pop(parameter_id, None)
        self._learn(parameters, metric, self._trajectories.pop(parameter_id, None))

    def trial_end(self, parameter_id: int, success: bool, **kwargs: Any) -> None:  # noqa: ARG002  (HPO-114)
        """Learn of a failed trial that its configuration is a bad one."""
        configuration = self._running.pop(parameter_id, None)
        trajectory = self._trajectories.pop(parameter_id, None)
        if configuration is not None and not success:
            self._learn(configuration, -math.inf, trajectory)

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Learn from ``{"parameter": ..., "value": ...}`` pairs as if they had been suggested now."""
        for where, parameter, value in samples(data):
            try:
                check_configuration(self._space, parameter, f"{where}.parameter")
                metric = self._sign * scalar(value, where)
            except (SearchSpaceError, MetricError) as error:
                _logger.warning("import: skipped: %s", error)
            else:
                self._learn(parameter, metric, None)

    def remember(self, parameter_id: int, parameters: Any) -> None:
        """Note that a trial is running, and what the policy says of its choices now."""
        self._running[parameter_id] = parameters
        if contains(self._space, parameters):
            actions = self._actions(parameters)
            self._suggested.add(actions.tobytes())
            self._trajectories[parameter_id] = self._learner.trajectory(actions)

    # ------------------------------------------------------------------------------------ inside

    def _start_learning(self) -> None:
        """Begin with a policy that knows nothing of the space."""
        self._encoder = Encoder(self._space)
        decisions = [Decision(int(d.size or 1), d.parent, d.parent_option) for d in self._encoder.dimensions]
        self._sizes = np.array([decision.size for decision in decisions], dtype=float)
        self._is_integer = np.array([d.kind is Kind.INTEGER for d in self._encoder.dimensions], dtype=bool)
        self._learner = Learner(Policy(decisions, self._seed % 2**63), self._settings)
        self._suggested: set[bytes] = set()
        self._batch: list[tuple[Trajectory, int]] = []  # with the place of its result
        self._updates = 0

    def _new_actions(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Return decisions that were not suggested yet, as likely ones as there are."""
        size = space_size(self._space)
        if size is not None and len(self._suggested) >= size:
            raise NoMoreTrialError(f"all {size} configurations of the search space have been suggested")
        temperature = 1.0
        while temperature <= _HOTTEST:
            for _ in range(_TRIES):
                actions = self._learner.policy.sample(rng, temperature)
                if actions.tobytes() not in self._suggested:
                    return actions
            temperature *= 2
        return self._left_over(rng, actions)

    def _left_over(self, rng: np.random.Generator, actions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return a random one of the few configurations that are left; of a space too large to list, a repetition."""
        size = space_size(self._space)
        if size is None or size > _ENUMERABLE:
            return actions
        from nni.search_space import nth_configuration  # noqa: PLC0415 - at the end of a search only

        for number in rng.permutation(size):
            actions = self._actions(nth_configuration(self._space, int(number)))
            if actions.tobytes() not in self._suggested:
                break
        return actions

    def _learn(self, configuration: Any, metric: float, trajectory: Trajectory | None) -> None:
        """Note a result, and improve the policy once enough of them have come."""
        place = len(self._results)
        self._results.append((configuration, -math.inf if math.isnan(metric) else metric))
        if not contains(self._space, configuration) or not self._space:
            return
        if trajectory is None:
            actions = self._actions(configuration)
            self._suggested.add(actions.tobytes())
            trajectory = self._learner.trajectory(actions)
        self._batch.append((trajectory, place))
        if len(self._batch) == self._trials_per_update:
            rewards = self._rewards()
            rng = np.random.default_rng([self._seed, 1, self._updates])
            self._learner.update([one for one, _ in self._batch], [rewards[place] for _, place in self._batch], rng)
            self._batch = []
            self._updates += 1

    def _rewards(self) -> NDArray[np.float64]:
        """Return the rank of every result so far, from -1 to 1."""
        ranks = rankdata([metric for _, metric in self._results])
        return np.asarray(2 * (ranks - 0.5) / len(ranks) - 1)

    def _actions(self, configuration: Any) -> NDArray[np.int64]:
        row = self._encoder.encode([configuration])[0]
        numbers = np.where(self._is_integer, np.floor(row * self._sizes), row)
        bounded = np.minimum(numbers, self._sizes - 1)
        return np.where(np.isnan(row), -1, np.nan_to_num(bounded)).astype(np.int64)

    def _rows(self, actions: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the encoder's row of decisions; integers in the middle of their bins."""
        row = np.where(self._is_integer, (actions + 0.5) / self._sizes, actions)
        return np.where(actions < 0, np.nan, row)[None]
