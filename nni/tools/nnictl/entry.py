"""The ``nnictl`` console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``nnictl``; the version is told before anything else is imported (PLT-060)."""
    if sys.argv[1:] in (["--version"], ["-v"]):
        from nni.common.version import __version__

        print(__version__)
        return
    try:
        from nni.tools.nnictl._app import run

        code = run()
    except KeyboardInterrupt:  # while modules are imported; commands know what to do about it themselves
        code = 130
    sys.exit(code)
