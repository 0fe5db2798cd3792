"""Networks as graphs: their text, morphisms that keep the function, and distances between them."""

from __future__ import annotations

import importlib
import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest

from nni.algorithms.hpo.networkmorphism_tuner import graph_transformer, json_to_graph
from nni.algorithms.hpo.networkmorphism_tuner.bayesian import BourgainEmbedding, GaussianProcess
from nni.algorithms.hpo.networkmorphism_tuner.descriptor import Descriptor, describe, distances
from nni.algorithms.hpo.networkmorphism_tuner.graph import Graph, GraphError, graph_to_json
from nni.algorithms.hpo.networkmorphism_tuner.layers import LAYERS, StubConv, StubDense, StubReLU, make
from nni.algorithms.hpo.networkmorphism_tuner.nn import CnnGenerator

EXAMPLE = [  # the documented network (L1560 …): name, in, out, numbers
    ["StubReLU", 0, 1],
    ["StubConv2d", 1, 2, 3, 64, 3],
    ["StubBatchNormalization2d", 2, 3, 64],
    ["StubPooling2d", 3, 4, 2, 2, 0],
    ["StubReLU", 4, 5],
    ["StubConv2d", 5, 6, 64, 64, 3],
    ["StubBatchNormalization2d", 6, 7, 64],
    ["StubPooling2d", 7, 8, 2, 2, 0],
    ["StubReLU", 8, 9],
    ["StubConv2d", 9, 10, 64, 64, 3],
    ["StubBatchNormalization2d", 10, 11, 64],
    ["StubPooling2d", 11, 12, 2, 2, 0],
    ["StubGlobalPooling2d", 12, 13],
    ["StubDropout2d", 13, 14, 0.25],
    ["StubDense", 14, 15, 64, 64],
    ["StubReLU", 15, 16],
    ["StubDense", 16, 17, 64, 10],
]
torch_needed = pytest.mark.requires_module("torch")


def small_graph(model_len=3, width=4):
    return CnnGenerator(3, (8, 8, 3)).generate(model_len, width)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


# ---------------------------------------------------------------------------------------- graphs


def test_the_first_network_is_the_documented_example():
    described = graph_to_json(CnnGenerator(10, (32, 32, 3)).generate(3, 64))
    assert [record for _, record in described["layer_list"]] == EXAMPLE
    assert described["node_list"][4] == [4, [16, 16, 64]]
    assert described["node_list"][17] == [17, [10]]
    assert described["adj_list"]["16"] == [[17, 16]]
    assert described["adj_list"]["17"] == []
    assert described["reverse_adj_list"]["1"] == [[0, 0]]
    assert described["layer_id_to_output_node_ids"]["16"] == [17]
    assert (described["input_shape"], described["weighted"], described["operation_history"]) == ([32, 32, 3], False, [])


def test_the_documented_modules_are_there():
    for path in ("nni.networkmorphism_tuner.graph", "nni.algorithms.hpo.networkmorphism_tuner.graph"):
        assert importlib.import_module(path).json_to_graph is json_to_graph


def test_a_graph_survives_json_as_text_and_as_an_object():
    rng = np.random.default_rng(0)
    graph = small_graph()
    for _ in range(6):
        graph = graph_transformer.random_morphism(graph, rng, 10**6)
    described = graph_to_json(graph)
    for form in (described, json.dumps(described)):
        assert graph_to_json(json_to_graph(form)) == described


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("{", "not the JSON form of a network"),
        ({"input_shape": [8, 8, 3]}, "not the JSON form of a network: KeyError: 'layer_list'"),
        (["StubConv2d", 0, 1, 5, 64, 3], "StubConv2d: expected a tensor with 5 channels"),
        (["StubKonv2d", 0, 1], "no layer 'StubKonv2d'"),
        (["StubDense", 0, 1, 5], "StubDense: expected input_units, units, got"),
        (["StubReLU", 5, 1], "wait for tensors that nothing makes|list index out of range"),
    ],
)
def test_what_is_no_network_is_refused(wrong, says):
    if isinstance(wrong, list):
        wrong = {"input_shape": [8, 8, 3], "node_list": [[0, [8, 8, 3]], [1, [8, 8, 3]]], "layer_list": [[0, wrong]]}
    with pytest.raises(GraphError, match=says):
        json_to_graph(wrong)


def test_a_convolution_may_name_stride_and_padding():
    assert make("StubConv2d", 3, 64, 3).values == [3, 64, 3, 1, 1]
    strided = make("StubConv2d", 3, 64, 5, 2, 2)
    assert strided.output_shape([(8, 8, 3)]) == (4, 4, 64)
    assert strided.record()[3:] == [3, 64, 5, 2, 2]
    assert make("StubConv2d", 3, 64, 5, 1, 2).record()[3:] == [3, 64, 5]
    assert make("StubConv2d", 3, 64, 5, 2).record()[3:] == [3, 64, 5, 2, 2]


# ---------------------------------------------------------------------------------------- torch


@torch_needed
def test_a_model_has_the_size_and_the_shapes_of_its_graph():
    import torch

    for seed in range(4):
        graph, rng = small_graph(), np.random.default_rng(seed)
        for _ in range(5):
            graph = graph_transformer.random_morphism(graph, rng, 10**6)
        model = graph.produce_torch_model()
        counted = sum(p.numel() for p in model.parameters())
        counted += sum(b.numel() for name, b in model.named_buffers() if "running" in name)
        assert counted == graph.size()
        assert model(torch.randn(2, 3, 8, 8)).shape == (2, 3)


@torch_needed
def test_every_layer_has_a_module():
    import torch

    values = {"Conv": (3, 4, 3), "BatchNormalization": (3,), "Dropout": (0.5,), "Pooling": (2,), "GlobalPooling": ()}
    for name, rank in itertools.product(values, (1, 2, 3)):
        graph = Graph((*[6] * rank, 3))
        graph.add_layer(make(f"Stub{name}{rank}d", *values[name]), 0)
        shape = graph.node_list[graph.output]
        result = graph.produce_torch_model()(torch.randn(2, 3, *[6] * rank))
        assert tuple(result.shape) == (2, shape[-1], *shape[:-1])
    graph = Graph((4,))
    joined = graph.add_layer(make("StubConcatenate"), 0, graph.add_layer(make("StubReLU"), 0))
    graph.add_layer(make("StubSoftmax"), graph.add_layer(make("StubAdd"), joined, joined))
    assert graph.produce_torch_model()(torch.randn(2, 4)).sum(dim=1).tolist() == pytest.approx([1, 1])
    assert len(LAYERS) == 21


def weighted(graph, seed=0):
    """Give a graph random weights, those of its normalisations included."""
    import torch

    torch.manual_seed(seed)
    model = graph.produce_torch_model()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for values in (module.running_mean, module.weight.data, module.bias.data):
                values.normal_()
            module.running_var.uniform_(0.5, 2)
    graph.read_weights(model)
    return graph


def outputs(graph):
    import torch

    x = torch.randn(3, *reversed(graph.input_shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        return graph.produce_torch_model().double().eval()(x).numpy()


def relus(graph):
    return [number for number, layer in enumerate(graph.layer_list) if isinstance(layer, StubReLU)]


def wide_layers(graph):
    return [n for n, one in enumerate(graph.layer_list) if isinstance(one, (StubConv, StubDense))][:-1]


@torch_needed
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("kernel_size", [1, 3, 5])
def test_a_deeper_network_computes_the_same(place, kernel_size):
    graph = weighted(small_graph())
    deeper = graph.copy()
    graph_transformer.deepen(deeper, relus(graph)[place], kernel_size)
    assert deeper.size() > graph.size()
    assert outputs(deeper) == pytest.approx(outputs(graph), abs=1e-6)
    assert deeper.operation_history == [["deepen", relus(graph)[place], kernel_size]]


@torch_needed
@pytest.mark.parametrize("place", range(4))
@pytest.mark.parametrize("n_add", [1, 4, 11])
def test_a_wider_network_computes_the_same(place, n_add):
    graph = weighted(small_graph())
    wider = graph.copy()
    target = wide_layers(graph)[place]
    graph_transformer.widen(wider, target, n_add)
    assert wider.layer_list[target].values[1] == 4 + n_add
    assert outputs(wider) == pytest.approx(outputs(graph), abs=1e-6)


@torch_needed
@pytest.mark.parametrize("skip", ["add_skip", "concat_skip"])
def test_a_network_with_a_skip_connection_computes_the_same_wherever_it_is(skip):
    graph = weighted(small_graph())
    pairs = list(graph_transformer.skip_candidates(graph))
    assert len(pairs) == 6
    for start, end in pairs:
        skipping = graph.copy()
        getattr(graph_transformer, skip)(skipping, start, end)
        skipping.check()
        assert outputs(skipping) == pytest.approx(outputs(graph), abs=1e-6)


@torch_needed
def test_widening_goes_through_what_joins_and_flattens():
    graph = Graph((6, 6, 3))
    first = graph.add_layer(make("StubConv2d", 3, 4, 3), 0)
    second = graph.add_layer(make("StubConv2d", 4, 4, 3), graph.add_layer(make("StubReLU"), first))
    added = graph.add_layer(make("StubAdd"), first, second)
    third = graph.add_layer(make("StubConv2d", 3, 2, 1), 0)
    joined = graph.add_layer(make("StubConcatenate"), third, added)
    flat = graph.add_layer(make("StubFlatten"), graph.add_layer(make("StubPooling2d", 2), joined))
    graph.add_layer(make("StubDense", 54, 3), flat)
    before = outputs(weighted(graph))
    for target in wide_layers(graph):
        wider = graph.copy()
        graph_transformer.widen(wider, target, 3)
        assert outputs(wider) == pytest.approx(before, abs=1e-6)
    both = graph.copy()
    graph_transformer.widen(both, 0, 3)
    assert both.layer_list[2].values[1] == 7  # the other operand of the addition


@torch_needed
def test_many_random_morphisms_compute_the_same():
    kinds: Counter = Counter()
    for seed in range(5):
        graph, rng = weighted(small_graph(), seed), np.random.default_rng(seed)
        before = outputs(graph)
        for _ in range(8):
            graph = graph_transformer.random_morphism(graph, rng, 10**6)
        kinds.update(operation[0] for operation in graph.operation_history)
        assert outputs(graph) == pytest.approx(before, abs=1e-6)
    assert set(kinds) == {"deepen", "widen", "add_skip", "concat_skip"}


@torch_needed
def test_copies_of_a_channel_are_trained_apart():
    import torch

    graph = weighted(small_graph())
    graph_transformer.widen(graph, 1, 4)
    model = graph.produce_torch_model()
    model(torch.randn(8, 3, 8, 8)).pow(2).sum().backward()
    gradient = model.layers[1].weight.grad
    assert (gradient[:4] - gradient[4:]).abs().max() > 1e-4


def test_what_a_graph_cannot_take_is_refused_and_changes_nothing():
    graph = small_graph()
    before = graph_to_json(graph)
    for morphism, arguments, says in [
        ("deepen", (1,), "layer 1 is a StubConv2d, expected a StubReLU"),
        ("widen", (0, 2), "layer 0 is a StubReLU, expected a convolution or dense layer"),
        ("widen", (len(graph.layer_list) - 1, 2), "input and the output of the network keep their widths"),
        ("add_skip", (9, 1), "no way from tensor 9 to tensor 1"),
        ("concat_skip", (1, 14), "no way from tensor 1 to tensor 14"),
    ]:
        with pytest.raises(GraphError, match=says):
            getattr(graph_transformer, morphism)(graph, *arguments)
    assert graph_to_json(graph) == before


def test_no_morphism_exceeds_the_size_that_is_allowed():
    graph, rng = small_graph(), np.random.default_rng(0)
    limit = graph.size() + 200
    for _ in range(20):
        child = graph_transformer.random_morphism(graph, rng, limit)
        assert child is None or child.size() <= limit
    assert graph_transformer.random_morphism(graph, rng, graph.size()) is None


# ---------------------------------------------------------------------------------------- distances


def layered(*widths, skips=()):
    return Descriptor(tuple((width, 3, 1) for width in widths), tuple(skips))


def test_a_descriptor_holds_the_chain_and_what_skips_it():
    graph = small_graph()
    assert describe(graph) == Descriptor(((4, 3, 1), (4, 3, 1), (4, 3, 1), (4, 0, 1), (3, 0, 1)), ())
    start, end = list(graph_transformer.skip_candidates(graph))[1]
    graph_transformer.add_skip(graph, start, end)
    assert describe(graph).skips == ((0, 2, "add"),)
    graph_transformer.concat_skip(graph, start, end)
    assert {skip[2] for skip in describe(graph).skips} == {"add", "concat"}


@pytest.mark.parametrize(
    ("one", "other", "distance"),
    [
        (layered(64, 64), layered(64, 64), 0),
        (layered(64, 64), layered(64, 64, 64), 1),
        (layered(64), layered(48), 0.25),
        (layered(64, 8), layered(8), 1),
        (layered(), layered(1, 2, 3), 3),
        (layered(4, skips=[(1, 3, "add")]), layered(4), 1),
        (layered(4, skips=[(1, 3, "add")]), layered(4, skips=[(1, 3, "concat")]), 1),
        (layered(4, skips=[(1, 3, "add")]), layered(4, skips=[(2, 3, "add")]), (1 + 1) / (2 + 2)),
        (layered(4, skips=[(1, 3, "add"), (0, 2, "add")]), layered(4, skips=[(0, 2, "add")]), 1),
    ],
)
def test_distances_are_those_of_the_paper(one, other, distance):
    assert distances(one, [other, one]) == pytest.approx([distance, 0])
    assert distances(other, [one]) == pytest.approx([distance])


def random_descriptors(n, seed=0):
    graphs, rng = [small_graph()], np.random.default_rng(seed)
    while len(graphs) < n:
        parent = graphs[int(rng.integers(len(graphs)))]
        child = graph_transformer.random_morphism(parent, rng, 10**6)
        if describe(child) not in map(describe, graphs):
            graphs.append(child)
    return [describe(graph) for graph in graphs]


def test_the_edit_distance_is_that_of_the_recursion():
    def recursion(a, b):
        if not a or not b:
            return len(a) + len(b)
        similar = math.prod(1.0 if x == y else min(x, y) / max(x, y) for x, y in zip(a[-1], b[-1], strict=True))
        return min(recursion(a[:-1], b) + 1, recursion(a, b[:-1]) + 1, recursion(a[:-1], b[:-1]) + 1 - similar)

    one, *others = [Descriptor(descriptor.layers[:5], ()) for descriptor in random_descriptors(8)]
    assert distances(one, others) == pytest.approx([recursion(one.layers, other.layers) for other in others])


def test_the_embedding_makes_a_kernel_that_is_positive_definite():
    found = random_descriptors(24)
    known = np.stack([distances(one, found) for one in found])
    points = BourgainEmbedding(len(found)).coordinates(known)
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    assert np.linalg.eigvalsh(np.exp(-squared)).min() > -1e-10
    off = ~np.eye(len(found), dtype=bool)
    assert (np.sqrt(squared) <= known + 1e-9).all()  # coordinates are distances: they cannot be further apart
    assert np.corrcoef(np.sqrt(squared)[off], known[off])[0, 1] > 0.5
    assert squared[off].min() > 0


def test_the_process_goes_through_what_it_knows_and_doubts_what_is_far_away():
    found = random_descriptors(20)
    y = np.array([float(len(descriptor.layers)) for descriptor in found])
    process = GaussianProcess(found[:12], y[:12])
    for descriptor, value in zip(found[:12], y[:12], strict=True):
        mean, std = process.predict(descriptor)
        assert mean == pytest.approx(value, abs=0.6)
        assert std < 0.5 * y.std()
    assert process.predict(layered(*[512] * 12))[1] > 3 * process.predict(found[0])[1]
    errors = [abs(process.predict(one)[0] - value) for one, value in zip(found[12:], y[12:], strict=True)]
    assert np.mean(errors) < np.mean(np.abs(y[12:] - y[:12].mean()))
