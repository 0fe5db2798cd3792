"""The error for what a person asks and the experiment cannot do."""

from nni.common.errors import NniError


class RefusedError(NniError):
    """A request that cannot be met in the experiment's present state; HTTP 409."""
