"""The tuner that designs networks by morphing those that have done well (HPO-300 … HPO-311)."""

from __future__ import annotations

import json
import logging
import math
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from nni.algorithms._validators.networkmorphism import NetworkMorphismValidator
from nni.algorithms.hpo._metric import MetricError, scalar, sign
from nni.algorithms.hpo._replay import ReplayingTuner
from nni.algorithms.hpo._samples import samples
from nni.algorithms.hpo.networkmorphism_tuner.bayesian import BayesianOptimizer, GaussianProcess, Parent
from nni.algorithms.hpo.networkmorphism_tuner.descriptor import Descriptor, DistanceTable, describe
from nni.algorithms.hpo.networkmorphism_tuner.graph import Graph, GraphError, graph_to_json, json_to_graph
from nni.algorithms.hpo.networkmorphism_tuner.nn import CnnGenerator
from nni.common.errors import NniError, NoMoreTrialError
from nni.search_space import parse

_logger = logging.getLogger(__name__)

_INITIAL = 4  # architectures that are tried before the first model: the default one, and morphisms of it


class NetworkMorphismTuner(ReplayingTuner):
    """Designs networks for images.

    The first network is a plain one. Every further one is a morphism of one that has a result: deeper, wider, or with
    another skip connection. Which one, says Bayesian optimisation over a distance of architectures. A trial gets the
    network as a dict, makes a model of it with :func:`~nni.networkmorphism_tuner.graph.json_to_graph`, trains it and
    reports how good it is.

    No architecture is suggested twice. A trial that fails, or whose result is NaN, counts as the worst one so far;
    running trials count with what is expected of them. In the directory `path`, below the experiment's ``log``, lie
    the architectures (``<model id>.json``) and the id of the best one (``best_model.txt``).

    Parameters
    ----------
    task : {"cv"}, default "cv"
        The domain: images.
    input_width, input_channel : int, default 32 and 3
        Width (and height) of an image, and its channels.
    n_output_node : int, default 10
        Number of classes.
    algorithm_name : {"Bayesian"}, default "Bayesian"
        The only one.
    optimize_mode : {"maximize", "minimize"}, default "maximize"
        Which end of the metric is the better one.
    path : str, default "model_path"
        Directory of the architectures; relative to ``NNI_LOG_DIRECTORY`` where that is set.
    verbose : bool, default True
        Whether to log what is generated and learnt.
    beta : float, default 2.576
        Weight of the uncertainty when the next network is chosen; larger explores more.
    t_min : float, default 0.0001
        Temperature at which a search ends; it starts at 1. Smaller searches longer.
    max_model_size : int, default 16777216
        Most weights of a network.
    default_model_len, default_model_width : int, default 3 and 64
        Convolutions of the first network, and their channels.
    seed : int, optional
        Of the random numbers; by default a different one each time.

    Attributes
    ----------
    input_shape : tuple
        ``(input_width, input_width, input_channel)``.
    n_classes : int
        `n_output_node`.
    bo : BayesianOptimizer
        The search.
    search_space : dict
        As given; it has no variables (HPO-083).
    history : list of dict
        ``model_id`` and ``metric_value`` of every result.

    References
    ----------
    H. Jin, Q. Song and X. Hu, "Auto-Keras: An Efficient Neural Architecture Search System", KDD 2019.
    """

    def __init__(
        self,
        task: str = "cv",
        input_width: int = 32,
        input_channel: int = 3,
        n_output_node: int = 10,
        algorithm_name: str = "Bayesian",
        optimize_mode: str = "maximize",
        path: str = "model_path",
        verbose: bool = True,
        beta: float = 2.576,
        t_min: float = 0.0001,
        max_model_size: int = 16777216,
        default_model_len: int = 3,
        default_model_width: int = 64,
        seed: int | None = None,
    ) -> None:
        NetworkMorphismValidator().validate_class_args(
            **{name: value for name, value in locals().items() if name not in ("self", "seed", "__class__")}
            | ({} if seed is None else {"seed": seed})
        )
        self.task = task
        self.input_shape = (int(input_width), int(input_width), int(input_channel))
        self.n_classes = int(n_output_node)
        self.algorithm_name = algorithm_name
        self.optimize_mode = optimize_mode
        self.path = Path(os.environ.get("NNI_LOG_DIRECTORY", "")) / path
        self.verbose = verbose
        self.beta = beta
        self.t_min = t_min
        self.max_model_size = int(max_model_size)
        self.default_model_len = int(default_model_len)
        self.default_model_width = int(default_model_width)
        self.bo = BayesianOptimizer(t_min, beta, self.max_model_size)
        self.search_space: dict[str, Any] = {}
        self.history: list[dict[str, Any]] = []
        self._sign = -sign(optimize_mode)  # larger is better in here
        self._seed = secrets.randbits(64) if seed is None else int(seed)
        self._graphs: dict[int, Graph] = {}  # by model id
        self._descriptors: dict[int, Descriptor] = {}
        self._results: dict[int, float] = {}  # larger is better; -inf of a failure
        self._model_of: dict[int, int] = {}  # by parameter id
        self._fathers: dict[int, int] = {}
        self._initial: list[Graph] = []
        self._distances = DistanceTable()
        self._default = self._default_graph()

    # ------------------------------------------------------------------------------------ as any tuner

    def update_search_space(self, search_space: dict[str, Any]) -> None:
        """Take an empty search space.

        Raises
        ------
        SearchSpaceError
            If it has a variable, for the tuner would have to ignore it.
        """
        NetworkMorphismValidator().validate_search_space(parse(search_space))
        self.search_space = search_space
        if not self._initial and not self._graphs:
            self.init_search()

    def generate_parameters(self, parameter_id: int, **kwargs: Any) -> dict[str, Any]:  # noqa: ARG002  (HPO-111)
        """Return an architecture that was not suggested yet, in the documented JSON form.

        Raises
        ------
        NoMoreTrialError
            If every morphism of every network is known or larger than `max_model_size`.
        """
        father_id, graph = self.generate()
        model_id = self._add_graph(graph, father_id)
        self._model_of[parameter_id] = model_id
        self._log("model %d: %d weights, from model %d by %s", model_id, graph.size(), father_id, _last(graph))
        return graph_to_json(graph)

    def receive_trial_result(self, parameter_id: int, parameters: Any, value: Any, **kwargs: Any) -> None:  # noqa: ARG002
        """Record an observation of the objective function.

        Raises
        ------
        MetricError
            If the value is neither a number nor a dict with ``default``.
        """
        metric = scalar(value, f"parameter {parameter_id}")
        model_id = self._model_of.get(parameter_id)
        if model_id is not None:
            self.update(self._fathers[model_id], self._graphs[model_id], metric, model_id)

    def trial_end(self, parameter_id: int, success: bool, **kwargs: Any) -> None:  # noqa: ARG002  (HPO-114)
        """Learn of a failed trial that its architecture is no good."""
        model_id = self._model_of.pop(parameter_id, None)
        if model_id is not None and not success:
            self._results.setdefault(model_id, -math.inf)

    def import_data(self, data: list[dict[str, Any]]) -> None:
        """Learn from ``{"parameter": architecture, "value": metric}`` pairs; what is no architecture is skipped."""
        for where, parameter, value in samples(data):
            try:
                graph = json_to_graph(parameter)
                self._check_ends(graph)
                metric = scalar(value, where)
            except (GraphError, MetricError) as error:
                _logger.warning("import: skipped: %s", error)
            else:
                self._take_initial(describe(graph))
                self.add_model(metric, self._add_graph(graph, self._father_of(graph)))

    def remember(self, parameter_id: int, parameters: Any) -> None:
        """Note an architecture that was suggested before a restart; its father follows from its history."""
        graph = json_to_graph(parameters)
        self._take_initial(describe(graph))
        self._model_of[parameter_id] = self._add_graph(graph, self._father_of(graph))

    # ------------------------------------------------------------------------------------ the documented interface

    def init_search(self) -> None:
        """Make the architectures that are tried first: the default one, and morphisms of it."""
        rng = np.random.default_rng([self._seed, 0])
        known = {describe(self._default)}
        self._initial = [self._default]
        for graph in self.bo.children(self._default, rng, 4 * _INITIAL):
            if len(self._initial) < _INITIAL and describe(graph) not in known:
                known.add(describe(graph))
                self._initial.append(graph)

    def generate(self) -> tuple[int, Graph]:
        """Return the id of a father, and the next architecture, a morphism of it. The first ones have the father -1."""
        if self._initial:
            return (-1 if not self._graphs else 0), self._initial.pop(0)
        rng = np.random.default_rng([self._seed, 1, len(self._graphs)])
        process, unit = self._process()
        parents = [Parent(number, self._graphs[number]) for number in self._results or self._graphs]
        found = self.bo.search(process, parents, set(self._descriptors.values()), rng, unit)
        if found is None:
            raise NoMoreTrialError(f"no morphism leads to a new network of at most {self.max_model_size} weights")
        return found.father_id, found.graph

    def update(self, other_info: int, graph: Graph, metric_value: float, model_id: int) -> None:
        """Learn the metric of an architecture.

        Parameters
        ----------
        other_info
            The id of its father, -1 if it has none.
        graph
            The architecture.
        metric_value
            What its trial reported.
        model_id
            Its id.
        """
        if model_id not in self._graphs:
            self._graphs[model_id], self._descriptors[model_id] = graph, describe(graph)
        self._fathers[model_id] = other_info
        self.add_model(metric_value, model_id)

    def add_model(self, metric_value: float, model_id: int) -> dict[str, Any]:
        """Add the metric of an architecture to the history, and return that entry of it."""
        self._results[model_id] = -math.inf if math.isnan(metric_value) else self._sign * metric_value
        entry = {"model_id": model_id, "metric_value": metric_value}
        self.history.append(entry)
        self._log("model %d: metric %s", model_id, metric_value)
        self._write("best_model.txt", f"best model: {self.get_best_model_id()}\n")
        return entry

    def get_best_model_id(self) -> int:
        """Return the id of the architecture with the best metric; of equal ones the first."""
        if not self._results:
            raise NniError("no architecture has a result yet")
        return max(self._results, key=lambda number: self._results[number])

    def get_metric_value_by_id(self, model_id: int) -> float:
        """Return the metric of an architecture."""
        for entry in reversed(self.history):
            if entry["model_id"] == model_id:
                return float(entry["metric_value"])
        raise NniError(f"model {model_id} has no result")

    def load_model_by_id(self, model_id: int) -> Graph:
        """Return an architecture, from its file where the tuner does not know it any more."""
        known = self._graphs.get(model_id)
        if known is not None:
            return known.copy()
        try:
            return json_to_graph((self.path / f"{model_id}.json").read_text(encoding="utf-8"))
        except OSError as error:
            raise NniError(f"there is no model {model_id}: {error}") from None

    def load_best_model(self) -> Graph:
        """Return the architecture with the best metric."""
        return self.load_model_by_id(self.get_best_model_id())

    # ------------------------------------------------------------------------------------ inside

    def _default_graph(self) -> Graph:
        graph = CnnGenerator(self.n_classes, self.input_shape).generate(
            self.default_model_len, self.default_model_width
        )
        if graph.size() > self.max_model_size:
            raise NniError(
                f"classArgs.max_model_size: the first network, of default_model_len {self.default_model_len} and "
                f"default_model_width {self.default_model_width}, has {graph.size()} weights, more than "
                f"{self.max_model_size}"
            )
        return graph

    def _process(self) -> tuple[GaussianProcess, float]:
        """Return the model of all results, and the standard deviation of the metric.

        Failures count as the worst result, running trials as what the model says without them, so that the next
        suggestion looks elsewhere.
        """
        finite = [value for value in self._results.values() if math.isfinite(value)]
        worst, best = (min(finite), max(finite)) if finite else (0.0, 0.0)
        y = [min(max(value, worst), best) for value in self._results.values()]
        descriptors = [self._descriptors[number] for number in self._results]
        running = [self._descriptors[number] for number in self._graphs if number not in self._results]
        if not y:
            return GaussianProcess(running, np.zeros(len(running)), self._distances), 1.0
        process = GaussianProcess(descriptors, np.array(y), self._distances)
        if running:
            y += [process.predict(descriptor)[0] for descriptor in running]
            process = GaussianProcess([*descriptors, *running], np.array(y), self._distances)
        return process, float(np.std(y)) or 1.0

    def _add_graph(self, graph: Graph, father_id: int) -> int:
        model_id = len(self._graphs)
        self._graphs[model_id], self._descriptors[model_id] = graph, describe(graph)
        self._fathers[model_id] = father_id
        self._write(f"{model_id}.json", json.dumps(graph_to_json(graph)))
        return model_id

    def _take_initial(self, descriptor: Descriptor) -> None:
        self._initial = [graph for graph in self._initial if describe(graph) != descriptor]

    def _father_of(self, graph: Graph) -> int:
        """Return the known architecture with the longest history that a graph's history begins with; -1 if none."""
        made_by = graph.operation_history
        fathers = [
            (len(known.operation_history), number)
            for number, known in self._graphs.items()
            if len(known.operation_history) < len(made_by)
            and made_by[: len(known.operation_history)] == known.operation_history
        ]
        return max(fathers, default=(0, -1))[1]

    def _check_ends(self, graph: Graph) -> None:
        ends = graph.input_shape, graph.node_list[graph.output]
        if ends != (self.input_shape, (self.n_classes,)):
            raise GraphError(f"a network from {ends[0]} to {ends[1]}, not from {self.input_shape} to {self.n_classes}")

    def _write(self, name: str, text: str) -> None:
        """Write a file for people; the search does not depend on it."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text, encoding="utf-8")
        except OSError as error:
            _logger.warning("cannot write %s: %s", self.path / name, error)

    def _log(self, text: str, *values: object) -> None:
        if self.verbose:
            _logger.info(text, *values)


def _last(graph: Graph) -> str:
    return " ".join(map(str, graph.operation_history[-1])) if graph.operation_history else "nothing"
