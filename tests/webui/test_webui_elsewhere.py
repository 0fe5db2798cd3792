"""The page where things are not as usual: viewed, behind a prefix, with a token, empty, huge, without its manager."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from nni.experiment.launch import LaunchOptions, view
from nni.store.registry import ExperimentRegistry, RegistryEntry

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.slow, pytest.mark.requires_program("chromium"), pytest.mark.requires_module("playwright")]


def test_a_viewed_experiment_can_be_read_and_not_changed(
    isolated_home: Path, tmp_path: Path, free_ports, browser: Browser
):
    from playwright.sync_api import expect
    from webui_lab import Lab, looking, start

    first, second = free_ports(2)
    lab = start(tmp_path / "code", first, maxTrialNumber=2)
    lab.until(lambda: lab.get("/check-status")["status"] == "DONE", "two trials")
    trial = lab.trials()[0]
    lab.end()
    with Lab(view(lab.id, LaunchOptions(port=second))) as viewed, looking(browser, viewed.root) as sight:
        page = sight.open("/oview")
        expect(page.locator(".banner").last).to_contain_text("only being viewed")
        expect(page.get_by_role("button", name="Edit")).to_have_count(0)
        sight.open(f"/detail?trial={trial['id']}")
        panel = page.locator(".panel")
        panel.get_by_role("tab", name="Log").click()
        expect(panel.locator(".log-text")).to_contain_text("a needle in the log")
        for name in ("Customized trial", "Run again", "Kill", "Customize"):
            expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
        sight.shot("viewed")


def test_it_works_below_a_prefix_and_with_a_token(
    isolated_home: Path, tmp_path: Path, free_port: int, browser: Browser
):
    from playwright.sync_api import expect
    from webui_lab import looking, start

    with start(tmp_path / "code", free_port, maxTrialNumber=2, host="127.0.0.2", url_prefix="user/me") as lab:
        lab.until(lambda: lab.get("/check-status")["status"] == "DONE", "two trials")
        (url,) = lab.urls
        with looking(browser, lab.root) as sight:
            page = sight.open(url.removeprefix(lab.root))
            expect(page.locator(".status-large")).to_have_text("✓ Done")
            expect(page.locator(".best tbody tr").first).to_be_visible()
            assert "token" not in page.url, "the secret does not stay where somebody may read it"
            page.get_by_role("link", name="Trials detail").click()
            expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(2)
            assert page.url.startswith(f"{lab.root}/detail")
            page.get_by_role("link", name="All experiments").click()
            expect(page.locator("tr.own")).to_contain_text(lab.id)
        context = browser.new_context()
        page = context.new_page()
        answer = page.goto(f"{lab.root}/oview")
        assert answer is not None
        assert answer.status == 403
        assert "token" in page.inner_text("body")
        context.close()


def test_an_experiment_without_trials_says_what_comes(
    isolated_home: Path, tmp_path: Path, free_port: int, browser: Browser
):
    from playwright.sync_api import expect
    from webui_lab import looking, start

    (tmp_path / "slow.py").write_text(
        "import time\nfrom nni.tuner import Tuner\n\n\nclass Slow(Tuner):\n"
        "    def update_search_space(self, search_space): ...\n\n"
        "    def generate_parameters(self, parameter_id, **kwargs):\n        time.sleep(600)\n\n"
        "    def receive_trial_result(self, parameter_id, parameters, value, **kwargs): ...\n"
    )
    with start(tmp_path / "code", free_port, tuner={"className": "slow.Slow", "codeDirectory": str(tmp_path)}) as lab:
        lab.until(lambda: lab.get("/summary")["waiting"] == "the tuner is computing", "the tuner")
        with looking(browser, lab.root, color_scheme="dark") as sight:
            page = sight.open("/oview")
            expect(page.locator(".state")).to_contain_text("the tuner is computing")
            expect(page.locator(".state .empty")).to_be_visible()
            expect(page.locator(".best .empty")).to_be_visible()
            sight.shot("empty-dark")
            for tab in ("", "parameters", "duration", "intermediate", "slices"):
                sight.open(f"/detail?tab={tab}")
                expect(page.locator(".charts .empty").last).to_be_visible()
            expect(page.locator(".trial-table > p.empty")).to_be_visible()
            sight.shot("empty-detail-dark")


def test_an_error_is_shown_with_the_way_into_the_log(
    isolated_home: Path, tmp_path: Path, free_port: int, browser: Browser
):
    from playwright.sync_api import expect
    from webui_lab import looking, start

    (tmp_path / "bad.py").write_text(
        "from nni.tuner import Tuner\n\n\nclass Bad(Tuner):\n"
        "    def update_search_space(self, search_space): ...\n\n"
        "    def generate_parameters(self, parameter_id, **kwargs):\n        raise RuntimeError('out of ideas')\n\n"
        "    def receive_trial_result(self, parameter_id, parameters, value, **kwargs): ...\n"
    )
    with start(tmp_path / "code", free_port, tuner={"className": "bad.Bad", "codeDirectory": str(tmp_path)}) as lab:
        lab.until(lambda: lab.get("/summary")["status"] == "ERROR", "the error")
        with looking(browser, lab.root) as sight:
            page = sight.open("/oview")
            expect(page.locator(".problem-box").first).to_contain_text("out of ideas")
            page.get_by_text("Traceback", exact=True).click()
            expect(page.locator(".problem-box pre")).to_contain_text("RuntimeError: out of ideas")
            sight.shot("error")
            page.get_by_role("button", name="Learn about it in the logs").first.click()
            expect(page.locator(".log-text")).to_contain_text("Traceback")


def test_all_experiments_are_listed_truthfully_and_compared(
    isolated_home: Path, tmp_path: Path, free_port: int, browser: Browser
):
    from playwright.sync_api import expect
    from webui_lab import looking, start, store_of_many

    directory = tmp_path / "experiments" / "DIEDaway"
    store_of_many(directory, 20)
    ExperimentRegistry().add(
        RegistryEntry(
            "DIEDaway", directory, 8080, status="RUNNING", name="many", start_time=1_700_000_000_000, pid=999_999
        )
    )
    with start(tmp_path / "code", free_port, maxTrialNumber=3) as lab:
        lab.until(lambda: lab.get("/check-status")["status"] == "DONE", "three trials")
        with looking(browser, lab.root) as sight:
            page = sight.open("/experiments")
            rows = page.locator("table.list tbody tr")
            expect(rows).to_have_count(2)
            dead = rows.filter(has_text="DIEDaway")
            expect(dead).to_contain_text("Stopped")  # its manager is gone, whatever the list says
            page.get_by_role("button", name="✓ Done").click()
            expect(rows).to_have_count(1)
            page.get_by_role("button", name="■ Stopped").click()
            expect(rows).to_have_count(2)
            page.get_by_role("button", name="Name").click()
            expect(rows.first).to_contain_text(lab.id)
            page.get_by_label("Search").fill("DIED")
            expect(rows).to_have_count(1)
            sight.shot("experiments")
            sight.open("/compare")
            page.get_by_role("button", name="many DIEDaway").click()
            expect(page.locator("tbody tr")).to_have_count(2)
            expect(page.locator("tbody")).to_contain_text("0.95")
            assert "ids=" in page.url
            sight.shot("compare-experiments")


def test_a_page_says_when_its_manager_is_gone(isolated_home: Path, tmp_path: Path, free_port: int, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking, start

    lab = start(tmp_path / "code", free_port, maxTrialNumber=1)
    lab.until(lambda: lab.get("/check-status")["status"] == "DONE", "a trial")
    with looking(browser, lab.root) as sight:
        page = sight.open("/oview")
        expect(page.locator(".status-large")).to_have_text("✓ Done")
        lab.rest.close()
        os.kill(ExperimentRegistry().get(lab.id).pid or 0, signal.SIGKILL)
        expect(page.locator("#lost")).to_contain_text(f"nnictl resume {lab.id}", timeout=20_000)
        sight.shot("manager-gone")
        page.goto("about:blank")
        sight.faults.clear()  # the browser itself complains of the lost connections


def test_beyond_some_thousand_trials_the_manager_sorts_and_searches(
    isolated_home: Path, tmp_path: Path, free_port: int, browser: Browser
):
    from playwright.sync_api import expect
    from webui_lab import Lab, looking, store_of_many

    directory = tmp_path / "experiments" / "MANYtrial"
    store_of_many(directory, 21_000)
    ExperimentRegistry().add(RegistryEntry("MANYtrial", directory, 8080, status="STOPPED", name="many"))
    with Lab(view("MANYtrial", LaunchOptions(port=free_port))) as lab, looking(browser, lab.root) as sight:
        page = sight.open("/detail")
        count = page.locator(".table-card .card-head .hint")
        expect(count).to_have_text("21000")
        first = page.locator('.ag-center-cols-container .ag-row[row-index="0"] [col-id="id"]')
        expect(first).to_have_text("t20999")
        page.locator('.ag-header-cell[col-id="metric"]').click()
        expect(first).to_have_text("t00000")
        page.get_by_label("Search by trial id, number or tag").fill("t1234")
        expect(count).to_have_text("10 of 21000")
        expect(page.locator(".chart canvas").first).to_be_visible()
        page.get_by_role("button", name="Open trial 12340").click()
        expect(page.locator(".below .panel")).to_contain_text("t12340")
        sight.shot("many-trials")


def test_a_result_of_a_small_budget_is_not_the_best(
    isolated_home: Path, tmp_path: Path, free_port: int, browser: Browser
):
    from playwright.sync_api import expect
    from webui_lab import Lab, looking, store_of_budgets

    directory = tmp_path / "experiments" / "BUDGETSX"
    store_of_budgets(directory)
    ExperimentRegistry().add(RegistryEntry("BUDGETSX", directory, 8080, status="STOPPED", name="budgets"))
    with Lab(view("BUDGETSX", LaunchOptions(port=free_port))) as lab, looking(browser, lab.root) as sight:
        page = sight.open("/oview")
        expect(page.locator(".figure", has_text="Best metric, budget 9")).to_contain_text("0.231111")
        rows = page.locator(".best tbody tr")
        expect(rows.nth(0)).to_contain_text("t12")
        expect(rows.nth(1)).to_contain_text("t11")  # of the three with budget 3 the largest
        expect(page.locator(".failure")).to_contain_text("One trial failed: trial 13 exit code 1: KeyError: 'needle'")
        page.locator(".failure summary").click()
        expect(page.locator(".failure pre")).to_contain_text("line 3")
        sight.shot("budgets-overview")

        page = sight.open("/detail")
        page.locator(".chart canvas").first.wait_for()
        page.locator("details.export summary", has_text="Export").click()
        with page.expect_download() as downloading:
            page.get_by_role("button", name="Data as CSV").click()
        lines = downloading.value.path().read_text().splitlines()[1:]
        assert [float(line.split(",")[4]) for line in lines] == pytest.approx(
            [1 + place / 100 for place in range(9)] + [0.09 + 1 / 3, 0.1 + 1 / 3, 0.11 + 1 / 3] + [0.12 + 1 / 9],
            abs=1e-4,
        )
        sight.shot("budgets-detail")
        sight.open("/detail?tab=slices")
        expect(page.get_by_label("Budget")).to_have_value("1")  # the largest that has enough results
        page.get_by_label("Budget").select_option("all")
        assert "budget=all" in page.url
        sight.open("/detail?tab=parameters")
        page.get_by_label("How many of the best trials").select_option("20")
        expect(page.locator(".chart-tools .hint")).to_contain_text("3 of 13")

        page = sight.open("/detail?trial=t13")
        expect(page.locator(".panel pre")).to_contain_text("KeyError: 'needle'")
        expect(page.locator(".panel pre")).not_to_contain_text("some words before")
    assert [point[2] for point in lab_history(directory)][-2:] == pytest.approx([0.11 + 1 / 3, 0.12 + 1 / 9])


def lab_history(directory: Path) -> list[list[float]]:
    from nni.experiment.stored import history

    return history(directory)["best"]


def test_it_can_be_used_on_a_phone_and_by_keyboard(lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    for path in ("/oview", "/detail", "/experiments", "/compare"):
        with looking(browser, lab.root) as sight:
            sight.page.set_viewport_size({"width": 390, "height": 844})
            page = sight.open(path)
            page.wait_for_timeout(500)
            wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider <= 0, f"{path} scrolls sideways by {wider} pixels"
            sight.shot(f"phone{path.replace('/', '-')}")
    with looking(browser, lab.root) as sight:
        page = sight.open("/oview")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Edit trial concurrency")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator(".sheet input")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator(".sheet")).to_have_count(0)
