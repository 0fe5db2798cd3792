"""Results belong to the configurations they stand beside: ``benchmarks/attribution.py`` in small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "attribution.py"


@pytest.mark.slow
def test_four_hundred_results_agree_in_every_place_that_records_them(isolated_home):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--trials", "400"], capture_output=True, text=True, check=False, timeout=500
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["trials"], figures["mismatches"]) == (400, 0)
