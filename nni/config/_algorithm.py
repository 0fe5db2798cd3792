"""Tuner, assessor and advisor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from nni.config._errors import Fault, shown
from nni.config._fields import PathField, Text, optional
from nni.config._model import ConfigModel

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLASS_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


class _AlgorithmConfig(ConfigModel):
    """
    A tuner, assessor or advisor: by `name`, or by `class_name` (PLT-094…097).

    An object without either counts as absent, so that ``config.tuner.name = 'TPE'`` works on a fresh configuration
    (PLT-098).
    """

    name: Text | None = optional("Name of a built-in or registered algorithm.", examples=["TPE"])
    class_name: Text | None = optional(
        "Class of an algorithm that is not registered, with its module.", examples=["my_tuner.MyTuner"]
    )
    code_directory: PathField | None = optional(
        "Directory that holds the module of className; put on the import path. Absent: the module is installed."
    )
    class_args: dict[str, Any] = optional(
        "Arguments for the constructor of the algorithm.", {}, examples=[{"optimize_mode": "maximize"}]
    )

    @property
    def is_configured(self) -> bool:
        """Whether an algorithm was chosen."""
        return self.name is not None or self.class_name is not None

    def _is_written(self, name: str) -> bool:
        return super()._is_written(name) and not (name == "class_args" and not self.class_args)

    def _faults(self) -> Iterator[Fault]:
        if self.name and self.class_name:
            yield Fault((), "give either name (built-in or registered) or className (a class of yours), not both")
        if self.class_name and not _CLASS_NAME.fullmatch(self.class_name):
            yield Fault(
                ("className",), f"expected module.Class, such as 'my_tuner.MyTuner', got {shown(self.class_name)}"
            )
        if self.code_directory and not self.class_name and type(self).__name__ != "CustomAlgorithmConfig":
            yield Fault(("codeDirectory",), "goes with className; an algorithm given by name needs none")
        elif (self.class_args or self.code_directory) and not self.is_configured:
            yield Fault((), "name or className is required")


class AlgorithmConfig(_AlgorithmConfig):
    """
    A built-in or registered algorithm.

    Examples
    --------
    >>> AlgorithmConfig(name="TPE", class_args={"optimize_mode": "maximize"}).name
    'TPE'
    """


class CustomAlgorithmConfig(_AlgorithmConfig):
    """An algorithm of the user's own: `class_name` and `code_directory`, by default the current directory."""

    code_directory: PathField | None = optional("Directory that holds the module of className.", ".")
