"""Designing networks by morphing: the tuner, its search, and networks that are trained."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest

from nni.algorithms import ClassArgsError, registry
from nni.algorithms.hpo.networkmorphism_tuner import NetworkMorphismTuner, graph_transformer, json_to_graph
from nni.algorithms.hpo.networkmorphism_tuner.descriptor import describe
from nni.algorithms.hpo.networkmorphism_tuner.graph import graph_to_json
from nni.algorithms.hpo.networkmorphism_tuner.layers import StubPooling
from nni.algorithms.hpo.networkmorphism_tuner.metric import MSE, Accuracy
from nni.algorithms.hpo.networkmorphism_tuner.nn import CnnGenerator
from nni.common.errors import NniError, NoMoreTrialError
from nni.config import ConfigError, ExperimentConfig, load
from nni.experiment import Experiment
from nni.testing.tuner import TunerConformance

SMALL = {"input_width": 8, "default_model_width": 4, "n_output_node": 3, "verbose": False}
torch_needed = pytest.mark.requires_module("torch")


def small_graph(model_len=3, width=4):
    return CnnGenerator(3, (8, 8, 3)).generate(model_len, width)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_signature_is_the_documented_one():
    parameters = inspect.signature(NetworkMorphismTuner).parameters
    assert {name: p.default for name, p in parameters.items()} == {
        "task": "cv",
        "input_width": 32,
        "input_channel": 3,
        "n_output_node": 10,
        "algorithm_name": "Bayesian",
        "optimize_mode": "maximize",
        "path": "model_path",
        "verbose": True,
        "beta": 2.576,
        "t_min": 0.0001,
        "max_model_size": 16777216,
        "default_model_len": 3,
        "default_model_width": 64,
        "seed": None,
    }


@pytest.mark.parametrize(
    ("args", "argument", "says"),
    [
        ({"task": "nlp"}, "task", "expected 'cv'"),
        ({"algorithm_name": "Random"}, "algorithm_name", "'Bayesian'"),
        ({"input_width": 0}, "input_width", "at least 1"),
        ({"beta": -1}, "beta", "at least 0"),
        ({"t_min": 0}, "t_min", "between 1e-300 and 1"),
        ({"path": ""}, "path", "the name of a directory"),
        ({"verbose": "yes"}, "verbose", "true or false"),
        ({"width": 3}, "width", "unknown argument"),
    ],
)
def test_wrong_arguments_are_refused(args, argument, says):
    with pytest.raises(ClassArgsError, match=rf"classArgs\.{argument}: .*{says}"):
        registry.validate_class_args("NetworkMorphism", args)


def test_a_first_network_that_is_too_large_is_refused():
    with pytest.raises(NniError, match=r"classArgs.max_model_size: the first network, .* has 81226 weights, more than"):
        NetworkMorphismTuner(max_model_size=80000)


@pytest.mark.slow
class TestNetworkMorphism(TunerConformance):
    types = ()
    nested = False

    def make(self, optimize_mode):
        return NetworkMorphismTuner(optimize_mode=optimize_mode, t_min=0.9, seed=3, max_model_size=20000, **SMALL)

    def changed_space(self):
        return {}

    def fits(self, configuration, space):
        graph = json_to_graph(configuration)
        return not space and graph.node_list[graph.output] == (3,)


def quality(configuration):
    """A metric that likes depth and skip connections, and not width."""
    descriptor = describe(json_to_graph(configuration))
    return len(descriptor.layers) + 2 * len(descriptor.skips) - 0.01 * sum(layer[0] for layer in descriptor.layers)


def search(tuner, trials, batch=1):
    tuner.update_search_space({})
    found = []
    for first in range(0, trials, batch):
        numbers = list(range(first, first + batch))
        suggested = tuner.generate_multiple_parameters(numbers)
        for number, configuration in zip(numbers, suggested, strict=True):
            tuner.receive_trial_result(number, configuration, quality(configuration))
            tuner.trial_end(number, success=True)
        found += suggested
    return found


@pytest.mark.slow
def test_the_search_finds_better_networks_than_random_morphing():
    ours, random = [], []
    for seed in range(2):
        found = search(NetworkMorphismTuner(t_min=0.3, seed=seed, **SMALL), 16)
        ours.append(max(map(quality, found)))
        graphs, rng = [small_graph()], np.random.default_rng(seed)
        while len(graphs) < 16:
            parent = graphs[int(rng.integers(len(graphs)))]
            graphs.append(graph_transformer.random_morphism(parent, rng, 10**7))
        random.append(max(quality(graph_to_json(graph)) for graph in graphs))
    assert min(ours) > max(random)


def test_no_network_is_suggested_twice_also_not_in_one_batch():
    found = search(NetworkMorphismTuner(t_min=0.7, seed=1, **SMALL), 15, batch=5)
    assert len({describe(json_to_graph(configuration)) for configuration in found}) == 15


def test_every_network_is_small_enough_and_the_end_of_small_ones_is_said():
    limit = small_graph().size() + 30
    tuner = NetworkMorphismTuner(t_min=0.1, seed=1, max_model_size=limit, **SMALL)
    tuner.update_search_space({})
    found = []
    while suggested := tuner.generate_multiple_parameters([len(found)]):
        tuner.receive_trial_result(len(found), suggested[0], quality(suggested[0]))
        found += suggested
    assert 1 < len(found) < 100
    with pytest.raises(NoMoreTrialError, match=rf"at most {limit} weights"):
        tuner.generate_parameters(len(found))
    assert all(json_to_graph(configuration).size() <= limit for configuration in found)


def test_beta_and_t_min_change_the_search():
    runs = {
        (beta, t_min): [
            describe(json_to_graph(c)) for c in search(NetworkMorphismTuner(beta=beta, t_min=t_min, seed=1, **SMALL), 8)
        ]
        for beta, t_min in [(0.0, 0.6), (50.0, 0.6), (0.0, 0.9)]
    }
    assert len(set(map(tuple, runs.values()))) == 3


def test_the_search_tree_knows_fathers_and_files_hold_the_networks(tmp_path, monkeypatch):
    monkeypatch.setenv("NNI_LOG_DIRECTORY", str(tmp_path / "log"))
    tuner = NetworkMorphismTuner(t_min=0.1, seed=1, **SMALL)
    found = search(tuner, 8)
    folder = tmp_path / "log" / "model_path"
    best = max(range(8), key=lambda number: quality(found[number]))
    assert tuner.get_best_model_id() == best
    assert tuner.get_metric_value_by_id(best) == quality(found[best])
    assert (folder / "best_model.txt").read_text().split()[-1] == str(best)
    assert json.loads((folder / f"{best}.json").read_text()) == found[best]
    assert graph_to_json(tuner.load_best_model()) == found[best]
    assert graph_to_json(tuner.load_model_by_id(3)) == found[3]
    for number in range(1, 8):
        father = tuner._fathers[number]
        history = found[father]["operation_history"]
        assert found[number]["operation_history"][: len(history)] == history
        assert len(found[number]["operation_history"]) > len(history)
    with pytest.raises(NniError, match="no model 99"):
        tuner.load_model_by_id(99)


def test_the_documented_way_of_using_it_by_hand_works():
    tuner = NetworkMorphismTuner(seed=0, **SMALL)
    tuner.update_search_space({})
    father, graph = tuner.generate()
    tuner.update(father, graph, 0.5, 0)
    assert (father, tuner.history) == (-1, [{"model_id": 0, "metric_value": 0.5}])
    assert tuner.get_best_model_id() == 0


def test_metrics_know_their_better_end():
    assert (Accuracy.compute([1, 2, 3, 3], [1, 2, 3, 4]), Accuracy.higher_better) == (0.75, True)
    assert (MSE.compute([1, 2], [1, 4]), MSE.higher_better) == (2.0, False)


def test_a_config_needs_no_search_space_and_takes_no_variable(tmp_path):
    config = ExperimentConfig("local")
    config.trial_command, config.trial_concurrency, config.tuner = "true", 1, {"name": "NetworkMorphism"}
    config.trial_code_directory = tmp_path
    config.validate()
    config.search_space = {"x": {"_type": "uniform", "_value": [0, 1]}}
    with pytest.raises(ConfigError, match="variable 'x' of type uniform; it designs the network itself"):
        config.validate()
    config.search_space, config.tuner = None, {"name": "Random"}
    with pytest.raises(ConfigError, match="required, unless there is"):
        config.validate()


V1 = """
authorName: default
experimentName: example
trialConcurrency: 1
maxTrialNum: 2
trainingServicePlatform: local
tuner:
  builtinTunerName: NetworkMorphism
  classArgs: {input_width: 8}
trial: {command: python3 trial.py, codeDir: .}
"""


def test_a_file_of_the_old_schema_needs_no_search_space_either(tmp_path):
    file = tmp_path / "config.yml"
    file.write_text(V1)
    load(file).validate()
    file.write_text(V1.replace("NetworkMorphism\n  classArgs: {input_width: 8}", "Random"))
    with pytest.raises(ConfigError, match="searchSpacePath: required"):
        load(file)


TRIAL = """
import nni
import torch
from nni.networkmorphism_tuner.graph import json_to_graph

torch.manual_seed(0)
model = json_to_graph(nni.get_next_parameter()).produce_torch_model()
images, classes = torch.randn(16, 3, 8, 8), torch.arange(16) % 3
optimizer = torch.optim.SGD(model.parameters(), 0.01)
for step in range(2):
    loss = torch.nn.functional.cross_entropy(model(images), classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
nni.report_final_result(loss.item())
"""


@torch_needed
@pytest.mark.slow
def test_networks_are_trained_in_a_real_experiment(isolated_home, tmp_path, free_port):
    (tmp_path / "trial.py").write_text(TRIAL)
    experiment = Experiment("local")
    config = experiment.config
    config.trial_command, config.trial_code_directory, config.trial_concurrency = "python3 trial.py", tmp_path, 2
    config.max_trial_number = 5
    config.tuner = {"name": "NetworkMorphism", "class_args": {**SMALL, "optimize_mode": "minimize", "t_min": 0.1}}
    assert experiment.run(free_port), experiment.get_status()
    results = experiment.export_data()
    assert len({describe(json_to_graph(result.parameter)) for result in results}) == 5
    best = min(results, key=lambda result: result.value)
    log = isolated_home / "nni-experiments" / experiment.id / "log" / "model_path"
    model_id = (log / "best_model.txt").read_text().split()[-1]
    assert json.loads((log / f"{model_id}.json").read_text()) == best.parameter


def test_pooling_is_spread_over_deep_first_networks():
    pools = [isinstance(layer, StubPooling) for layer in CnnGenerator(10, (32, 32, 3)).generate(8, 4).layer_list]
    assert sum(pools) == 4
