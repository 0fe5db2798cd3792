"""The example notebooks run from the first cell to the last, under nbclient where there is one (PLT-217, PLT-328)."""

from __future__ import annotations

import ast
import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[2] / "examples" / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture
def cells(monkeypatch, free_port, isolated_home):
    """A function that returns the code of a notebook, which will use a port that is free."""
    monkeypatch.setenv("NNI_NOTEBOOK_PORT", str(free_port))
    return code_of


def code_of(name: str) -> list[str]:
    notebook = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_there_are_those_that_the_documentation_names():
    assert {"python_api_connect.ipynb", "python_api_start.ipynb"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_notebook_without_outputs(name):
    notebook = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert {cell["cell_type"] for cell in notebook["cells"]} == {"markdown", "code"}
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert all(cell["outputs"] == [] for cell in notebook["cells"] if cell["cell_type"] == "code")


SHOWN = {
    "python_api_connect.ipynb": ["{'SUCCEEDED': 6}", "'connect', "],
    "python_api_start.ipynb": [
        "('DONE', {'SUCCEEDED': 6})",
        "{'SUCCEEDED': 10}",
        "TuneResult(DONE, 10 trials, best ",
        "VIEWED BestTrial(",
    ],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs_while_an_event_loop_does_as_in_jupyter(cells, name, capsys):
    names: dict[str, Any] = {"__name__": "__main__"}
    shown: list[str] = []

    async def kernel() -> None:
        shown.extend(str(run_cell(cell, names)) for cell in cells(name))

    try:
        asyncio.run(kernel())
    finally:
        if "experiment" in names:
            names["experiment"].stop()
    shown.append(capsys.readouterr().out)
    for text in SHOWN[name]:
        assert any(text in value for value in shown), text


def run_cell(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell, and return the value of its last expression, which a notebook shows."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


@pytest.mark.slow
@pytest.mark.requires_module("nbclient", "ipykernel")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("cells")
def test_nbclient_runs_it(name):
    import nbclient
    import nbformat

    nbclient.NotebookClient(nbformat.read(NOTEBOOKS / name, as_version=4), timeout=120).execute()
