"""A search space that cannot be taken is refused in the words of REST: camelCase, and the user's own names."""

from __future__ import annotations

import pytest

from nni.config import ConfigError, ExperimentConfig
from nni.server.experiment import check_search_space

GOOD = {"_type": "uniform", "_value": [0, 1]}


def check(space, tmp_path, directory: str = "") -> None:
    written = {
        "trialCommand": "true",
        "trialCodeDirectory": str(tmp_path / directory),
        "trialConcurrency": 1,
        "tuner": {"name": "Random"},
        "trainingService": {"platform": "local"},
        **({} if space is None else {"searchSpace": space}),
    }
    check_search_space(ExperimentConfig.from_dict(written), written)


@pytest.mark.parametrize(
    ("space", "place"),
    [
        ({"learningRate": {"_type": "uniforn", "_value": [0, 1]}}, r"^searchSpace\.learningRate"),
        ({"learning_rate": GOOD, "Kernel size": {"_type": "choice"}}, r"^searchSpace\..?Kernel size"),
        (None, r"^searchSpace: required"),
    ],
)
def test_the_place_is_named_as_it_was_written(tmp_path, space, place):
    with pytest.raises(ConfigError, match=place):
        check(space, tmp_path)


def test_a_directory_that_has_gone_meanwhile_is_no_reason_to_refuse(tmp_path):
    check({"x": GOOD}, tmp_path, "gone")
