"""The local training service keeps the contract, and what is its own."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import TrainingService
from nni.training_service.local import LocalSettings, LocalTrainingService
from nni.trial_runner.script import Launchers, TrialFiles
from nni.trial_runner.spool_reader import SpoolReader


class TestLocalService(TrainingServiceConformance):
    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        return LocalTrainingService(LocalSettings("ABCDEFGH", directory, command, code_directory, grace=1.0))

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, LocalTrainingService)
        service.close()


def script(command: str = "python trial.py", code: str = "/code dir") -> list[str]:
    files = TrialFiles(Path("/exp/trials/abcde"))
    launchers = Launchers(command, Path(code), {"NNI_PLATFORM": "local", "CUDA_VISIBLE_DEVICES": ""})
    return launchers.render(files, {"NNI_TRIAL_SEQ_ID": "7"}).splitlines()


def test_the_second_line_of_run_sh_changes_into_the_code_directory():
    assert script()[0] == "#!/bin/bash"
    assert script()[1].startswith("cd '/code dir'")


def test_run_sh_exports_an_empty_variable_as_documented():
    assert "export CUDA_VISIBLE_DEVICES=" in script()


def test_run_sh_evaluates_the_command_with_stderr_in_its_file():
    command = "python 'a b.py' && echo \"$X\""
    assert script(command)[-1] == f"eval {shlex.quote(command)} 2>/exp/trials/abcde/stderr"


@pytest.mark.parametrize("text", ["", "0", "x 1", "0 x"])
def test_a_state_file_that_is_not_complete_is_no_state(tmp_path: Path, text: str):
    files = TrialFiles(tmp_path)
    (tmp_path / ".nni").mkdir()
    assert files.read_state() is None
    files.state.write_text(text)
    assert files.read_state() is None


def test_the_spool_reader_gives_whole_lines_with_their_places(tmp_path: Path):
    path = tmp_path / "metrics"
    reader = SpoolReader(path, 0)
    assert reader.read() == []
    path.write_bytes(b"ab\ncd\nhalf")
    assert reader.read() == [(0, b"ab"), (3, b"cd")]
    assert reader.read() == []
    with path.open("ab") as file:
        file.write(b" now whole\n")
    assert reader.read() == [(6, b"half now whole")]
    reader.close()


def test_the_spool_reader_takes_lines_longer_than_its_piece(tmp_path: Path):
    path = tmp_path / "metrics"
    long = b"x" * 900_000
    path.write_bytes(b"a\n" + long + b"\nb\n")
    reader = SpoolReader(path, 0)
    lines = [*reader.read(), *reader.read(), *reader.read()]
    assert [line for _, line in lines] == [b"a", long, b"b"]
    reader.close()


async def test_an_expected_trial_has_its_files_before_it_is_submitted_and_starts_with_them(tmp_path: Path):
    service = LocalTrainingService(LocalSettings("ABCDEFGH", tmp_path, "true", tmp_path))
    seen = Observer(service)
    service.expect_trial_job(form("t0", "x"))
    files = TrialFiles(tmp_path / "trials" / "t0")
    written = files.script.stat().st_mtime_ns, files.parameters.read_text()
    await service.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert (files.script.stat().st_mtime_ns, files.parameters.read_text()) == written
    await seen.close()


async def test_an_expected_trial_that_never_comes_leaves_nothing(tmp_path: Path):
    service = LocalTrainingService(LocalSettings("ABCDEFGH", tmp_path, "true", tmp_path))
    service.expect_trial_job(form("t0", "x"))
    assert (tmp_path / "trials" / "t0").is_dir()
    await service.clean_up()
    assert not (tmp_path / "trials" / "t0").exists()


async def test_a_trial_that_a_killed_manager_expected_starts_all_the_same(tmp_path: Path):
    LocalTrainingService(LocalSettings("ABCDEFGH", tmp_path, "true", tmp_path)).expect_trial_job(form("t0", "old"))
    seen = Observer(LocalTrainingService(LocalSettings("ABCDEFGH", tmp_path, "true", tmp_path)))
    await seen.service.submit_trial_job(form("t0", "x"))
    await seen.until(lambda: seen.ended("t0"), "the end")
    assert TrialFiles(tmp_path / "trials" / "t0").parameters.read_text() == form("t0", "x").parameters
    await seen.close()


async def test_nothing_is_left_of_an_expected_trial_when_another_one_comes_first(tmp_path: Path):
    service = LocalTrainingService(LocalSettings("ABCDEFGH", tmp_path, "true", tmp_path))
    for number in range(3):
        service.expect_trial_job(form(f"t{number}", "x"))
    assert [path.name for path in (tmp_path / "trials").iterdir()] == ["t2"]
    service.expect_trial_job(None)
    assert list((tmp_path / "trials").iterdir()) == []
    service.close()
