"""``python -m nni.server.tensorboard_process ARGUMENTS``: TensorBoard that ends with the manager, however that ends.

The manager holds the other end of standard input. When it is gone, be it by SIGKILL, there is nobody left who could
stop this process and the data server that it started.
"""

from __future__ import annotations

import os
import signal
import threading


def _end_with_the_manager() -> None:
    while os.read(0, 4096):
        pass
    os.killpg(0, signal.SIGTERM)


def main() -> None:
    """Run TensorBoard with the arguments of this process."""
    from tensorboard.main import run_main  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: PLC0415

    threading.Thread(target=_end_with_the_manager, daemon=True).start()
    run_main()


if __name__ == "__main__":
    main()
