"""The table of the built-in algorithms: name, class, validator, in one place. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["tuner", "assessor", "advisor"]


@dataclass(frozen=True)
class Algorithm:
    """What is known about an algorithm without importing it.

    Attributes
    ----------
    name
        Its name in a config.
    kind
        ``tuner``, ``assessor`` or ``advisor``.
    class_path
        ``module.Class``.
    validator_path
        ``module.Class`` of its :class:`~nni.ClassArgsValidator`, or None where it has none.
    extra
        The pip extra it needs, as in ``pip install nni[extra]``; None when the core install is enough.
    bound_args
        Class arguments that the name stands for and a config cannot set.
    launch_defaults
        Class arguments that a config gets where it does not set them and the class' own default differs (X-01).
    needs_search_space
        Whether a config must give one; False for a tuner that takes no variables.
    source
        ``nni`` for a built-in, ``User`` for a registered one.
    """

    name: str
    kind: Kind
    class_path: str
    validator_path: str | None = None
    extra: str | None = None
    bound_args: Mapping[str, Any] = field(default_factory=dict)
    launch_defaults: Mapping[str, Any] = field(default_factory=dict)
    needs_search_space: bool = True
    source: Literal["nni", "User"] = "nni"

    @property
    def class_name(self) -> str:
        """The class without its module."""
        return self.class_path.rpartition(".")[2]

    @property
    def module_name(self) -> str:
        """The module of the class."""
        return self.class_path.rpartition(".")[0]


def _builtin(name: str, kind: Kind, class_path: str, validator: str, **more: Any) -> Algorithm:
    return Algorithm(name, kind, f"nni.algorithms.hpo.{class_path}", f"nni.algorithms._validators.{validator}", **more)


# HyperoptTuner's own default is "minimize", the documented default of a config is "maximize".
_MAXIMIZE = {"optimize_mode": "maximize"}

BUILTINS = (
    _builtin("Auto", "tuner", "auto_tuner.AutoTuner", "auto.AutoValidator"),
    _builtin(
        "TPE",
        "tuner",
        "hyperopt_tuner.HyperoptTuner",
        "hyperopt.TpeValidator",
        bound_args={"algorithm_name": "tpe"},
        launch_defaults=_MAXIMIZE,
    ),
    _builtin(
        "Random",
        "tuner",
        "hyperopt_tuner.HyperoptTuner",
        "hyperopt.RandomValidator",
        bound_args={"algorithm_name": "random_search"},
        launch_defaults=_MAXIMIZE,
    ),
    _builtin(
        "Anneal",
        "tuner",
        "hyperopt_tuner.HyperoptTuner",
        "anneal.AnnealValidator",
        bound_args={"algorithm_name": "anneal"},
        launch_defaults=_MAXIMIZE,
    ),
    _builtin(
        "Evolution",
        "tuner",
        "evolution_tuner.EvolutionTuner",
        "evolution.EvolutionValidator",
        launch_defaults={"population_size": 20},
    ),
    _builtin("PBTTuner", "tuner", "pbt_tuner.PBTTuner", "pbt.PbtValidator"),
    _builtin("GridSearch", "tuner", "gridsearch_tuner.GridSearchTuner", "enumeration.GridSearchValidator"),
    _builtin("BatchTuner", "tuner", "batch_tuner.BatchTuner", "enumeration.BatchValidator"),
    _builtin("Hyperband", "advisor", "hyperband_advisor.Hyperband", "hyperband.HyperbandValidator"),
    _builtin("BOHB", "advisor", "bohb_advisor.BOHB", "bohb.BohbValidator"),
    _builtin("ASHA", "advisor", "asha_advisor.ASHA", "asha.AshaValidator"),
    _builtin("ASHAAssessor", "assessor", "asha_assessor.ASHAAssessor", "asha.AshaAssessorValidator"),
    _builtin(
        "NetworkMorphism",
        "tuner",
        "networkmorphism_tuner.NetworkMorphismTuner",
        "networkmorphism.NetworkMorphismValidator",
        extra="networkmorphism",
        needs_search_space=False,
    ),
    _builtin("PPOTuner", "tuner", "ppo_tuner.PPOTuner", "ppo.PpoValidator", extra="ppo"),
    _builtin("SMAC", "tuner", "smac_tuner.SMACTuner", "smac.SmacValidator"),
    _builtin("MetisTuner", "tuner", "metis_tuner.MetisTuner", "metis.MetisValidator"),
    _builtin("DNGOTuner", "tuner", "dngo_tuner.DNGOTuner", "dngo.DngoValidator"),
    _builtin("GPTuner", "tuner", "gp_tuner.GPTuner", "gp.GpValidator"),
    _builtin("CMAES", "tuner", "cmaes_tuner.CMAES", "cmaes.CmaesValidator"),
    _builtin("Medianstop", "assessor", "medianstop_assessor.MedianstopAssessor", "medianstop.MedianstopValidator"),
    _builtin(
        "Curvefitting", "assessor", "curvefitting_assessor.CurvefittingAssessor", "curvefitting.CurvefittingValidator"
    ),
)
