"""The policy: a recurrent network that makes one decision after the other, each knowing those before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

_EMBEDDING = 32
_HIDDEN = 64
INACTIVE = -1
"""What stands for a decision whose branch was not taken."""


class Decision(NamedTuple):
    """One choice to be made.

    Attributes
    ----------
    size
        Number of options.
    parent, parent_option
        The earlier decision, and the option of it, under which this one is to be made; None if always.
    """

    size: int
    parent: int | None = None
    parent_option: int | None = None

    def is_active(self, actions: Sequence[int]) -> bool:
        """Tell whether the decision is to be made, after those before it."""
        return self.parent is None or actions[self.parent] == self.parent_option


class Evaluation(NamedTuple):
    """What a policy says of decisions that were made; ``trajectories x decisions`` each, 0 where inactive."""

    log_probs: torch.Tensor
    entropies: torch.Tensor
    values: torch.Tensor


class Policy(nn.Module):
    """Probabilities of options, and the expected reward, after the decisions so far.

    An LSTM goes through the decisions; its input is which decision is next and what the last one was. Each decision
    has a head of its own for the probabilities, all share one for the value. At first the options are equally likely.
    Masked decisions are not made, have no probability, and leave the state as it is.

    Parameters
    ----------
    decisions
        In order; a parent before its dependants.
    seed
        Of the initial weights.
    """

    def __init__(self, decisions: Sequence[Decision], seed: int) -> None:
        super().__init__()
        self.decisions = tuple(decisions)
        offsets = np.cumsum([1, *(decision.size for decision in decisions)])
        self._offsets = [int(offset) for offset in offsets]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._next = nn.Embedding(max(len(decisions), 1), _EMBEDDING)
            self._last = nn.Embedding(self._offsets[-1], _EMBEDDING)  # 0: none yet
            self._cell = nn.LSTMCell(_EMBEDDING, _HIDDEN)
            self._heads = nn.ModuleList([nn.Linear(_HIDDEN, decision.size) for decision in decisions])
            self._value = nn.Linear(_HIDDEN, 1)
        for head in (*self._heads, self._value):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def evaluate(self, actions: torch.Tensor) -> Evaluation:
        """Return what the policy says of decisions.

        Parameters
        ----------
        actions
            Options taken, ``trajectories x decisions``; :data:`INACTIVE` where a decision was not to be made.
        """
        n = len(actions)
        if not self.decisions:
            return Evaluation(*torch.zeros(3, n, 0))
        state, last = self._start(n)
        found: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []
        for place in range(len(self.decisions)):
            taken = actions[:, place]
            is_active = taken != INACTIVE
            logits, value, new = self._step(place, last, state)
            log_probs = torch.log_softmax(logits, dim=1)
            chosen = log_probs.gather(1, taken.clamp(min=0)[:, None])[:, 0]
            entropy = -(log_probs.exp() * log_probs).sum(dim=1)
            found.append((chosen * is_active, entropy * is_active, value * is_active))
            state = _kept(state, new, is_active)
            last = torch.where(is_active, taken + self._offsets[place], last)
        log_probs, entropies, values = (torch.stack(columns, dim=1) for columns in zip(*found, strict=True))
        return Evaluation(log_probs, entropies, values)

    @torch.no_grad()
    def sample(self, rng: np.random.Generator, temperature: float = 1.0) -> NDArray[np.int64]:
        """Return decisions drawn from the policy, flattened by a temperature above 1."""
        actions = np.full(len(self.decisions), INACTIVE)
        state, last = self._start(1)
        for place, decision in enumerate(self.decisions):
            if not decision.is_active(actions.tolist()):
                continue
            logits, _, state = self._step(place, last, state)
            probabilities = torch.softmax(logits[0].double() / temperature, dim=0).numpy()
            actions[place] = rng.choice(decision.size, p=probabilities / probabilities.sum())
            last = torch.tensor([self._offsets[place] + int(actions[place])])
        return actions

    @torch.no_grad()
    def probabilities(self, place: int, before: Sequence[int]) -> NDArray[np.float64]:
        """Return the probabilities of the options of one decision, after given ones."""
        state, last = self._start(1)
        for earlier, action in enumerate(before):
            if action != INACTIVE:
                _, _, state = self._step(earlier, last, state)
                last = torch.tensor([self._offsets[earlier] + int(action)])
        logits, _, _ = self._step(place, last, state)
        return np.asarray(torch.softmax(logits[0].double(), dim=0).numpy())

    def _start(self, n: int) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        return (torch.zeros(n, _HIDDEN), torch.zeros(n, _HIDDEN)), torch.zeros(n, dtype=torch.long)

    def _step(
        self, place: int, last: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        hidden, cell = self._cell(self._next(torch.full_like(last, place)) + self._last(last), state)
        return self._heads[place](hidden), self._value(hidden)[:, 0], (hidden, cell)


def _kept(
    old: tuple[torch.Tensor, torch.Tensor], new: tuple[torch.Tensor, torch.Tensor], is_active: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    mask = is_active[:, None]
    return torch.where(mask, new[0], old[0]), torch.where(mask, new[1], old[1])
