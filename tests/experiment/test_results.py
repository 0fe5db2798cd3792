"""Results read from the disk when no manager can be asked any more."""

from __future__ import annotations

import contextlib
import math

import pytest

from nni.experiment import _results
from nni.store import Batch, Metric, Profile, Store, Trial, TrialStatus


@pytest.fixture
def directory(tmp_path):
    """An experiment of three trials: one with a result, one that failed, one of the user's own that was canceled."""
    (tmp_path / "db").mkdir()
    trials = [
        Trial("aaaaa", 0, 0, "algorithm", '{"x": 1}', TrialStatus.SUCCEEDED, start_time=5, end_time=9, final="NaN"),
        Trial("bbbbb", 1, 1, "algorithm", '{"x": 2}', TrialStatus.FAILED, "exit code 1", start_time=5, end_time=9),
        Trial("ccccc", 2, -1, "customized", '{"x": 3}', TrialStatus.SYS_CANCELED, end_time=10),
    ]
    batch = Batch(profile=Profile("egchD4qy", {}))
    batch.trials.update({trial.id: trial for trial in trials})
    batch.metrics.append(Metric(0, 0, "PERIODICAL", 0, 7, 0, '{"default": 0.5}'))
    batch.metrics.append(Metric(0, 20, "FINAL", 0, 8, 0, "NaN"))
    with contextlib.closing(Store(tmp_path / "db" / "nni.sqlite")) as store:
        store.commit(batch)
    return tmp_path


def test_trials_are_as_they_ended(directory):
    results = _results.read(directory, {"id": "egchD4qy"})
    assert results is not None
    assert [(job.trialJobId, job.status, job.sequenceId) for job in results.jobs] == [
        ("aaaaa", "SUCCEEDED", 0),
        ("bbbbb", "FAILED", 1),
        ("ccccc", "SYS_CANCELED", 2),
    ]
    succeeded, failed, canceled = results.jobs
    assert succeeded.hyperParameters[0].parameters == {"x": 1}
    assert (succeeded.stderrPath, failed.stderrPath) == (None, f"{directory}/trials/bbbbb/stderr")
    assert failed.message == "exit code 1"
    assert canceled.hyperParameters[0].parameter_source == "customized"


def test_everything_reported_is_there_and_only_succeeded_trials_are_exported(directory):
    results = _results.read(directory, {})
    assert results is not None
    assert [(metric.trialJobId, metric.type, metric.parameterId) for metric in results.metrics] == [
        ("aaaaa", "PERIODICAL", "0"),
        ("aaaaa", "FINAL", "0"),
    ]
    assert results.metrics[0].data == {"default": 0.5}
    (exported,) = results.exported
    assert exported.parameter == {"x": 1}
    assert math.isnan(exported.value)


def test_what_cannot_be_read_is_nothing(tmp_path):
    assert _results.read(tmp_path, {}) is None
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "nni.sqlite").write_text("this is no database, and long enough to be recognised as none" * 99)
    assert _results.read(tmp_path, {}) is None
