"""Honouring constraints with any tuner: what violates one never becomes a trial."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from nni.common.errors import NniError
from nni.runtime._failure import AlgorithmError, call
from nni.runtime.msg_dispatcher import takes_keywords
from nni.tuner import Tuner

_logger = logging.getLogger("nni.main")

Satisfies = Callable[[Any], bool]

_MOST_ATTEMPTS = 2000  # for one configuration
_STRIDE = 2**40  # between the ids of attempts, as a tuner must never see the same id twice


class UnsatisfiedError(AlgorithmError, NniError):
    """A tuner finds nothing that satisfies the constraints; the user reads this as it is, without a method's name."""


def constrained(tuner: Tuner, satisfies: Satisfies) -> Tuner:
    """Return a tuner that suggests as the given one does, but nothing that violates a condition."""
    has_batches = type(tuner).generate_multiple_parameters is not Tuner.generate_multiple_parameters
    return (ConstrainedBatches if has_batches else ConstrainedTuner)(tuner, satisfies)


class ConstrainedTuner(Tuner):
    """Passes everything on to a tuner, but asks it again for what violates a constraint.

    The tuner hears of a violating configuration as of a failed trial, under an id of its own, so that one that learns
    learns to stay away. A tuner with a method ``constrain`` gets the condition itself and need not be asked twice.

    Parameters
    ----------
    tuner
        The tuner.
    satisfies
        Tells whether a configuration satisfies all constraints.
    """

    def __init__(self, tuner: Tuner, satisfies: Satisfies) -> None:
        self.tuner = tuner
        self._satisfies = satisfies
        self._inner: dict[int, int] = {}  # the tuner's own id of a configuration that took more than one attempt
        self.delivers_late = bool(getattr(tuner, "delivers_late", False))
        if hasattr(tuner, "constrain"):
            tuner.constrain(satisfies)
        if hasattr(tuner, "receive_intermediate_results"):
            self.receive_intermediate_results = self._pass_curve_on

    @property
    def note(self) -> str:  # type: ignore[override]  # a plain attribute of tuners
        """What the tuner says of itself."""
        return str(getattr(self.tuner, "note", ""))

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Pass the search space on."""
        self.tuner.update_search_space(search_space)

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> Any:
        """Return a configuration that satisfies the constraints.

        Raises
        ------
        UnsatisfiedError
            If the tuner suggests none in 2000 attempts.
        """
        kwargs = kwargs if takes_keywords(self.tuner.generate_parameters) else {}
        for attempt in range(_MOST_ATTEMPTS):
            number = parameter_id + attempt * _STRIDE
            parameters = call(self.tuner.generate_parameters, number, **kwargs)
            if self._satisfies(parameters):
                if attempt:
                    self._inner[parameter_id] = number
                    _logger.debug("parameter %d: %d suggestions violated a constraint", parameter_id, attempt)
                return parameters
            self.tuner.trial_end(number, success=False)
        raise UnsatisfiedError(
            f"{type(self.tuner).__name__} suggested {_MOST_ATTEMPTS} configurations that violate a constraint; "
            "is there any that does not?"
        )

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:
        """Pass a result on."""
        self.tuner.receive_trial_result(self._inner.get(parameter_id, parameter_id), parameters, value, **kwargs)

    def _pass_curve_on(self, parameter_id: int, values: Sequence[Any]) -> None:
        self.tuner.receive_intermediate_results(self._inner.get(parameter_id, parameter_id), values)  # type: ignore[attr-defined]

    def trial_end(self, parameter_id: int, success: bool, **kwargs: Any) -> None:
        """Pass the end of a trial on."""
        self.tuner.trial_end(self._inner.pop(parameter_id, parameter_id), success, **kwargs)

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Pass results from elsewhere on, also those that violate a constraint: they are information."""
        self.tuner.import_data(data)

    def replay(self, events: list[dict[str, Any]]) -> None:
        """Pass the history on; what was rejected is not in it, and is found out again."""
        self.tuner.replay(events)


class ConstrainedBatches(ConstrainedTuner):
    """The same for a tuner that makes several configurations at once, or delivers them late (HPO-112, HPO-224)."""

    def generate_multiple_parameters(self, parameter_id_list: list[int], **kwargs: Any) -> list[Any]:
        """Return configurations that satisfy the constraints, fewer than asked for if the tuner has no more."""
        kwargs = kwargs if takes_keywords(self.tuner.generate_multiple_parameters) else {}
        if "st_callback" in kwargs:
            kwargs["st_callback"] = self._late(kwargs["st_callback"])
        found: list[Any] = []
        for attempt in range(_MOST_ATTEMPTS):
            wanted = parameter_id_list[len(found) :]
            if not wanted:
                return found
            numbers = [one + attempt * _STRIDE for one in wanted]
            batch = call(self.tuner.generate_multiple_parameters, numbers, **kwargs)
            found += self._accepted(wanted, numbers, batch)
            if len(batch) < len(numbers):
                return found
        raise UnsatisfiedError(f"{type(self.tuner).__name__} suggested nothing that satisfies the constraints")

    def _accepted(self, wanted: Sequence[int], numbers: Sequence[int], batch: Sequence[Any]) -> list[Any]:
        """Return what satisfies the constraints, under the first of the wanted ids; the rest has failed."""
        accepted: list[Any] = []
        for number, parameters in zip(numbers, batch, strict=False):
            if self._satisfies(parameters):
                self._inner[wanted[len(accepted)]] = number
                accepted.append(parameters)
            else:
                self.tuner.trial_end(number, success=False)
        return accepted

    def _late(self, deliver: Callable[[int, Any], None]) -> Callable[[int, Any], None]:
        def check(number: int, parameters: Any) -> None:
            if self._satisfies(parameters):
                parameter_id = number % _STRIDE
                self._inner[parameter_id] = number
                deliver(parameter_id, parameters)
                return
            self.tuner.trial_end(number, success=False)
            for more in self.tuner.generate_multiple_parameters([number + _STRIDE], st_callback=check):
                check(number + _STRIDE, more)

        return check
