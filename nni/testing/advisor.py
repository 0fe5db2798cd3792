"""The conformance suite of advisors, to be run with pytest.

Subclass :class:`AdvisorConformance` in a test module, and pytest finds the checks::

    class TestMyAdvisor(AdvisorConformance):
        types = ("choice", "uniform")

        def make(self, optimize_mode):
            return MyAdvisor(optimize_mode=optimize_mode, seed=0)

Advisors are driven by nothing but the messages of the protocol, each through JSON, as the manager sends them.
"""

from __future__ import annotations

import copy
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from nni.runtime.msg_dispatcher_base import MsgDispatcherBase
from nni.runtime.protocol import CommandType, MetricType, connect, decode, encode
from nni.search_space import TYPES, contains, parse
from nni.testing.tuner import ENTRIES, NESTED, score

History = list[dict[str, Any]]


class ManagerSide:
    """The manager's side of the protocol, for an advisor in the same process.

    Parameters
    ----------
    advisor
        Whom to talk to.

    Attributes
    ----------
    trials
        Parameters by parameter id, in the order in which they came.
    running
        Of those, the ones whose trials have not ended.
    sent
        Every other message of the advisor, as ``(command, data)``.
    asked
        Number of trials that were asked for.
    history
        What happened, in the form of ``ReplayHistory``.
    """

    connected: ClassVar[ManagerSide | None] = None
    """Whom ``send`` sends to: one for each process."""

    def __init__(self, advisor: MsgDispatcherBase) -> None:
        self.advisor = advisor
        self.trials: dict[int, Any] = {}
        self.running: dict[int, Any] = {}
        self.sent: list[tuple[CommandType, Any]] = []
        self.asked = 0
        self.history: History = []
        self._texts: dict[int, str] = {}

    def send(self, lines: bytes) -> None:
        """Take what the advisor sends."""
        for line in lines.splitlines():
            command, data = decode(line)
            if command is not CommandType.NewTrialJob:
                self.sent.append((command, data))
                continue
            job = json.loads(data) if isinstance(data, str) else data
            number = job["parameter_id"]
            assert number not in self.trials, f"parameter_id {number} was sent twice"
            self.trials[number] = self.running[number] = job["parameters"]
            self._texts[number] = data if isinstance(data, str) else json.dumps(data)
            about = {"parameter_id": number, "parameters": job["parameters"], "parameter_source": "algorithm"}
            self.history.append({"kind": "parameters", "trial_job_id": trial_of(number), **about})

    def tell(self, command: CommandType, data: Any = None) -> None:
        """Send a message, and let the advisor handle it."""
        if ManagerSide.connected is not self:  # connecting makes the ids of a resumed advisor start at 0 again
            connect(self)
            ManagerSide.connected = self
        self.advisor.process_command_thread(tuple(decode(encode(command, data))))

    def request(self, count: int) -> list[int]:
        """Ask for trials; return the ids of those that came."""
        before = len(self.trials)
        self.asked += count
        self.tell(CommandType.RequestTrialJobs, count)
        return list(self.trials)[before:]

    def report(self, number: int, value: Any, sequence: int | None = None) -> None:
        """Report a final result; an intermediate one if it has a sequence number."""
        kind = MetricType.FINAL if sequence is None else MetricType.PERIODICAL
        about = {"parameter_id": number, "trial_job_id": trial_of(number)}
        more = {"type": kind, "sequence": sequence or 0, "value": json.dumps(value)}
        self.tell(CommandType.ReportMetricData, {**about, **more})
        event = {"kind": "result"} if sequence is None else {"kind": "intermediate", "sequence": sequence}
        self.history.append({**event, **about, "value": value})

    def end(self, number: int, status: str = "SUCCEEDED") -> None:
        """End a trial."""
        self.running.pop(number, None)
        about = {"trial_job_id": trial_of(number), "event": status}
        self.history.append({"kind": "end", "parameter_id": number, **about})
        self.tell(CommandType.TrialEnd, {**about, "hyper_params": self._texts[number]})

    def finish(self, number: int, value: Any) -> None:
        """End a trial with a result."""
        self.report(number, value)
        self.end(number)

    @property
    def errors(self) -> list[dict[str, Any]]:
        """What the advisor reported as failed."""
        return [data for command, data in self.sent if command is CommandType.Error]

    @property
    def owed(self) -> int:
        """How many trials were asked for and have not come."""
        return self.asked - len(self.trials)


def trial_of(number: int) -> str:
    """Return the id of the trial with a parameter id."""
    return f"t{number}"


@contextmanager
def disconnecting() -> Iterator[None]:
    """Leave no connection behind."""
    try:
        yield
    finally:
        connect(None)
        ManagerSide.connected = None


class AdvisorConformance(ABC):
    """What an advisor must do. Says what it takes through class attributes.

    Attributes
    ----------
    types
        The ``_type`` names that it takes.
    nested
        Whether it takes nested choices.
    validates
        Whether it refuses search spaces that it does not take.
    learns
        Whether what it sends depends on results. Then maximising a metric must be the mirror image of minimising its
        negative.
    resumes
        Whether a resumed run goes on exactly like one that was not interrupted. Otherwise it only has to go on.
    extra_keys
        Keys of the parameters that are none of the space's.
    space
        The space for checks that need only one; by default all of ``types`` together.
    """

    types: tuple[str, ...] = TYPES
    nested: bool = True
    validates: bool = True
    learns: bool = True
    resumes: bool = True
    extra_keys: tuple[str, ...] = ()
    space: dict[str, Any] | None = None

    @abstractmethod
    def make(self, optimize_mode: str) -> MsgDispatcherBase:
        """Return a new advisor; the same one each time, if it draws random numbers."""

    @pytest.fixture(autouse=True)
    def _disconnected(self) -> Iterator[None]:
        with disconnecting():
            yield

    def search_space(self) -> dict[str, Any]:
        """Return the space of most checks."""
        return copy.deepcopy(self.space or {kind: ENTRIES[kind] for kind in self.types})

    def changed_space(self) -> dict[str, Any]:
        """Return another space, which no configuration of :meth:`search_space` fits into."""
        name, entry = next(iter(self.search_space().items()))
        return {f"new_{name}": entry}

    def configuration(self, parameters: Any) -> Any:
        """Return parameters without the extra keys."""
        return {key: value for key, value in parameters.items() if key not in self.extra_keys}

    def fits(self, parameters: Any, space: dict[str, Any]) -> bool:
        """Tell whether parameters are those of a space, with all of the extra keys."""
        has_extra = all(key in parameters for key in self.extra_keys)
        return has_extra and contains(parse(space), self.configuration(parameters))

    def value(self, parameters: Any) -> float:
        """Return a made-up metric."""
        return score(self.configuration(parameters))

    def initialized(self, optimize_mode: str = "maximize", space: dict[str, Any] | None = None) -> ManagerSide:
        """Return an advisor that has its search space, with the manager's side of it."""
        side = ManagerSide(self.make(optimize_mode))
        side.tell(CommandType.Initialize, self.search_space() if space is None else space)
        return side

    def run(self, side: ManagerSide, trials: int, concurrency: int = 3, sign: float = 1.0) -> None:
        """Run trials, always as many at a time as wanted, the oldest ending first."""
        for _ in range(trials):
            free = concurrency - len(side.running) - side.owed
            if free > 0:
                side.request(free)
            assert side.running, "no trial runs and none comes: the experiment stands still"
            number = next(iter(side.running))
            side.finish(number, sign * self.value(side.running[number]))
        assert side.errors == []

    # ------------------------------------------------------------------------------------ search spaces

    def test_it_says_initialized_once_and_sends_no_trial_unasked(self) -> None:
        side = self.initialized()
        assert [command for command, _ in side.sent] == [CommandType.Initialized]
        assert side.trials == {}

    @pytest.mark.parametrize("kind", TYPES)
    def test_it_takes_a_type_or_says_which_variable_it_does_not_take(self, kind: str) -> None:
        side = self.initialized(space={"variable": ENTRIES[kind]})
        if kind in self.types:
            self.run(side, 3)
            assert all(self.fits(each, {"variable": ENTRIES[kind]}) for each in side.trials.values())
        elif self.validates:
            assert side.errors[0]["fatal"]
            assert "variable" in side.errors[0]["message"]
            assert kind in side.errors[0]["message"]

    def test_it_takes_nested_choices_or_says_so(self) -> None:
        side = self.initialized(space=NESTED)
        if self.nested:
            self.run(side, 6)
            assert all(self.fits(each, NESTED) for each in side.trials.values())
        elif self.validates:
            assert side.errors[0]["fatal"]
            assert "layer" in side.errors[0]["message"]

    def test_the_space_may_change_while_trials_run(self) -> None:
        side = self.initialized()
        self.run(side, 12)
        changed = self.changed_space()
        side.tell(CommandType.UpdateSearchSpace, changed)
        before = set(side.trials)
        for number in list(side.running):
            side.finish(number, self.value(side.trials[number]))
        self.run(side, 12)
        new = [parameters for number, parameters in side.trials.items() if number not in before]
        assert len(new) >= 12
        assert all(self.fits(parameters, changed) for parameters in new)

    def test_a_changed_space_that_is_none_is_refused_and_the_old_one_holds(self) -> None:
        if not self.validates:
            pytest.skip("does not validate")
        side = self.initialized()
        side.tell(CommandType.UpdateSearchSpace, {"x": {"_type": "uniform", "_value": [1]}})
        assert [error["fatal"] for error in side.errors] == [False]
        side.sent.clear()
        self.run(side, 5)
        assert all(self.fits(parameters, self.search_space()) for parameters in side.trials.values())

    # ------------------------------------------------------------------------------------ requests

    def test_there_are_exactly_as_many_trials_as_were_asked_for(self) -> None:
        side = self.initialized()
        for count in (1, 4, 2):
            side.request(count)
            assert 1 <= len(side.trials) <= side.asked
        for _ in range(200):
            if not side.owed:
                break
            assert side.running, "some trials are owed, and none runs whose end could release them"
            number = next(iter(side.running))
            side.finish(number, self.value(side.running[number]))
            assert len(side.trials) <= side.asked
        assert len(side.trials) == side.asked == 7

    def test_ids_are_different_integers(self) -> None:
        side = self.initialized()  # ManagerSide checks that they are different
        self.run(side, 20)
        assert all(isinstance(number, int) for number in side.trials)

    def test_parameters_are_of_the_space(self) -> None:
        side, space = self.initialized(), self.search_space()
        self.run(side, 30)
        assert all(self.fits(parameters, space) for parameters in side.trials.values())

    # ------------------------------------------------------------------------------------ results and ends

    def test_maximising_is_the_mirror_of_minimising(self) -> None:
        up, down = self.initialized("maximize"), self.initialized("minimize")
        self.run(up, 60)
        self.run(down, 60, sign=-1.0)
        assert up.trials == down.trials

    def test_results_come_in_any_order(self) -> None:
        side, space = self.initialized(), self.search_space()
        for _ in range(6):
            side.request(5 - len(side.running) - side.owed)
            for number in reversed(side.running.copy()):
                side.finish(number, self.value(side.trials[number]))
        assert side.errors == []
        assert all(self.fits(parameters, space) for parameters in side.trials.values())

    def test_a_dict_with_default_is_as_good_as_its_number(self) -> None:
        plain, wrapped = self.initialized(), self.initialized()
        self.run(plain, 30)
        for _ in range(30):
            wrapped.request(max(0, 3 - len(wrapped.running) - wrapped.owed))
            number = next(iter(wrapped.running))
            wrapped.finish(number, {"default": self.value(wrapped.running[number]), "other": "x"})
        assert wrapped.trials == plain.trials

    @pytest.mark.parametrize("status", ["FAILED", "USER_CANCELED", "EARLY_STOPPED", "SYS_CANCELED"])
    def test_trials_that_all_end_without_a_result_are_survived(self, status: str) -> None:
        side = self.initialized()
        side.request(4)
        for _ in range(60):
            assert side.running, "nothing runs: the experiment stands still"
            side.end(next(iter(side.running)), status)
            side.request(4 - len(side.running) - side.owed)
        assert side.errors == []
        self.run(side, 10)

    def test_a_failure_among_results_holds_nothing_up(self) -> None:
        side = self.initialized()
        for count in range(80):
            side.request(max(0, 3 - len(side.running) - side.owed))
            assert side.running, "nothing runs: the experiment stands still"
            number = next(iter(side.running))
            if count % 3 == 1:
                side.report(number, self.value(side.running[number]), sequence=0)
                side.end(number, "FAILED")
            else:
                side.finish(number, self.value(side.running[number]))
        assert side.errors == []

    def test_a_trial_that_was_stopped_early_is_survived_with_and_without_a_report(self) -> None:
        side = self.initialized()
        for count in range(40):
            side.request(max(0, 3 - len(side.running) - side.owed))
            number = next(iter(side.running))
            for sequence in range(count % 3):
                side.report(number, self.value(side.running[number]), sequence)
            side.end(number, "EARLY_STOPPED" if count % 2 else "SUCCEEDED")
        assert side.errors == []

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_results_that_are_no_finite_number_are_survived(self, value: float) -> None:
        side = self.initialized()
        self.run(side, 10)
        for _ in range(10):
            side.request(max(0, 3 - len(side.running) - side.owed))
            side.finish(next(iter(side.running)), value)
        self.run(side, 10)

    @pytest.mark.parametrize("value", ["good", None, {"accuracy": 1.0}, [1.0]])
    def test_a_metric_that_cannot_be_read_is_an_error_that_names_the_trial_and_is_not_fatal(self, value: Any) -> None:
        if not self.learns:
            pytest.skip("does not read metrics")
        side = self.initialized()
        (number,) = side.request(1)
        side.report(number, value)
        (error,) = side.errors
        assert not error["fatal"]
        assert trial_of(number) in error["message"]
        side.sent.clear()
        side.end(number)
        self.run(side, 5)

    def test_an_unsupported_kind_of_metric_is_a_value_error(self) -> None:
        side = self.initialized()
        (number,) = side.request(1)
        data = {"parameter_id": number, "trial_job_id": trial_of(number), "sequence": 0, "value": "1"}
        side.tell(CommandType.ReportMetricData, {**data, "type": "STRANGE"})
        (error,) = side.errors
        assert "ValueError" in error["message"]
        assert not error["fatal"]

    def test_messages_that_come_twice_or_late_change_nothing(self) -> None:
        side, quiet = self.initialized(), self.initialized()
        for each in (side, quiet):
            self.run(each, 5)
        number = next(iter(side.running))
        for each in (side, quiet):
            each.report(number, 0.5)
            each.end(number)
        count = len(side.trials)
        side.end(number)
        side.report(number, 0.5)
        side.report(number, 100.0, sequence=3)
        side.end(number, "FAILED")
        assert len(side.trials) == count
        assert side.errors == []
        for each in (side, quiet):
            self.run(each, 20)
        assert side.trials == quiet.trials

    def test_trials_of_the_user_are_none_of_its_business(self) -> None:
        side = self.initialized()
        self.run(side, 3)
        count = len(side.trials)
        side.tell(CommandType.AddCustomizedTrialJob, {"parameter_id": None, "parameters": {}})
        data = {"parameter_id": None, "trial_job_id": "user", "type": "FINAL", "sequence": 0, "value": "9"}
        side.tell(CommandType.ReportMetricData, data)
        text = json.dumps({"parameter_id": None, "parameters": {}})
        side.tell(CommandType.TrialEnd, {"trial_job_id": "user", "event": "SUCCEEDED", "hyper_params": text})
        assert len(side.trials) == count
        self.run(side, 5)

    # ------------------------------------------------------------------------------------ import and resume

    def test_results_can_be_imported_and_bad_ones_are_skipped(self) -> None:
        donor, side = self.initialized(), self.initialized()
        self.run(donor, 15)
        data = [{"parameter": each, "value": {"default": self.value(each)}} for each in donor.trials.values()]
        side.tell(CommandType.ImportData, [*data, {"parameter": {"unknown": 1}, "value": 1.0}, {"value": 1.0}])
        assert side.trials == {}
        self.run(side, 10)

    def test_a_resumed_run_goes_on_and_its_ids_are_new(self) -> None:
        side = self.initialized()
        self._eventful_run(side)
        again = self._resumed(side)
        again.request(3)
        self._finish_old(again, side, list(side.running))
        self.run(again, 30)
        assert not set(again.trials) & set(side.trials)

    def test_a_resumed_run_goes_on_like_one_that_was_not_interrupted(self) -> None:
        if not self.resumes:
            pytest.skip("does not resume exactly")
        side = self.initialized()
        self._eventful_run(side)
        again = self._resumed(side)
        running, before = list(side.running), len(side.trials)
        again.request(side.owed)  # as the manager does, when those who owed them are gone
        for each in (side, again):
            self._finish_old(each, side, running)
            self.run(each, 60)
        assert list(side.trials.items())[before:] == list(again.trials.items())

    def _finish_old(self, to: ManagerSide, side: ManagerSide, numbers: list[int]) -> None:
        """Tell of the ends of trials that were running when the experiment was interrupted."""
        for number in numbers:
            to.tell(CommandType.ReportMetricData, _final(number, self.value(side.trials[number])))
            to.running.pop(number, None)
            to.tell(CommandType.TrialEnd, _ended(number, side.trials[number]))

    def _resumed(self, side: ManagerSide) -> ManagerSide:
        again = self.initialized()
        data = {"next_parameter_id": max(side.trials) + 1, "events": side.history}
        again.tell(CommandType.ReplayHistory, data)
        assert again.trials == {}
        assert again.errors == []
        return again

    def _eventful_run(self, side: ManagerSide) -> None:
        """Run trials that succeed, fail, are stopped early, are still running; import a result."""
        for count in range(45):
            side.request(max(0, 4 - len(side.running) - side.owed))
            number = list(side.running)[count % len(side.running)]
            parameters = side.running[number]
            if count % 7 == 3:
                side.end(number, "FAILED")
            elif count % 7 == 5:
                side.report(number, self.value(parameters), sequence=0)
                side.end(number, "EARLY_STOPPED")
            else:
                side.report(number, self.value(parameters) / 2, sequence=0)
                side.finish(number, self.value(parameters))
            if count == 20:
                data = [{"parameter": parameters, "value": 0.5}]
                side.tell(CommandType.ImportData, data)
                side.history.append({"kind": "import", "data": data})


def _final(number: int, value: float) -> dict[str, Any]:
    about = {"parameter_id": number, "trial_job_id": trial_of(number)}
    return {**about, "type": MetricType.FINAL, "sequence": 0, "value": json.dumps(value)}


def _ended(number: int, parameters: Any) -> dict[str, Any]:
    text = json.dumps({"parameter_id": number, "parameters": parameters})
    return {"trial_job_id": trial_of(number), "event": "SUCCEEDED", "hyper_params": text}
