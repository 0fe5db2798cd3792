"""GPUs as a real program named ``nvidia-smi`` tells of them, with an answer of the documented form."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nni.training_service.nvidia_smi import processes_by_gpu

ANSWER = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
  <driver_version>535.54</driver_version>
  <attached_gpus>2</attached_gpus>
  <gpu id="00000000:01:00.0">
    <minor_number>0</minor_number>
    <processes>
      <process_info><pid>4711</pid><type>C</type><used_memory>100 MiB</used_memory></process_info>
      <process_info><pid>4712</pid><type>G</type><used_memory>20 MiB</used_memory></process_info>
    </processes>
  </gpu>
  <gpu id="00000000:02:00.0"><minor_number>1</minor_number><processes></processes></gpu>
</nvidia_smi_log>
"""


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Put a program of that name in front of all others; it prints what it is given, and ends with a code."""

    def install(answer: str, code: int = 0) -> None:
        (tmp_path / "answer").write_text(answer)
        program = tmp_path / "nvidia-smi"
        program.write_text(f'#!/bin/sh\n[ "$*" = "-q -x" ] || exit 9\ncat {tmp_path}/answer\nexit {code}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    return install


def test_each_gpu_comes_with_the_processes_that_use_it(nvidia_smi):
    nvidia_smi(ANSWER)
    assert processes_by_gpu() == [{4711, 4712}, set()]


def test_without_the_program_there_is_no_gpu(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert processes_by_gpu() == []


@pytest.mark.parametrize(("answer", "code"), [("no devices were found", 6), ("<nvidia_smi_log>", 0)])
def test_an_answer_that_is_none_is_a_warning(nvidia_smi, caplog, answer, code):
    nvidia_smi(answer, code)
    assert processes_by_gpu() == []
    assert "nvidia-smi tells of no GPU" in caplog.text
