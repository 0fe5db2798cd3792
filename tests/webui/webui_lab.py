"""A real experiment, and a real browser that looks at it."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, expect
from typing_extensions import Self

from nni.config import ExperimentConfig
from nni.experiment.launch import Launched, LaunchOptions, create
from nni.store import Batch, Profile, Store, Trial, TrialStatus
from nni.store.registry import ExperimentRegistry

ARTIFACTS = Path(__file__).resolve().parents[2] / "build" / "screenshots"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PATIENCE = 30_000  # ms; it only decides when a test fails
HOLD = 0.5
"""The value of `x` with which a trial runs until somebody ends it."""

SEARCH_SPACE = {
    "x": {"_type": "uniform", "_value": [0, 1]},
    "rate": {"_type": "loguniform", "_value": [0.001, 0.1]},
    "act": {"_type": "choice", "_value": ["relu", "tanh"]},
    "bias": {"_type": "choice", "_value": [True, False]},
    "layer": {
        "_type": "choice",
        "_value": [{"_name": "Empty"}, {"_name": "Conv", "size": {"_type": "choice", "_value": [3, 5]}}],
    },
}
TRIAL = f"""
import sys, time
from pathlib import Path
import os
import nni

parameters = nni.get_next_parameter()
x = parameters["x"]
print("the parameters are", parameters)
print("a needle in the log")
print("<b>not bold</b>", file=sys.stderr)
Path(os.environ["NNI_OUTPUT_DIR"], "notes.txt").write_text("written by the trial")
for step in range(5):
    nni.report_intermediate_result({{"default": x * (step + 1) / 5, "loss": 1 - x}})
if x == {HOLD}:
    time.sleep(600)
if x > 0.75:
    sys.exit("this trial <i>failed</i>")
nni.report_final_result({{"default": x, "loss": 1 - x}})
"""


class Lab:
    """A running experiment."""

    def __init__(self, launched: Launched, prefix: str = "") -> None:
        self.id = launched.id
        self.root = launched.urls[0].partition("?")[0].rstrip("/")
        self.urls = launched.urls
        token = launched.urls[0].partition("token=")[2]
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.rest = httpx.Client(base_url=f"{self.root}/api/v1/nni", trust_env=False, timeout=30, headers=headers)

    def get(self, path: str, **query: Any) -> Any:
        answer = self.rest.get(path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        deadline = time.monotonic() + 60
        while not (found := condition()):
            assert time.monotonic() < deadline, f"still waiting for {what}: {self.get('/summary')}"
            time.sleep(0.05)
        return found

    def trials(self) -> list[dict[str, Any]]:
        return self.get("/trials", limit=1000)["items"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        if self.rest.is_closed:
            return
        try:
            self.rest.delete("/experiment")
        except httpx.TransportError:  # gone already
            return
        finally:
            self.rest.close()
        registry = ExperimentRegistry()
        deadline = time.monotonic() + 30
        while registry.get(self.id).alive and time.monotonic() < deadline:
            time.sleep(0.05)


def start(folder: Path, port: int, **changes: Any) -> Lab:
    """Start an experiment of short trials; `changes` go into its configuration, or are options of the launch."""
    options = {name: changes.pop(name) for name in ("host", "url_prefix") if name in changes}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "trial.py").write_text(TRIAL)
    config = {
        "experimentName": "browser",
        "searchSpace": SEARCH_SPACE,
        "trialCommand": "python3 trial.py",
        "trialCodeDirectory": str(folder),
        "trialConcurrency": 2,
        "maxTrialNumber": 8,
        "experimentWorkingDirectory": str(folder / "experiments"),
        "tuner": {"name": "Random", "classArgs": {"seed": 3}},
        "trainingService": {"platform": "local"},
        **changes,
    }
    config = {name: value for name, value in config.items() if value is not None}
    return Lab(create(ExperimentConfig.from_dict(config).canonical(), LaunchOptions(port=port, **options)))


def store_of_many(directory: Path, number: int) -> None:
    """Write an experiment of so many ended trials, as a stopped manager leaves it."""
    (directory / "db").mkdir(parents=True)
    store = Store(directory / "db" / "nni.sqlite")
    config = {
        "experimentName": "many",
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "true",
        "trialConcurrency": 1,
        "tuner": {"name": "Random"},
        "trainingService": {"platform": "local"},
    }
    profile = Profile(directory.name, config, start_time=1_700_000_000_000, next_sequence=number)
    rows = {
        place: Trial(
            f"t{place:05}", place, place, "algorithm", f'{{"x":{place / number}}}', TrialStatus.SUCCEEDED, "",
            place + 1, place + 1, place + 2000, 0, None, 0, str(place / number), place / number,
        )
        for place in range(number)
    }  # fmt: skip
    store.commit(Batch(rows, [], [], profile))
    store.close()


def store_of_budgets(directory: Path) -> None:
    """Write an experiment of Hyperband's: small budgets have the larger results; the last trial failed."""
    (directory / "db").mkdir(parents=True)
    store = Store(directory / "db" / "nni.sqlite")
    config = {
        "experimentName": "budgets",
        "searchSpace": {"x": {"_type": "uniform", "_value": [0, 1]}},
        "trialCommand": "true",
        "trialConcurrency": 1,
        "advisor": {"name": "Hyperband", "classArgs": {"optimize_mode": "maximize", "R": 9, "eta": 3}},
        "trainingService": {"platform": "local"},
    }
    budgets = [1] * 9 + [3] * 3 + [9]
    rows = {
        place: Trial(
            f"t{place}", place, place, "algorithm", f'{{"x":{place / 10},"TRIAL_BUDGET":{budget}}}',
            TrialStatus.SUCCEEDED, "", 1000 * place + 1, 1000 * place + 1, 1000 * place + 900, 0, None, 0,
            str(place / 100 + 1 / budget), place / 100 + 1 / budget,
        )
        for place, budget in enumerate(budgets)
    }  # fmt: skip
    rows[13] = Trial(
        "t13", 13, 13, "algorithm", '{"x":1,"TRIAL_BUDGET":9}', TrialStatus.FAILED, "exit code 1: KeyError: 'needle'",
        1, 14_000, 14_500, 1, None, 0,
    )  # fmt: skip
    store.commit(Batch(rows, [], [], Profile(directory.name, config, start_time=1, next_sequence=14)))
    store.close()
    trial = directory / "trials" / "t13"
    trial.mkdir(parents=True)
    words = "Traceback (most recent call last):\n  File 'trial.py', line 3\nKeyError: 'needle'\n"
    (trial / "stderr").write_text(f"some words before\n{words}")


class Sight:
    """One page in a browser, and what went wrong in it."""

    def __init__(self, context: BrowserContext, root: str) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.root = root
        self.faults: list[str] = []
        origin = "/".join(root.split("/")[:3])
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))

        def check(url: str) -> None:
            if not url.startswith((origin, origin.replace("http", "ws"), "data:", "blob:", "about:")):
                self.faults.append(f"a request that leaves the machine: {url}")

        self.page.on("request", lambda request: check(request.url))
        self.page.on("websocket", lambda socket: check(socket.url))

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.faults.append(f"{message.type}: {message.text}")

    def open(self, path: str) -> Page:
        self.page.goto(self.root + path)
        expect(self.page.locator("header.bar")).to_be_visible(timeout=PATIENCE)
        return self.page

    def shot(self, name: str) -> None:
        """Keep a picture, for people who want to see what the tests saw."""
        self.page.screenshot(path=self.artifact(name))

    @staticmethod
    def artifact(name: str) -> Path:
        """Return where a picture is kept."""
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        return ARTIFACTS / f"{name}.png"

    def has_no_faults(self) -> None:
        assert self.faults == []


def launch(playwright: Playwright) -> Browser:
    """Start Debian's Chromium; what Playwright would download is not needed."""
    expect.set_options(timeout=PATIENCE)
    return playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)


@contextmanager
def looking(browser: Browser, root: str, **options: Any) -> Iterator[Sight]:
    """Open a browser window of its own; the test fails if anything in it did."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True, **options)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    sight = Sight(context, root)
    try:
        yield sight
        sight.has_no_faults()
    except (AssertionError, Error):
        sys.stdout.write("\n".join(["what the browser complained of:", *sight.faults, ""]))
        sight.shot(f"failed-{re.sub(r'[^a-z0-9]+', '-', sight.page.url.lower())[-60:]}")
        raise
    finally:
        context.close()


def number_of_rows(page: Page) -> int:
    """Return how many trials the table says it shows."""
    text = page.locator(".table-card .card-head .hint").inner_text()
    return int(text.split()[0])
