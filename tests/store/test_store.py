"""The store of one experiment."""

from __future__ import annotations

import contextlib
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nni.store import Batch, ExperimentStatus, Metric, Profile, Reader, Store, StoreError, Trial, TrialStatus
from nni.store.schema import STEPS, prepare


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nni.sqlite"


@pytest.fixture
def store(path: Path):
    opened = Store(path)
    yield opened
    opened.close()


@pytest.fixture
def read(path: Path) -> Iterator[Reader]:
    with contextlib.closing(Reader(path)) as reader:
        yield reader


def metric(trial: int, position: int, kind: str = "PERIODICAL", value: str = "0.5") -> Metric:
    return Metric(trial, position, kind, position, 1000 + position, trial, value)


def batch(*trials: Trial, metrics: list[Metric] | None = None) -> Batch:
    return Batch({trial.sequence: trial for trial in trials}, metrics or [])


TRIALS = st.builds(
    Trial,
    id=st.just("abcde"),
    sequence=st.integers(0, 2**40),
    parameter_id=st.integers(-1, 2**40),
    source=st.sampled_from(["algorithm", "customized"]),
    parameters=st.just("{}"),
    status=st.sampled_from(TrialStatus),
    message=st.text(st.characters(blacklist_categories=["Cs"])),
    submit_time=st.integers(0, 2**42),
    start_time=st.none() | st.integers(0, 2**42),
    exit_code=st.none() | st.integers(-64, 255),
    stopping=st.none() | st.sampled_from(TrialStatus),
    final=st.none() | st.just("NaN"),
    value=st.none() | st.floats(allow_nan=False),
    offset=st.integers(0, 2**50),
)


@given(trial=TRIALS)
def test_a_trial_comes_back_as_it_was_saved(tmp_path_factory: pytest.TempPathFactory, trial: Trial):
    path = tmp_path_factory.mktemp("db") / "nni.sqlite"
    store = Store(path)
    store.commit(batch(trial))
    with contextlib.closing(Reader(path)) as reader:
        assert reader.trial("abcde") == trial
    store.close()


def test_the_same_line_of_a_metric_file_is_counted_once(store: Store, path: Path, read: Reader):
    trial = Trial("abcde", 0, 0, "algorithm", "{}")
    store.commit(batch(trial, metrics=[metric(0, 0), metric(0, 90)]))
    store.commit(batch(trial, metrics=[metric(0, 90), metric(0, 180)]))
    assert [found.position for _, found in read.metrics()] == [0, 90, 180]


def test_a_batch_that_fails_leaves_nothing_behind(store: Store, path: Path, read: Reader):
    first = Trial("abcde", 0, 0, "algorithm", "{}")
    store.commit(batch(first))
    clash = Trial("abcde", 1, 1, "algorithm", "{}")
    with pytest.raises(sqlite3.IntegrityError):
        store.commit(batch(clash, metrics=[metric(1, 0)]))
    assert [trial.sequence for trial in read.trials()] == [0]
    assert list(read.metrics()) == []
    assert store.revision == 1


def test_the_profile_survives_and_its_config_is_written_only_when_it_changes(store: Store, path: Path):
    profile = Profile("ABCDEFGH", {"searchSpace": {"x": 1}}, ExperimentStatus.RUNNING, ["oops"], 5, next_sequence=7)
    store.commit(Batch(profile=profile))
    profile.next_sequence = 8
    store.commit(Batch(profile=profile))
    reopened = Store(path)
    assert reopened.profile() == profile
    reopened.close()


def test_only_the_owner_can_read_the_database(store: Store, path: Path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_history_is_told_in_the_order_in_which_it_happened(store: Store):
    a = Trial("aaaaa", 0, 0, "algorithm", '{"x": 1}')
    b = Trial("bbbbb", 1, 1, "customized", '{"x": 2}')
    store.commit(batch(a))
    store.commit(batch(b, metrics=[metric(0, 0, value="0.1")]))
    store.commit(Batch(imports=[(1, '[{"parameter": {}, "value": 1}]')]))
    b.status, b.final = TrialStatus.SUCCEEDED, "0.9"
    store.commit(batch(b))
    kinds = [(event["kind"], event.get("trial_job_id")) for event in store.history(intermediates=True)]
    assert kinds == [
        ("parameters", "aaaaa"),
        ("parameters", "bbbbb"),
        ("import", None),
        ("result", "bbbbb"),
        ("end", "bbbbb"),
        ("intermediate", "aaaaa"),
    ]


def test_a_reader_orders_pages_and_filters(store: Store, path: Path, read: Reader):
    trials = [Trial(f"tr{n:03}", n, n, "algorithm", "{}", TrialStatus.SUCCEEDED) for n in range(10)]
    for trial in trials[:8]:
        trial.value = float((trial.sequence * 7) % 10)
    trials[9].status = TrialStatus.FAILED
    store.commit(batch(*trials))
    reader = read
    assert [t.value for t in reader.trials(order="-metric", limit=3)] == [9.0, 8.0, 7.0]
    assert [t.sequence for t in reader.trials(order="metric")][-2:] == [8, 9]
    assert [t.sequence for t in reader.trials(limit=2, offset=4)] == [4, 5]
    assert reader.number([TrialStatus.FAILED]) == 1
    best = reader.best(maximize=False)
    assert best is not None
    assert best.value == 0.0


def test_a_reader_tells_what_changed_after_a_revision(store: Store, path: Path, read: Reader):
    trials = [Trial(f"tr{n:03}", n, n, "algorithm", "{}") for n in range(3)]
    store.commit(batch(*trials))
    before = store.revision
    trials[1].status = TrialStatus.RUNNING
    store.commit(batch(trials[1]))
    assert [trial.sequence for trial in read.trials(changed_after=before)] == [1]


def test_latest_metrics_hold_every_final_and_the_last_intermediate_of_each_trial(store: Store, read: Reader):
    trials = [Trial(f"tr{n:03}", n, n, "algorithm", "{}") for n in range(2)]
    metrics = [metric(0, 0), metric(0, 10), metric(0, 20, "FINAL"), metric(1, 0)]
    store.commit(batch(*trials, metrics=metrics))
    latest = [(found.trial, found.position) for _, found in read.metrics(latest=True)]
    assert latest == [(0, 10), (0, 20), (1, 0)]


def test_a_newer_schema_is_refused_and_left_alone(store: Store, path: Path):
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        Store(path)


def test_something_that_is_no_database_is_refused_in_one_line(path: Path):
    path.write_bytes(b"this is not a database, whatever its name says" * 100)
    with pytest.raises(StoreError, match="not a usable experiment database") as caught:
        Store(path)
    assert "\n" not in str(caught.value)
    assert path.read_bytes().startswith(b"this is not")


def test_an_older_schema_is_brought_up_to_date_in_one_step(path: Path):
    with sqlite3.connect(path, isolation_level=None) as connection:
        prepare(connection, path, STEPS)
        connection.execute("INSERT INTO import VALUES (1, 2, '[]')")
        newer = (*STEPS, ("ALTER TABLE import ADD COLUMN origin TEXT", "CREATE INDEX import_by_time ON import (time)"))
        prepare(connection, path, newer)
        assert connection.execute("SELECT origin FROM import").fetchone() == (None,)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS) + 1,)
    connection.close()


def test_a_migration_that_fails_changes_nothing(path: Path):
    with sqlite3.connect(path, isolation_level=None) as connection:
        prepare(connection, path, STEPS)
        broken = (*STEPS, ("CREATE TABLE fresh (a)", "CREATE TABLE trial (a)"))
        with pytest.raises(sqlite3.OperationalError):
            prepare(connection, path, broken)
        assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
        assert not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'fresh'").fetchall()
    connection.close()


def test_checkpointing_empties_the_log_while_commits_go_on(store: Store):
    for number in range(300):
        store.commit(batch(Trial(f"t{number}", number, number, "algorithm", "{}")))
    before = store.log_size()
    store.checkpoint()
    for number in range(300, 400):
        store.commit(batch(Trial(f"t{number}", number, number, "algorithm", "{}")))
    assert store.log_size() <= before


def test_reading_a_database_that_is_not_there_says_so(path: Path):
    with pytest.raises(StoreError, match="no such experiment database"):
        Store(path, read_only=True)
    assert not path.exists()


def test_a_database_of_before_there_were_notes_is_read_as_it_is_and_gets_them_when_it_is_written_to(path: Path):
    with contextlib.closing(sqlite3.connect(path)) as connection:
        prepare(connection, path, STEPS[:1])
    with contextlib.closing(Reader(path, at_rest=True)) as reader:
        assert reader.notes() == {}
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(STEPS),)
        assert connection.execute("SELECT count(*) FROM note").fetchone() == (0,)


def test_what_a_lost_run_reported_is_dropped_and_what_the_next_one_reports_is_kept(store: Store, read: Reader):
    trial = Trial("abcde", 0, 0, "algorithm", "{}")
    store.commit(batch(trial, metrics=[metric(0, place) for place in (0, 50)]))
    trial.run_again(2)
    again = batch(trial, metrics=[metric(0, trial.offset + 0, value="1")])
    again.lost[0] = trial.offset
    store.commit(again)
    assert [found.value for _, found in read.metrics()] == ["1"]
    (stored,) = store.unfinished()
    assert (stored.run, stored.run_offset) == (2, 0)
