"""Trials that are forked from a fork server behave like trials that are started."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from nni.store import TrialStatus
from nni.testing.training_service import Observer, TrainingServiceConformance, form
from nni.training_service import TrainingService, TrialJobDetail
from nni.training_service.local import LocalSettings, LocalTrainingService
from nni.training_service.local.warm import ScriptCommand, parse_command

PROBE = """
import json, os, random, signal, sys
import nni
seen = {
    "argv": sys.argv, "name": __name__, "file": __file__, "path": sys.path[0], "cwd": os.getcwd(),
    "parameters": nni.get_next_parameter(), "stdin": sys.stdin.read(), "tty": sys.stdout.isatty(),
    "main": sys.modules["__main__"].__dict__ is globals(), "pwd": os.environ["PWD"],
    "sigterm": signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, "sigint": signal.getsignal(signal.SIGINT).__name__,
    "sigchld": signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL, "leader": os.getpgid(0) != os.getpid(),
    "environment": {name: value for name, value in sorted(os.environ.items()) if name.startswith("NNI_")},
}
print(json.dumps(seen))
print(random.random(), file=open("random", "a"))
"""
ENDS = {
    "exception": "def f():\n    raise ValueError('no good')\nf()\n",
    "exit 3": "import sys\nsys.exit(3)\n",
    "exit text": "import sys\nsys.exit('bye')\n",
    "syntax": "x = (\n",
    "atexit": "import atexit\natexit.register(lambda: print('registered'))\nprint('first')\n",
    "thread": "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()\n",
    "signal": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
    "open file": "file = open('/dev/stdout', 'w')\nfile.write('written without a flush')\n",
    "finalizer": "class Noisy:\n    def __del__(self):\n        print('finalized')\nnoisy = Noisy()\n",
    "cycle": "class Noisy:\n    def __del__(self):\n        print('collected')\na = Noisy()\na.self = a\n",
    "own module": (
        "import os\nopen('helper.py', 'w').write(\"f = open('/dev/stdout', 'w')\\nf.write('held')\")\nimport helper\n"
    ),
    "exit 256": "import sys\nsys.exit(256 + 7)\n",
    "exit none": "import sys\nprint('end')\nsys.exit()\n",
    "os._exit": "import os\nprint('lost?', flush=True)\nos._exit(9)\n",
}


class TestWarmService(TrainingServiceConformance):
    def make(self, directory: Path, command: str, code_directory: Path) -> TrainingService:
        return service(directory, code_directory, command)

    async def forget(self, service: TrainingService) -> None:
        assert isinstance(service, LocalTrainingService)
        service.close()


def service(directory: Path, code: Path, command: str, preload: tuple[str, ...] = ("decimal",)) -> LocalTrainingService:
    return LocalTrainingService(LocalSettings("ABCDEFGH", directory, command, code, None, preload, grace=1))


def run(tmp_path: Path, name: str, script: str | None, preload: tuple[str, ...], arguments: str = "") -> TrialJobDetail:
    """Run one trial to its end and return what the service knows of it."""
    directory = tmp_path / name
    (directory / "trials").mkdir(parents=True, exist_ok=True)
    code = tmp_path / "code"
    code.mkdir(exist_ok=True)
    if script is not None:
        (code / "trial.py").write_text(script)

    async def scenario() -> TrialJobDetail:
        watch = Observer(service(directory, code, f"{sys.executable} trial.py {arguments}", preload))
        await watch.service.submit_trial_job(form("t0", "x"))
        await watch.until(lambda: watch.ended("t0"), "the trial")
        await watch.close()
        return watch.details["t0"]

    return asyncio.run(scenario())


def both(tmp_path: Path, script: str | None, arguments: str = "") -> list[tuple[TrialJobDetail, str, str]]:
    """Run a script started and forked; returns for each the detail and both outputs, without the folder's name."""
    results = []
    for name, preload in (("cold", ()), ("warm", ("decimal",))):
        detail = run(tmp_path, name, script, preload, arguments)
        folder = Path(detail.working_directory)
        assert (folder / ".nni" / "warm").exists() == bool(preload)
        texts = [(folder / file).read_text().replace(f"/{name}/", "/EXP/") for file in ("trial.log", "stderr")]
        results.append((detail, *texts))
    return results


def test_a_forked_trial_finds_everything_as_a_started_one_does(tmp_path: Path):
    (_, cold, _), (_, warm, _) = both(tmp_path, PROBE, "--epochs 3 'two words'")
    expected, found = json.loads(cold), json.loads(warm)
    assert found == expected
    assert found["argv"][1:] == ["--epochs", "3", "two words"]
    assert found["parameters"] == {"x": "x"}


def test_forked_trials_do_not_repeat_each_others_random_numbers(tmp_path: Path):
    for name in ("a", "b"):
        run(tmp_path, name, PROBE, ("random", "numpy"))
    first, second = (tmp_path / "code" / "random").read_text().split()
    assert first != second


@pytest.mark.parametrize("script", ENDS.values(), ids=ENDS.keys())
def test_a_forked_trial_ends_as_a_started_one_does(tmp_path: Path, script: str):
    (cold, cold_log, cold_error), (warm, warm_log, warm_error) = both(tmp_path, script)
    assert (warm.status, warm.exit_code) == (cold.status, cold.exit_code)
    assert warm_log == cold_log
    if "SIGKILL" not in script:  # of which bash itself writes a line
        assert warm_error == cold_error


def test_a_missing_script_fails_as_it_does_with_python(tmp_path: Path):
    (cold, _, _), (warm, _, error) = both(tmp_path, None)
    assert warm.exit_code == cold.exit_code == 2
    assert "can't open file" in error


def test_the_modules_are_there_and_nothing_else(tmp_path: Path):
    script = "import sys\nprint('decimal' in sys.modules, 'numpy' in sys.modules, 'asyncio' in sys.modules)\n"
    (_, cold, _), (_, warm, _) = both(tmp_path, script)
    assert cold == "False False False\n"
    assert warm == "True False False\n"


def test_a_module_that_cannot_be_imported_is_a_warning_and_the_trial_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    detail = run(tmp_path, "odd", "print('ran')", ("no_such_module_at_all",))
    assert detail.status is TrialStatus.SUCCEEDED
    assert "no_such_module_at_all: ModuleNotFoundError" in caplog.text


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("python a.py && echo b", "shell"),
        ("python a.py > out", "shell"),
        ("CUDA=1 python a.py", "python"),
        ("bash a.sh", "python"),
        ("python -m a", "options"),
        ("python", "options"),
        ("python 'a.py", "words"),
        ("python3.99 a.py", "PATH"),
    ],
)
def test_a_command_that_is_more_than_a_script_is_started_the_usual_way_with_the_reason(
    command: str, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    why = parse_command(command)
    assert isinstance(why, str)
    assert reason in why

    async def make() -> None:
        assert service(tmp_path, tmp_path, command)._warm is None

    asyncio.run(make())
    assert why in caplog.text


def test_a_plain_script_is_taken_apart():
    command: Any = parse_command(f"{sys.executable} train.py --lr '0 1'")
    assert command == ScriptCommand(sys.executable, "train.py", ("--lr", "0 1"))


def test_when_the_server_dies_trials_are_started_and_a_new_server_follows(tmp_path: Path):
    code, directory = tmp_path / "code", tmp_path / "exp"
    code.mkdir()
    (directory / "trials").mkdir(parents=True)
    (code / "trial.py").write_text("print('ran')")

    async def scenario() -> None:
        watch = Observer(service(directory, code, f"{sys.executable} trial.py"))
        await watch.service.submit_trial_job(form("t0", "x"))
        await watch.until(lambda: watch.ended("t0"), "the first")
        watch.service._warm._process.kill()  # type: ignore[attr-defined]
        for name in ("t1", "t2"):
            await watch.service.submit_trial_job(form(name, "x"))
        await watch.until(lambda: watch.ended("t1") and watch.ended("t2"), "the others")
        assert {watch.history[name][-1] for name in ("t0", "t1", "t2")} == {TrialStatus.SUCCEEDED}
        await watch.close()

    asyncio.run(scenario())


def test_a_trial_that_waits_for_the_first_import_says_so(tmp_path: Path):
    code, directory = tmp_path / "code", tmp_path / "exp"
    code.mkdir()
    (directory / "trials").mkdir(parents=True)
    (code / "trial.py").write_text("print('ran')")
    gate = "import os, time\nwhile not os.path.exists('go'):\n    time.sleep(0.02)\n"
    (code / "slow_to_import.py").write_text(gate)

    async def scenario() -> None:
        watch = Observer(service(directory, code, f"{sys.executable} trial.py", ("slow_to_import",)))
        await watch.service.submit_trial_job(form("t0", "x"))
        try:
            await watch.until(lambda: "t0" in watch.details, "the reason")
            assert watch.details["t0"].message == "preload: importing slow_to_import"
            assert watch.details["t0"].status is TrialStatus.WAITING
        finally:
            (code / "go").touch()
        await watch.until(lambda: watch.ended("t0"), "the trial")
        assert watch.details["t0"].message == ""
        await watch.close()

    asyncio.run(scenario())
