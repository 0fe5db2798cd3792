"""The examples of feature engineering run, and find what they promise."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "feature_engineering"


def run(script: Path) -> str:
    result = subprocess.run(
        [sys.executable, script.name], cwd=script.parent, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gradient_feature_selector/example.py", "customized_selector/example.py"])
def test_a_pipeline_that_starts_with_a_selector_is_accurate(name):
    scores = re.findall(r"(?:accuracy|Score: ) +(\d\.\d+)", run(EXAMPLES / name))
    assert scores
    assert min(map(float, scores)) > 0.85


@pytest.mark.slow
def test_boosted_trees_rank_the_columns_of_the_diabetes_data():
    assert re.search(r"\['(bmi|s5)', '(bmi|s5)'", run(EXAMPLES / "gbdt_selector" / "example.py"))


@pytest.mark.slow
def test_the_published_set_up_runs_on_generated_data():
    lines = run(EXAMPLES / "gradient_feature_selector" / "benchmark_test.py").splitlines()
    assert len(lines) == 6
    assert all(re.search(r": \d\.\d{4}, \d+ ms, \d+ MiB", line) for line in lines)
