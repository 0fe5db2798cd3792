"""Who gets which GPU, with devices that are not there."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nni.training_service.gpu import Gpu, GpuRules, GpuSchedule, read_devices


def nobody(_process: int) -> bool:
    return False


def devices(*busy: int, number: int = 2) -> list[Gpu]:
    return [Gpu(index, frozenset({99} if index in busy else ())) for index in range(number)]


def test_a_gpu_that_somebody_else_uses_is_left_alone():
    assert GpuSchedule(GpuRules(1)).place("a", devices(0), nobody) == (1,)


def test_an_active_gpu_is_used_where_that_is_allowed():
    schedule = GpuSchedule(GpuRules(2, use_active=True))
    assert schedule.place("a", devices(0), nobody) == (0, 1)


def test_our_own_trials_do_not_make_a_gpu_active():
    schedule = GpuSchedule(GpuRules(1, per_gpu=2, indices=(0,)))
    assert schedule.place("a", devices(), nobody) == (0,)
    assert schedule.place("b", devices(0), lambda process: process == 99) == (0,)


def test_a_gpu_takes_as_many_trials_as_configured_and_the_next_one_waits():
    schedule = GpuSchedule(GpuRules(1, per_gpu=2, indices=(1,)))
    assert schedule.place("a", devices(), nobody) == (1,)
    assert schedule.place("b", devices(), nobody) == (1,)
    assert schedule.place("c", devices(), nobody) is None
    assert "GPU 1 runs 2 of 2" in schedule.why_waiting(devices(), nobody)
    schedule.release("a")
    assert schedule.place("c", devices(), nobody) == (1,)


def test_trials_are_spread_before_they_share():
    schedule = GpuSchedule(GpuRules(1, per_gpu=2))
    assert [schedule.place(name, devices(), nobody) for name in "abcd"] == [(0,), (1,), (0,), (1,)]


def test_of_idle_gpus_the_one_that_was_used_last_comes_first():
    schedule = GpuSchedule(GpuRules(1))
    for name in "abc":
        schedule.place(name, devices(number=3), nobody)
    for name in "bca":
        schedule.release(name)
    assert [schedule.place(name, devices(number=3), nobody) for name in "xyz"] == [(0,), (2,), (1,)]


def test_only_listed_gpus_are_used():
    schedule = GpuSchedule(GpuRules(1, indices=(1,)))
    assert schedule.place("a", devices(1), nobody) is None
    assert "GPU 1 is used by somebody else" in schedule.why_waiting(devices(1), nobody)


@pytest.mark.parametrize(("rules", "words"), [(GpuRules(3), "has 2"), (GpuRules(1, indices=(5,)), "gpuIndices")])
def test_what_can_never_be_met_is_said_at_once(rules: GpuRules, words: str):
    assert words in (GpuSchedule(rules).impossible(devices()) or "")


def test_what_can_be_met_once_others_leave_is_not_impossible():
    assert GpuSchedule(GpuRules(2)).impossible(devices(0, 1)) is None


def test_devices_of_adopted_trials_are_taken():
    schedule = GpuSchedule(GpuRules(1))
    schedule.adopt("a", (0,))
    assert schedule.place("b", devices(), nobody) == (1,)


def test_a_machine_without_a_driver_has_no_devices_and_one_with_tells_them():
    found = read_devices()
    assert [gpu.index for gpu in found] == list(range(len(found)))


class Sharing(RuleBasedStateMachine):
    """Any order of placing and releasing, on three devices with up to two trials each."""

    def __init__(self) -> None:
        super().__init__()
        self.schedule = GpuSchedule(GpuRules(2, per_gpu=2))
        self.placed: dict[str, tuple[int, ...]] = {}
        self.next = 0

    @rule(busy=st.sets(st.integers(0, 2)))
    def place(self, busy: set[int]) -> None:
        self.next += 1
        name = f"t{self.next}"
        chosen = self.schedule.place(name, devices(*busy, number=3), nobody)
        if chosen is not None:
            assert len(set(chosen)) == 2
            assert not busy & set(chosen)
            self.placed[name] = chosen

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.placed:
            name = data.draw(st.sampled_from(sorted(self.placed)))
            self.schedule.release(name)
            del self.placed[name]

    @invariant()
    def no_device_is_overbooked(self) -> None:
        used = [index for indices in self.placed.values() for index in indices]
        assert all(used.count(index) <= 2 for index in range(3))


Sharing.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestSharing = Sharing.TestCase
