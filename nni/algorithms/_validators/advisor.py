"""The checks that the built-in advisors share."""

from __future__ import annotations

from nni.algorithms._validators.base import TunerValidator
from nni.search_space import SearchSpace, SearchSpaceError

BUDGET_KEY = "TRIAL_BUDGET"
"""Under this key a trial finds its budget among its parameters (HPO-324)."""


class AdvisorValidator(TunerValidator):
    """Of an advisor that gives budgets to trials."""

    def validate_search_space(self, space: SearchSpace) -> None:
        """Refuse a space with a variable of the name that the budget has, too."""
        super().validate_search_space(space)
        if BUDGET_KEY in space:
            path = space[BUDGET_KEY].path
            raise SearchSpaceError(path, f"{self.algorithm} gives trials their budget under this name; choose another")
