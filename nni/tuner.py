"""The base class of tuners: what a custom tuner subclasses (HPO-110 … HPO-121)."""

from __future__ import annotations

import logging
from typing import Any

from nni.common.errors import NoMoreTrialError

_logger = logging.getLogger(__name__)


class Tuner:
    """Suggests configurations and learns from their results.

    The framework calls, in this order: the constructor with the configured ``classArgs``;
    :meth:`update_search_space`; on a resumed experiment :meth:`replay`; then, as slots become free,
    :meth:`generate_multiple_parameters`, and for every trial that ends :meth:`receive_trial_result` (only if the
    trial reported a final result) followed by :meth:`trial_end`. All calls come from one thread.

    A subclass must override :meth:`update_search_space`, :meth:`receive_trial_result` and one of
    :meth:`generate_parameters` / :meth:`generate_multiple_parameters`.

    Examples
    --------
    >>> class ConstantTuner(Tuner):
    ...     def update_search_space(self, search_space): ...
    ...     def generate_parameters(self, parameter_id, **kwargs):
    ...         return {"dropout": 0.3, "learning_rate": 0.4}
    ...     def receive_trial_result(self, parameter_id, parameters, value, **kwargs): ...
    """

    note: str = ""
    """One line for the user, e.g. which algorithm is used at present and why; shown beside the tuner's name."""

    delivers_late: bool = False
    """Whether a short answer of :meth:`generate_multiple_parameters` means "later" instead of "no more" (HPO-224).

    Such a tuner accepts the keyword ``st_callback(parameter_id, parameters)``, hands over with it what it could not
    give at once, and raises :class:`nni.NoMoreTrialError` when nothing more will come.
    """

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take a search space: once after construction, and again whenever the user changes it (HPO-059)."""
        raise NotImplementedError(f"{type(self).__name__} must override update_search_space")

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> Any:
        """Return one configuration (anything JSON can carry, normally a dict).

        Parameters
        ----------
        parameter_id
            Unique number of this configuration; results come back under it (HPO-119).
        **kwargs
            Not part of the contract; accept and ignore.

        Raises
        ------
        nni.NoMoreTrialError
            When the search space is exhausted (HPO-009).
        """
        raise NotImplementedError(
            f"{type(self).__name__} must override generate_parameters or generate_multiple_parameters"
        )

    def generate_multiple_parameters(self, parameter_id_list: list[int], **kwargs: Any) -> list[Any]:
        """Return a configuration for each id; a shorter (or empty) list says that no more can be had (HPO-112)."""
        result = []
        for parameter_id in parameter_id_list:
            try:
                result.append(self.generate_parameters(parameter_id, **kwargs))
            except NoMoreTrialError:
                break
        return result

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:
        """Learn from a final result.

        Parameters
        ----------
        parameter_id
            As given to :meth:`generate_parameters`.
        parameters
            The configuration that was generated under that id.
        value
            Exactly the object the trial reported: a number, or a dict with the key ``default`` (HPO-004).
        """
        raise NotImplementedError(f"{type(self).__name__} must override receive_trial_result")

    def trial_end(self, parameter_id: int, success: bool, **kwargs: Any) -> None:
        """Hear that a trial ended; ``success`` is False when it failed or was stopped (HPO-114)."""

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Take finished ``{"parameter": ..., "value": ...}`` pairs from elsewhere (HPO-410)."""
        _logger.warning("%s does not implement import_data; %d results ignored", type(self).__name__, len(data))

    def replay(self, events: list[dict[str, Any]]) -> None:
        """Rebuild the state after a restart from what happened before, in order (HPO-413).

        Called once, after :meth:`update_search_space`. Each event is a dict with a ``kind``:
        ``parameters`` (``parameter_id``, ``parameters``, ``parameter_source``), ``result`` (``parameter_id``,
        ``value``), ``end`` (``parameter_id``, ``event``) or ``import`` (``data``). Trials without an ``end`` are still
        running, and their results follow through :meth:`receive_trial_result`.

        The default hands all finished results to :meth:`import_data` where the subclass has one, and otherwise
        calls :meth:`receive_trial_result` and :meth:`trial_end` for each as if they had just happened.
        """
        parameters: dict[int, Any] = {}
        results: list[dict[str, Any]] = []
        can_import = type(self).import_data is not Tuner.import_data
        for event in events:
            kind = event["kind"]
            if kind == "parameters":
                parameters[event["parameter_id"]] = event["parameters"]
            elif kind == "import":
                results.extend(event["data"])
            elif event["parameter_id"] in parameters:
                if kind == "result" and can_import:
                    results.append({"parameter": parameters[event["parameter_id"]], "value": event["value"]})
                elif not can_import:
                    self._replay_one(event, parameters[event["parameter_id"]])
        if results:
            self.import_data(results)

    def _replay_one(self, event: dict[str, Any], parameters: Any) -> None:
        try:
            if event["kind"] == "result":
                self.receive_trial_result(event["parameter_id"], parameters, event["value"])
            elif event["kind"] == "end":
                self.trial_end(event["parameter_id"], event["event"] == "SUCCEEDED")
        except Exception:  # the tuner is the user's; a history it cannot take must not stop the experiment
            _logger.exception(
                "%s could not take back the result of parameter %s; implement import_data to resume with full history",
                type(self).__name__,
                event["parameter_id"],
            )

    def load_checkpoint(self) -> None:
        """Load internal state; reserved by the documented interface (HPO-116), not called."""

    def save_checkpoint(self) -> None:
        """Save internal state; reserved by the documented interface (HPO-117), not called."""
