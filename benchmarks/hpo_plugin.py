"""Lets a side-by-side comparison of tuners, with an ask/tell interface of its own, run the tuners of this package.

Given to the comparison with ``--plugin benchmarks/hpo_plugin.py``; registers ``nni-`` with the name of each.
"""

from __future__ import annotations

from typing import Any

from hpo_bench import Choice, Float, Int, Tuner, register

from nni.algorithms import registry
from nni.search_space import TYPES


class NniTuner(Tuner):
    """Runs a tuner by its name in a config; a dependent parameter goes into the branches that switch it on."""

    name: str
    types: tuple[str, ...] = TYPES

    def __init__(self, space, seed: int):
        self._params = space.params
        self._parents = {p.when[0] for p in space.params if p.when}
        self._integers = {p.name for p in space.params if isinstance(p, Int)}
        self._tuner = registry.create(self.name, {"optimize_mode": "minimize", "seed": seed})
        self._tuner.update_search_space({p.name: self._entry(p) for p in space.params if p.when is None})
        self._next = 0

    def _entry(self, p) -> dict[str, Any]:
        if isinstance(p, Choice):
            options = list(p.options)
            if p.name in self._parents:
                options = [{"_name": str(option), **self._children(p.name, option)} for option in options]
            return {"_type": "choice", "_value": options}
        scale = "loguniform" if p.log else "uniform"
        if isinstance(p, Float):
            return {"_type": scale, "_value": [p.low, p.high]}
        if f"q{scale}" in self.types:
            return {"_type": f"q{scale}", "_value": [p.low, p.high, 1]}
        return {"_type": scale, "_value": [max(p.low - 0.49, p.low / 2), p.high + 0.49]}  # rounded by what uses it

    def _children(self, parent: str, option: Any) -> dict[str, Any]:
        return {p.name: self._entry(p) for p in self._params if p.when and p.when[0] == parent and option in p.when[1]}

    def ask(self) -> dict[str, Any]:
        self._asked = self._tuner.generate_parameters(self._next)
        return self._flat(self._asked)

    def _flat(self, configuration: dict[str, Any]) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for name, value in configuration.items():
            if isinstance(value, dict):
                flat[name] = value["_name"]
                flat |= self._flat({key: item for key, item in value.items() if key != "_name"})
            else:
                flat[name] = round(value) if name in self._integers else value
        return flat

    def tell(self, config: dict[str, Any], value: float) -> None:  # noqa: ARG002  (it is the one just asked for)
        self._tuner.receive_trial_result(self._next, self._asked, value)
        self._tuner.trial_end(self._next, success=True)
        self._next += 1

    def observe(self, config: dict[str, Any], value: float) -> None:
        self._tuner.import_data([{"parameter": config, "value": value}])


@register("nni-auto")
class Auto(NniTuner):
    name = "Auto"


@register("nni-gp")
class Gp(NniTuner):
    """Refuses choices among texts, as documented."""

    name = "GPTuner"


@register("nni-cmaes")
class Cmaes(NniTuner):
    name = "CMAES"


@register("nni-tpe")
class Tpe(NniTuner):
    name = "TPE"


@register("nni-random")
class Random(NniTuner):
    name = "Random"


@register("nni-anneal")
class Anneal(NniTuner):
    name = "Anneal"


@register("nni-evolution")
class Evolution(NniTuner):
    name = "Evolution"


@register("nni-smac")
class Smac(NniTuner):
    name = "SMAC"
    types = ("choice", "randint", "uniform", "loguniform", "quniform")


@register("nni-metis")
class Metis(NniTuner):
    """Refuses choices among texts, as documented."""

    name = "MetisTuner"
    types = ("choice", "randint", "uniform", "quniform")


@register("nni-dngo")
class Dngo(NniTuner):
    """Refuses choices among texts, as documented."""

    name = "DNGOTuner"
