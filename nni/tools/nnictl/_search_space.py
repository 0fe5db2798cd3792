"""``nnictl ss_gen``: the search space that trial code describes (PLT-059)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nni.tools.nnictl import _output


def ss_gen(
    trial_command: Annotated[
        str, typer.Option("--trial_command", "--trial-command", "-t", help="The command of the trial code.")
    ],
    trial_dir: Annotated[
        Path, typer.Option("--trial_dir", "--trial-dir", "-d", help="The directory of the trial code.")
    ] = Path("./"),
    file: Annotated[Path, typer.Option("--file", "-f", help="File to write the search space to.")] = Path(
        "nni_auto_gen_search_space.json"
    ),
) -> None:
    """Write the search space of trial code to a file: of its annotations, or else of the NAS functions it calls."""
    from nni.annotation import AnnotationError, is_annotated, read_directory
    from nni.search_space import SearchSpaceError, parse

    if not is_annotated(trial_dir):
        _ask_the_code(trial_command, trial_dir, file)
        return
    annotated = read_directory(trial_dir)
    for key, place in annotated.places.items():
        try:
            parse({key: annotated.search_space[key]})
        except SearchSpaceError as error:
            raise AnnotationError.at(place, error.problem) from None
    _write(file, annotated.search_space)
    _output.info(f"{file}: the search space of {len(annotated.places)} annotations in {trial_dir}")


def _write(file: Path, space: object) -> None:
    import json

    file.write_text(json.dumps(space, indent=4) + "\n", encoding="utf-8")


def _ask_the_code(command: str, directory: Path, file: Path) -> None:
    """Run the code, which writes its search space to a file that the environment names."""
    import os
    import subprocess

    from nni.common.errors import NniError

    target = file.absolute()
    before = target.stat().st_mtime_ns if target.exists() else None
    environment = {**os.environ, "NNI_GEN_SEARCH_SPACE": str(target)}
    ended = subprocess.run(["bash", "-c", command], cwd=directory, env=environment, check=False)
    if ended.returncode:
        raise NniError(f"trial_command: {command!r} ended with exit code {ended.returncode} in {directory}")
    if (target.stat().st_mtime_ns if target.exists() else None) == before:
        raise NniError(
            f"{directory}: no annotation in its .py files, and {command!r} wrote no search space to the file that "
            "the environment variable NNI_GEN_SEARCH_SPACE names"
        )
    _output.info(f"{file}: the search space that {command!r} wrote")
