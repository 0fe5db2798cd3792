"""The pure state machine, driven through random orders of events beside a model of what must hold."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, precondition, rule

from nni.manager import events as ev
from nni.manager.events import Moment
from nni.manager.state import ExperimentState
from nni.runtime.protocol import CommandType
from nni.store import ExperimentStatus, Profile, TrialStatus

ENDS = [TrialStatus.SUCCEEDED, TrialStatus.FAILED]


def config(**changes: Any) -> dict[str, Any]:
    base = {
        "trialConcurrency": 2,
        "maxTrialNumber": 8,
        "searchSpace": {},
        "assessor": {"name": "Medianstop"},
        "trainingService": {"platform": "local"},
    }
    return {**base, **changes}


class Life(RuleBasedStateMachine):
    """Plays training service, dispatcher and user; the store is whatever was saved last."""

    live = Bundle("live")

    def __init__(self) -> None:
        super().__init__()
        self.state = ExperimentState(Profile("ABCDEFGH", config()))
        self.time = 0.0
        self.asked = 0
        self.next_parameter = 0
        self.submitted: list[str] = []
        self.running: set[str] = set()
        self.ended: Counter[str] = Counter()
        self.told_results: Counter[str] = Counter()
        self.told_ends: Counter[str] = Counter()
        self.stored_metrics: Counter[tuple[int, int]] = Counter()
        self.written: dict[str, int] = {}
        self.dispatcher_up = False
        self.finished = False
        self.do(ev.Started())

    def do(self, event: ev.Event) -> list[str]:
        """Handle an event and act on what comes out; returns the ids of trials submitted by it."""
        new = []
        self.time += 0.1
        for instruction in self.state.handle(event, Moment(int(self.time * 1000), self.time)):
            if isinstance(instruction, ev.Submit):
                new.append(instruction.trial.id)
                assert instruction.trial.id not in self.submitted, "no trial is submitted twice"
                self.submitted.append(instruction.trial.id)
                self.running.add(instruction.trial.id)
            elif isinstance(instruction, ev.SaveMetrics):
                self.stored_metrics.update((metric.trial, metric.position) for metric in instruction.metrics)
            elif isinstance(instruction, ev.Send):
                self.hear(instruction)
            elif isinstance(instruction, ev.StartDispatcher):
                self.dispatcher_up = False
            elif isinstance(instruction, ev.Finish):
                self.finished = True
            elif isinstance(instruction, ev.Cancel):
                assert instruction.trial_id in self.running
        return new

    def hear(self, instruction: ev.Send) -> None:
        assert self.dispatcher_up, "nothing is sent to a dispatcher that is down"
        if instruction.command is CommandType.RequestTrialJobs:
            self.asked += instruction.data
        elif instruction.command is CommandType.TrialEnd:
            self.told_ends[instruction.data["trial_job_id"]] += 1
        elif instruction.command is CommandType.ReportMetricData and instruction.data["type"] == "FINAL":
            self.told_results[instruction.data["trial_job_id"]] += 1

    @precondition(lambda self: not self.dispatcher_up and not self.finished)
    @rule()
    def dispatcher_starts(self) -> None:
        self.dispatcher_up = True
        self.asked = 0
        self.do(ev.DispatcherStarted())
        self.do(ev.DispatcherReady())

    @precondition(lambda self: self.dispatcher_up and self.asked > 0)
    @rule(target=live)
    def tuner_suggests(self) -> Any:
        self.asked -= 1
        self.next_parameter += 1
        return multiple(*self.do(ev.ParametersGenerated(self.next_parameter - 1, '{"x": 1}')))

    @precondition(lambda self: self.dispatcher_up and self.asked > 0)
    @rule(target=live)
    def tuner_has_no_more(self) -> Any:
        self.asked = 0
        return multiple(*self.do(ev.NoMoreParameters()))

    @rule(target=live)
    def somebody_adds_a_trial(self) -> Any:
        if self.state.trials_left() == 0 or self.state.stopping:
            return multiple()
        return multiple(*self.do(ev.CustomTrialRequested('{"x": 2}')))

    @rule(trial=live)
    def trial_runs(self, trial: str) -> None:
        if trial in self.running:
            self.do(ev.TrialChanged(trial, TrialStatus.RUNNING, start_time=int(self.time * 1000)))

    @rule(trial=live, number=st.integers(1, 3), again=st.booleans(), final=st.booleans())
    def trial_reports(self, trial: str, number: int, again: bool, final: bool) -> None:
        if trial not in self.running:
            return
        known = self.state.active[trial]
        place = 0 if again else self.written.get(trial, 0)  # a re-read starts from an earlier place
        lines = []
        for index in range(number):
            kind = "FINAL" if final and index == number - 1 else "PERIODICAL"
            record = {"parameter_id": 0, "type": kind, "sequence": place, "timestamp": 1, "value": 0.5}
            lines.append((place, json.dumps(record).encode()))
            place += 1
        self.written[trial] = max(place, self.written.get(trial, 0))
        self.do(ev.MetricsRead(trial, lines, place))
        assert known.offset == self.written[trial]

    @rule(target=live, trial=consumes(live), status=st.sampled_from(ENDS))
    def trial_ends(self, trial: str, status: TrialStatus) -> Any:
        if trial not in self.running:
            return multiple()
        self.running.discard(trial)
        self.ended[trial] += 1
        return multiple(*self.do(ev.TrialChanged(trial, status, 0, int(self.time * 1000), exit_code=0)))

    @rule(target=live, trial=live, retry=st.booleans())
    def trial_cannot_be_started(self, trial: str, retry: bool) -> Any:
        if trial not in self.running or self.state.active[trial].status is not TrialStatus.WAITING:
            return multiple()
        if self.state.active[trial].stopping:
            return multiple()
        self.running.discard(trial)
        if retry:
            self.submitted.remove(trial)
        return multiple(*self.do(ev.SubmitFailed(trial, "no space left", retry=retry)), *([trial] if retry else []))

    @rule(target=live)
    def time_passes(self) -> Any:
        return multiple(*self.do(ev.Tick()))

    @rule(trial=live)
    def somebody_kills(self, trial: str) -> None:
        self.do(ev.KillRequested(trial, TrialStatus.USER_CANCELED))

    @precondition(lambda self: self.dispatcher_up)
    @rule()
    def dispatcher_dies(self) -> None:
        self.dispatcher_up = False
        self.do(ev.DispatcherLost("killed"))

    @rule(target=live, concurrency=st.integers(1, 4), trials=st.integers(1, 12))
    def limits_change(self, concurrency: int, trials: int) -> Any:
        changed = config(trialConcurrency=concurrency, maxTrialNumber=trials)
        return multiple(*self.do(ev.ConfigChanged(changed, "trialConcurrency")))

    @rule()
    def somebody_stops(self) -> None:
        if self.state.profile.next_sequence > 3:
            self.do(ev.StopRequested())

    @invariant()
    def slots_are_respected(self) -> None:
        waiting_to_run = [trial for trial in self.running if trial in self.state.active]
        started = [t for t in waiting_to_run if self.state.active[t].status is TrialStatus.WAITING]
        # Lowering the concurrency lets the surplus finish, so only new starts are bounded.
        assert len(started) <= 4

    @invariant()
    def budget_is_respected(self) -> None:
        left = self.state.trials_left()
        assert left is None or left >= 0
        assert self.asked <= max(12, self.state.limits.concurrency * 2)

    @invariant()
    def every_metric_is_stored_once(self) -> None:
        assert all(number == 1 for number in self.stored_metrics.values())

    @invariant()
    def tuner_hears_of_each_end_once(self) -> None:
        assert all(number == 1 for number in self.told_ends.values())
        assert all(number == 1 for number in self.told_results.values())
        assert set(self.told_results) <= set(self.told_ends)

    @invariant()
    def counts_add_up(self) -> None:
        assert sum(self.state.counts.values()) == self.state.profile.next_sequence
        assert all(number >= 0 for number in self.state.counts.values())
        unfinished = self.state.counts[TrialStatus.WAITING] + self.state.counts[TrialStatus.RUNNING]
        assert unfinished == len(self.state.active)

    @invariant()
    def a_dead_tuner_leaves_no_running_experiment(self) -> None:
        if self.state.status is ExperimentStatus.ERROR:
            assert self.state.profile.errors
            assert self.state.waiting()

    @invariant()
    def stopped_means_nothing_is_left(self) -> None:
        if self.state.status is ExperimentStatus.STOPPED:
            assert self.finished
            assert not self.state.active


Life.TestCase.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
TestLife = Life.TestCase
