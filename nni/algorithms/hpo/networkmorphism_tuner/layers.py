"""The layers of a network graph: what they are, without being a network yet (HPO-311)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nni.common.errors import NniError

Shape: TypeAlias = tuple[int, ...]
"""Of a tensor without the batch axis, channels last: ``(32, 32, 3)``, or ``(64,)``."""

Weights: TypeAlias = "list[NDArray[np.float64]]"


class GraphError(NniError):
    """A graph that is none, or a change that a graph cannot take."""


class StubLayer:
    """One layer.

    Parameters
    ----------
    *values
        The layer's own numbers, in the order of :attr:`arguments`; those with a default may be left out.

    Attributes
    ----------
    inputs, output
        Ids of the tensors it takes and of the one it makes.
    weights
        As in torch: arrays of shapes that :meth:`weight_shapes` gives; None in a graph without weights.
    """

    arguments: ClassVar[tuple[str, ...]] = ()
    keeps_channels: ClassVar[bool] = True  # channel i of the output comes from channel i of every input alone

    def __init__(self, *values: Any) -> None:
        defaults = self.defaults(*values)
        if len(values) + len(defaults) < len(self.arguments) or len(values) > len(self.arguments):
            expected = ", ".join(self.arguments) or "nothing"
            raise GraphError(f"{type(self).__name__}: expected {expected}, got {list(values)}")
        self.values = [*values, *defaults[len(values) + len(defaults) - len(self.arguments) :]]
        self.inputs: list[int] = []
        self.output = -1
        self.weights: Weights | None = None

    def defaults(self, *values: Any) -> list[Any]:  # noqa: ARG002  (subclasses derive them from the first ones)
        """Return the values of the last arguments where they are left out."""
        return []

    def __getattr__(self, name: str) -> Any:
        if name in type(self).arguments:
            return self.values[self.arguments.index(name)]
        raise AttributeError(f"{type(self).__name__} has no {name}")

    def copy(self) -> StubLayer:
        """Return a copy; arrays of weights are never changed, only replaced, and are shared."""
        twin = type(self)(*self.values)
        twin.inputs, twin.output = list(self.inputs), self.output
        twin.weights = None if self.weights is None else list(self.weights)
        return twin

    def record(self) -> list[Any]:
        """Return the layer as in the documented JSON: name, input id (or ids), output id, numbers."""
        inputs = self.inputs[0] if len(self.inputs) == 1 else list(self.inputs)
        return [type(self).__name__, inputs, self.output, *self.values]

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape it makes of those of its inputs."""
        return shapes[0]

    def weight_shapes(self) -> list[Shape]:
        """Return the shapes of its weights."""
        return []

    def size(self) -> int:
        """Return the number of its weights."""
        return sum(math.prod(shape) for shape in self.weight_shapes())


class StubReLU(StubLayer):
    """The rectifier."""


class StubSoftmax(StubLayer):
    """The softmax over channels; each output depends on all inputs."""

    keeps_channels = False


class StubFlatten(StubLayer):
    """All numbers in a row, channel by channel."""

    keeps_channels = False

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape."""
        return (math.prod(shapes[0]),)


class StubAdd(StubLayer):
    """The sum of two tensors of the same shape."""

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape."""
        if len(set(shapes)) != 1:
            raise GraphError(f"StubAdd: cannot add tensors of shapes {', '.join(map(str, shapes))}")
        return shapes[0]


class StubConcatenate(StubLayer):
    """The channels of several tensors, one after the other."""

    keeps_channels = False

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape."""
        if len({shape[:-1] for shape in shapes}) != 1:
            raise GraphError(f"StubConcatenate: cannot join tensors of shapes {', '.join(map(str, shapes))}")
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


class StubDense(StubLayer):
    """A fully connected layer."""

    arguments = ("input_units", "units")
    keeps_channels = False

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape."""
        if shapes[0] != (self.input_units,):
            raise GraphError(f"StubDense: expected a tensor of shape ({self.input_units},), got {shapes[0]}")
        return (self.units,)

    def weight_shapes(self) -> list[Shape]:
        """Return the shapes of weight and bias."""
        return [(self.units, self.input_units), (self.units,)]


class _Spatial(StubLayer):
    rank: ClassVar[int] = 2


class StubConv(_Spatial):
    """A convolution. Left out, the stride is 1 and the padding keeps the size (X-13)."""

    arguments = ("input_channel", "filters", "kernel_size", "stride", "padding")
    keeps_channels = False

    def defaults(self, *values: Any) -> list[Any]:
        """Return stride and padding."""
        return [1, values[2] // 2] if len(values) > 2 else []

    def record(self) -> list[Any]:
        """Return the layer as in the documented JSON, whose example leaves the usual stride and padding out."""
        record = super().record()
        return record[:-2] if record[-2:] == self.defaults(*self.values) else record

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape."""
        *size, channels = shapes[0]
        if channels != self.input_channel or len(size) != self.rank:
            raise GraphError(
                f"{type(self).__name__}: expected a tensor with {self.input_channel} channels, got shape {shapes[0]}"
            )
        return (*_shrunk(size, self.kernel_size, self.stride, self.padding), self.filters)

    def weight_shapes(self) -> list[Shape]:
        """Return the shapes of weight and bias."""
        return [(self.filters, self.input_channel, *[self.kernel_size] * self.rank), (self.filters,)]


class StubBatchNormalization(_Spatial):
    """A batch normalisation."""

    arguments = ("features",)

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape."""
        if shapes[0][-1] != self.features:
            raise GraphError(f"{type(self).__name__}: expected {self.features} channels, got shape {shapes[0]}")
        return shapes[0]

    def weight_shapes(self) -> list[Shape]:
        """Return the shapes of scale, shift, running mean and running variance."""
        return [(self.features,)] * 4


class StubDropout(_Spatial):
    """A dropout."""

    arguments = ("rate",)


class StubPooling(_Spatial):
    """A maximum over windows."""

    arguments = ("kernel_size", "stride", "padding")

    def defaults(self, *values: Any) -> list[Any]:
        """Return stride and padding."""
        return [values[0], 0] if values else []

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape."""
        *size, channels = shapes[0]
        return (*_shrunk(size, self.kernel_size, self.stride, self.padding), channels)


class StubGlobalPooling(_Spatial):
    """The mean over all places."""

    def output_shape(self, shapes: Sequence[Shape]) -> Shape:
        """Return the shape."""
        return (shapes[0][-1],)


def _shrunk(size: Sequence[int], kernel: int, stride: int, padding: int) -> list[int]:
    shrunk = [(side + 2 * padding - kernel) // stride + 1 for side in size]
    if min(shrunk, default=1) < 1:
        raise GraphError(f"a window of {kernel} does not fit into a tensor of size {tuple(size)}")
    return shrunk


def _of_rank(kind: type[_Spatial], rank: int) -> type[_Spatial]:
    return type(f"{kind.__name__}{rank}d", (kind,), {"rank": rank, "__doc__": kind.__doc__, "__module__": __name__})


_SPATIAL = (StubConv, StubBatchNormalization, StubDropout, StubPooling, StubGlobalPooling)
_PLAIN = (StubReLU, StubSoftmax, StubFlatten, StubAdd, StubConcatenate, StubDense)

LAYERS: dict[str, type[StubLayer]] = {
    **{kind.__name__: kind for kind in _PLAIN},
    **{f"{kind.__name__}{rank}d": _of_rank(kind, rank) for kind in _SPATIAL for rank in (1, 2, 3)},
}
"""Every layer under its documented name."""


def make(name: str, *values: Any) -> StubLayer:
    """Return a layer by its documented name, such as ``StubConv2d``."""
    try:
        return LAYERS[name](*values)
    except KeyError:
        raise GraphError(f"there is no layer {name!r}; there are {', '.join(sorted(LAYERS))}") from None
