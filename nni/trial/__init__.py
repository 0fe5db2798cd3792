"""The trial side of NNI: the functions that a trial script calls (HPO-001 … HPO-007), re-exported as ``nni.*``.

Standard library only, and nothing that takes long to import. The functions stand here, and all they need in one module
more, because each further module would cost every trial about a sixth of a millisecond.
"""

from nni.trial.session import Lazy

__all__ = [
    "enter_trial",
    "get_current_parameter",
    "get_experiment_id",
    "get_next_parameter",
    "get_sequence_id",
    "get_trial_id",
    "report_final_result",
    "report_intermediate_result",
]

TYPE_CHECKING = False  # typing itself would cost every trial some milliseconds
if TYPE_CHECKING:
    from typing import Any

    from nni.trial.session import Session

_session = Lazy()
_current: "Any" = None


def get_next_parameter() -> "Any":
    """Return this trial's hyper-parameters.

    Returns
    -------
    dict or None
        The configuration on the first call, with the search space's names as keys; None on every further call.
        Without an experiment (the script was started by hand) an empty dict, so that the script's defaults apply.

    Examples
    --------
    >>> import nni
    >>> params = {"lr": 0.1}
    >>> params.update(nni.get_next_parameter())
    """
    global _current  # noqa: PLW0603  (one trial a process: this is the process' state by definition)
    parameters = _session.get().next_parameters()
    if parameters is not None:
        _current = parameters
    return parameters


def get_current_parameter(tag: str | None = None) -> "Any":
    """Return what :func:`get_next_parameter` returned last, without taking another configuration.

    Parameters
    ----------
    tag
        Name of one hyper-parameter; None for all of them.

    Returns
    -------
    object
        The configuration, or the value under `tag`; None before the first :func:`get_next_parameter` and for a name
        that the configuration does not have (HPO-002).
    """
    if tag is None:
        return _current
    return _current.get(tag) if isinstance(_current, dict) else None


def report_intermediate_result(metric: "Any") -> None:
    """Report a result on the way, for the assessor and the learning curve.

    Parameters
    ----------
    metric
        A number, or a dict with a number under ``default``; custom algorithms may take any JSON-serialisable object.

    Raises
    ------
    TypeError
        The metric cannot be written as JSON.
    ValueError
        It is larger than 1 000 000 bytes.
    """
    _session.get().report("PERIODICAL", metric)


def report_final_result(metric: "Any") -> None:
    """Report the trial's result, for the tuner. Called more than once, the last call counts.

    Parameters
    ----------
    metric
        As in :func:`report_intermediate_result`; the tuner gets exactly this object.
    """
    _session.get().report("FINAL", metric)


def get_experiment_id() -> str:
    """Return the experiment's id, ``"STANDALONE"`` without one."""
    return _session.get().experiment_id


def get_trial_id() -> str:
    """Return this trial's id, unique in its experiment, ``"STANDALONE"`` without an experiment."""
    return _session.get().trial_id


def get_sequence_id() -> int:
    """Return this trial's number: from 0, in the order of submission; 0 without an experiment."""
    return _session.get().sequence_id


def enter_trial(session: "Session", parameters: "Any") -> None:
    """Make the functions of this module those of another trial: for processes that run one after the other."""
    global _current  # noqa: PLW0603  (one trial at a time: this is the process' state by definition)
    _session.put(session)
    _current = parameters
