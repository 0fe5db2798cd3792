"""Milliseconds of ``import nni`` over the bare interpreter, and of the commands that must answer in a blink.

python benchmarks/import_time.py [--repeat 21]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from _bench import BIN, environment, home, median, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=21)
    options = parser.parse_args()
    nnictl = str(BIN / "nnictl")
    commands = {
        "bare": [sys.executable, "-c", "pass"],
        "import_nni": [sys.executable, "-c", "import nni"],
        "import_json": [sys.executable, "-c", "import json"],
        "nnictl_version": [nnictl, "--version"],
        "nnictl_experiment_list": [nnictl, "experiment", "list"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    with home() as folder:
        for turn in range(options.repeat + 1):
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, env=environment(folder), cwd=folder, check=True, capture_output=True)
                if turn:  # the first round fills caches
                    seconds[name].append(1000 * (time.perf_counter() - started))
    extra = [ours - bare for ours, bare in zip(seconds["import_nni"], seconds["bare"], strict=True)]
    report(
        "import_time",
        import_nni_over_bare_ms=median(extra),
        goal_import_nni_ms=15,
        goal_version_ms=200,
        goal_list_ms=400,
        **{f"{name}_ms": median(values) for name, values in seconds.items()},
    )


if __name__ == "__main__":
    main()
