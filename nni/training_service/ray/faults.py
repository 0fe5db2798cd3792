"""What can go wrong with Ray, in sentences for a person."""

from __future__ import annotations

import re
import sys

_SHOWN = 300  # characters of what Ray says
_VERSIONS = re.compile(r"Ray: *(\S+)\s+Python: *(\S+)")


class ClusterError(Exception):
    """It cannot be done; `is_lasting`: and that will not change by itself."""

    def __init__(self, text: str, *, is_lasting: bool = False) -> None:
        super().__init__(text)
        self.is_lasting = is_lasting


def of(error: BaseException) -> ClusterError:
    """Return what an exception of Ray's means."""
    kind = type(error).__name__
    if kind in {"RuntimeEnvSetupError", "LocalRuntimeEnvSetupError"}:
        return ClusterError(f"Ray cannot make the runtimeEnv: {last_words(error)}")
    if "in its creation task" in str(error):
        return ClusterError(f"it cannot start there: {last_words(error)}")
    if kind in {"ActorDiedError", "ActorUnavailableError", "RayActorError"}:
        return ClusterError("Ray has ended it: its node is gone, was out of memory, or somebody killed it")
    if isinstance(error, TimeoutError):
        return ClusterError("Ray does not answer")
    return ClusterError(f"Ray says {kind}: {last_words(error)}")


def of_joining(address: str, error: BaseException) -> ClusterError:
    """Return why a cluster could not be joined."""
    text, said = str(error), last_words(error)
    if "client server failed" in text:  # it gives its own processes 30 seconds, which a busy machine may exceed
        return ClusterError(f"ray: the cluster at {address} is too busy to be joined: {said}")
    if _VERSIONS.search(text) or "ersion mismatch" in text or "versions are incompatible" in text:
        return ClusterError(_other_version(address, error), is_lasting=True)
    if address == "auto" and isinstance(error, ConnectionError):
        return nobody_there(address, said)
    if type(error).__name__ == "AuthenticationError" or "authentication token" in text.lower():
        advice = "asks for a token that is not here: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH"
        told = f"the cluster at {address} {advice}, as on its nodes"
    elif "node_ip_address" in text or "raylet" in text.lower():
        advice = f"run 'ray start --address={address}' here, or give the address of its client server, ray://host:10001"
        told = f"this machine is no node of the cluster at {address}: {advice}"
    elif isinstance(error, (TypeError, ValueError)):
        told = f"trainingService.runtimeEnv or address is refused: {said}"
    else:
        told = f"cannot join the cluster at {address}: {said}"
    return ClusterError(f"ray: {told}", is_lasting=True)


def _other_version(address: str, error: BaseException) -> str:
    versions = _VERSIONS.search(str(error))
    there = (
        f" runs Ray {versions[1]} and Python {versions[2]}"
        if versions
        else f" has another version: {last_words(error)}"
    )
    here = f"here are Ray {_ray_version()} and Python {sys.version.split()[0]}"
    return f"ray: the cluster at {address}{there}; {here}: both must be the same on all nodes and here"


def nobody_there(address: str, why: str) -> ClusterError:
    """Return that no cluster was found."""
    if address == "auto":
        text = "ray: no cluster runs here (address: auto): start one with 'ray start --head', or leave address out"
    else:
        text = (
            f"ray: nothing answers at {address} ({why}): start the cluster there with 'ray start --head', correct the "
            "address, or leave it out to have a Ray started on this machine"
        )
    return ClusterError(text, is_lasting=True)


def no_answer(address: str, seconds: float) -> str:
    """Return that something listens at an address, but does not behave like Ray."""
    if address == "auto":
        return f"ray: the cluster here (address: auto) does not answer within {seconds:.0f} s: try 'ray status'"
    return (
        f"ray: {address} does not answer as Ray within {seconds:.0f} s: give the address that 'ray start --head' "
        "printed, as host:6379 on a node of the cluster, or else ray://host:10001"
    )


def impossible(wants: dict[str, float], nodes: list[dict[str, float]]) -> str | None:
    """Return that no node has what is wanted, however long one waits; None if one has."""
    if any(all(node.get(name, 0.0) >= amount for name, amount in wants.items()) for node in nodes):
        return None
    most = {name: max((node.get(name, 0.0) for node in nodes), default=0.0) for name in wants}
    lacking = {name: most[name] for name, amount in wants.items() if most[name] < amount}
    if not lacking:
        return f"no node of the Ray cluster has {shown(wants)} together"
    return (
        f"no node of the Ray cluster has {shown({name: wants[name] for name in lacking})}; the most is {shown(lacking)}"
    )


def shown(amounts: dict[str, float]) -> str:
    """Return amounts of resources for a person."""
    return ", ".join(f"{name} {_number(name, amount)}" for name, amount in amounts.items() if name)


def last_words(error: BaseException) -> str:
    """Return the last line of what an exception says."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:_SHOWN]


def _number(name: str, amount: float) -> str:
    return f"{amount / 2**30:.3g} GiB" if name == "memory" else f"{amount:g}"


def _ray_version() -> str:
    import ray  # noqa: PLC0415

    return str(ray.__version__)
