"""Lets a side-by-side comparison of tuners, with an ask/tell interface of its own, run the tuners of this package.

Given to the comparison with ``--plugin benchmarks/hpo_plugin.py``; registers ``nni-`` with the name of each.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from hpo_bench import Choice, Float, Int, Tuner, register

from nni.algorithms import registry
from nni.search_space import TYPES

FEWER_TYPES = {
    "SMAC": ("choice", "randint", "uniform", "loguniform", "quniform"),
    "MetisTuner": ("choice", "randint", "uniform", "quniform"),
}
"""The types of variables that a tuner takes, where these are not all."""


class NniTuner(Tuner):
    """Runs a tuner by its name in a config; a dependent parameter goes into the branches that switch it on."""

    def __init__(self, space, seed: int, *, name: str):
        self._types = FEWER_TYPES.get(name, TYPES)
        self._params = space.params
        self._parents = {p.when[0] for p in space.params if p.when}
        self._integers = {p.name for p in space.params if isinstance(p, Int)}
        self._tuner = registry.create(name, {"optimize_mode": "minimize", "seed": seed})
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
        if f"q{scale}" in self._types:
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


_NAMES = {"gp": "GPTuner", "cmaes": "CMAES", "tpe": "TPE", "smac": "SMAC", "metis": "MetisTuner", "dngo": "DNGOTuner"}
_NAMES |= {name.lower(): name for name in ("Auto", "Random", "Anneal", "Evolution")}

for _short, _name in _NAMES.items():  # GPTuner, MetisTuner and DNGOTuner refuse choices among texts, as documented
    register(f"nni-{_short}")(partial(NniTuner, name=_name))
