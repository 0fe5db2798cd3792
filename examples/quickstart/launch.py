"""Tune a scikit-learn model with NNI and watch it in the terminal: ``python3 launch.py``.

The trial is `trial.py`, what may vary stands in `search_space.json`. The same experiment without this file:
``nnictl create --config config.yml``.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import socket
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import trial
from rich.console import Console
from rich.live import Live
from rich.table import Table
from view import Progress, Trial, comparison, live_view

from nni.experiment import Experiment, NniClient

HERE = Path(__file__).parent
TITLE = "diabetes progression · gradient boosting · TPE"
OVER = {"DONE", "STOPPED", "ERROR"}


def configure(trials: int, concurrency: int) -> Experiment:
    experiment = Experiment("local")
    experiment.config.experiment_name = "diabetes progression"
    experiment.config.search_space = json.loads((HERE / "search_space.json").read_text())
    experiment.config.trial_command = f"{shlex.quote(sys.executable)} trial.py"
    experiment.config.trial_code_directory = HERE
    experiment.config.trial_concurrency = concurrency
    experiment.config.max_trial_number = trials
    experiment.config.tuner.name = "TPE"
    experiment.config.tuner.class_args["optimize_mode"] = "maximize"
    return experiment


def read_progress(experiment: Experiment, progress: Progress) -> None:
    jobs = experiment.list_trial_jobs()
    reports = experiment.get_job_metrics()
    ended = sorted((job for job in jobs if job.status == "SUCCEEDED"), key=lambda job: job.endTime)
    progress.finished = [as_trial(job) for job in ended if job.finalMetricData]
    progress.failed = sum(job.status not in ("SUCCEEDED", "RUNNING", "WAITING") for job in jobs)
    progress.running = {
        job.sequenceId: sum(report.type == "PERIODICAL" for report in reports.get(job.trialJobId, []))
        for job in jobs
        if job.status == "RUNNING"
    }


def as_trial(job: Any) -> Trial:
    return Trial(job.sequenceId, job.hyperParameters[0].parameters, job.finalMetricData[0].data)


def watch(experiment: Experiment, progress: Progress, console: Console, url: str) -> None:
    """Draw the experiment until it is over; where nobody watches, print a line for each trial instead."""
    begin, told = time.monotonic(), 0
    with Live(console=console, auto_refresh=False) as live:
        while True:
            status = experiment.get_status()
            read_progress(experiment, progress)
            progress.seconds = time.monotonic() - begin
            if console.is_terminal:
                live.update(live_view(progress, TITLE, url), refresh=True)
            else:
                told = tell(progress, told, console)
            if status in OVER or (progress.failed >= 3 and not progress.finished):
                return
            time.sleep(0.2)


def tell(progress: Progress, told: int, console: Console) -> int:
    for done, finished in enumerate(progress.finished[told:], start=told + 1):
        best = progress.best_so_far[done - 1]
        console.print(f"{done}/{progress.total}  trial {finished.number}  R² {finished.score:.3f}  best {best:.3f}")
    return len(progress.finished)


def report(progress: Progress, console: Console) -> None:
    best = progress.ranking[0]
    scores = {
        "R², cross-validation": (progress.default_score, best.score),
        "R², patients never used in tuning": (held_out_score(trial.DEFAULTS), held_out_score(best.params)),
    }
    count = len(progress.finished)
    console.print(f"\n[bold]Tuned in {progress.seconds:.0f} seconds[/bold] ({count} trials)\n")
    console.print(comparison(trial.DEFAULTS, best, scores))


def held_out_score(params: dict[str, Any]) -> float:
    features, unseen_features, progression, unseen_progression = trial.load_data()
    model = trial.build_model(params).fit(features, progression)
    return float(model.score(unseen_features, unseen_progression))


def next_steps(experiment_id: str, port: int, console: Console) -> None:
    nnictl = Path(shutil.which("nnictl") or Path(sys.executable).parent / "nnictl")
    if nnictl.is_relative_to(Path.cwd()):
        nnictl = nnictl.relative_to(Path.cwd())
    steps = {
        f"resume {experiment_id} --port {port}": f"then open http://127.0.0.1:{port}",
        "trial ls --head 5": "the five best",
        "stop": "",
    }
    table = Table.grid(padding=(0, 3))
    for command, purpose in steps.items():
        table.add_row(f"  [cyan]{nnictl} {command}[/cyan]", f"[dim]{purpose}[/dim]")
    console.print("\nEverything is kept. To look at it again:")
    console.print(table, highlight=False)


def explain_failure(experiment: Experiment, console: Console) -> None:
    console.print("[bold red]No trial succeeded.[/bold red]")
    for error in NniClient(experiment.port).check_status()[1]:
        console.print(error, highlight=False, markup=False)
    failed = [job for job in experiment.list_trial_jobs() if job.status == "FAILED"]
    if failed and failed[-1].stderrPath:
        console.print(f"The last one wrote to {failed[-1].stderrPath}", soft_wrap=True)


def free_port(wanted: int) -> int:
    """Return the wanted port, or any free one where somebody else listens on it."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SystemExit("no free port on 127.0.0.1")


def main() -> int:
    parser = argparse.ArgumentParser(description="Tune a scikit-learn model with NNI.")
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--port", type=int, default=8080, help="of the web page; another one if it is taken")
    arguments = parser.parse_args()
    console = Console()
    with console.status("Scoring scikit-learn's defaults with the same cross-validation ..."):
        default_score = float(np.mean(list(trial.scores_by_fold(trial.DEFAULTS))))
    progress = Progress(arguments.trials, default_score)
    experiment = configure(arguments.trials, arguments.concurrency)
    port = free_port(arguments.port)
    experiment.start(port)
    try:
        watch(experiment, progress, console, f"http://127.0.0.1:{port}")
        if not progress.finished:
            explain_failure(experiment, console)
            return 1
    except KeyboardInterrupt:
        console.print("Interrupted.")
    finally:
        experiment.stop()
    if progress.finished:
        report(progress, console)
    next_steps(experiment.id, port, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
