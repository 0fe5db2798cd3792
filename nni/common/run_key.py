"""Names of the runs of a trial: one that was lost with its machine is run again, and nothing of two runs is mixed."""

from __future__ import annotations


def key_of(trial_id: str, run: int) -> str:
    """Return the name under which a runner knows a run of a trial: no two runs are ever taken for each other."""
    return trial_id if run == 1 else f"{trial_id}.{run}"


def run_of(key: str) -> tuple[str, int]:
    """Return the trial and the run that a runner's name for it means."""
    trial_id, dot, run = key.rpartition(".")
    return (trial_id, int(run)) if dot and run.isdigit() else (key, 1)
