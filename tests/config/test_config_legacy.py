"""Files in the schema of NNI 1.x."""

from __future__ import annotations

import pytest

V1 = """\
authorName: default
experimentName: example_mnist
trialConcurrency: 1
maxExecDuration: 1h
maxTrialNum: 10
trainingServicePlatform: local
searchSpacePath: search_space.json
useAnnotation: false
tuner:
  builtinTunerName: TPE
  classArgs:
    optimize_mode: maximize
trial:
  command: python3 mnist.py
  codeDir: .
  gpuNum: 0
"""
SENTENCE = "this is the configuration schema of NNI 1.x, which this version does not read"


def test_a_file_in_the_old_schema_is_refused_with_one_sentence(faults):
    (fault,) = faults(V1, whole=True)
    assert fault.startswith(SENTENCE)


@pytest.mark.parametrize("marks", ["authorName: a", "trainingServicePlatform: local", "tuner: {builtinTunerName: TPE}"])
def test_each_mark_of_the_old_schema_is_enough(faults, marks):
    (fault,) = faults(f"trialConcurrency: 1\n{marks}", whole=True)
    assert fault.startswith(SENTENCE)


def test_a_mixture_of_both_schemas_is_the_new_one_with_unknown_keys(faults):
    found = faults("authorName: a\ntuner: {builtinTunerName: TPE}")
    assert found[0].startswith("tuner.builtinTunerName: unknown key, did you mean 'name'?") or found[1].startswith(
        "tuner.builtinTunerName: unknown key, did you mean 'name'?"
    )
    assert any(fault.startswith("authorName: unknown key") for fault in found)
