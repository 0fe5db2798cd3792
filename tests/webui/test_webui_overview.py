"""The overview in a real browser; what is changed there is looked up by REST."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from webui_lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.requires_program("chromium"), pytest.mark.requires_module("playwright")]


def save(page: Page, text: str) -> None:
    page.locator(".sheet .field input, .sheet .field textarea").fill(text)
    page.get_by_role("button", name="Save").click()


def test_it_shows_how_the_experiment_stands(lab: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    summary = lab.get("/summary")
    with looking(browser, lab.root) as sight:
        page = sight.open("/oview")
        state = page.locator(".state")
        expect(state.locator(".status-large")).to_have_text("✓ Done")
        expect(state.locator(".reason")).to_contain_text("maxTrialNumber")
        expect(state.get_by_text(f"{summary['best']['metric']:.6g}", exact=True)).to_be_visible()
        expect(state.get_by_text("8 of 8").first).to_be_visible()
        for name, number in summary["counts"].items():
            expect(state.locator(f".count.status-{name}")).to_contain_text(str(number))
        rows = page.locator(".best tbody tr")
        expect(rows).to_have_count(summary["counts"]["SUCCEEDED"])
        expect(rows.first).to_contain_text(summary["best"]["id"])
        expect(page.locator(".facts")).to_contain_text(lab.id)
        expect(page.locator(".chart canvas")).to_be_visible()
        sight.shot("overview-light")
        page.get_by_role("button", name="More").click()
        page.get_by_role("button", name="Light or dark").click()
        expect(page.locator("body.body--dark")).to_be_attached()
        page.keyboard.press("Escape")
        sight.shot("overview-dark")


def test_the_choice_of_best_trials_survives_leaving_the_page(lab: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    smallest = lab.get("/trials", status="SUCCEEDED", order="metric", limit=5)["items"]
    with looking(browser, lab.root) as sight:
        page = sight.open("/oview")
        page.get_by_label("Which first").select_option("0")
        page.get_by_label("How many").select_option("5")
        expect(page.locator(".best tbody tr").first).to_contain_text(smallest[0]["id"])
        sight.open("/detail")
        sight.open("/oview")
        expect(page.locator(".best tbody tr").first).to_contain_text(smallest[0]["id"])
        expect(page.get_by_label("How many")).to_have_value("5")


def test_the_refresh_interval_is_kept_and_off_means_off(lab: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    with looking(browser, lab.root) as sight:
        page = sight.open("/oview")
        page.get_by_role("button", name="More").click()
        page.get_by_role("radio", name="Off").click()
        sight.open("/oview")
        page.get_by_role("button", name="More").click()
        expect(page.get_by_role("radio", name="Off")).to_have_attribute("aria-checked", "true")
        before = lab.get("/summary")["trialConcurrency"]
        change = {"params": {"trialConcurrency": before + 1}}
        lab.rest.put("/experiment", params={"update_type": "TRIAL_CONCURRENCY"}, json=change)
        page.wait_for_timeout(2500)
        expect(page.locator(".limit").first).to_contain_text(str(before))
        page.get_by_role("radio", name="Live").click()
        change["params"]["trialConcurrency"] = before
        lab.rest.put("/experiment", params={"update_type": "TRIAL_CONCURRENCY"}, json=change)
        sight.open("/oview")
        expect(page.locator(".limit").first).to_contain_text(str(before))


def test_limits_are_changed_and_refused_beside_what_was_typed(lab: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    with looking(browser, lab.root) as sight:
        page = sight.open("/oview")
        page.get_by_role("button", name="Edit trial concurrency").click()
        save(page, "0")
        expect(page.locator(".sheet .problem")).to_have_text("at least 1 is expected")
        assert lab.get("/summary")["trialConcurrency"] == 2
        save(page, "3")
        expect(page.locator(".sheet")).to_have_count(0)
        assert lab.get("/summary")["trialConcurrency"] == 3
        expect(page.locator(".limit").first).to_contain_text("3")

        page.get_by_role("button", name="Edit max duration").click()
        save(page, "soon")
        expect(page.locator(".sheet .problem")).not_to_be_empty()
        save(page, "2h")
        expect(page.locator(".sheet")).to_have_count(0)
        assert lab.get("/summary")["maxExperimentDuration"] == 7200
        expect(page.locator(".limit").nth(2)).to_contain_text("2h 0m")

        page.get_by_role("button", name="Edit max trials").click()
        save(page, "10")
        expect(page.locator(".sheet")).to_have_count(0)
        lab.until(lambda: lab.get("/summary")["trials"] == 10, "two more trials")
        expect(page.locator(".state")).to_contain_text("10 of 10")


def test_the_search_space_is_validated_before_it_is_changed(lab: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    before = lab.get("/experiment")["params"]["searchSpace"]
    with looking(browser, lab.root) as sight:
        page = sight.open("/oview")
        page.get_by_role("button", name="Edit search space").click()
        save(page, '{"x": ')
        expect(page.locator(".sheet .problem")).to_contain_text("no JSON")
        save(page, json.dumps({**before, "x": {"_type": "unifrom", "_value": [0, 1]}}))
        expect(page.locator(".sheet .problem")).to_contain_text("uniform")
        assert lab.get("/experiment")["params"]["searchSpace"] == before
        changed = {**before, "x": {"_type": "uniform", "_value": [0, 0.7]}}
        save(page, json.dumps(changed))
        expect(page.locator(".sheet")).to_have_count(0)
        assert lab.get("/experiment")["params"]["searchSpace"] == changed


def test_search_space_config_and_logs_can_be_read(lab: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    with looking(browser, lab.root) as sight:
        page = sight.open("/oview")
        page.get_by_role("button", name="Search space", exact=True).click()
        expect(page.locator(".sheet tbody tr", has_text="layer = Conv / size")).to_contain_text("3, 5")
        page.keyboard.press("Escape")
        expect(page.locator(".sheet")).to_have_count(0)

        page.get_by_role("button", name="Config").click()
        expect(page.locator(".sheet pre")).to_contain_text('"trialCommand": "python3 trial.py"')
        page.mouse.click(5, 400)  # beside the dialog
        expect(page.locator(".sheet")).to_have_count(0)

        page.get_by_role("button", name="Logs").click()
        expect(page.locator(".log-text")).to_contain_text("create (process")
        page.get_by_label("Search in this log").fill("SUCCEEDED")
        expect(page.locator("mark.here")).to_be_visible()
        page.get_by_label("Wrap lines").uncheck()
        expect(page.locator(".log-text.wrap")).to_have_count(0)
        sight.shot("log")
        with page.expect_download() as downloading:
            page.locator(".log-tools").get_by_role("link", name="Download").click()
        text = downloading.value.path().read_text()
        assert f"experiment {lab.id}: create" in text


def test_the_summary_holds_configuration_trials_and_their_results(lab: Lab, browser: Browser):
    from webui_lab import looking

    with looking(browser, lab.root) as sight:
        page = sight.open("/oview")
        page.get_by_role("button", name="More").click()
        with page.expect_download() as downloading:
            page.get_by_role("link", name="Download the summary").click()
        whole = json.loads(downloading.value.path().read_text())
    assert whole["experimentParameters"]["id"] == lab.id
    assert len(whole["trialMessage"]) == len(lab.trials())
    assert [value["default"] for value in whole["trialMessage"][0]["intermediate"]] == sorted(
        value["default"] for value in whole["trialMessage"][0]["intermediate"]
    )
