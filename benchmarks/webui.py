"""The web page at 10 000 trials (8 parameters, 50 intermediate results each) while 20 of them change every second.

    python benchmarks/webui.py [--trials 10000] [--visits 50]

A real manager, a real headless Chromium (Debian's, through Playwright). Main-thread work is what the browser itself
counts as CPU time of its tasks (``Performance.getMetrics``, thread ticks) until table and chart stand; an interaction
is counted the same way, and on the clock until the browser has drawn it. Bytes are those on the wire, cold cache.
The manager's CPU time for a visit holds that of loading the page and of telling it what changes while it is open.
The longest stall of the event loop is the longest wait for ``GET /check-status``, which needs nothing but the loop,
asked for every 10 ms while three tabs are open; the same without a tab is reported beside it. What of it the two
processes only stood in the queue for a processor (Linux counts it in ``schedstat``) is no stall of the loop, and is
taken off in ``longest_stall``: browser, trials and whatever else runs share the cores with the manager.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import psutil
from _bench import create, free_port, get, home, median, nnictl, report, wait_done
from _many_trials import SEARCH_SPACE, fill
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
CHANGING = 20
TRIAL = """
import time
import nni
nni.get_next_parameter()
while True:
    nni.report_intermediate_result(time.time() % 1)
    time.sleep(1)
"""
READY = "() => performance.getEntriesByName('nni-interactive').length > 0 && document.querySelector('.chart canvas')"
FRAMES = "await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));"


def experiment(folder: Path, trials: int, changing: int) -> tuple[int, psutil.Process]:
    """Start an experiment with so many finished trials and `changing` running ones; return port and manager."""
    config = {
        "searchSpace": SEARCH_SPACE,
        "trialCommand": "true",
        "trialConcurrency": 1,
        "maxTrialNumber": 1,
        "tuner": {"name": "Random"},
        "trainingService": {"platform": "local"},
    }
    port = create(folder, config, {"trial.py": TRIAL})
    summary = wait_done(port)
    nnictl(folder, "stop", summary["id"])
    directory = Path(summary["directory"])
    fill(directory, trials, 50)
    with sqlite3.connect(directory / "db" / "nni.sqlite") as database:
        changed = json.loads(database.execute("SELECT config FROM config").fetchone()[0])
        changed |= {
            "trialCommand": "python3 trial.py",
            "trialConcurrency": max(1, changing),
            "maxTrialNumber": trials + changing,
        }
        database.execute("UPDATE config SET config = ?", [json.dumps(changed)])
    database.close()
    port = free_port()
    nnictl(folder, "resume", summary["id"], "-p", str(port))
    while get(port, "/summary")["counts"].get("RUNNING", 0) < changing:
        time.sleep(0.5)
    for process in psutil.process_iter(["cmdline"]):
        if "nni.server" in (process.info["cmdline"] or []) and str(directory) in process.info["cmdline"]:
            return port, process
    raise SystemExit("no manager found")


class Visit:
    """One page in a browser of its own, with an empty cache."""

    def __init__(self, browser: Browser, url: str, context: BrowserContext | None = None) -> None:
        self.context = context or browser.new_context(viewport={"width": 1280, "height": 900})
        self.page: Page = self.context.new_page()
        self.cdp = self.context.new_cdp_session(self.page)
        self.cdp.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.cdp.send("Network.enable")
        self.bytes = 0
        self.cdp.on("Network.loadingFinished", self._count)
        self.page.goto(url)
        self.page.wait_for_function(READY, timeout=60_000)
        self.page.evaluate(f"async () => {{ {FRAMES} }}")

    def _count(self, event: dict[str, Any]) -> None:
        self.bytes += int(event["encodedDataLength"])

    def metrics(self) -> dict[str, float]:
        return {item["name"]: item["value"] for item in self.cdp.send("Performance.getMetrics")["metrics"]}

    def seconds(self, action: str) -> tuple[float, float]:
        """Return the main thread's CPU time, and the time until the browser has drawn it."""
        script = f"async () => {{ const t = performance.now(); {action}; {FRAMES} return performance.now() - t; }}"
        before = self.metrics()["TaskDuration"]
        clock = float(self.page.evaluate(script)) / 1000
        return self.metrics()["TaskDuration"] - before, clock


def cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def queued(process: int, thread: int) -> float:
    """Return the seconds that a thread has been ready to run, and no processor was free."""
    return int(Path(f"/proc/{process}/task/{thread}/schedstat").read_text().split()[1]) / 1e9


def longest_wait(port: int, manager: int, seconds: float) -> tuple[float, float]:
    """Return the longest wait (ms) for an answer that only needs the event loop, and the longest stall of the loop."""
    waits, stalls = [0.0], [0.0]

    def queue() -> float:
        return queued(manager, manager) + queued(os.getpid(), threading.get_native_id())

    with httpx.Client(trust_env=False, timeout=30) as client:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            before, started = queue(), time.perf_counter()
            client.get(f"http://127.0.0.1:{port}/api/v1/nni/check-status")
            wait = time.perf_counter() - started
            waits.append(wait)
            stalls.append(wait - (queue() - before))
            time.sleep(0.01)
    return 1000 * max(waits), 1000 * max(stalls)


def interactions(visit: Visit) -> dict[str, float]:
    """Return seconds of what a person does with the table and the charts."""
    click = "document.querySelector('{}').click()".format
    acts = {
        "sort": [click('.ag-header-cell[col-id="metric"] .ag-header-cell-label')] * 5,
        "filter": [click('.filters .chip[data-status="FAILED"]')] * 5,
        "tab": [click(f".charts .tab-list .tab-button:nth-child({place})") for place in (2, 3, 4, 5, 1)],
    }
    found: dict[str, float] = {}
    for name, actions in acts.items():
        times = []
        for action in actions:
            times.append(visit.seconds(action))
            visit.page.wait_for_timeout(1000)
        found |= {
            f"{name}_cpu_s": median([cpu for cpu, _ in times]),
            f"{name}_s": median([clock for _, clock in times]),
        }
    return found


def stall(browser: Browser, port: int, manager: int, url: str) -> dict[str, float]:
    """Return the longest waits with and without three open tabs."""
    without, stall_without = longest_wait(port, manager, 10)
    visits = [Visit(browser, url) for _ in range(3)]
    result: list[tuple[float, float]] = []
    watcher = threading.Thread(target=lambda: result.append(longest_wait(port, manager, 15)))
    watcher.start()
    visits[0].page.wait_for_timeout(7000)
    visits[1].page.reload()  # a page that is opened meanwhile
    visits[2].page.wait_for_timeout(6000)
    watcher.join()
    for visit in visits:
        visit.context.close()
    return {
        "longest_stall_ms": result[0][1],
        "longest_stall_without_tabs_ms": stall_without,
        "longest_wait_ms": result[0][0],
        "longest_wait_without_tabs_ms": without,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--visits", type=int, default=50)
    parser.add_argument("--changing", type=int, default=CHANGING)
    options = parser.parse_args()
    with home() as folder, sync_playwright() as playwright:
        port, manager = experiment(folder, options.trials, options.changing)
        url = f"http://127.0.0.1:{port}/detail"
        before_page = manager.memory_info().rss / 1e6
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        first = Visit(browser, url)  # imports NiceGUI, compresses its files
        first.context.close()
        loads = []
        for _ in range(3):
            visit = Visit(browser, url)
            loads.append((visit.metrics(), visit.bytes))
            visit.context.close()
        visit = Visit(browser, url)
        acts = interactions(visit)
        visit.context.close()
        stalls = stall(browser, port, manager.pid, url)
        time.sleep(15)
        rss = [manager.memory_info().rss / 1e6]
        background = _background(manager)
        visit = Visit(browser, url)
        staying = _background(manager) - background  # what a page costs that stays open: every change goes to it
        visit.context.close()
        time.sleep(12)
        used = cpu(manager)
        begun = time.monotonic()
        for _ in range(options.visits):
            visit = Visit(browser, url)
            visit.context.close()
        used = cpu(manager) - used - background * (time.monotonic() - begun)
        loading = (used - staying * (time.monotonic() - begun)) / max(1, options.visits)
        used /= max(1, options.visits)
        visit = Visit(browser, url)
        warm = cpu(manager)
        begun = time.monotonic()
        for _ in range(10):
            visit.page.reload()
            visit.page.wait_for_function(READY, timeout=60_000)
        warm = (cpu(manager) - warm - background * (time.monotonic() - begun)) / 10
        visit.context.close()
        time.sleep(20)  # NiceGUI keeps the state of a closed tab for a while, in case it comes back
        rss.append(manager.memory_info().rss / 1e6)
        browser.close()
    report(
        "webui",
        trials=options.trials,
        changing_per_second=options.changing,
        main_thread_s=median([metrics["TaskDuration"] for metrics, _ in loads]),
        script_s=median([metrics["ScriptDuration"] for metrics, _ in loads]),
        goal_main_thread_s=1.0,
        cold_bytes=max(size for _, size in loads),
        goal_cold_bytes=1_500_000,
        server_cpu_per_load_s=loading,
        server_cpu_per_visit_s=used,
        server_cpu_of_an_open_page_per_s=staying,
        server_cpu_per_warm_load_s=warm,
        goal_server_cpu_per_load_s=0.05,
        **acts,
        goal_interaction_s=0.2,
        **stalls,
        goal_longest_stall_ms=50,
        manager_rss_before_first_page_mb=before_page,
        manager_rss_mb=rss[0],
        rss_growth_after_visits_mb=rss[1] - rss[0],
        visits=options.visits,
        goal_rss_growth_mb=20,
    )


def _background(manager: psutil.Process) -> float:
    """Return the CPU seconds a second that the manager needs for its trials, without any page."""
    used, begun = cpu(manager), time.monotonic()
    time.sleep(10)
    return (cpu(manager) - used) / (time.monotonic() - begun)


if __name__ == "__main__":
    main()
