"""What is wrong with a search space or a configuration, and where."""

from __future__ import annotations

from nni.common.errors import NniError


class SearchSpaceError(NniError, ValueError):
    """A fault in a search space or in a configuration of it.

    Parameters
    ----------
    path
        Where the fault is, e.g. ``searchSpace.layer0._value[1].kernel._value``. The text of the error starts with it.
    problem
        What is wrong and what was expected.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}"
