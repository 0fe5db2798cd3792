"""What the archive that is sent to other machines runs: ``attach ROOT`` or ``serve ROOT``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nni.trial_runner.attach import attach
from nni.trial_runner.runner import serve


def main() -> None:
    """Do what the command line says; a relative directory is one of the user's home."""
    command, directory = sys.argv[1:]
    sys.argv[0] = os.path.abspath(sys.argv[0])  # noqa: PTH100  (it is text)
    root = Path.home() / directory
    sys.exit({"attach": attach, "serve": serve}[command](root))


if __name__ == "__main__":
    main()
