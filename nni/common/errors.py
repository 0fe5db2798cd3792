"""Errors that a user can act on. Each text says what is wrong, where, and what would be right."""

from __future__ import annotations


class NniError(Exception):
    """A mistake of the user's or of the surroundings; shown as one line, without a traceback."""


class NoMoreTrialError(Exception):
    """Raised by a tuner from ``generate_parameters`` when it has nothing left to suggest (HPO-009)."""

    def __init__(self, reason: str = "Search space fully explored") -> None:
        super().__init__(reason)
