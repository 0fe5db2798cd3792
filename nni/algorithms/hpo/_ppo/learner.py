"""How the policy learns: proximal policy optimisation with a clipped objective.

J. Schulman et al., "Proximal Policy Optimization Algorithms", arXiv:1707.06347, 2017; the advantages are those of
J. Schulman et al., "High-Dimensional Continuous Control Using Generalized Advantage Estimation", ICLR 2016.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nni.algorithms.hpo._ppo.policy import INACTIVE, Policy


@dataclass(frozen=True)
class PpoSettings:
    """The numbers of the algorithm; see the tuner."""

    epochs_per_update: int
    minibatch_size: int
    ent_coef: float
    lr: float
    vf_coef: float
    max_grad_norm: float
    gamma: float
    lam: float
    cliprange: float


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The decisions of one trial, and what the policy said of them when they were made; shape ``decisions`` each."""

    actions: NDArray[np.int64]
    log_probs: NDArray[np.float32]
    values: NDArray[np.float32]


class Learner:
    """A policy and its optimiser.

    Parameters
    ----------
    policy
        The policy to improve.
    settings
        How.
    """

    def __init__(self, policy: Policy, settings: PpoSettings) -> None:
        self.policy = policy
        self._settings = settings
        self._optimizer = torch.optim.Adam(policy.parameters(), lr=settings.lr, eps=1e-5)

    def trajectory(self, actions: NDArray[np.int64]) -> Trajectory:
        """Return decisions together with what the policy says of them now."""
        with torch.no_grad():
            said = self.policy.evaluate(torch.from_numpy(actions)[None])
        return Trajectory(actions, said.log_probs[0].numpy(), said.values[0].numpy())

    def update(self, trajectories: Sequence[Trajectory], rewards: Sequence[float], rng: np.random.Generator) -> None:
        """Improve the policy by one batch of trials.

        Parameters
        ----------
        trajectories
            Made by this policy, perhaps before its last update.
        rewards
            One for each, at its end.
        rng
            Of the order in minibatches.
        """
        settings = self._settings
        pairs = zip(trajectories, rewards, strict=True)
        advantages = np.stack([advantages_of(one, reward, settings.gamma, settings.lam) for one, reward in pairs])
        actions = np.stack([one.actions for one in trajectories])
        values = np.stack([one.values for one in trajectories])
        is_active = actions != INACTIVE
        returns = advantages + values
        spread = float(advantages[is_active].std())
        normal = (advantages - float(advantages[is_active].mean())) / (spread + 1e-8)
        log_probs = np.stack([one.log_probs for one in trajectories])
        columns = [torch.from_numpy(column) for column in (actions, log_probs, values, normal, returns)]
        for _ in range(settings.epochs_per_update):
            order = rng.permutation(len(actions))
            for start in range(0, len(order), settings.minibatch_size):
                rows = torch.from_numpy(order[start : start + settings.minibatch_size])
                self._step(*(column[rows] for column in columns))

    def _step(
        self,
        actions: torch.Tensor,
        old_log_probs: torch.Tensor,
        old_values: torch.Tensor,
        advantages: torch.Tensor,
        returns: torch.Tensor,
    ) -> None:
        said = self.policy.evaluate(actions)
        mask = actions != INACTIVE
        clip = self._settings.cliprange
        gain = clipped_objective(said.log_probs, old_log_probs, advantages, clip)[mask].mean()
        near = old_values + (said.values - old_values).clamp(-clip, clip)
        value_loss = 0.5 * torch.maximum((said.values - returns) ** 2, (near - returns) ** 2)[mask].mean()
        entropy = said.entropies[mask].mean()
        loss = -gain - self._settings.ent_coef * entropy + self._settings.vf_coef * value_loss
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.policy.parameters(), self._settings.max_grad_norm)
        self._optimizer.step()


def clipped_objective(
    log_probs: torch.Tensor, old_log_probs: torch.Tensor, advantages: torch.Tensor, clip: float
) -> torch.Tensor:
    """Return min(r A, clip(r, 1 - epsilon, 1 + epsilon) A), where r is the ratio of probabilities (equation 7)."""
    ratio = torch.exp(log_probs - old_log_probs)
    return torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def advantages_of(trajectory: Trajectory, reward: float, gamma: float, lam: float) -> NDArray[np.float32]:
    """Return the generalised advantage estimates of the decisions that were made; 0 for the others.

    With delta_t = r_t + gamma V_t+1 - V_t, they are the sums of (gamma lambda)^l delta_t+l. The reward comes with the
    last decision.
    """
    advantages = np.zeros(len(trajectory.actions), dtype=np.float32)
    following, next_value, here = 0.0, 0.0, reward
    for place in reversed(range(len(advantages))):
        if trajectory.actions[place] == INACTIVE:
            continue
        value = float(trajectory.values[place])
        following = here + gamma * next_value - value + gamma * lam * following
        advantages[place] = following
        next_value, here = value, 0.0
    return advantages
