"""Checking an algorithm's ``classArgs`` before an experiment starts (HPO-390, HPO-391, HPO-443, HPO-456)."""

from __future__ import annotations

import difflib
import math
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from nni.common.errors import NniError


class ClassArgsError(NniError, ValueError):
    """A wrong class argument. The text starts with its name: ``classArgs.start_step: expected …``."""

    def __init__(self, argument: str, problem: str) -> None:
        super().__init__(argument, problem)
        self.argument = argument
        self.problem = problem

    def __str__(self) -> str:
        return f"classArgs.{self.argument}: {self.problem}" if self.argument else f"classArgs: {self.problem}"


class Check:
    """A condition on one argument. Usable on its own and as a validator in a ``schema.Schema`` (HPO-391).

    Parameters
    ----------
    argument
        Name of the argument, for the error text.
    expected
        What a right value is, in words.
    accepts
        Tells whether a value is right.
    """

    def __init__(self, argument: str, expected: str, accepts: Callable[[Any], bool]) -> None:
        self._argument = argument
        self._expected = expected
        self._accepts = accepts

    def __repr__(self) -> str:
        return f"Check({self._argument!r})"

    def validate(self, value: Any, **_: Any) -> Any:
        """Return the value if it is right; raise :class:`ClassArgsError` if not."""
        if not self._accepts(value):
            raise ClassArgsError(self._argument, f"expected {self._expected}, got {value!r}")
        return value


class ClassArgsValidator:
    """Base class of validators; an algorithm names its validator when it is registered.

    Examples
    --------
    >>> class MedianstopValidator(ClassArgsValidator):
    ...     def validate_class_args(self, **kwargs):
    ...         self.check(kwargs, {
    ...             "optimize_mode": self.choices("optimize_mode", "maximize", "minimize"),
    ...             "start_step": self.range("start_step", int, 0, 9999),
    ...         })
    >>> MedianstopValidator().validate_class_args(optimize_mode="max")
    Traceback (most recent call last):
    ...
    nni.algorithms._class_args.ClassArgsError: classArgs.optimize_mode: expected 'maximize' or 'minimize', got 'max'
    """

    def validate_class_args(self, **kwargs: Any) -> None:
        """Raise an exception if the configured ``classArgs`` are not right for the algorithm.

        The default accepts anything.
        """

    def choices(self, name: str, *values: Any) -> Check:
        """Return a check that an argument is one of these values."""
        allowed = [repr(value) for value in values]
        expected = " or ".join([", ".join(allowed[:-1]), allowed[-1]] if len(allowed) > 1 else allowed)
        return Check(name, expected, lambda value: any(_same(value, one) for one in values))

    def range(self, name: str, kind: type, low: float, high: float) -> Check:
        """Return a check that an argument is an ``int`` or ``float`` within ``[low, high]``, both ends included.

        An integer may be written as a float (``1e5``), but not as a boolean.
        """
        noun = "an integer" if kind is int else "a number" if kind is float else f"a value of type {kind.__name__}"
        return Check(name, f"{noun} {_interval(low, high)}", lambda value: _is(value, kind) and low <= value <= high)

    def boolean(self, name: str) -> Check:
        """Return a check that an argument is true or false."""
        return Check(name, "true or false", lambda value: isinstance(value, bool))

    def check(self, kwargs: Mapping[str, Any], checks: Mapping[str, Check], required: Collection[str] = ()) -> None:
        """Check all arguments of an algorithm.

        Parameters
        ----------
        kwargs
            The configured arguments.
        checks
            One check for every argument that the algorithm knows.
        required
            Names of those that must be given.

        Raises
        ------
        ClassArgsError
            For an unknown, a missing or a wrong argument.
        """
        for name, value in kwargs.items():
            if name not in checks:
                raise ClassArgsError(name, _unknown_argument(name, checks))
            checks[name].validate(value)
        for name in required:
            if name not in kwargs:
                raise ClassArgsError(name, "this argument must be given")


def _same(value: Any, allowed: Any) -> bool:
    return value == allowed and isinstance(value, bool) == isinstance(allowed, bool)


def _is(value: Any, kind: type) -> bool:
    if kind not in (int, float):
        return isinstance(value, kind)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if kind is int and isinstance(value, int):  # of any size
        return True
    is_finite = -sys.float_info.max <= value <= sys.float_info.max
    return is_finite and (kind is float or value == int(value))


def _interval(low: float, high: float) -> str:
    return f"of at least {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"


def _unknown_argument(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(str(name), known, 1)
    if near:
        return f"unknown argument; did you mean {near[0]!r}?"
    return f"unknown argument; this algorithm takes {', '.join(known)}" if known else "this algorithm takes none"
