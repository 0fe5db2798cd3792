"""Trials on the nodes of a Ray cluster."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, WithJsonSchema

from nni.config._errors import Fault, shown
from nni.config._fields import Count, MemorySize, Text, optional
from nni.config._runner_service import RunnerServiceConfig
from nni.config._wording import worded

if TYPE_CHECKING:
    from collections.abc import Iterator

_ADDRESS = re.compile(r"auto|(ray://)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}")
_OWN_KEYS = {"CPU": "cpus", "GPU": "gpus", "memory": "memory"}


def _amount(value: Any) -> float:
    """Read an amount as Ray takes it: a part of one, or a whole number."""
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not 0 <= value < float("inf") or (value > 1 and value != int(value)):
        raise worded(f"expected a whole number, or a part of one such as 0.5, got {shown(value)}")
    return float(value)


Amount = Annotated[float, BeforeValidator(_amount), WithJsonSchema({"type": "number", "minimum": 0})]
"""How much of a resource; Ray divides only single ones."""


class RayConfig(RunnerServiceConfig):
    """Trials run where Ray has room for them; ours, 2.x had none."""

    platform: Literal["ray"] = optional("Run trials on the nodes of a Ray cluster.", "ray")
    address: Text | None = optional(
        "The cluster: host:port where this machine is one of its nodes, ray://host:port where it is not, or 'auto'; "
        "absent: a Ray of this experiment's own is started on this machine, and ended with it.",
        examples=["ray://head.example.org:10001"],
    )
    cpus: Amount = optional("Processors of each trial.", 1)
    gpus: Amount | None = optional("GPUs of each trial; absent: as many as trialGpuNumber says.")
    memory: MemorySize | None = optional("Memory of each trial; Ray counts it, but does not enforce it.")
    resources: dict[Text, Amount] | None = optional(
        "Further resources of each trial, by the names that the nodes give them.", examples=[{"fast_disk": 1}]
    )
    runtime_env: dict[str, Any] | None = optional(
        "Ray's runtime environment, as it is given to ray.init.", examples=[{"pip": ["scikit-learn"]}]
    )
    wait_for_nodes: bool = optional(
        "Whether a node that has what a trial needs may join the cluster later (an autoscaler); else it is an error "
        "that there is none.",
        default=False,
    )
    max_runners: Count = optional("How many trial runners there may be at once; each runs one trial at a time.", 100)
    idle_minutes: Count = optional("Minutes without a trial after which a runner gives its resources back.", 5)
    reuse_mode: bool = optional(
        "Whether a runner runs trial after trial; else each trial has a runner of its own.", default=True
    )

    def _faults(self) -> Iterator[Fault]:
        if self.address is not None and not _ADDRESS.fullmatch(self.address):
            yield Fault(
                ("address",),
                f"expected host:port, ray://host:port or 'auto', such as 'ray://10.0.0.1:10001', got {self.address!r}",
            )
        for name in self.resources or {}:
            if name in _OWN_KEYS:
                yield Fault(("resources", name), f"has a key of its own: {_OWN_KEYS[name]}")
        if self.wait_for_nodes and self.address is None:
            yield Fault(("waitForNodes",), "needs an address: no node joins the Ray that is started on this machine")
