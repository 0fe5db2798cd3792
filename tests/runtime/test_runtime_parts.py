"""The parts of the message loops that need no process: histories, replay, ids, faults in parameters."""

import json
import threading
from queue import SimpleQueue

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nni.assessor import Assessor
from nni.common.errors import NniError
from nni.runtime import GONE
from nni.runtime._assessor_dispatcher import TrialHistory
from nni.runtime._failure import AlgorithmError, call, one_line
from nni.runtime._parameter_sets import ParameterIds, find_fault, find_renamed_key
from nni.runtime._replay import History, import_samples
from nni.runtime._resumed_ids import ResumedIds
from nni.runtime.msg_dispatcher import MsgDispatcher
from nni.runtime.msg_dispatcher_base import MsgDispatcherBase
from nni.runtime.protocol import CommandType, MetricType, connect
from nni.tuner import Tuner


class TestTrialHistory:
    @given(st.lists(st.tuples(st.integers(0, 20), st.integers())))
    def test_every_history_shown_is_in_order_and_longer_than_the_last(self, reports):
        history, newest, shown = TrialHistory(), {}, []
        for sequence, value in reports:
            history.add(sequence, value)
            newest[sequence] = value
            values = history.grown()
            if values is not None:
                shown.append(len(values))
                assert values == [newest[key] for key in sorted(newest)]
        assert shown == list(range(1, len(newest) + 1))

    def test_history_shown_is_a_copy(self):
        history = TrialHistory()
        history.add(0, "a")
        history.grown().clear()
        history.add(1, "b")
        assert history.grown() == ["a", "b"]

    def test_nothing_is_shown_before_a_report(self):
        assert TrialHistory().grown() is None


class TestParameterIds:
    def test_ids_are_unique_and_ascending(self):
        ids = ParameterIds()
        assert ids.take(2) + ids.take(0) + ids.take(3) == [0, 1, 2, 3, 4]

    def test_start_never_goes_back(self):
        ids = ParameterIds()
        ids.start_at(7)
        ids.start_at(3)
        assert ids.take(1) == [7]


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=10,
)


class TestFaults:
    @given(json_like)
    def test_what_json_carries_has_no_fault(self, value):
        json.dumps(value)
        assert find_fault(value) is None
        assert find_renamed_key(value) is None

    @given(json_like, json_like)
    def test_fault_is_found_wherever_it_is(self, before, after):
        assert find_fault([before, {"x": [object()]}, after]).startswith("parameters[1].x[0] is a builtins.object")

    def test_key_that_becomes_text_is_found_wherever_it_is(self):
        assert find_renamed_key({"a": 1, "b": [1, ({2: 3},)]}) == "parameters.b[1][0][2]"


def event(kind, trial, parameter_id, **more):
    return {"kind": kind, "trial_job_id": trial, "parameter_id": parameter_id, **more}


def test_samples_of_a_history_are_its_finished_results_without_those_of_the_user():
    events = [
        event("parameters", "A", 0, parameters={"x": 0}),
        event("parameters", "B", -1, parameters={"x": 1}, parameter_source="customized"),
        event("parameters", "C", 1, parameters={"x": 2}),
        event("result", "B", -1, value=1),
        event("result", "A", 0, value=0),
        {"kind": "import", "data": [{"parameter": {"x": 9}, "value": 9}]},
    ]
    assert import_samples(events) == [{"parameter": {"x": 0}, "value": 0}, {"parameter": {"x": 9}, "value": 9}]


def test_history_keeps_what_is_still_running():
    events = [
        event("parameters", "A", 0, parameters={"x": 0}),
        event("parameters", "B", 1, parameters={"x": 1}),
        event("intermediate", "B", 1, sequence=0, value={"default": 1}),
        event("result", "B", 1, value=5),
        event("end", "A", 0, event="FAILED"),
    ]
    history = History(events)
    assert history.running == {1: {"x": 1}}
    assert history.with_result == {1}
    assert history.last_intermediate == {"B": '{"default": 1}'}
    assert [one["kind"] for one in history.events] == ["parameters", "parameters", "result", "end"]
    assert History([*events, event("end", "B", 1, event="SUCCEEDED")]).with_result == set()


def final(parameter_id, value="1"):
    data = {"parameter_id": parameter_id, "trial_job_id": "T", "sequence": 0, "value": value}
    return {**data, "type": MetricType.FINAL}


@pytest.fixture
def ids_from_0():
    yield
    connect(None)


@pytest.mark.usefixtures("ids_from_0")
def test_after_a_resume_an_advisor_gets_each_older_result_once_and_its_own_ids_shifted_back():
    history = [
        event("parameters", "A", 0, parameters={"x": 0}),
        event("parameters", "B", 1, parameters={"x": 1}),
        event("result", "A", 0, value=5),
    ]
    ids, imported = ResumedIds({"next_parameter_id": 2, "events": history}), []

    def heard(data):
        return ids.translate(CommandType.ReportMetricData, data, imported.extend)

    assert heard(final(0)) is heard(final(1, "7")) is heard(final(1, "8")) is None  # only B had no result yet
    assert imported == [{"parameter": {"x": 1}, "value": 7}]
    assert heard(final(2)) == final(0)


def test_an_intermediate_result_that_came_during_a_replay_is_newer_than_those_of_the_history():
    tuner = Learner()
    dispatcher = MsgDispatcher(tuner, Assessor(), include_intermediate_results=True)
    report = {"parameter_id": 0, "trial_job_id": "A", "type": MetricType.PERIODICAL, "sequence": 1, "value": "2"}
    dispatcher.enqueue_command(CommandType.ReportMetricData, report)
    events = [
        event("parameters", "A", 0, parameters={"x": 0}),
        event("intermediate", "A", 0, sequence=0, value=1),
    ]
    dispatcher.handle_replay_history({"next_parameter_id": 1, "events": events})
    end = {"trial_job_id": "A", "event": "EARLY_STOPPED", "hyper_params": '{"parameter_id": 0}'}
    dispatcher.handle_trial_end(end)
    assert tuner.results == [2]


class Threads(MsgDispatcherBase):
    """Notes in which thread each handler runs."""

    def __init__(self):
        super().__init__()
        self.multi_thread = True
        self.seen = SimpleQueue()

    def handle_initialize(self, data):
        self.seen.put(("initialize", threading.current_thread()))

    def handle_update_search_space(self, data):
        self.seen.put(("space", threading.current_thread()))

    def handle_import_data(self, data):
        self.seen.put(("import", threading.current_thread()))


def test_with_multi_thread_spaces_are_taken_in_order_and_the_rest_at_the_same_time():
    advisor = Threads()
    for command in (CommandType.Initialize, CommandType.ImportData, CommandType.UpdateSearchSpace):
        advisor.enqueue_command(command, [])
    advisor.enqueue_command(CommandType.Terminate, None)
    advisor.run()
    where = dict(advisor.seen.get(timeout=60) for _ in range(3))
    assert where["initialize"] is where["space"] is threading.current_thread()
    assert where["import"] is not threading.current_thread()


def test_once_the_manager_is_gone_what_is_queued_is_in_vain():
    advisor = Threads()
    advisor.enqueue_command(CommandType.ImportData, [])
    advisor.enqueue_command(CommandType.Terminate, GONE)
    advisor.run()
    assert advisor.seen.empty()


class Learner(Tuner):
    def __init__(self):
        self.results = []

    def receive_trial_result(self, parameter_id, parameters, value, **kwargs):
        self.results.append(value)


class Silent(Tuner):
    def update_search_space(self, search_space):
        raise NniError("a mistake\nof the user")

    def import_data(self, data):
        raise KeyError("x")


def test_failure_names_the_method_and_keeps_its_cause():
    with pytest.raises(AlgorithmError, match=r"^Silent.import_data failed: KeyError: 'x'$") as caught:
        call(Silent().import_data, [])
    assert isinstance(caught.value.__cause__, KeyError)


def test_mistake_of_the_user_is_told_without_its_type():
    with pytest.raises(AlgorithmError, match=r"^Silent.update_search_space failed: a mistake of the user$"):
        call(Silent().update_search_space, {})


def test_error_without_text_is_told_by_its_type():
    assert one_line(ZeroDivisionError()) == "ZeroDivisionError"


def test_dispatcher_refuses_metrics_of_unknown_type():
    data = {"parameter_id": 0, "trial_job_id": "A", "type": "STRANGE", "sequence": 0, "value": "1"}
    with pytest.raises(ValueError, match="Data type not supported: STRANGE"):
        MsgDispatcher(Silent()).handle_report_metric_data(data)


def test_intermediate_result_without_an_assessor_is_nobodys():
    data = {"parameter_id": 0, "trial_job_id": "A", "type": MetricType.PERIODICAL, "sequence": 0, "value": "1"}
    MsgDispatcher(Silent()).handle_report_metric_data(data)
