"""Draw the picture of the web page that the README shows: a real experiment, in a real browser.

    python docs/screenshot.py [FILE]

Needs Debian's ``chromium`` and the ``playwright`` package; takes about half a minute.
"""

# ruff: noqa: INP001  (a script beside the documentation)
from __future__ import annotations

import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from nni.experiment import Experiment

TRIAL = """
import math
import nni

p = nni.get_next_parameter()
best = 0.95 - 0.25 * (math.log10(p["learning_rate"]) + 2.5) ** 2 - abs(p["dropout"] - 0.3) * 0.4
best -= 0.06 if p["optimizer"] == "SGD" else 0
for epoch in range(20):
    nni.report_intermediate_result(best * (1 - math.exp(-0.3 * (epoch + 1))))
nni.report_final_result(best)
"""
SEARCH_SPACE = {
    "learning_rate": {"_type": "loguniform", "_value": [0.0001, 0.1]},
    "dropout": {"_type": "uniform", "_value": [0, 0.7]},
    "layers": {"_type": "randint", "_value": [1, 9]},
    "optimizer": {"_type": "choice", "_value": ["SGD", "Adam", "RMSprop"]},
}


def main() -> None:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "images" / "webui.png")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "trial.py").write_text(TRIAL, encoding="utf-8")
        experiment = Experiment("local")
        experiment.config.experiment_name = "digits"
        experiment.config.search_space = SEARCH_SPACE
        experiment.config.trial_command = "python3 trial.py"
        experiment.config.trial_code_directory = folder
        experiment.config.experiment_working_directory = f"{folder}/experiments"
        experiment.config.trial_concurrency = 2
        experiment.config.max_trial_number = 80
        experiment.config.tuner.name = "TPE"
        experiment.config.tuner.class_args = {"optimize_mode": "maximize", "seed": 1}
        try:
            port = _free_port()
            experiment.start(port)
            while experiment.get_status() != "DONE":
                time.sleep(0.5)
            _draw(port, target)
        finally:
            experiment.stop()
    sys.stdout.write(f"{target}\n")


def _free_port() -> int:
    import socket  # noqa: PLC0415

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _draw(port: int, target: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860}, device_scale_factor=1)
        page.goto(f"http://127.0.0.1:{port}/detail?tab=parameters&sort=-metric")
        page.locator(".ag-row").first.wait_for()
        page.wait_for_timeout(1500)
        page.screenshot(path=target)
        browser.close()


if __name__ == "__main__":
    main()
