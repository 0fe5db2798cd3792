"""Trials write and read JSON exactly as Python's json does, without importing it."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nni.trial.session import decoder, encoder

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(value=JSON)
def test_what_is_written_is_what_json_writes(value: Any):
    assert encoder()(value) == json.dumps(value, separators=(",", ":"))


@given(value=JSON)
def test_what_is_read_is_what_json_reads(value: Any):
    text = json.dumps(value, indent=1)
    assert decoder()(text) == json.loads(text)


def test_numbers_that_are_not_finite_survive():
    values = decoder()(encoder()([math.nan, math.inf, -math.inf]))
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]


def test_numpy_values_become_plain():
    assert encoder()({"a": np.float32(0.5), "b": np.arange(3)}) == '{"a":0.5,"b":[0,1,2]}'


def test_a_circle_is_an_error_and_the_next_value_is_not():
    circle: list[Any] = []
    circle.append(circle)
    encode = encoder()
    with pytest.raises(ValueError, match="ircular"):
        encode(circle)
    assert encode([1]) == "[1]"


def test_broken_text_is_a_value_error():
    with pytest.raises(ValueError, match="line 1"):
        decoder()('{"a": ')


def test_the_slow_way_does_the_same():
    from nni.trial import session as encoding

    value = {"a": [1.5, None, "ü"], "b": np.int64(3)}
    assert encoding._slow_dumps(value) == encoder()(value)
    assert encoding._slow_loads('{"a": 1}') == {"a": 1}


def test_a_trial_never_imports_json():
    code = (
        "import sys, os, pathlib; import nni; nni.get_next_parameter(); nni.report_final_result({'default': 1});"
        "sys.exit('json' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0
