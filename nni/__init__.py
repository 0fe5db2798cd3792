"""NNI: hyper-parameter tuning, architecture search, model compression and feature engineering.

Importing this package imports the standard library only, because every trial does it. Everything but the trial API
is loaded when it is first asked for. Nothing here imports ``__future__``: it is one more module for every trial.
"""

from nni.trial import (
    get_current_parameter,
    get_experiment_id,
    get_next_parameter,
    get_sequence_id,
    get_trial_id,
    report_final_result,
    report_intermediate_result,
)

TYPE_CHECKING = False  # typing itself would cost every trial some milliseconds
if TYPE_CHECKING:
    from typing import Any

    from nni.algorithms import ClassArgsValidator
    from nni.common.errors import NniError, NoMoreTrialError
    from nni.common.version import __version__
    from nni.experiment import tune

__all__ = [
    "ClassArgsValidator",
    "NniError",
    "NoMoreTrialError",
    "__version__",
    "get_current_parameter",
    "get_experiment_id",
    "get_next_parameter",
    "get_sequence_id",
    "get_trial_id",
    "report_final_result",
    "report_intermediate_result",
    "tune",
]

_LAZY = {
    "ClassArgsValidator": "nni.algorithms",
    "NniError": "nni.common.errors",
    "NoMoreTrialError": "nni.common.errors",
    "__version__": "nni.common.version",
    "tune": "nni.experiment._tune",
}
_LAZY_MODULES = {"assessor", "experiment", "tuner", "utils"}


def __getattr__(name: str) -> "Any":
    import importlib  # noqa: PLC0415  (most trials never come here)

    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    if name in _LAZY_MODULES:
        return importlib.import_module(f"nni.{name}")
    raise AttributeError(f"module 'nni' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*__all__, *_LAZY_MODULES})
