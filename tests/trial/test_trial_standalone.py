"""A trial script run by hand (PLT-181, PLT-414, HPO-020 … HPO-026)."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from nni.trial.session import ExperimentSession, StandaloneSession, open_session

SCRIPT = """
import json
import nni
parameters = {"lr": 0.1}
parameters.update(nni.get_next_parameter())
nni.report_intermediate_result(0.25)
nni.report_final_result({"default": 0.5, "other": [1]})
print(json.dumps([parameters, nni.get_next_parameter(), nni.get_current_parameter(), nni.get_experiment_id(),
                  nni.get_trial_id(), nni.get_sequence_id()]))
"""


def run(directory, code=SCRIPT, **environment):
    variables = {name: value for name, value in os.environ.items() if not name.startswith("NNI_")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=directory,
        env={**variables, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_script_run_by_hand_uses_its_own_defaults_and_has_standalone_ids(tmp_path):
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    *_, last = done.stdout.splitlines()
    assert json.loads(last) == [{"lr": 0.1}, {}, {}, "STANDALONE", "STANDALONE", 0]


def test_its_reports_are_printed_on_standard_output_and_leave_no_file(tmp_path):
    done = run(tmp_path)
    first, second, _ = done.stdout.splitlines()
    assert "Intermediate result: 0.25" in first
    assert "Final result: {'default': 0.5, 'other': [1]}" in second
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_standalone_takes_any_object_as_a_metric(capsys):
    StandaloneSession().report("FINAL", object)
    assert "Final result: <class 'object'>" in capsys.readouterr().out


def test_the_platform_variable_decides_whether_there_is_an_experiment():
    assert isinstance(open_session({}), StandaloneSession)
    assert isinstance(open_session({"NNI_PLATFORM": ""}), StandaloneSession)
    found = open_session({"NNI_PLATFORM": "local", "NNI_SYS_DIR": "/x", "NNI_TRIAL_JOB_ID": "abcde"})
    assert isinstance(found, ExperimentSession)


@pytest.mark.parametrize("module", ["numpy", "torch", "pydantic", "json", "typing", "logging", "asyncio"])
def test_importing_nni_and_reporting_loads_nothing_heavy(tmp_path, module):
    code = "import sys, nni\nnni.get_next_parameter()\nnni.report_final_result(1)\nprint(sorted(sys.modules))"
    done = run(tmp_path, code)
    assert f"'{module}'" not in done.stdout.splitlines()[-1]
