from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nni.common.durations import DurationError, format_duration, parse_duration
from nni.common.errors import NniError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("10m", 600), ("2h", 7200), ("1d", 86400), ("0.5h", 1800), ("1.5d", 129600), (".5m", 30), ("0s", 0)],
)
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "h",
        "5",
        "-1h",
        "1 h",
        " 1h",
        "1h ",
        "1h30m",
        "1w",
        "1H",
        "1e3s",
        "nan",
        "infs",
        "\u0661h",
        "1h\n",
        "9" * 400 + "d",
    ],
)
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(DurationError, match="expected a number directly followed by s, m, h or d, such as '"):
        parse_duration(text)


@pytest.mark.parametrize("value", [None, 5, 0.5, True, ["1h"], b"1h"])
def test_only_text_is_a_duration(value):
    with pytest.raises(DurationError, match="expected a number"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [("1 h", "1h"), ("24H", "24h"), ("30 min", "30m"), ("2hours", "2h"), ("5", "5s"), (3600, "3600s"), ("x", "10m")],
)
def test_the_message_shows_what_was_probably_meant(given, meant):
    with pytest.raises(DurationError, match=f"such as '{meant}'"):
        parse_duration(given)


def test_the_error_is_one_a_user_can_act_on():
    assert issubclass(DurationError, NniError)
    assert issubclass(DurationError, ValueError)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (45, "45s"),
        (90, "90s"),
        (5400, "90m"),
        (7200, "2h"),
        (86400, "1d"),
        (0.25, "0.25s"),
        (1e-5, "0.00001s"),
    ],
)
def test_durations_are_written_in_the_largest_unit_that_keeps_them_whole(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_only_finite_durations_can_be_written(seconds):
    with pytest.raises(DurationError, match="finite number of seconds"):
        format_duration(seconds)


@given(st.floats(min_value=0, max_value=1e15))
def test_writing_and_reading_gives_the_same_seconds(seconds):
    assert parse_duration(format_duration(seconds)) == seconds
