"""The example notebook runs from its first cell to its last, under nbclient where there is one."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / "examples" / "notebooks" / "python_api.ipynb"


@pytest.fixture
def cells(monkeypatch, free_port) -> list[str]:
    """The code of the notebook, which will use a port that is free."""
    monkeypatch.setenv("NNI_NOTEBOOK_PORT", str(free_port))
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_it_is_a_notebook_without_outputs():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert {cell["cell_type"] for cell in notebook["cells"]} == {"markdown", "code"}
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert all(cell["outputs"] == [] for cell in notebook["cells"] if cell["cell_type"] == "code")


@pytest.mark.slow
def test_every_cell_runs_while_an_event_loop_does_as_in_jupyter(cells, capsys):
    names: dict[str, Any] = {"__name__": "__main__"}
    shown: list[str] = []

    async def kernel() -> None:
        shown.extend(str(run_cell(cell, names)) for cell in cells)

    try:
        asyncio.run(kernel())
    finally:
        names["experiment"].stop()
    assert "('DONE', {'SUCCEEDED': 6})" in shown
    assert any("{'SUCCEEDED': 10}" in text for text in shown)
    assert any(text.startswith("TuneResult(DONE, 10 trials, best ") for text in shown)
    assert "VIEWED BestTrial(" in capsys.readouterr().out


def run_cell(cell: str, names: dict[str, Any]) -> Any:
    """Run a cell, and return the value of its last expression, which a notebook shows."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), "cell", "eval"), names)


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nbclient") is None, reason="needs nbclient")
def test_nbclient_runs_it(cells):
    import nbclient
    import nbformat

    nbclient.NotebookClient(nbformat.read(NOTEBOOK, as_version=4), timeout=120).execute()
