"""Successive halving: who runs next, with which budget; shared by Hyperband and BOHB."""

from __future__ import annotations

from nni.algorithms.hpo._halving._bracket import Bracket
from nni.algorithms.hpo._halving._brackets import Brackets
from nni.algorithms.hpo._halving._job import Configuration, Job, Scheduler
from nni.algorithms.hpo._halving._table import Round, bracket_table, deepest

__all__ = ["Bracket", "Brackets", "Configuration", "Job", "Round", "Scheduler", "bracket_table", "deepest"]
