"""The decisions of an experiment: a state machine without I/O, clocks or randomness.

``handle(event, moment)`` takes what happened and returns what to do. Everything it knows can be read back from the
store, so a manager that was killed at any instant goes on from where it stopped.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from nni.common import json
from nni.manager import events as ev
from nni.manager.demand import Demand
from nni.manager.events import Cancel, Event, Instruction, Moment, SaveProfile, SaveTrial, Send, Warn
from nni.manager.ids import trial_id
from nni.manager.limits import Limits
from nni.manager.metrics import Reading, read_lines
from nni.runtime.protocol import CommandType, MetricType
from nni.store import ExperimentStatus, Profile, Trial, TrialStatus, configuration

_STRIKES = 2  # dispatcher deaths without progress in between, after which it is given up
_FORGIVEN_AFTER = 60.0  # seconds of idle life that are progress too: what it had been told did not kill it
_COUNTING = {ExperimentStatus.RUNNING, ExperimentStatus.TUNER_NO_MORE_TRIAL}


class ExperimentState:
    """What the manager knows and decides.

    Parameters
    ----------
    profile
        The experiment as stored; changed in place.
    counts
        Number of trials in each status, of all trials in the store.
    """

    def __init__(self, profile: Profile, counts: dict[TrialStatus, int] | None = None) -> None:
        self.profile = profile
        self.limits = Limits.of(profile.config)
        self.counts: Counter[TrialStatus] = Counter(counts or {})
        self.active: dict[str, Trial] = {}
        self._queue: deque[str] = deque()
        self._spare: deque[ev.ParametersGenerated] = deque()
        self._submitted: set[str] = set()
        self._demand = Demand()
        self._dispatcher_up = False
        self._dispatcher_since = 0.0
        self._initialized = False
        self._outstanding = 0
        self._asked_at: float | None = None
        self._tuner_done = False
        self._failed = False
        self._strikes = 0
        self._blocked: str | None = None
        self._steady: float | None = None
        self._deadlines: dict[str, float] = {}
        self._handlers: dict[type, Callable[[Any, Moment], list[Instruction]]] = {
            ev.Started: self._started,
            ev.DispatcherStarted: self._dispatcher_started,
            ev.DispatcherReady: self._dispatcher_ready,
            ev.DispatcherLost: self._dispatcher_lost,
            ev.AlgorithmFailed: self._algorithm_failed,
            ev.ParametersGenerated: self._parameters_generated,
            ev.NoMoreParameters: self._no_more_parameters,
            ev.CustomTrialRequested: self._custom_trial,
            ev.TrialChanged: self._trial_changed,
            ev.SubmitFailed: self._submit_failed,
            ev.MetricsRead: self._metrics_read,
            ev.KillRequested: self._kill_requested,
            ev.ConfigChanged: self._config_changed,
            ev.ImportRequested: self._import_requested,
            ev.StopRequested: self._stop_requested,
            ev.Tick: self._tick,
        }

    # The outside

    @property
    def status(self) -> ExperimentStatus:
        """Where the experiment stands."""
        return self.profile.status

    @property
    def stopping(self) -> bool:
        """Whether the experiment is being stopped or has been."""
        return self.status in {ExperimentStatus.STOPPING, ExperimentStatus.STOPPED}

    def handle(self, event: Event, moment: Moment) -> list[Instruction]:
        """Take an event in and return what to do about it, in order."""
        self._count_time(moment)
        instructions = self._handlers[type(event)](event, moment)
        if not self.stopping:
            instructions += self._use_spares(moment)
            instructions += self._fill_slots()
            instructions += self._ask()
        instructions += self._settle(moment)
        return instructions

    def next_in_line(self) -> Trial | None:
        """Return the trial that is submitted when a slot becomes free; None if none is ready."""
        return self.active[self._queue[0]] if self._queue else None

    def next_deadline(self) -> float | None:
        """Return the steady time at which a `Tick` is due, None if time decides nothing at present."""
        due = list(self._deadlines.values())
        if self.limits.duration is not None and self.status in _COUNTING and self._steady is not None:
            due.append(self._steady + self.limits.duration - self.profile.duration_ms / 1000)
        return min(due, default=None)

    def waiting(self) -> str | None:
        """Return why no further trial starts at present, None while every slot is busy or nothing is left to do."""
        if self._failed:
            return "the experiment is in ERROR: " + (self.profile.errors[-1] if self.profile.errors else "")
        if self._blocked is not None:
            return self._blocked
        held = [self.active[name] for name in self._submitted if self.active[name].status is TrialStatus.WAITING]
        if reasons := [trial.message for trial in held if trial.message and trial.stopping is None]:
            return reasons[0]
        if self.stopping or self._out_of_budget() is not None or self._tuner_done:
            return self._out_of_budget() or ("the tuner has nothing more to suggest" if self._tuner_done else None)
        if len(self._submitted) < self.limits.concurrency and self._outstanding:
            return "the tuner is computing" if self._initialized else "tuner and assessor are starting"
        return None

    def why_waiting(self, identifier: str) -> str:
        """Return why a trial does not run yet; nothing for one that does, or has ended."""
        trial = self.active.get(identifier)
        if trial is None or trial.status is not TrialStatus.WAITING:
            return ""
        if trial.message or identifier in self._submitted:
            return trial.message or "it is being started"
        if self._failed or self._blocked is not None:
            return self.waiting() or ""
        if self._duration_over():
            return f"maxExperimentDuration ({self.profile.config['maxExperimentDuration']}) is over"
        return f"trialConcurrency ({self.limits.concurrency}): as many run already"

    # Life of the experiment

    def _started(self, event: ev.Started, moment: Moment) -> list[Instruction]:
        profile = self.profile
        profile.start_time = profile.start_time or moment.wall
        profile.end_time = None
        profile.errors = []
        profile.status = ExperimentStatus.INITIALIZED
        self.active = {trial.id: trial for trial in event.unfinished}
        waits = {t.id for t in event.unfinished if t.status is TrialStatus.WAITING} - event.under_way.keys()
        running = [trial for trial in event.unfinished if trial.id not in waits]
        self._queue.extend(trial.id for trial in event.unfinished if trial.id in waits)
        self._submitted = {trial.id for trial in running}
        for trial in running:
            by_wall = max(0, moment.wall - (trial.start_time or moment.wall)) / 1000
            self._set_deadline(trial, moment, ran=event.under_way.get(trial.id, by_wall))
        found = [ev.Adopt(running)] if running else []
        stops = [Cancel(trial.id, _is_early(trial.stopping)) for trial in running if trial.stopping]
        return [SaveProfile(), ev.StartDispatcher(), *found, *stops, *self._end_unstarted(moment)]

    def _end_unstarted(self, moment: Moment) -> list[Instruction]:
        """End what was to be stopped and never got to start."""
        waiting = [self.active[identifier] for identifier in self._queue]
        ends = [self._end(trial, trial.stopping, moment.wall) for trial in waiting if trial.stopping is not None]
        return [instruction for end in ends for instruction in end]

    def _config_changed(self, event: ev.ConfigChanged, _moment: Moment) -> list[Instruction]:
        self.profile.config = event.config
        self.profile.revision += 1
        self.limits = Limits.of(event.config)
        instructions: list[Instruction] = [SaveProfile()]
        if event.field == "searchSpace":
            self._tuner_done = False
            instructions += self._send(CommandType.UpdateSearchSpace, event.config["searchSpace"])
        return instructions

    def _import_requested(self, event: ev.ImportRequested, moment: Moment) -> list[Instruction]:
        return [ev.SaveImport(moment.wall, event.data), *self._send(CommandType.ImportData, event.data)]

    def _stop_requested(self, _event: ev.StopRequested, moment: Moment) -> list[Instruction]:
        if self.stopping:
            return []
        self.profile.status = ExperimentStatus.STOPPING
        instructions: list[Instruction] = [SaveProfile(), *self._send(CommandType.Terminate)]
        for trial in list(self.active.values()):
            instructions += self._cancel(trial, TrialStatus.SYS_CANCELED, "the experiment was stopped", moment)
        return instructions

    def _tick(self, _event: ev.Tick, moment: Moment) -> list[Instruction]:
        self._blocked = None  # time to try again what failed for want of space or processes
        instructions: list[Instruction] = []
        for identifier, due in list(self._deadlines.items()):
            if moment.steady >= due and identifier in self.active:
                limit = self.profile.config["maxTrialDuration"]
                message = f"stopped after maxTrialDuration ({limit})"
                trial = self.active[identifier]
                instructions += self._cancel(trial, TrialStatus.EARLY_STOPPED, message, moment)
        return [*instructions, SaveProfile()] if self.status in _COUNTING else instructions

    def _settle(self, moment: Moment) -> list[Instruction]:
        """Draw the conclusions of an event for the experiment's own status."""
        status = self._conclude()
        if status is self.status:
            return []
        self.profile.status = status
        ended = status in {ExperimentStatus.DONE, ExperimentStatus.STOPPED, ExperimentStatus.ERROR}
        self.profile.end_time = moment.wall if ended else None
        finish = [ev.Finish()] if status is ExperimentStatus.STOPPED else []
        return [SaveProfile(), *finish]

    def _conclude(self) -> ExperimentStatus:
        if self.stopping:
            return ExperimentStatus.STOPPING if self.active else ExperimentStatus.STOPPED
        if self._failed:
            return ExperimentStatus.ERROR
        budget = self._out_of_budget()
        if budget is None and not self._tuner_done:
            return ExperimentStatus.RUNNING if self._initialized else ExperimentStatus.INITIALIZED
        if not self._submitted and (not self._queue or self._duration_over()):
            return ExperimentStatus.DONE
        return ExperimentStatus.NO_MORE_TRIAL if budget else ExperimentStatus.TUNER_NO_MORE_TRIAL

    def _fail(self, message: str) -> list[Instruction]:
        self._failed = True
        self._outstanding = 0
        return self._note(message, serious=True)

    def _note(self, message: str, *, serious: bool = False) -> list[Instruction]:
        others = [error for error in self.profile.errors if error != message]
        self.profile.errors = [*others, message][-20:]
        return [Warn(message, serious), SaveProfile()]

    def _count_time(self, moment: Moment) -> None:
        if self._steady is not None and self.status in _COUNTING:
            self.profile.duration_ms += round(max(0.0, moment.steady - self._steady) * 1000)
        self._steady = moment.steady

    # Budget

    def _out_of_budget(self) -> str | None:
        if self.trials_left() == 0:
            return f"maxTrialNumber ({self.limits.trials}) is reached"
        if self._duration_over():
            return f"maxExperimentDuration ({self.profile.config['maxExperimentDuration']}) is over"
        return None

    def trials_left(self) -> int | None:
        """How many more trials may be created; those that the system took away itself do not count."""
        if self.limits.trials is None:
            return None
        used = self.profile.next_sequence - self.counts[TrialStatus.SYS_CANCELED]
        return max(0, self.limits.trials - used)

    def _duration_over(self) -> bool:
        return self.limits.duration is not None and self.profile.duration_ms >= self.limits.duration * 1000

    # Trials: from a configuration to a slot

    def _ask(self) -> list[Instruction]:
        may_ask = self._dispatcher_up and not self._tuner_done and not self._failed
        if not may_ask or self._out_of_budget() is not None or self._blocked is not None:
            return []
        free = max(0, self.limits.concurrency - len(self._submitted))
        wanted = free + self._demand.ahead(self.limits.concurrency) - len(self._queue) - self._outstanding
        left = self.trials_left()
        if left is not None:
            wanted = min(wanted, left - self._outstanding - len(self._spare))
        if wanted <= 0:
            return []
        self._outstanding += wanted
        if self._asked_at is None:
            self._asked_at = self._steady
        return [Send(CommandType.RequestTrialJobs, wanted)]

    def _parameters_generated(self, event: ev.ParametersGenerated, moment: Moment) -> list[Instruction]:
        if self.stopping or self._failed:
            return []
        self._outstanding = max(0, self._outstanding - 1)
        if self._asked_at is not None and self._initialized:
            self._demand.tuner_took(moment.steady - self._asked_at)
        self._asked_at = moment.steady if self._outstanding else None
        self._tuner_done = False
        self._strikes = 0
        self._initialized = True
        # The last trial of the budget may have been taken by one that the user added meanwhile.
        self._spare.append(event)
        return []

    def _use_spares(self, moment: Moment) -> list[Instruction]:
        """Make trials of what the tuner suggested, as far as the budget goes; the rest waits for a larger one."""
        instructions: list[Instruction] = []
        while self._spare and self.trials_left() != 0:
            spare = self._spare.popleft()
            instructions += self._create(spare.parameter_id, spare.parameters, spare.source, spare.index, moment)
        return instructions

    def _custom_trial(self, event: ev.CustomTrialRequested, moment: Moment) -> list[Instruction]:
        data = {"parameter_id": None, "parameters": json.loads(event.parameters)}
        created = self._create(-1, event.parameters, "customized", 0, moment)
        return [*created, *self._send(CommandType.AddCustomizedTrialJob, data)]

    def _create(self, parameter_id: int, parameters: str, source: str, index: int, moment: Moment) -> list[Instruction]:
        profile = self.profile
        sequence = profile.next_sequence
        trial = Trial(
            trial_id(profile.id, sequence),
            sequence,
            parameter_id,
            source,
            parameters,
            submit_time=moment.wall,
            service=_platform(profile.config),
            parameter_index=index,
        )
        profile.next_sequence += 1
        profile.next_parameter_id = max(profile.next_parameter_id, parameter_id + 1)
        self.active[trial.id] = trial
        self.counts[TrialStatus.WAITING] += 1
        self._queue.append(trial.id)
        return [SaveTrial(trial), SaveProfile()]

    def _fill_slots(self) -> list[Instruction]:
        instructions: list[Instruction] = []
        held = self._blocked is not None or self._duration_over() or self._failed
        while self._queue and not held and len(self._submitted) < self.limits.concurrency:
            identifier = self._queue.popleft()
            self._submitted.add(identifier)
            instructions.append(ev.Submit(self.active[identifier]))
        return instructions

    def _submit_failed(self, event: ev.SubmitFailed, moment: Moment) -> list[Instruction]:
        trial = self.active[event.trial_id]
        self._submitted.discard(trial.id)
        if event.retry:
            self._queue.appendleft(trial.id)
            self._blocked = f"trial {trial.id} cannot be started: {event.message}; trying again"
            return [Warn(self._blocked)]
        trial.message = event.message
        return self._end(trial, TrialStatus.FAILED, moment.wall)

    # Trials: under way

    def _trial_changed(self, event: ev.TrialChanged, moment: Moment) -> list[Instruction]:
        trial = self.active.get(event.trial_id)
        if trial is None:
            return []
        trial.service = event.service or trial.service
        anew = self._run_again(trial, event) if event.run > trial.run else []
        trial.start_time = event.start_time or trial.start_time
        if not event.status.ended:
            self._set_status(trial, event.status)
            if trial.stopping is None:
                trial.message = event.message  # why it waits; nothing once it runs
            if event.status is TrialStatus.RUNNING:
                self._set_deadline(trial, moment)
            return [*anew, SaveTrial(trial)]
        trial.exit_code = event.exit_code
        trial.message = trial.message or event.message
        if trial.start_time and event.end_time:
            self._demand.trial_took(max(0, event.end_time - trial.start_time) / 1000)
        return [*anew, *self._end(trial, trial.stopping or event.status, event.end_time or moment.wall)]

    def _run_again(self, trial: Trial, event: ev.TrialChanged) -> list[Instruction]:
        """Drop what a trial reported that was lost with its machine: nothing of two runs is ever mixed."""
        trial.run_again(event.run)
        self._deadlines.pop(trial.id, None)
        return [Warn(f"trial {trial.id}: {event.message}"), ev.DropMetrics(trial)]

    def _set_deadline(self, trial: Trial, moment: Moment, ran: float = 0.0) -> None:
        if self.limits.trial_duration is not None and not trial.stopping:
            self._deadlines.setdefault(trial.id, moment.steady + self.limits.trial_duration - ran)

    def _metrics_read(self, event: ev.MetricsRead, _moment: Moment) -> list[Instruction]:
        trial = self.active.get(event.trial_id)
        if trial is None:
            return []
        begin = trial.offset - trial.run_offset
        reading = read_lines(trial, [(begin + place, line) for place, line in event.lines] if begin else event.lines)
        trial.offset = max(trial.offset, begin + event.end)
        instructions: list[Instruction] = [Warn(problem) for problem in reading.problems]
        if reading.metrics:
            instructions.append(ev.SaveMetrics(reading.metrics))
        return [*instructions, SaveTrial(trial), *self._forward(trial, reading)]

    def _forward(self, trial: Trial, reading: Reading) -> list[Instruction]:
        if not self.limits.intermediates_wanted or trial.stopping:
            return []
        instructions: list[Instruction] = []
        for metric in reading.metrics:
            if metric.type == MetricType.PERIODICAL:
                instructions += self._tell_metric(trial, metric.type, metric.sequence, metric.value)
        return instructions

    def _tell_metric(self, trial: Trial, kind: str, sequence: int, value: str) -> list[Instruction]:
        data = {
            "parameter_id": None if trial.parameter_id < 0 else trial.parameter_id,
            "trial_job_id": trial.id,
            "type": kind,
            "sequence": sequence,
            "value": value,
        }
        return self._send(CommandType.ReportMetricData, data)

    def _kill_requested(self, event: ev.KillRequested, moment: Moment) -> list[Instruction]:
        trial = self.active.get(event.trial_id)
        return [] if trial is None else self._cancel(trial, event.status, event.message, moment)

    def _cancel(self, trial: Trial, status: TrialStatus, message: str, moment: Moment) -> list[Instruction]:
        if trial.stopping is not None:
            return []
        trial.message = message
        self._deadlines.pop(trial.id, None)
        if trial.id not in self._submitted:
            return self._end(trial, status, moment.wall)
        trial.stopping = status
        return [SaveTrial(trial), Cancel(trial.id, _is_early(status))]

    def _end(self, trial: Trial, status: TrialStatus, wall: int) -> list[Instruction]:
        # Worker and manager read the clock by turns, and it may be set back: no trial takes less than nothing.
        trial.end_time = max(wall, trial.start_time or wall)
        self._set_status(trial, status)
        del self.active[trial.id]
        self._submitted.discard(trial.id)
        self._deadlines.pop(trial.id, None)
        if trial.id in self._queue:
            self._queue.remove(trial.id)
        return [SaveTrial(trial), *self._tell_end(trial)]

    def _tell_end(self, trial: Trial) -> list[Instruction]:
        instructions: list[Instruction] = []
        if trial.final is not None:
            instructions += self._tell_metric(trial, MetricType.FINAL, 0, trial.final)
        data = {"trial_job_id": trial.id, "event": trial.status.value, "hyper_params": configuration(trial)}
        return [*instructions, *self._send(CommandType.TrialEnd, data)]

    def _set_status(self, trial: Trial, status: TrialStatus) -> None:
        self.counts[trial.status] -= 1
        self.counts[status] += 1
        trial.status = status

    # The dispatcher

    def _send(self, command: CommandType, data: Any = None) -> list[Instruction]:
        """Tell the dispatcher; one that is down will be sent everything in the store when it is started again."""
        return [Send(command, data)] if self._dispatcher_up else []

    def _dispatcher_started(self, _event: ev.DispatcherStarted, moment: Moment) -> list[Instruction]:
        self._dispatcher_up = True
        self._dispatcher_since = moment.steady
        return []

    def _dispatcher_ready(self, _event: ev.DispatcherReady, _moment: Moment) -> list[Instruction]:
        self._initialized = True
        return []

    def _dispatcher_lost(self, event: ev.DispatcherLost, moment: Moment) -> list[Instruction]:
        if self._dispatcher_up and not self._outstanding and moment.steady - self._dispatcher_since > _FORGIVEN_AFTER:
            self._strikes = 0
        self._dispatcher_up = False
        self._spare.clear()  # the next one knows nothing of them and gives their numbers to others
        self._outstanding = 0
        self._asked_at = None
        if self.stopping or self._failed:
            return []
        self._strikes += 1
        if self._strikes >= _STRIKES:
            return self._fail(event.message)
        return [Warn(f"{event.message}; starting it again with the full history"), ev.StartDispatcher()]

    def _algorithm_failed(self, event: ev.AlgorithmFailed, _moment: Moment) -> list[Instruction]:
        if not event.fatal:
            return self._note(event.message)
        # Building the algorithms fails the same way each time; anything later gets a second chance (DispatcherLost).
        if event.command in {CommandType.Setup.value, CommandType.Initialize.value}:
            return self._fail(event.message)
        return self._note(event.message)

    def _no_more_parameters(self, _event: ev.NoMoreParameters, _moment: Moment) -> list[Instruction]:
        self._outstanding = 0
        self._asked_at = None
        self._tuner_done = True
        self._initialized = True
        return []


def _platform(config: dict[str, Any]) -> str:
    """Return the platform of all trials; nothing where there are several, one of which will be told."""
    section = config.get("trainingService") or {}
    return str(section.get("platform", "")) if isinstance(section, dict) else ""


def _is_early(status: TrialStatus | None) -> bool:
    return status is TrialStatus.EARLY_STOPPED
