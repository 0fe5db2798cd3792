"""What the Python API prints: ``[YYYY-MM-DD HH:MM:SS] message`` (PLT-186)."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, TextIO

from nni.experiment.launch import LaunchStep

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # generic at run time from Python 3.11 on only

_FORMAT = "[%(asctime)s] %(message)s"
_TIME_FORMAT = "%Y-%m-%d %H:%M:%S"

logger = logging.getLogger("nni.experiment")


class _StdoutHandler(_StreamHandler):
    """Write to whatever ``sys.stdout`` is now: notebooks and progress bars replace it."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)
        self.setFormatter(logging.Formatter(_FORMAT, _TIME_FORMAT))

    @property
    def stream(self) -> TextIO:
        return sys.stdout

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """Ignored: logging.shutdown and friends may set it."""


def prepare() -> None:
    """Make progress visible, unless the application has set up logging itself."""
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.hasHandlers():
        logger.addHandler(_StdoutHandler())


def announce(step: LaunchStep, experiment_id: str, what: str = "Creating") -> None:
    """Say how far a start has come (PLT-186)."""
    if step is LaunchStep.CREATED:
        logger.info("%s experiment, Experiment ID: %s", what, experiment_id)
        logger.info("Starting web server...")
    elif step is LaunchStep.SPAWNED and what != "Viewing":
        logger.info("Setting up...")
