"""What is wrong with annotations, with file and line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nni.common.errors import NniError


class Problem(NamedTuple):
    """One fault: ``mnist.py:12``, and what was expected there."""

    place: str
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


class AnnotationError(NniError):
    """Annotations that cannot be understood. The text has a line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)

    @classmethod
    def at(cls, place: str, message: str) -> AnnotationError:
        """Return the error of one problem."""
        return cls([Problem(place, message)])


class MisannotationError(Exception):
    """What is wrong with one annotation; whoever knows file and line makes a :class:`Problem` of it."""
