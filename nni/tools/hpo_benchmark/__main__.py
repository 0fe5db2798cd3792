"""``python -m nni.tools.hpo_benchmark``: compare tuners (HPO-420 … HPO-427)."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from nni.algorithms import registry
from nni.common.errors import NniError
from nni.tools.hpo_benchmark._architectures import ARCHITECTURES
from nni.tools.hpo_benchmark._data import is_present
from nni.tools.hpo_benchmark._drive import Limit
from nni.tools.hpo_benchmark._ranking import Result
from nni.tools.hpo_benchmark._report import draw, rankings_text, write_reports
from nni.tools.hpo_benchmark._run import Job, run_jobs
from nni.tools.hpo_benchmark._tasks import BENCHMARKS, benchmark

DEFAULT_TUNERS = (
    *("TPE", "Random", "Anneal", "Evolution", "SMAC", "GPTuner", "MetisTuner", "DNGOTuner"),
    *("Hyperband", "BOHB"),
)
"""Those that the documented tool compares where none are named (HPO-422)."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    tuners: Annotated[
        list[str] | None, typer.Argument(metavar="[TUNER]...", help="Names as in a config, also registered ones.")
    ] = None,
    name: Annotated[str, typer.Option("--benchmark", "-b", help="A predefined benchmark or a YAML file.")] = "bundled",
    architecture: Annotated[str, typer.Option("--architecture", "-a", help="What is tuned.")] = "random_forest",
    trials: Annotated[int | None, typer.Option(min=1, help="Evaluations for each tuner and fold.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Seconds for each tuner and fold.")] = None,
    folds: Annotated[int, typer.Option(min=1, max=5, help="Folds of each task.")] = 2,
    seeds: Annotated[int, typer.Option(min=1, help="Repetitions with another seed.")] = 1,
    data: Annotated[Path | None, typer.Option(help="Folder with NAME.csv or NAME.arff for each task.")] = None,
    search_space: Annotated[Path | None, typer.Option(help="JSON file to use instead of the built-in space.")] = None,
    class_args: Annotated[
        list[str] | None, typer.Option(help='TUNER={"argument": value}; may be given several times.')
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Tuners that run at the same time.")] = 1,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Default: results_TIME.")] = None,
    graphs: Annotated[bool, typer.Option(help="Draw two graphs for each task and fold.")] = True,
    list_: Annotated[bool, typer.Option("--list", help="List benchmarks and whether their data are here.")] = False,
) -> None:
    """Run tuners on tuning tasks, rank them, and draw how they got there.

    A tuner sees the cross-validated score on the training part of a task; what it found is then measured on the test
    part. An output folder that holds results of an earlier run is added to: what is there is not run again.
    """
    if list_:
        _list(data)
        return
    names = [registry.find(tuner).name for tuner in tuners] if tuners else _available(DEFAULT_TUNERS)
    limit = Limit(trials if trials or seconds else 100, seconds)
    plan = [
        Job(tuner, _seeded(tuner, _arguments(class_args).get(tuner, {}), seed), task, fold, seed, *more)
        for more in [(_architecture(architecture), _space(search_space), limit, data)]
        for task in _present(benchmark(name), data)
        for fold in range(folds)
        for seed in range(seeds)
        for tuner in names
    ]
    folder = output or Path(f"results_{time.strftime('%Y%m%dT%H%M%S')}")
    folder.mkdir(parents=True, exist_ok=True)
    results = _with_progress(plan, folder, jobs)
    files = [*write_reports(results, folder), *(draw(results, folder) if graphs else [])]
    typer.echo(rankings_text(results))
    _tell_problems(results)
    typer.echo(f"{files[0]}, {files[1].name}" + (f" and {len(files) - 2} graphs" if files[2:] else ""))


def _available(names: tuple[str, ...]) -> list[str]:
    known = set(registry.names())
    return [name for name in names if name in known]


def _present(tasks: tuple[str, ...], data: Path | None) -> list[str]:
    present = [task for task in tasks if is_present(task, data)]
    missing = [task for task in tasks if task not in present]
    if missing:
        typer.echo(f"No data for {', '.join(missing)}: give --data with NAME.csv or NAME.arff for each", err=True)
    if not present:
        raise NniError("no task of this benchmark has data; the benchmark 'bundled' needs none")
    return present


def _architecture(name: str) -> str:
    if name not in ARCHITECTURES:
        raise NniError(f"there is no architecture {name!r}; there are {', '.join(ARCHITECTURES)}")
    return name


def _space(file: Path | None) -> dict[str, Any] | None:
    from nni.search_space import parse  # noqa: PLC0415  (only where one is given)

    if file is None:
        return None
    try:
        space: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NniError(f"{file}: cannot be read ({error})") from error
    parse(space)
    return space


def _arguments(texts: list[str] | None) -> dict[str, dict[str, Any]]:
    found = {}
    for text in texts or []:
        tuner, _, arguments = text.partition("=")
        try:
            found[registry.find(tuner).name] = json.loads(arguments)
        except ValueError as error:
            raise NniError(f'--class-args: expected TUNER={{"argument": value}}, got {text!r} ({error})') from error
    return found


def _seeded(tuner: str, arguments: dict[str, Any], seed: int) -> dict[str, Any]:
    """Add a seed where the algorithm takes one, so that a run can be repeated."""
    try:
        registry.validate_class_args(tuner, {**arguments, "seed": seed})
    except NniError:
        return arguments
    return {"seed": seed, **arguments}


def _with_progress(plan: list[Job], folder: Path, jobs: int) -> list[Result]:
    from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True) as progress:
        bar = progress.add_task("starting", total=len(plan))

        def done(result: Result) -> None:
            progress.update(bar, advance=1, description=f"{result.tuner} on {result.task}")

        return run_jobs(plan, folder, jobs, done)


def _tell_problems(results: list[Result]) -> None:
    for tuner, problem in {(result.tuner, result.problem): None for result in results if result.problem}:
        typer.echo(f"{tuner}: {problem}", err=True)


def _list(data: Path | None) -> None:
    for name, tasks in BENCHMARKS.items():
        shown = (task if is_present(task, data) else f"({task})" for task in tasks)
        typer.echo(f"{name}: {', '.join(shown)}")
    typer.echo("Tasks in brackets have no data here; put NAME.csv or NAME.arff into a folder and give it with --data.")


if __name__ == "__main__":
    try:
        app()
    except NniError as error:
        typer.echo(f"ERROR: {error}", err=True)
        sys.exit(1)
