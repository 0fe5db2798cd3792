"""Algorithms: tuners, assessors and advisors (``hpo``), and what is known about them (``registry``)."""

from __future__ import annotations

from nni.algorithms._class_args import ClassArgsError, ClassArgsValidator

__all__ = ["ClassArgsError", "ClassArgsValidator"]
