"""What a package needs to bring a training service of its own (PLT-259, 317); ``docs/custom-training-service.md``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from nni.common.errors import NniError
from nni.config import TrainingServiceConfig, extension
from nni.config.extension import *  # noqa: F403  (what it is for: one list of them)
from nni.training_service.base import TrainingService

if TYPE_CHECKING:
    from nni.training_service.pool import PoolSettings

__all__ = ["CustomServiceConfig"]
__all__ += extension.__all__

_logger = logging.getLogger(__name__)


class CustomServiceConfig(TrainingServiceConfig):
    """
    The ``trainingService`` section of a platform that a package brings.

    A subclass has the platform's name as the default of `platform`, and the platform's keys as fields, made with
    `optional`, `required` and `secret`: snake_case here, camelCase in files. It is named by an entry point of the group
    ``nni.training_services`` whose name is the platform's.
    """

    def make_service(self, settings: PoolSettings) -> TrainingService:
        """
        Return the service. What it imports is best imported here: the class is also loaded to check configurations.

        Parameters
        ----------
        settings
            What the experiment wants: its id and directory, the trial command, the code directory, and more.

        Raises
        ------
        NniError
            Trials could not run; the text is for the user.
        """
        del settings
        raise NotImplementedError(f"{type(self).__name__} does not say how its service is made")

    def checked_service(self, settings: PoolSettings) -> TrainingService:
        """Return what `make_service` returns; whatever else it does becomes a sentence for the user."""
        where = f"trainingService: {self.platform} ({type(self).__module__}.{type(self).__qualname__})"
        try:
            service = self.make_service(settings)
        except NniError:
            raise
        except Exception as error:
            _logger.exception("%s cannot make its service", where)
            text = " ".join(str(error).split()) or "no message"
            raise NniError(f"{where} cannot make its service: {type(error).__name__}: {text}") from error
        if not isinstance(service, TrainingService):
            raise NniError(f"{where} made a {type(service).__name__}, which is no nni.training_service.TrainingService")
        return service
