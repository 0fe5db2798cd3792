"""Which experiment a command means when no id, or only the beginning of one, is given (PLT-017, PLT-018)."""

from __future__ import annotations

from pathlib import Path

import pytest

from nni.store.registry import RegistryEntry
from nni.tools.nnictl._resolve import SelectionError, any_experiment, choose_running, context


def entry(experiment_id: str, start: int, status: str = "RUNNING") -> RegistryEntry:
    return RegistryEntry(experiment_id, Path("/x") / experiment_id, 8080 + start, start, status=status)


ONE = [entry("aaaa1111", 1), entry("bbbb2222", 2, "STOPPED")]
TWO = [*ONE, entry("aabb3333", 3)]


def test_the_only_running_experiment_needs_no_id():
    assert choose_running(ONE, None, may_guess=False).id == "aaaa1111"


def test_of_several_the_last_created_is_the_context_and_this_is_said(capsys):
    assert choose_running(TWO, None, may_guess=True).id == "aabb3333"
    captured = capsys.readouterr()
    assert "aabb3333 was created last" in captured.err
    assert captured.out == ""


def test_a_context_that_is_stopped_decides_nothing():
    entries = [*TWO, entry("cccc4444", 4, "STOPPED")]
    with pytest.raises(SelectionError, match=r"name one: aaaa1111 .* aabb3333"):
        choose_running(entries, None, may_guess=True)


def test_commands_that_change_something_never_guess():
    with pytest.raises(SelectionError, match="several experiments are running"):
        choose_running(TWO, None, may_guess=False)


def test_the_beginning_of_an_id_is_enough_when_it_is_unique_among_the_running():
    assert choose_running(TWO, "aab", may_guess=False).id == "aabb3333"
    with pytest.raises(SelectionError, match="several experiment ids begin with 'aa'"):
        choose_running(TWO, "aa", may_guess=False)


def test_a_stopped_experiment_is_not_running_and_the_way_on_is_named():
    for name in ("bbbb2222", "bbb"):
        with pytest.raises(SelectionError, match="nnictl resume bbbb2222"):
            choose_running(TWO, name, may_guess=False)


def test_an_unknown_id_names_similar_ones():
    with pytest.raises(SelectionError, match="did you mean aaaa1111"):
        choose_running(TWO, "aaaa1112", may_guess=False)


def test_the_context_is_the_experiment_created_last_running_or_not():
    assert context(ONE).id == "bbbb2222"
    assert context([]) is None


def test_logs_of_the_last_experiment_are_shown_when_none_runs(add_stopped):
    add_stopped("aaaa1111")
    add_stopped("bbbb2222")
    assert any_experiment(None).id == "bbbb2222"
    assert any_experiment("aa").id == "aaaa1111"


def test_logs_without_any_experiment_are_an_error():
    with pytest.raises(SelectionError, match="no experiment is running"):
        any_experiment(None)
