"""Where, among a trial's files here, is what it wrote to ``NNI_OUTPUT_DIR``."""

from __future__ import annotations

from pathlib import Path

OUTPUT = "nnioutput"
"""Of trials that ran on another machine, or have their outputs on a shared storage (PLT-168, 319)."""


def output_directory(trial: Path) -> Path:
    """Return a trial's output directory: below its directory, or that itself if it ran on this machine."""
    outputs = trial / OUTPUT
    return outputs if outputs.is_symlink() or outputs.is_dir() else trial


def tensorboard_directory(trial: Path) -> Path:
    """Return where a trial writes what TensorBoard shows (PLT-324)."""
    return output_directory(trial) / "tensorboard"
