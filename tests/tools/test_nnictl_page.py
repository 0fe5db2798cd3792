"""``docs/nnictl.md`` says what the commands say of themselves."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture
def generator():
    spec = importlib.util.spec_from_file_location("nnictl_page", REPOSITORY / ".ci" / "nnictl_page.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_as_the_commands_are_now(generator):
    page = generator.PAGE.read_text(encoding="utf-8")
    assert page == generator.renewed(page), "a command has changed: run python .ci/nnictl_page.py"


def test_a_command_without_a_place_gets_one(generator):
    page = generator.renewed("# nnictl\n")
    assert "## trial rerun\n\n<!-- nnictl: trial rerun -->\nQueue the parameters" in page
    assert page == generator.renewed(page)


def test_a_command_that_is_gone_is_an_error(generator):
    with pytest.raises(SystemExit, match="no command gone fishing"):
        generator.renewed("<!-- nnictl: gone fishing -->\n<!-- end -->\n")


def test_options_have_all_their_names_and_their_defaults(generator):
    text = generator.described("create", generator.commands()["create"])
    assert "`nnictl create [OPTIONS]`" in text
    assert "| `--config`, `-c` | required |" in text
    assert "| `--port`, `-p` | `8080` |" in text
    assert "| `--foreground`, `-f` | off |" in text
