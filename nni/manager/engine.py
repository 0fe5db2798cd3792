"""Carries out what the state machine decides: the one place where events, disk, processes and clocks meet.

Everything runs on one event loop. Events are handled as they come; what they want written is collected and committed
in one transaction at the end of the loop's turn; only after the commit are the other instructions carried out.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import sqlite3
import time
from collections.abc import Callable
from typing import Any, Protocol

from nni.common import json
from nni.common.default_tuner import DEFAULT_TUNER
from nni.experiment.queries import optimize_mode
from nni.manager import events as ev
from nni.manager.dispatcher_link import DispatcherLink
from nni.manager.events import Event, Instruction, Moment
from nni.manager.journal import Journal
from nni.manager.state import ExperimentState
from nni.runtime.protocol import CommandType, Message
from nni.store import Batch, ExperimentStatus, Store, Trial, TrialStatus, configuration
from nni.training_service import Adoption, TrainingService, TrialForm, TrialJobDetail, TrialJobMetric

_logger = logging.getLogger("nni.manager")
_TICK = 5.0  # seconds between looks at the clock when no deadline is nearer
_LOG_BYTES = 8 * 1024 * 1024  # size of the write-ahead log from which on it is copied into the database
_LAZY = 0.05  # seconds that what nobody waits for may stay unwritten, so that a busy experiment commits less often
_SYNC = 1.0  # seconds between syncs of a store that is written to
_RETRY = 2.0  # seconds between attempts to write to a disk that refused
_TRANSIENT = {errno.ENOSPC, errno.EDQUOT, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}


class Clock(Protocol):
    """Where the engine reads the time."""

    def moment(self) -> Moment:
        """Return now."""
        ...


class SystemClock:
    """The machine's clocks."""

    def moment(self) -> Moment:
        """Return now."""
        return Moment(time.time_ns() // 1_000_000, time.monotonic())


class Engine:
    """Runs one experiment.

    Parameters
    ----------
    state, store, service
        The decisions, the disk and the place where trials run.
    link
        Called with the engine's two callbacks (message, loss), returns the dispatcher's link.
    on_change
        Called with the ids of trials that changed, after their change was committed; the empty set means that only the
        experiment itself changed.
    """

    def __init__(
        self,
        state: ExperimentState,
        store: Store,
        service: TrainingService,
        link: Callable[[Callable[[Message], None], Callable[[str], None]], DispatcherLink],
        on_change: Callable[[set[str]], None] = lambda _: None,
        clock: Clock | None = None,
    ) -> None:
        self.state = state
        self.store = store
        self.service = service
        self.fault: str | None = None
        """Why the disk refuses to take what happened; None while it does not."""
        self.tuner_note: str | None = None
        """What the tuner says of itself, such as which algorithm it chose; None while it says nothing."""
        self.finished = asyncio.Event()
        self._link = link(self._dispatcher_said, lambda message: self.handle(ev.DispatcherLost(message)))
        self._on_change = on_change
        self._clock = clock or SystemClock()
        self._batch = Batch()
        self._journal = Journal()
        self._changed: set[str] = set()
        self._effects: list[Instruction] = []
        self._flush_handle: asyncio.Handle | None = None
        self._flush_urgent = False
        self._sync_due = False
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiters: list[asyncio.Future[None]] = []
        self._resumed = False
        self._announced: str | None = None

    # Life

    def start(self, unfinished: list[Trial] | None = None) -> None:
        """Begin, on the running event loop; `unfinished` are the trials that a former manager left."""
        self._loop = asyncio.get_running_loop()
        self._resumed = self.state.profile.next_sequence > 0
        self.service.add_trial_job_status_listener(self._trial_changed)
        self.service.add_trial_job_metric_listener(self._metrics_read)
        self._spawn(self.service.run(), "training service")
        ages = {trial.id: self.service.seconds_since_start(trial.id) for trial in unfinished or []}
        under_way = {identifier: age for identifier, age in ages.items() if age is not None}
        self.handle(ev.Started(unfinished or [], under_way))

    async def stop(self) -> None:
        """End the experiment: trials first cancelled, everything written, the dispatcher gone."""
        self.handle(ev.StopRequested())
        await self.finished.wait()
        await self.close()

    async def close(self) -> None:
        """Free everything without deciding anything."""
        if self._timer is not None:
            self._timer.cancel()
        await self._link.close()
        await self.service.clean_up()
        if self._flush_handle is not None:
            self._flush_handle.cancel()
            self._flush()
        for task in list(self._tasks):
            task.cancel()
        self.store.close()

    @property
    def status(self) -> ExperimentStatus:
        """The experiment's status as a person should see it."""
        return ExperimentStatus.ERROR if self.fault else self.state.status

    @property
    def errors(self) -> list[str]:
        """What went wrong, and what is wrong at present with the places where trials run."""
        return [*self.state.profile.errors, *self.service.problems(), *([self.fault] if self.fault else [])]

    # Events in

    def handle(self, event: Event) -> None:
        """Take an event; what it leads to happens at the end of this turn of the loop."""
        for instruction in self.state.handle(event, self._clock.moment()):
            self._take(instruction)
        self._schedule_flush()

    def _schedule_flush(self) -> None:
        """Commit at the end of this turn if anything waits for it, else a moment later, with what comes until then."""
        if self.fault is not None:  # a retry is due
            return
        urgent = bool(self._effects or self._waiters) or self._is_unwritten(self.state.next_in_line())
        if self._flush_handle is not None:
            if self._flush_urgent or not urgent:
                return
            self._flush_handle.cancel()
        self._flush_urgent = urgent
        later = self._loop.call_soon if urgent else lambda call: self._loop.call_later(_LAZY, call)
        self._flush_handle = later(self._flush)

    def _take(self, instruction: Instruction) -> None:
        batch = self._batch
        if isinstance(instruction, ev.SaveTrial):
            batch.trials[instruction.trial.sequence] = instruction.trial
            self._journal.trial(instruction.trial)
            self._changed.add(instruction.trial.id)
        elif isinstance(instruction, ev.SaveMetrics):
            batch.metrics += instruction.metrics
        elif isinstance(instruction, ev.DropMetrics):
            trial = instruction.trial
            batch.metrics = [metric for metric in batch.metrics if metric.trial != trial.sequence]
            batch.lost[trial.sequence] = trial.offset
        elif isinstance(instruction, ev.SaveProfile):
            batch.profile = self.state.profile
            self._journal.experiment(self.state.profile, self.state.waiting())
        elif isinstance(instruction, ev.SaveImport):
            batch.imports.append((instruction.time, json.dumps(instruction.data)))
        elif isinstance(instruction, ev.Submit) and self.fault is None and not self._is_unwritten(instruction.trial):
            self._carry_out(instruction)  # the end that made its slot free may be written meanwhile
        else:
            self._effects.append(instruction)

    def _is_unwritten(self, trial: Trial | None) -> bool:
        """Whether the disk does not know yet all that is to be known of a trial; nothing of it may start before."""
        return trial is not None and trial.sequence in self._batch.trials

    def _trial_changed(self, detail: TrialJobDetail) -> None:
        self.handle(
            ev.TrialChanged(
                detail.id,
                detail.status,
                detail.start_time,
                detail.end_time,
                detail.exit_code,
                detail.message,
                detail.service,
                detail.run,
            )
        )

    def _metrics_read(self, metric: TrialJobMetric) -> None:
        self.handle(ev.MetricsRead(metric.id, metric.lines, metric.end))

    def _dispatcher_said(self, message: Message) -> None:
        data = message.data
        if message.command is CommandType.NewTrialJob:
            self._new_trial(json.loads(data) if isinstance(data, str) else data)
        elif message.command is CommandType.KillTrialJob:
            identifier = json.loads(data) if data.startswith('"') else data
            self.handle(ev.KillRequested(identifier, TrialStatus.EARLY_STOPPED, "stopped by the assessor"))
        elif message.command is CommandType.NoMoreTrialJobs:
            self.handle(ev.NoMoreParameters())
        elif message.command is CommandType.Initialized:
            self.handle(ev.DispatcherReady())
        elif message.command is CommandType.TunerNote:
            self.tuner_note = str(data)
        elif message.command is CommandType.Error:
            self.handle(ev.AlgorithmFailed(data["message"], data["command"], data["fatal"]))
        else:
            _logger.error("the dispatcher sent a message that is not for the manager: %s", message.command.value)

    def _new_trial(self, data: dict[str, Any]) -> None:
        self.handle(
            ev.ParametersGenerated(
                data["parameter_id"],
                json.dumps(data["parameters"]),
                data.get("parameter_source") or "algorithm",
                data.get("parameter_index") or 0,
            )
        )

    def annotate(self, trial: Trial, note: str, tags: list[str]) -> None:
        """Keep what a person writes about a trial; nothing is decided by it."""
        self._batch.notes[trial.sequence] = note, tags
        self._changed.add(trial.id)
        self._schedule_flush()

    async def settled(self) -> None:
        """Wait until everything handled so far is on the disk."""
        if self._batch:
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            self._schedule_flush()
            await waiter

    # The end of a turn: commit, then act

    def _flush(self) -> None:
        self._flush_handle = None
        if not self._commit():
            if self.state.stopping:
                self._stop_unwritten()
            return
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
        effects, self._effects = self._effects, []
        changed, self._changed = self._changed, set()
        self.service.committed(changed)
        for effect in effects:
            self._carry_out(effect)
        self._on_change(changed)
        self._announce()
        self._set_timer()

    def _announce(self) -> None:
        """Tell the service which trial comes next, so that it has less to do when a slot becomes free."""
        trial = self.state.next_in_line()
        identifier = None if trial is None else trial.id
        if identifier != self._announced:
            self._announced = identifier
            self.service.expect_trial_job(None if trial is None else _form(trial))

    def _commit(self) -> bool:
        """Write what this turn decided; a disk that refuses holds everything back until it takes it."""
        if not self._batch:
            return True
        try:
            self.store.commit(self._batch)
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            if self.fault is None:
                _logger.error("%s: cannot be written (%s); the experiment waits", self.store.path, error)
                # The log's space is used again once its content is copied: that may be all that is needed.
                self._spawn(asyncio.to_thread(self.store.checkpoint), "checkpoint")
            self.fault = f"{self.store.path}: cannot be written ({error}); free some space, it goes on by itself"
            self._on_change(set())
            self._loop.call_later(_RETRY, self._flush)
            return False
        if self.fault is not None:
            _logger.warning("%s can be written again; the experiment goes on", self.store.path)
            self.fault = None
        self._batch = Batch()
        if not self._sync_due:
            self._sync_due = True
            self._loop.call_later(_SYNC, self._sync)
        return True

    def _sync(self) -> None:
        """Have the operating system write out what was committed: bounds what a power cut can take."""
        self._sync_due = False
        self._spawn(asyncio.to_thread(self.store.sync), "syncing the store")

    def _stop_unwritten(self) -> None:
        """End trials although the disk does not take the decision: whoever stops an experiment wants it to stop.

        What is not written is found again by resume: results in the trials' metric files, ends in their states.
        """
        effects, self._effects = self._effects, []
        for effect in effects:
            if isinstance(effect, ev.Submit):
                self.handle(ev.TrialChanged(effect.trial.id, TrialStatus.SYS_CANCELED))
            elif isinstance(effect, (ev.Adopt, ev.Cancel, ev.Warn, ev.Finish)):
                self._carry_out(effect)

    def _carry_out(self, effect: Instruction) -> None:
        if isinstance(effect, ev.Send):
            _logger.debug("to the dispatcher: %s %.200s", effect.command.value, effect.data)
            self._link.send(effect.command, effect.data)
        elif isinstance(effect, ev.Submit):
            self._spawn(self._submit(effect.trial), f"submitting trial {effect.trial.id}")
        elif isinstance(effect, ev.Cancel):
            self._spawn(self.service.cancel_trial_job(effect.trial_id, is_early_stopped=effect.early), "cancelling")
        elif isinstance(effect, ev.Warn):
            _logger.log(logging.ERROR if effect.serious else logging.WARNING, "%s", effect.message)
        elif isinstance(effect, ev.Adopt):
            self._spawn(self.service.adopt_trial_jobs([_adoption(trial) for trial in effect.trials]), "adopting")
        elif isinstance(effect, ev.StartDispatcher):
            self._start_dispatcher()
        elif isinstance(effect, ev.Finish):
            self.finished.set()

    def _start_dispatcher(self) -> None:
        """Start tuner and assessor and tell them everything; nothing happens between reading and telling."""
        config = self.state.profile.config
        try:
            self._link.start("resume" if self._resumed else "start")
        except OSError as error:
            self.handle(ev.DispatcherLost(f"the dispatcher cannot be started: {error}"))
            return
        algorithms = {kind: config.get(kind) for kind in ("tuner", "assessor", "advisor", "multiThread", "constraints")}
        if not algorithms["tuner"] and not algorithms["advisor"]:
            algorithms["tuner"] = {"name": DEFAULT_TUNER, "classArgs": {"optimize_mode": optimize_mode(config)}}
        self._link.send(CommandType.Setup, {"experimentId": self.state.profile.id, **algorithms})
        self._link.send(CommandType.Initialize, config.get("searchSpace", {}))
        events = self.store.history(intermediates=self.state.limits.intermediates_wanted)
        if events:
            next_id = self.state.profile.next_parameter_id
            self._link.send(CommandType.ReplayHistory, {"next_parameter_id": next_id, "events": events})
        self.handle(ev.DispatcherStarted())

    async def _submit(self, trial: Trial) -> None:
        try:
            await self.service.submit_trial_job(_form(trial))
        except OSError as error:
            self.handle(ev.SubmitFailed(trial.id, str(error), retry=error.errno in _TRANSIENT))
        except ValueError as error:  # a path or a command that the file system cannot express
            self.handle(ev.SubmitFailed(trial.id, str(error), retry=False))

    def _tick(self) -> None:
        self._timer = None
        self.handle(ev.Tick())
        if self.store.log_size() > _LOG_BYTES:
            self._spawn(asyncio.to_thread(self.store.checkpoint), "checkpoint")

    def _set_timer(self) -> None:
        """Wake at the next deadline, and now and then anyway; a timer that comes early enough stays."""
        deadline = self.state.next_deadline()
        if deadline is None and self._timer is not None:
            return
        delay = _TICK if deadline is None else min(_TICK, max(0.0, deadline - self._clock.moment().steady))
        if self._timer is not None:
            if self._timer.when() <= self._loop.time() + delay:
                return
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._tick)

    def _spawn(self, coroutine: Any, what: str) -> None:
        task: asyncio.Task[None] = self._loop.create_task(coroutine, name=what)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _logger.error("%s failed", task.get_name(), exc_info=task.exception())


def _form(trial: Trial) -> TrialForm:
    return TrialForm(trial.id, trial.sequence, configuration(trial))


def _adoption(trial: Trial) -> Adoption:
    return Adoption(_form(trial), trial.run_offset, trial.submit_time, trial.start_time, trial.run)
