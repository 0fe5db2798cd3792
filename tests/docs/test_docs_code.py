"""The code blocks of the documentation are true: they run, load, parse, or name what exists."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"(?:<!-- (?P<note>(?:run|file)(?:: \S+)?) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)")


class Block(NamedTuple):
    page: Path
    line: int
    language: str
    code: str
    note: str

    @property
    def file(self) -> str:
        """The name under which later blocks of the page find it."""
        return self.note.partition(": ")[2]

    def __str__(self) -> str:
        return f"{self.page.relative_to(REPOSITORY)}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found["language"], found["code"], found["note"] or "")
        for found in BLOCK.finditer(text)
    ]


ALL_BLOCKS = [block for page in PAGES for block in blocks_of(page)]


def blocks(language: str) -> Any:
    chosen = [block for block in ALL_BLOCKS if block.language == language]
    return pytest.mark.parametrize("block", chosen, ids=str)


def lay_out(page: Path, folder: Path) -> None:
    """Put the named files of a page into a folder, as its reader does."""
    for block in blocks_of(page):
        if block.file:
            (folder / block.file).write_text(block.code, encoding="utf-8")


def test_every_kind_of_block_is_there_to_be_checked():
    languages = {block.language for block in ALL_BLOCKS}
    assert languages >= {"python", "json", "yaml", "console"}
    assert sum(block.note.startswith("run") for block in ALL_BLOCKS) >= 5


@blocks("python")
def test_python_compiles(block):
    compile(block.code, str(block), "exec")


@pytest.mark.parametrize("block", [block for block in ALL_BLOCKS if block.note.startswith("run")], ids=str)
def test_complete_python_examples_run(block, tmp_path):
    lay_out(block.page, tmp_path)
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", block.code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    if "report_final_result" in block.code:
        assert "Final result" in result.stdout


@blocks("json")
def test_json_parses_and_search_spaces_are_valid(block):
    data = json.loads(block.code)
    if '"_type"' in block.code:
        from nni.search_space import parse

        parse(data)


@blocks("yaml")
def test_configs_are_valid(block, tmp_path):
    from ruamel.yaml import YAML

    data = YAML(typ="safe", pure=True).load(block.code)
    if "trialCommand" not in data and "trial" not in data:
        return
    from nni.config import load

    lay_out(block.page, tmp_path)
    (tmp_path / "halfway.py").write_text(first_block_with("class HalfwayTuner"), encoding="utf-8")
    config = tmp_path / "config_of_the_page.yml"
    config.write_text(block.code, encoding="utf-8")
    load(config).validate()


def first_block_with(text: str) -> str:
    return next(block.code for block in ALL_BLOCKS if text in block.code)


def commands(block: Block) -> list[list[str]]:
    lines = (line[2:] for line in block.code.splitlines() if line.startswith("$ "))
    return [shlex.split(line, comments=True) for line in lines]


@blocks("console")
def test_commands_exist(block):
    for command in commands(block):
        if command[0] == "nnictl":
            assert_nnictl_understands(command[1:])
        elif command[0] == "make":
            makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
            for target in command[1:]:
                assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{block}: no target {target}"


def assert_nnictl_understands(arguments: list[str]) -> None:
    """Let the command line parse it, without running the command."""
    import typer

    from nni.tools.nnictl._app import app

    command: Any = typer.main.get_command(app)
    context: Any = None
    while True:
        context = command.make_context(command.name, list(arguments), parent=context)
        rest = [*context._protected_args, *context.args]
        if not hasattr(command, "resolve_command") or not rest:
            return
        _, command, arguments = command.resolve_command(context, rest)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    missing = []
    for target in (found["target"] for found in LINK.finditer(text)):
        path, _, anchor = target.partition("#")
        if path.startswith(("http:", "https:", "mailto:")):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            missing.append(target)
    assert missing == []


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_of_the_site_is_in_its_menu():
    menu = (REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {page.relative_to(REPOSITORY / "docs").as_posix() for page in (REPOSITORY / "docs").rglob("*.md")}
    assert [page for page in sorted(pages) if f" {page}\n" not in menu] == []


def test_every_command_of_nnictl_is_in_its_page():
    import typer

    from nni.tools.nnictl._app import app

    page = (REPOSITORY / "docs" / "nnictl.md").read_text(encoding="utf-8")
    root: Any = typer.main.get_command(app)
    names = [
        f"{name} {below}".strip()
        for name, command in root.commands.items()
        for below in getattr(command, "commands", [""])
    ]
    assert [name for name in names if f"nnictl {name}" not in page] == []


def test_every_field_of_a_config_is_in_its_page():
    from nni.config import json_schema

    page = (REPOSITORY / "docs" / "experiment-config.md").read_text(encoding="utf-8")
    assert sorted(field for field in json_schema()["properties"] if f"`{field}`" not in page) == []


def test_every_algorithm_has_a_page_or_a_section():
    from nni.algorithms import registry

    docs = REPOSITORY / "docs"
    pages = [*(docs / "algorithms").glob("*.md"), *(docs / f"{kind}s.md" for kind in ("tuner", "assessor"))]
    headings = {line.strip("# ") for page in pages for line in page.read_text(encoding="utf-8").splitlines()}
    assert [each.name for each in registry.algorithms() if each.source == "nni" and each.name not in headings] == []
