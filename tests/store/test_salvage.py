"""A lost list of experiments is made again of their databases, with everything that these know."""

from __future__ import annotations

import contextlib

import pytest

from nni.store import Batch, Profile, Store, StoreError
from nni.store.registry import ExperimentRegistry
from nni.store.salvage import entry_of


@pytest.fixture
def directory(tmp_path):
    """The directory of a stopped experiment, in the root that the list stands in."""
    directory = tmp_path / "egchD4qy"
    (directory / "db").mkdir(parents=True)
    (directory / ".lock").touch()
    config = {"experimentName": "Example", "trainingService": [{"platform": "local"}, {"platform": "remote"}]}
    profile = Profile("egchD4qy", config, start_time=1_700_000_000_000, end_time=1_700_000_060_000)
    with contextlib.closing(Store(directory / "db" / "nni.sqlite")) as store:
        store.commit(Batch(profile=profile))
    return directory


@pytest.mark.parametrize("content", [None, b"{broken"], ids=["lost", "broken"])
def test_name_times_and_platform_are_in_the_new_list(directory, content):
    file = directory.parent / ".experiment"
    if content is not None:
        file.write_bytes(content)
    (entry,) = ExperimentRegistry(file).entries()
    assert (entry.id, entry.name, entry.platform, entry.status) == ("egchD4qy", "Example", "hybrid", "STOPPED")
    assert (entry.start_time, entry.end_time) == (1_700_000_000_000, 1_700_000_060_000)


def test_an_experiment_whose_database_is_damaged_is_listed_all_the_same(directory):
    (directory / "db" / "nni.sqlite").write_bytes(b"nonsense" * 1000)
    (entry,) = ExperimentRegistry(directory.parent / ".experiment").entries()
    assert (entry.id, entry.name) == ("egchD4qy", "")


def test_a_directory_without_a_database_has_no_entry(tmp_path):
    with pytest.raises(StoreError, match="no such experiment database"):
        entry_of(tmp_path)


def test_looking_leaves_no_trace(directory):
    before = sorted(directory.rglob("*"))
    entry_of(directory)
    assert sorted(directory.rglob("*")) == before
