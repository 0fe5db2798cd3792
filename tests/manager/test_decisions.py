"""What the manager decides, one behaviour each."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nni.manager import events as ev
from nni.manager.demand import Demand
from nni.manager.events import Moment
from nni.manager.ids import trial_id
from nni.manager.state import ExperimentState
from nni.runtime.protocol import CommandType
from nni.store import ExperimentStatus, Profile, Trial, TrialStatus

BASE: dict[str, Any] = {"trialConcurrency": 2, "searchSpace": {}, "trainingService": {"platform": "local"}}


class Play:
    """A state machine, a clock, and what came out last."""

    def __init__(self, counts: dict[TrialStatus, int] | None = None, **config: Any) -> None:
        self.profile = Profile("ABCDEFGH", {**BASE, **config})
        self.state = ExperimentState(self.profile, counts)
        self.steady = 0.0
        self.wall = 1_700_000_000_000
        self.parameter = 0

    def __call__(self, event: ev.Event, after: float = 0.0) -> list[ev.Instruction]:
        self.steady += after
        self.wall += round(after * 1000)
        return self.state.handle(event, Moment(self.wall, self.steady))

    def begin(self, unfinished: list[Trial] | None = None) -> list[ev.Instruction]:
        first = self(ev.Started(unfinished or []))
        return first + self(ev.DispatcherStarted()) + self(ev.DispatcherReady())

    def suggest(self, after: float = 0.0) -> list[ev.Instruction]:
        self.parameter += 1
        return self(ev.ParametersGenerated(self.parameter - 1, json.dumps({"x": self.parameter})), after)

    def run(self, trial: Trial) -> list[ev.Instruction]:
        return self(ev.TrialChanged(trial.id, TrialStatus.RUNNING, start_time=self.wall))

    def end(self, trial: Trial, code: int = 0, after: float = 0.0) -> list[ev.Instruction]:
        status = TrialStatus.SUCCEEDED if code == 0 else TrialStatus.FAILED
        return self(ev.TrialChanged(trial.id, status, None, self.wall, code), after)


def requests(instructions: list[ev.Instruction]) -> int:
    return sum(i.data for i in sends(instructions, CommandType.RequestTrialJobs))


def sends(instructions: list[ev.Instruction], command: CommandType) -> list[Any]:
    return [i for i in instructions if isinstance(i, ev.Send) and i.command is command]


def submitted(instructions: list[ev.Instruction]) -> list[Trial]:
    return [i.trial for i in instructions if isinstance(i, ev.Submit)]


def line(kind: str, value: Any, place: int = 0) -> tuple[int, bytes]:
    return place, json.dumps({"type": kind, "sequence": 0, "timestamp": 1, "value": value}).encode()


def test_the_tuner_is_asked_for_as_many_as_there_are_free_slots():
    play = Play()
    assert requests(play.begin()) == 2
    assert requests(play.suggest()) == 0


def test_a_trial_is_saved_before_it_is_submitted():
    play = Play()
    play.begin()
    kinds = [type(instruction) for instruction in play.suggest()]
    assert kinds.index(ev.SaveTrial) < kinds.index(ev.Submit)


def test_an_experiment_goes_from_initialized_over_running_and_no_more_trial_to_done():
    play = Play(maxTrialNumber=1)
    play(ev.Started())
    assert play.state.status is ExperimentStatus.INITIALIZED
    assert requests(play(ev.DispatcherStarted())) == 1
    play(ev.DispatcherReady())
    assert play.state.status is ExperimentStatus.RUNNING
    (trial,) = submitted(play.suggest())
    assert play.state.status is ExperimentStatus.NO_MORE_TRIAL
    play.end(trial)
    assert play.state.status is ExperimentStatus.DONE
    assert play.profile.end_time is not None


def test_a_trial_whose_end_was_read_from_another_clock_takes_no_less_than_nothing():
    play = Play()
    play.begin()
    (trial,) = submitted(play.suggest())
    play.run(trial)
    play(ev.TrialChanged(trial.id, TrialStatus.SUCCEEDED, None, play.wall - 7, 0))
    assert trial.end_time == trial.start_time == play.wall


def test_raising_the_trial_number_starts_a_done_experiment_again():
    play = Play(maxTrialNumber=1)
    play.begin()
    play.end(*submitted(play.suggest()))
    asked = play(ev.ConfigChanged({**play.profile.config, "maxTrialNumber": 3}, "maxTrialNumber"))
    assert requests(asked) == 2
    assert play.state.status is ExperimentStatus.RUNNING
    assert play.profile.revision == 2
    assert play.profile.end_time is None


def test_lowering_the_concurrency_lets_the_surplus_finish():
    play = Play(trialConcurrency=2)
    play.begin()
    first, second = submitted(play.suggest()) + submitted(play.suggest())
    lowered = play(ev.ConfigChanged({**play.profile.config, "trialConcurrency": 1}, "trialConcurrency"))
    assert not [i for i in lowered if isinstance(i, ev.Cancel)]
    assert requests(play.end(first)) == 0
    assert requests(play.end(second)) == 1


def test_a_tuner_that_has_no_more_ends_the_experiment_when_its_trials_end():
    play = Play()
    play.begin()
    (trial,) = submitted(play.suggest())
    play(ev.NoMoreParameters())
    assert play.state.status is ExperimentStatus.TUNER_NO_MORE_TRIAL
    play.end(trial)
    assert play.state.status is ExperimentStatus.DONE


def test_a_late_suggestion_reopens_an_experiment_whose_tuner_had_no_more():
    play = Play()
    play.begin()
    play(ev.NoMoreParameters())
    assert submitted(play.suggest())
    assert play.state.status is ExperimentStatus.RUNNING


def test_the_final_result_goes_to_the_tuner_once_at_the_end_of_the_trial_and_the_last_one_counts():
    play = Play()
    play.begin()
    (trial,) = submitted(play.suggest())
    read = play(ev.MetricsRead(trial.id, [line("FINAL", 0.1), line("FINAL", {"default": 0.7}, 50)], 120))
    assert not sends(read, CommandType.ReportMetricData)
    ended = play.end(trial)
    (told,) = sends(ended, CommandType.ReportMetricData)
    assert json.loads(told.data["value"]) == {"default": 0.7}
    assert trial.value == 0.7
    assert ended.index(told) < ended.index(sends(ended, CommandType.TrialEnd)[0])


def test_intermediate_results_are_sent_only_where_somebody_looks_at_them():
    for config, expected in (({}, 0), ({"assessor": {"name": "Medianstop"}}, 1), ({"maxTrialDuration": "1h"}, 1)):
        play = Play(**config)
        play.begin()
        (trial,) = submitted(play.suggest())
        read = play(ev.MetricsRead(trial.id, [line("PERIODICAL", 0.1)], 80))
        assert len(sends(read, CommandType.ReportMetricData)) == expected


@pytest.mark.parametrize("text", [b"{", b"[]", b'{"type": "ODD", "sequence": 0, "timestamp": 0, "value": 1}', b"\xff"])
def test_a_line_that_is_no_metric_is_skipped_with_a_warning(text: bytes):
    play = Play()
    play.begin()
    (trial,) = submitted(play.suggest())
    read = play(ev.MetricsRead(trial.id, [(0, text), line("FINAL", 1, 9)], 99))
    assert len([i for i in read if isinstance(i, ev.Warn)]) == 1
    assert trial.value == 1


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "good", {"loss": 1}, None, True, [1]])
def test_a_result_without_a_finite_number_has_no_rank(value: Any):
    play = Play()
    play.begin()
    (trial,) = submitted(play.suggest())
    play(ev.MetricsRead(trial.id, [line("FINAL", value)], 90))
    assert trial.value is None
    assert trial.final is not None


def test_a_dispatcher_that_dies_is_started_again_and_given_up_at_the_second_death_without_progress():
    play = Play()
    play.begin()
    again = play(ev.DispatcherLost("signal 9"))
    assert any(isinstance(i, ev.StartDispatcher) for i in again)
    play(ev.DispatcherStarted())
    play(ev.DispatcherLost("signal 9: out of memory"))
    assert play.state.status is ExperimentStatus.ERROR
    assert play.profile.errors == ["signal 9: out of memory"]


def test_progress_forgives_a_dead_dispatcher():
    play = Play()
    play.begin()
    for _ in range(5):
        play(ev.DispatcherLost("signal 9"))
        play(ev.DispatcherStarted())
        play.end(*submitted(play.suggest()))
    assert play.state.status is ExperimentStatus.RUNNING


def test_a_constructor_that_fails_ends_in_error_at_once():
    play = Play()
    play(ev.Started())
    play(ev.DispatcherStarted())
    play(ev.AlgorithmFailed("TypeError: missing argument", "Setup", fatal=True))
    assert play.state.status is ExperimentStatus.ERROR
    assert not [i for i in play(ev.DispatcherLost("exit code 1")) if isinstance(i, ev.StartDispatcher)]


def test_a_failure_with_one_result_is_noted_and_the_experiment_goes_on():
    play = Play()
    play.begin()
    play(ev.AlgorithmFailed("trial abc: metric 'x' is no number", "ReportMetricData", fatal=False))
    assert play.state.status is ExperimentStatus.RUNNING
    assert "abc" in play.profile.errors[0]


def test_a_trial_over_its_duration_is_stopped_early_by_the_steady_clock():
    play = Play(maxTrialDuration="3s")
    play.begin()
    (trial,) = submitted(play.suggest())
    play.run(trial)
    assert play.state.next_deadline() == pytest.approx(3.0)
    play.wall += 86_400_000  # somebody sets the clock a day ahead
    assert not [i for i in play(ev.Tick(), 1) if isinstance(i, ev.Cancel)]
    stopped = play(ev.Tick(), 2.5)
    assert [i.early for i in stopped if isinstance(i, ev.Cancel)] == [True]
    play.end(trial, code=143)
    assert trial.status is TrialStatus.EARLY_STOPPED
    assert "maxTrialDuration" in trial.message


def test_the_experiments_duration_stops_new_trials_only_and_does_not_count_what_comes_after():
    play = Play(maxExperimentDuration="5s")
    play.begin()
    (trial,) = submitted(play.suggest())
    assert requests(play(ev.Tick(), 5.1)) == 0
    assert play.state.status is ExperimentStatus.NO_MORE_TRIAL
    play(ev.Tick(), 100)
    assert play.profile.duration_ms < 6000
    play.end(trial)
    assert play.state.status is ExperimentStatus.DONE


def test_a_trial_that_waits_says_why():
    play = Play(maxExperimentDuration="10s")
    play.begin()
    (first,) = submitted(play.suggest())
    assert play.state.why_waiting(first.id) == "it is being started"
    play.run(first)
    assert play.state.why_waiting(first.id) == ""
    (second,) = submitted(play.suggest())
    play(ev.TrialChanged(second.id, TrialStatus.WAITING, message="no free GPU"))
    assert play.state.why_waiting(second.id) == "no free GPU"
    play(ev.CustomTrialRequested("{}"))
    third = next(trial for trial in play.state.active.values() if trial.id not in {first.id, second.id})
    assert play.state.why_waiting(third.id) == "trialConcurrency (2): as many run already"
    play(ev.Tick(), after=11)
    assert play.state.why_waiting(third.id) == "maxExperimentDuration (10s) is over"
    assert play.state.why_waiting("nobody") == ""


def test_a_trial_waits_for_a_disk_or_in_vain_and_says_so():
    play = Play()
    play.begin()
    (first,) = submitted(play.suggest())
    play(ev.SubmitFailed(first.id, "No space left on device", retry=True))
    assert "No space left on device; trying again" in play.state.why_waiting(first.id)
    play(ev.AlgorithmFailed("the tuner broke", CommandType.Setup.value, fatal=True))
    assert play.state.why_waiting(first.id) == "the experiment is in ERROR: the tuner broke"


def test_an_experiment_says_why_no_trial_starts():
    play = Play(maxTrialNumber=1)
    play(ev.Started([]))
    play(ev.DispatcherStarted())
    assert play.state.waiting() == "tuner and assessor are starting"
    play(ev.DispatcherReady())
    assert play.state.waiting() == "the tuner is computing"
    (only,) = submitted(play.suggest())
    play.run(only)
    assert play.state.waiting() == "maxTrialNumber (1) is reached"


def test_killing_a_running_trial_waits_for_its_processes_and_a_waiting_one_ends_at_once():
    play = Play(trialConcurrency=1)
    play.begin()
    (running,) = submitted(play.suggest())
    play(ev.CustomTrialRequested('{"x": 9}'))
    (waiting,) = [trial for trial in play.state.active.values() if trial.id != running.id]
    killed = play(ev.KillRequested(running.id, TrialStatus.USER_CANCELED))
    assert [i.trial_id for i in killed if isinstance(i, ev.Cancel)] == [running.id]
    assert running.status is not TrialStatus.USER_CANCELED
    play(ev.KillRequested(waiting.id, TrialStatus.USER_CANCELED))
    assert waiting.status is TrialStatus.USER_CANCELED
    play.end(running, code=143)
    assert running.status is TrialStatus.USER_CANCELED


def test_stopping_cancels_everything_and_finishes_when_nothing_is_left():
    play = Play()
    play.begin()
    (trial,) = submitted(play.suggest())
    stopped = play(ev.StopRequested())
    assert play.state.status is ExperimentStatus.STOPPING
    assert sends(stopped, CommandType.Terminate)
    ended = play.end(trial, code=143)
    assert trial.status is TrialStatus.SYS_CANCELED
    assert any(isinstance(i, ev.Finish) for i in ended)


def test_trials_that_a_stop_took_away_do_not_use_up_the_budget():
    play = Play(counts={TrialStatus.SYS_CANCELED: 2, TrialStatus.SUCCEEDED: 3}, maxTrialNumber=5)
    play.profile.next_sequence = 5
    assert requests(play.begin()) == 2


def test_a_resumed_manager_adopts_running_trials_and_submits_waiting_ones_again():
    running = Trial("run01", 0, 0, "algorithm", "{}", TrialStatus.RUNNING, start_time=1)
    waiting = Trial("wait1", 1, 1, "algorithm", "{}")
    play = Play(counts={TrialStatus.RUNNING: 1, TrialStatus.WAITING: 1})
    play.profile.next_sequence = 2
    begun = play.begin([running, waiting])
    assert [i.trials for i in begun if isinstance(i, ev.Adopt)] == [[running]]
    assert submitted(begun) == [waiting]


def test_a_decision_to_stop_a_trial_survives_the_manager():
    trial = Trial("run01", 0, 0, "algorithm", "{}", TrialStatus.RUNNING, stopping=TrialStatus.EARLY_STOPPED)
    play = Play(counts={TrialStatus.RUNNING: 1})
    begun = play.begin([trial])
    assert [(i.trial_id, i.early) for i in begun if isinstance(i, ev.Cancel)] == [("run01", True)]


def test_a_trial_that_cannot_be_started_for_want_of_space_waits_and_says_why():
    play = Play()
    play.begin()
    (trial,) = submitted(play.suggest())
    play(ev.SubmitFailed(trial.id, "No space left on device", retry=True))
    assert trial.status is TrialStatus.WAITING
    assert "No space left" in (play.state.waiting() or "")
    assert submitted(play(ev.Tick(), 5)) == [trial]


def test_a_trial_that_can_never_be_started_fails_and_the_experiment_goes_on():
    play = Play()
    play.begin()
    (trial,) = submitted(play.suggest())
    play(ev.SubmitFailed(trial.id, "Permission denied", retry=False))
    assert trial.status is TrialStatus.FAILED
    assert trial.message == "Permission denied"
    assert play.state.status is ExperimentStatus.RUNNING


def test_a_fast_tuner_is_not_asked_ahead_and_a_slow_one_is():
    fast, slow = Demand(), Demand()
    for _ in range(10):
        fast.tuner_took(0.01)
        fast.trial_took(10)
        slow.tuner_took(8)
        slow.trial_took(10)
    assert fast.ahead(4) == 0
    assert slow.ahead(4) == 4


def test_trial_ids_have_five_characters_and_never_meet_even_where_case_is_ignored():
    ids = [trial_id("aB3dE5gH", number) for number in range(200_000)]
    assert all(len(identifier) == 5 and identifier.isalnum() for identifier in ids)
    assert len({identifier.lower() for identifier in ids}) == len(ids)


def test_a_new_search_space_reaches_the_tuner():
    play = Play()
    play.begin()
    space = {"y": {"_type": "uniform", "_value": [0, 1]}}
    changed = play(ev.ConfigChanged({**play.profile.config, "searchSpace": space}, "searchSpace"))
    assert [i.data for i in sends(changed, CommandType.UpdateSearchSpace)] == [space]


def test_a_trial_of_the_user_that_takes_the_last_place_leaves_the_suggestion_on_the_way_for_a_larger_budget():
    play = Play(maxTrialNumber=1)
    play.begin()
    (custom,) = submitted(play(ev.CustomTrialRequested('{"x": 0}')))
    assert not submitted(play.suggest())
    play.end(custom)
    assert play.state.status is ExperimentStatus.DONE
    assert play.profile.next_sequence == 1
    raised = play(ev.ConfigChanged({**play.profile.config, "maxTrialNumber": 2}, "maxTrialNumber"))
    assert [trial.parameters for trial in submitted(raised)] == ['{"x": 1}']
    assert requests(raised) == 0


def test_a_suggestion_left_over_is_forgotten_with_the_dispatcher_that_made_it():
    play = Play(maxTrialNumber=1)
    play.begin()
    (custom,) = submitted(play(ev.CustomTrialRequested('{"x": 0}')))
    play.suggest()
    play.end(custom)
    play(ev.DispatcherLost("gone"))
    raised = play(ev.ConfigChanged({**play.profile.config, "maxTrialNumber": 2}, "maxTrialNumber"))
    assert not submitted(raised)
    assert requests(play(ev.DispatcherStarted())) == 1


def test_a_trial_that_runs_again_begins_from_nothing_and_its_places_anew():
    play = Play(maxTrialDuration="10s")
    play.begin()
    (trial,) = submitted(play.suggest())
    play.run(trial)
    play(ev.MetricsRead(trial.id, [line("PERIODICAL", 1), line("FINAL", 5, 50)], 100), after=6.0)
    assert (trial.intermediates, trial.value, trial.run) == (1, 5.0, 1)
    told = play(ev.TrialChanged(trial.id, TrialStatus.WAITING, message="waits to be run again", run=2))
    assert [i.trial for i in told if isinstance(i, ev.DropMetrics)] == [trial]
    assert (trial.intermediates, trial.value, trial.final, trial.start_time) == (0, None, None, None)
    assert (trial.status, trial.run, trial.run_offset) == (TrialStatus.WAITING, 2, 0)
    play.run(trial)
    again = play(ev.MetricsRead(trial.id, [line("PERIODICAL", 2), line("PERIODICAL", 3, 50)], 100))
    (saved,) = [i.metrics for i in again if isinstance(i, ev.SaveMetrics)]
    assert [metric.value for metric in saved] == ["2", "3"]
    assert len({metric.position for metric in saved}) == 2
    assert play(ev.MetricsRead(trial.id, [line("PERIODICAL", 3, 50)], 100)) != []
    assert (trial.intermediates, trial.run_offset) == (2, 100)
    assert not [i for i in play(ev.Tick(), after=9.0) if isinstance(i, ev.Cancel)]  # its time began anew, too
    assert [i for i in play(ev.Tick(), after=2.0) if isinstance(i, ev.Cancel)]


def test_a_trial_bears_the_name_of_its_platform_as_soon_as_it_is_known():
    play = Play(trainingService={"platform": "remote"})
    play.begin()
    (trial,) = submitted(play.suggest())
    assert trial.service == "remote"
    play = Play(trainingService=[{"platform": "remote"}, {"platform": "local"}])
    play.begin()
    (trial,) = submitted(play.suggest())
    assert trial.service == ""
    play(ev.TrialChanged(trial.id, TrialStatus.RUNNING, service="local"))
    assert trial.service == "local"
