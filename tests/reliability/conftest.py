"""Every test of this folder gets a laboratory of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from reliability_lab import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def lab(tmp_path: Path, isolated_home: Path, free_port: int) -> Iterator[Lab]:
    """An experiment of this test's own; nothing of it runs on afterwards."""
    laboratory = Lab(tmp_path, free_port)
    yield laboratory
    laboratory.close()
