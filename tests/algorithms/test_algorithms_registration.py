"""Registering algorithms of one's own: what a meta file must say, and where it is kept (HPO-393 … HPO-402)."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
from pathlib import Path

import pytest

from nni.algorithms import _registered, registration, registry
from nni.common.errors import NniError

META = {
    "algoType": "tuner",
    "builtinName": "demotuner",
    "className": "demo_tuner.DemoTuner",
    "classArgsValidator": "demo_tuner.MyClassArgsValidator",
}
EXAMPLE = Path(__file__).parents[2] / "examples" / "tuners" / "customized_tuner"


@pytest.fixture
def environment(tmp_path, monkeypatch, isolated_home):
    """A Python environment of this test's own, in which the example package can be imported."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.syspath_prepend(EXAMPLE)
    return tmp_path / "environment"


def test_a_registered_algorithm_is_found_checked_and_built_like_a_built_in_one(environment):
    registration.register(META)
    found = registry.find("DemoTuner", "tuner")
    assert (found.name, found.source, found.class_path) == ("demotuner", "User", "demo_tuner.DemoTuner")
    with pytest.raises(NniError, match=r"classArgs.step: expected a number between 0.001 and 1, got 7"):
        registry.create("demotuner", {"step": 7})
    assert registry.create("demotuner", {"explore": 3}).explore == 3
    assert registry.names("tuner")[-1] == "demotuner"


def test_it_is_written_down_in_the_environment(environment):
    _, file = registration.register(META)
    assert file == environment / "etc" / "nni" / "algorithms.json"
    assert "demotuner" in json.loads(file.read_text())["algorithms"]


def test_another_environment_of_the_same_user_does_not_have_it(environment, monkeypatch, tmp_path):
    registration.register(META)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "other"))
    with pytest.raises(NniError, match="no algorithm named 'demotuner'"):
        registry.find("demotuner")


def test_an_environment_that_cannot_be_written_to_is_remembered_in_the_home(environment, monkeypatch, isolated_home):
    def refuse(self, *_, **__):
        if environment in self.parents:
            raise PermissionError(13, "Permission denied", str(self))
        return original(self, *_, **__)

    original = Path.mkdir
    monkeypatch.setattr(Path, "mkdir", refuse)
    _, file = registration.register(META)
    assert isolated_home in file.parents
    assert registry.find("demotuner").source == "User"
    registration.unregister("demotuner")
    assert "demotuner" not in registry.names()


def test_a_validator_is_optional(environment):
    registration.register({key: value for key, value in META.items() if key != "classArgsValidator"})
    assert registry.create("demotuner", {"step": 7}).step == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algoType": "tuners"}, r"algoType: expected tuner, assessor or advisor, got 'tuners'"),
        ({"algoType": None}, r"algoType: this key must be given"),
        ({"builtinName": ""}, r"builtinName: this key must be given"),
        ({"builtinName": ["a"]}, r"builtinName: expected a text, got \['a'\]"),
        ({"builtinName": "tpe"}, r"'tpe' is the name of one of NNI's own algorithms"),
        ({"clasName": "x.Y"}, r"clasName: unknown key; did you mean 'className'\?"),
        ({"colour": "x.Y"}, r"colour: unknown key; the keys are algoType, builtinName"),
        ({"className": "DemoTuner"}, r"className: expected module.Class, got 'DemoTuner'"),
        ({"className": "demo_tuners.DemoTuner"}, r"No module named 'demo_tuners'; install the package first"),
        ({"className": "demo_tuner.DemoTunr"}, r"has no class DemoTunr; did you mean 'DemoTuner'\?"),
        ({"className": "demo_tuner.MyClassArgsValidator"}, r"must inherit from nni.tuner.Tuner"),
        ({"algoType": "assessor"}, r"is no assessor but of the type tuner; write algoType: tuner"),
        ({"classArgsValidator": "demo_tuner.DemoTuner"}, r"must inherit from nni.ClassArgsValidator"),
    ],
)
def test_a_wrong_meta_file_is_refused_with_its_key_and_changes_nothing(environment, change, message):
    with pytest.raises(NniError, match=message):
        registration.register({**META, **change})
    assert not (environment / "etc").exists()


@pytest.mark.parametrize("meta", [None, [], "text"])
def test_a_meta_file_that_is_no_mapping_is_refused(environment, meta):
    with pytest.raises(NniError, match="expected the keys algoType, builtinName, className, classArgsValidator"):
        registration.register(meta)


def test_a_module_that_fails_to_import_is_told_in_one_line(environment, tmp_path, monkeypatch):
    (tmp_path / "broken_tuner.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NniError, match="importing broken_tuner failed: ZeroDivisionError"):
        registration.register({**META, "className": "broken_tuner.T"})


def test_a_name_is_registered_once_whatever_its_case(environment):
    registration.register(META)
    with pytest.raises(NniError, match=r"'demotuner' is registered already.*nnictl algo unregister demotuner"):
        registration.register({**META, "builtinName": "DemoTuner"})


def test_nni_s_own_algorithms_cannot_be_unregistered(environment):
    with pytest.raises(NniError, match="TPE is one of NNI's own algorithms"):
        registration.unregister("TPE")
    with pytest.raises(NniError, match="no algorithm named 'nothing'"):
        registration.unregister("nothing")


@pytest.mark.parametrize("content", ["{", "[]", '{"format": 9}', '{"format": 1, "algorithms": {"a": 1}}'])
def test_a_damaged_file_is_told_with_its_path(environment, content):
    file = environment / "etc" / "nni" / "algorithms.json"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    with pytest.raises(NniError, match=r"algorithms.json: .*remove it and register your algorithms again"):
        registry.names()


def _register(prefix: str, home: str, number: int) -> None:
    sys.prefix = prefix
    os.environ["HOME"] = home
    sys.path.insert(0, str(EXAMPLE))
    registration.register({**META, "builtinName": f"mine{number}"})


def test_several_at_once_lose_none(environment, isolated_home):
    context = multiprocessing.get_context("spawn")
    arguments = (str(environment), str(isolated_home))
    processes = [context.Process(target=_register, args=(*arguments, number)) for number in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert set(_registered.read()) == {f"mine{number}" for number in range(4)}
