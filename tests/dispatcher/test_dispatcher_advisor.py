"""A custom advisor, written as for NNI 2.x, in a real dispatcher process (HPO-140 … HPO-154)."""

import json

import pytest

ADVISOR = """
import json, threading
from nni.runtime.msg_dispatcher_base import MsgDispatcherBase
from nni.runtime.protocol import CommandType, send
from nni.utils import MetricType

class CustomizedAdvisor(MsgDispatcherBase):
    def __init__(self, limit=1, **kwargs):
        INIT
        self.limit, self.next_id, self.heard = limit, 0, []

    def handle_initialize(self, data):
        self.handle_update_search_space(data)
        send(CommandType.Initialized, '')

    def handle_update_search_space(self, data):
        self.space = data

    def handle_request_trial_jobs(self, data):
        for _ in range(data):
            job = {"parameter_id": self.next_id, "parameters": {"heard": self.heard}, "parameter_source": "algorithm"}
            send(CommandType.NewTrialJob, json.dumps(job))
            self.next_id += 1

    def handle_report_metric_data(self, data):
        value = json.loads(data["value"])
        if data["type"] == MetricType.FINAL:
            self.heard.append(["final", data["parameter_id"], data["trial_job_id"], value])
        elif data["type"] == MetricType.PERIODICAL:
            self.heard.append(["periodical", data["parameter_id"], data["sequence"], value])
            if value > self.limit:
                send(CommandType.KillTrialJob, json.dumps(data["trial_job_id"]))
        else:
            raise ValueError("Data type not supported: {}".format(data["type"]))

    def handle_trial_end(self, data):
        self.heard.append(["end", json.loads(data["hyper_params"])["parameter_id"], data["event"]])

    def handle_import_data(self, data):
        self.heard.append(["import", data])

"""


@pytest.fixture(params=["super().__init__()", "pass"], ids=["super", "no-super"])
def advised(request, peer):
    peer.write("my_advisor.py", ADVISOR.replace("INIT", request.param))
    peer.start(advisor=peer.custom("my_advisor.CustomizedAdvisor", limit=1))
    peer.initialize({"x": 1})
    return peer


def heard(peer):
    return json.loads(peer.request()[0])["parameters"]["heard"]


def test_advisor_lives_its_documented_life(advised):
    first, second = advised.request(2)
    assert json.loads(first)["parameter_id"] == 0  # the text that was sent, for hyper_params (HPO-148)
    advised.report("A", 0, 0.5, sequence=0)
    advised.report("A", 0, 2, sequence=1)
    assert advised.expect("KillTrialJob") == "A"
    advised.report("B", 1, 0.75)
    advised.end("A", first, "EARLY_STOPPED")
    advised.end("B", second)
    assert heard(advised) == [
        ["periodical", 0, 0, 0.5],
        ["periodical", 0, 1, 2],
        ["final", 1, "B", 0.75],
        ["end", 0, "EARLY_STOPPED"],
        ["end", 1, "SUCCEEDED"],
    ]
    assert advised.terminate() == 0


def test_failing_handler_is_reported_and_the_experiment_goes_on(advised):
    advised.report("A", 0, "text", sequence=0)
    error = advised.expect("Error")
    assert error["message"].startswith("CustomizedAdvisor.handle_report_metric_data failed: TypeError: ")
    assert error["message"].endswith(" (trial A, parameter 0)")
    assert error["fatal"] is False
    assert heard(advised) == [["periodical", 0, 0, "text"]]


def test_trials_of_the_user_are_none_of_its_business(advised):
    advised.tell("AddCustomizedTrialJob", {"parameter_id": None, "parameters": {}})
    advised.report("A", None, 0.5)
    advised.end("A", {"parameter_id": None, "parameters": {}})
    assert heard(advised) == []


def test_unsupported_metric_type_is_reported(advised):
    data = {"parameter_id": 0, "trial_job_id": "A", "type": "STRANGE", "sequence": 0, "value": "1"}
    advised.tell("ReportMetricData", data)
    error = advised.expect("Error")
    assert error["message"] == (
        "CustomizedAdvisor.handle_report_metric_data failed: ValueError: Data type not supported: STRANGE "
        "(trial A, parameter 0)"
    )


def test_after_a_resume_results_are_imported_and_ids_go_on(advised):
    events = [
        {"kind": "parameters", "trial_job_id": "A", "parameter_id": 0, "parameters": {"x": 0}},
        {"kind": "parameters", "trial_job_id": "B", "parameter_id": 1, "parameters": {"x": 1}},
        {"kind": "parameters", "trial_job_id": "C", "parameter_id": 2, "parameters": {"x": 2}},
        {"kind": "result", "trial_job_id": "A", "parameter_id": 0, "value": 0.5},
        {"kind": "end", "trial_job_id": "A", "parameter_id": 0, "event": "SUCCEEDED"},
    ]
    advised.tell("ReplayHistory", {"next_parameter_id": 3, "events": events})
    (job,) = advised.request()
    assert json.loads(job)["parameter_id"] == 3  # the advisor said 0
    advised.report("D", 3, 0.7)
    advised.end("D", job)
    advised.report("B", 1, 0.6)  # was running meanwhile
    advised.end("B", '{"parameter_id": 1}')
    advised.report("C", 2, 0.1, sequence=0)
    advised.end("C", '{"parameter_id": 2}', "FAILED")
    assert heard(advised) == [
        ["import", [{"parameter": {"x": 0}, "value": 0.5}]],
        ["final", 0, "D", 0.7],
        ["end", 0, "SUCCEEDED"],
        ["import", [{"parameter": {"x": 1}, "value": 0.6}]],
    ]


def test_malformed_trial_job_is_named_where_it_is_sent(peer):
    peer.write("my_advisor.py", ADVISOR.replace("INIT", "pass").replace('"parameter_id": self.next_id, ', ""))
    peer.start(advisor=peer.custom("my_advisor.CustomizedAdvisor"))
    peer.initialize()
    peer.tell("RequestTrialJobs", 1)
    error = peer.expect("Error")
    assert "ValueError: NewTrialJob: missing parameter_id in {'parameters'" in error["message"]
    assert error["fatal"] is True
    assert peer.wait() == 1


def test_handler_that_is_missing_says_which(peer):
    peer.write("bare.py", "from nni.runtime.msg_dispatcher_base import MsgDispatcherBase as M\nclass Bare(M): pass")
    peer.start(advisor=peer.custom("bare.Bare"))
    peer.tell("Initialize", {})
    assert "Bare must override handle_initialize" in peer.expect("Error")["message"]


def test_multi_thread_gives_each_command_a_thread(peer):
    waiting = """
    def handle_report_metric_data(self, data):
        self.event.wait()
        self.heard.append("freed")
        send(CommandType.NoMoreTrialJobs)

    def handle_trial_end(self, data):
        self.event.set()
"""
    source = ADVISOR.replace("INIT", "self.event = threading.Event()") + waiting
    peer.write("my_advisor.py", source)
    peer.start(advisor=peer.custom("my_advisor.CustomizedAdvisor"), multiThread=True)
    peer.initialize()
    peer.report("A", 0, 1)
    peer.end("A", {"parameter_id": 0})
    peer.expect("NoMoreTrialJobs")
    assert heard(peer) == ["freed"]


def test_handlers_of_an_advisor_run_one_at_a_time_in_one_thread(peer):
    checking = """
    def process_command(self, command, data):
        self.inside = getattr(self, "inside", 0) + 1
        import time; time.sleep(0.001)
        self.heard.append([self.inside, threading.current_thread().name])
        super().process_command(command, data)
        self.inside -= 1
"""
    peer.write("my_advisor.py", ADVISOR.replace("INIT", "pass") + checking)
    peer.start(advisor=peer.custom("my_advisor.CustomizedAdvisor", limit=100))
    peer.initialize()
    for number in range(20):
        peer.report("A", 0, 1, number)
        peer.report("B", 1, 1)
    assert {tuple(item) for item in heard(peer) if len(item) == 2} == {(1, "MainThread")}
