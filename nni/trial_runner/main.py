"""What the archive for other machines runs: ``attach``, ``join``, ``serve``, ``hold ROOT``, or ``clean DIRECTORY``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nni.trial_runner.attach import attach, join
from nni.trial_runner.clean import clean
from nni.trial_runner.runner import hold, serve


def main() -> None:
    """Do what the command line says; a relative directory is one of the user's home."""
    sys.argv[0] = os.path.abspath(sys.argv[0])  # noqa: PTH100  (it is text)
    if sys.argv[1] == "clean":
        sys.exit(clean(Path.home() / sys.argv[2]))
    command, directory = sys.argv[1:]
    sys.exit({"attach": attach, "join": join, "serve": serve, "hold": hold}[command](Path.home() / directory))


if __name__ == "__main__":
    main()
