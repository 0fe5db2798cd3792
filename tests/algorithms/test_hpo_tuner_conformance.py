"""The built-in tuners go through the conformance suite that users' tuners go through."""

from __future__ import annotations

from nni.algorithms.hpo.batch_tuner import BatchTuner
from nni.algorithms.hpo.gridsearch_tuner import GridSearchTuner
from nni.algorithms.hpo.hyperopt_tuner import HyperoptTuner
from nni.testing.tuner import TunerConformance

FINITE = {
    "a": {"_type": "choice", "_value": [1, 2, 3, 4]},
    "b": {"_type": "randint", "_value": [0, 5]},
    "c": {"_type": "quniform", "_value": [0, 1, 0.1]},
}
BATCH = {"combine_params": {"_type": "choice", "_value": [{"n": n} for n in range(60)]}}


class TestTpe(TunerConformance):
    def make(self, optimize_mode):
        return HyperoptTuner("tpe", optimize_mode, seed=3)


class TestParallelTpe(TunerConformance):
    def make(self, optimize_mode):
        return HyperoptTuner("tpe", optimize_mode, parallel_optimize=True, constant_liar_type="mean", seed=3)


class TestTpeOnFiniteSpace(TunerConformance):
    space = FINITE

    def make(self, optimize_mode):
        return HyperoptTuner("tpe", optimize_mode, seed=3)


class TestRandom(TunerConformance):
    def make(self, optimize_mode):
        return HyperoptTuner("random_search", optimize_mode, seed=3)


class TestGridSearch(TunerConformance):
    types = ("choice", "quniform", "randint")
    learns = False

    def make(self, optimize_mode):
        return GridSearchTuner(optimize_mode=optimize_mode)


class TestBatch(TunerConformance):
    types = ()
    nested = False
    learns = False
    space = BATCH

    def make(self, optimize_mode):
        return BatchTuner(optimize_mode=optimize_mode)

    def changed_space(self):
        return {"combine_params": {"_type": "choice", "_value": [{"m": m} for m in range(20)]}}

    def fits(self, configuration, space):
        return configuration in space["combine_params"]["_value"]
