"""The ``nnictl`` console script."""

from __future__ import annotations

import sys


def main() -> None:
    """Run ``nnictl``; the version is told before anything else is imported (PLT-060)."""
    if sys.argv[1:] in (["--version"], ["-v"]):
        from nni.common.version import __version__

        print(__version__)
        return
    from nni.tools.nnictl._app import run

    sys.exit(run())
