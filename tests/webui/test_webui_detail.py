"""Trials detail in a real browser: charts, table, opened trials, and what is done to trials."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from webui_lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.requires_program("chromium"), pytest.mark.requires_module("playwright")]


@pytest.fixture(scope="module")
def more(lab: Lab) -> Iterator[Lab]:
    """Let the experiment take further trials."""
    lab.rest.put("/experiment", params={"update_type": "MAX_TRIAL_NUM"}, json={"params": {"maxTrialNumber": 100}})
    lab.rest.put("/experiment", params={"update_type": "TRIAL_CONCURRENCY"}, json={"params": {"trialConcurrency": 4}})
    lab.until(lambda: lab.get("/summary")["counts"].get("SUCCEEDED", 0) + len(failed(lab)) >= 30, "thirty trials")
    lab.rest.put("/experiment", params={"update_type": "MAX_TRIAL_NUM"}, json={"params": {"maxTrialNumber": 30}})
    lab.until(lambda: lab.get("/summary")["status"] == "DONE", "the end of the trials")
    return lab


def failed(lab: Lab) -> list[dict]:
    return [trial for trial in lab.trials() if trial["status"] == "FAILED"]


def open_trial(page: Page, sequence: int) -> None:
    page.get_by_role("button", name=f"Open trial {sequence}", exact=True).click()


def test_each_chart_is_drawn_and_its_view_stands_in_the_address(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    with looking(browser, more.root) as sight:
        page = sight.open("/detail")
        for name, address in (
            ("Hyper-parameter", "parameters"),
            ("Trial duration", "duration"),
            ("Intermediate result", "intermediate"),
            ("Slices", "slices"),
        ):
            page.get_by_role("tab", name=name).click()
            expect(page.locator(".chart canvas").first).to_be_visible()
            assert f"tab={address}" in page.url
            page.wait_for_timeout(300)
            sight.shot(f"chart-{address}")
        page.reload()
        expect(page.get_by_role("tab", name="Slices")).to_have_attribute("aria-selected", "true")
        page.get_by_label("Parameter", exact=True).select_option("x")
        page.get_by_label("Second parameter").select_option("rate")
        assert "x=x" in page.url
        assert "y=rate" in page.url
        page.get_by_role("tab", name="Slices").press("ArrowRight")
        expect(page.get_by_role("tab", name="Default metric")).to_be_focused()


def test_the_default_metric_is_exported_as_picture_and_data(more: Lab, browser: Browser):
    from webui_lab import looking

    with looking(browser, more.root) as sight:
        page = sight.open("/detail?curve=0")
        page.locator(".chart canvas").first.wait_for()
        page.get_by_label("Optimization curve").check()
        assert "curve" not in page.url
        contents = {}
        for name in ("PNG", "SVG", "Data as CSV"):
            page.locator("details.export summary", has_text="Export").click()
            with page.expect_download() as downloading:
                page.get_by_role("button", name=name).click()
            contents[name] = downloading.value.path().read_bytes()
        assert contents["PNG"].startswith(b"\x89PNG")
        assert b"<svg" in contents["SVG"]
        lines = contents["Data as CSV"].decode().splitlines()
        assert lines[0] == "trial,id,status,default,best so far"
        assert len(lines) == 1 + more.get("/summary")["counts"]["SUCCEEDED"]


def test_axes_are_removed_added_and_reordered(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    with looking(browser, more.root) as sight:
        page = sight.open("/detail?tab=parameters")
        axes = page.locator(".chip.axis")
        expect(axes).to_have_count(6)  # the nested choice has two: what was chosen, and its size
        page.get_by_role("button", name="Remove axis bias").click()
        expect(axes).to_have_count(5)
        page.get_by_label("Add an axis").select_option("bias")
        expect(axes.last).to_contain_text("bias")
        axes.last.focus()
        page.keyboard.press("ArrowLeft")
        expect(axes.nth(4)).to_contain_text("bias")
        axes.nth(0).drag_to(axes.nth(2))
        expect(axes.nth(0)).not_to_contain_text("x")
        page.get_by_label("How many of the best trials").select_option("10")
        expect(page.locator(".chart-tools .hint")).to_contain_text("of")
        page.get_by_label("Which metric").select_option("loss")
        assert "share=10" in page.url
        assert "key=loss" in page.url


def test_intermediate_results_are_filtered_by_the_value_of_one_step(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    inside = [trial for trial in more.trials() if 0.2 <= trial["parameters"]["x"] * 4 / 5 <= 0.4]
    with looking(browser, more.root) as sight:
        page = sight.open("/detail?tab=intermediate")
        page.get_by_label("#Intermediate").fill("4")
        page.get_by_label("Min", exact=True).fill("0.2")
        page.get_by_label("Max", exact=True).fill("0.4")
        page.get_by_role("button", name="Filter").click()
        expect(page.locator(".chart-tools .hint")).to_have_text(f"{len(inside)} of {len(inside)} matching")
        page.get_by_label("Which value").select_option("loss")
        page.get_by_role("button", name="Clear").click()
        assert "istep" not in page.url


def test_trials_are_found_by_id_number_status_and_parameters(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    trials = more.trials()
    with looking(browser, more.root) as sight:
        page = sight.open("/detail")
        count = page.locator(".table-card .card-head .hint")
        search = page.get_by_label("Search by trial id, number or tag")
        search.fill(trials[7]["id"])
        expect(count).to_have_text(f"1 of {len(trials)}")
        search.fill("7")
        expect(
            page.locator('.ag-center-cols-container .ag-row [col-id="id"]', has_text=trials[7]["id"])
        ).to_be_visible()
        search.fill("")
        page.locator('.filters .chip[data-status="FAILED"]').click()
        expect(count).to_have_text(f"{len(failed(more))} of {len(trials)}")
        page.reload()  # the search stands in the address
        expect(count).to_have_text(f"{len(failed(more))} of {len(trials)}")
        page.locator('.filters .chip[data-status="FAILED"]').click()

        page.get_by_label("Search by a parameter").select_option("act")
        page.locator(".condition").get_by_label("tanh").check()
        tanh = [trial for trial in trials if trial["parameters"]["act"] == "tanh"]
        expect(count).to_have_text(f"{len(tanh)} of {len(trials)}")
        page.get_by_role("button", name="Remove the condition on act").click()
        page.get_by_label("Search by a parameter").select_option("x")
        page.get_by_label("x, from").fill("0.25")
        page.get_by_label("x, to").fill("0.5")
        page.keyboard.press("Tab")
        between = [trial for trial in trials if 0.25 <= trial["parameters"]["x"] <= 0.5]
        expect(count).to_have_text(f"{len(between)} of {len(trials)}")


def test_sorting_puts_trials_without_a_result_last(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    ranked = more.get("/trials", order="metric", limit=1000)["items"]
    with looking(browser, more.root) as sight:
        page = sight.open("/detail")
        head = page.locator('.ag-header-cell[col-id="metric"]')
        first = page.locator('.ag-center-cols-container .ag-row[row-index="0"] [col-id="id"]')
        head.click()
        expect(first).to_have_text(ranked[0]["id"])
        head.click()
        expect(first).to_have_text(more.get("/summary")["best"]["id"])


def test_columns_are_chosen_and_remembered(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    with looking(browser, more.root) as sight:
        page = sight.open("/detail")
        page.locator(".columns summary").click()
        page.locator(".columns").get_by_label("Intermediate count").check()
        page.locator(".columns").get_by_label("Metric loss").check()
        page.locator(".columns").get_by_label("Duration").uncheck()
        page.reload()
        expect(page.locator('.ag-header-cell[col-id="intermediates"]')).to_be_attached()
        expect(page.locator('.ag-header-cell[col-id="duration"]')).to_have_count(0)
        sight.shot("table-columns")


def test_an_opened_trial_shows_everything_of_it(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    bad = failed(more)[0]
    with looking(browser, more.root) as sight:
        page = sight.open(f"/detail?trial={bad['id']}")
        panel = page.locator(".panel")
        expect(panel).to_contain_text(repr(bad["parameters"]["x"]))
        expect(panel.locator(".panel-head .problem")).to_contain_text("this trial <i>failed</i>")
        panel.get_by_role("button", name="Copy as Python").click()
        copied = page.evaluate("navigator.clipboard.readText()")
        assert ast.literal_eval(copied) == bad["parameters"]
        panel.get_by_role("button", name="Copy as JSON").click()
        page.wait_for_timeout(200)
        assert json.loads(page.evaluate("navigator.clipboard.readText()")) == bad["parameters"]
        panel.get_by_role("tab", name="Log").click()
        expect(panel.locator(".log-text")).to_contain_text("<b>not bold</b>")  # a failed trial's errors come first
        panel.get_by_role("button", name="View trial log").click()
        expect(panel.locator(".log-text")).to_contain_text("a needle in the log")
        panel.get_by_label("Search in this log").fill("needle")
        expect(panel.locator("mark.here")).to_have_text("needle")
        sight.shot("trial-log")
        panel.get_by_role("tab", name="Files").click()
        with page.expect_download() as downloading:
            panel.get_by_role("link", name="notes.txt").click()
        assert downloading.value.path().read_text() == "written by the trial"
        panel.get_by_role("tab", name="Intermediate result").click()
        expect(panel.locator("canvas")).to_be_visible()
        panel.get_by_role("button", name="Close").click()
        expect(panel).to_have_count(0)
        assert "trial=" not in page.url


def test_selected_trials_are_compared(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    with looking(browser, more.root) as sight:
        page = sight.open("/detail?sort=seq")
        for place in (0, 2):
            page.locator(f'.ag-row[row-index="{place}"] .ag-checkbox-input').first.click()
        page.get_by_role("button", name="Compare 2").click()
        dialog = page.get_by_role("dialog", name="Compare trials")
        expect(dialog.locator("canvas")).to_be_visible()
        expect(dialog.locator("tr.differs", has_text="rate")).to_be_visible()
        assert "compare=0,2" in page.url
        sight.shot("compare-trials")
        page.keyboard.press("Escape")
        expect(dialog).to_have_count(0)


def test_the_selection_and_an_opened_trial_survive_changes(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    first, second = more.trials()[:2]
    with looking(browser, more.root) as sight:
        page = sight.open(f"/detail?sort=seq&trial={second['id']}")
        expect(page.locator(".panel")).to_be_visible()
        page.locator('.ag-row[row-id="0"] .ag-checkbox-input').click()
        more.rest.put(f"/trials/{first['id']}/note", json={"tags": ["changed"]})
        more.rest.put(f"/trials/{second['id']}/note", json={"note": "changed"})
        page.locator(".columns summary").click()
        page.locator(".columns").get_by_label("Tags").check()
        expect(page.locator('.ag-row[row-id="0"] [col-id="tags"]')).to_have_text("changed")
        expect(page.locator('.ag-row[row-id="0"] .ag-checkbox-input')).to_be_checked()
        expect(page.locator(".panel")).to_be_visible()


@pytest.mark.requires_module("tensorboard")
def test_tensorboard_opens_for_the_selected_trials_and_all_are_stopped(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from tensorboard_events import write_events
    from webui_lab import looking

    trials = [more.get("/trials", order="sequence", limit=1000)["items"][place] for place in (0, 1)]
    with looking(browser, more.root) as sight:
        page = sight.open("/detail?sort=seq")
        page.locator('.ag-row[row-index="0"] .ag-checkbox-input').first.click()
        page.locator('.ag-row[row-index="1"] .ag-checkbox-input').first.click()
        page.get_by_role("button", name="TensorBoard").click()
        dialog = page.get_by_role("dialog", name="TensorBoard")
        dialog.get_by_role("button", name="Start for 2 trials").click()
        expect(dialog.locator(".problem")).to_contain_text("has written nothing for TensorBoard")
        sight.faults.clear()  # the browser notes the refusal
        for trial in trials:
            write_events(Path(trial["directory"]) / "tensorboard", "loss", [1.0, 0.5, 0.2])
        with page.context.expect_page() as opening:
            dialog.get_by_role("button", name="Try again").click()
        portal = opening.value
        elsewhere: list[str] = []
        portal.on("request", lambda request: request.url.startswith(more.root) or elsewhere.append(request.url))
        portal.reload()
        for trial in trials:
            expect(portal.get_by_text(f"{trial['sequence']}-{trial['id']}").first).to_be_visible()
        assert portal.url.startswith(f"{more.root}/tensorboard/tb1/")
        assert [url for url in elsewhere if not url.startswith(("data:", "blob:"))] == []
        portal.screenshot(path=sight.artifact("tensorboard"))
        expect(dialog.get_by_role("link", name="tb1")).to_be_visible()
        portal.close()
        dialog.get_by_role("button", name="Stop all TensorBoards").click()
        expect(dialog.get_by_role("link", name="tb1")).to_have_count(0)
        assert more.get("/tensorboard-tasks") == []


def test_the_pages_of_the_table_count_trials_and_not_what_is_opened(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    total = len(more.trials())
    assert total > 20
    with looking(browser, more.root) as sight:
        page = sight.open("/detail?sort=seq")
        pager = page.get_by_role("navigation", name="Pages of the table")
        pager.get_by_label("Rows on a page").select_option("20")
        expect(pager).to_contain_text(f"1 to 20 of {total}")
        open_trial(page, 0)
        expect(page.locator(".panel")).to_be_visible()
        expect(pager).to_contain_text(f"1 to 19 of {total}")
        pager.get_by_role("button", name="Next page").click()
        expect(pager).to_contain_text(f"20 to {total} of {total}")
        expect(pager.get_by_role("button", name="Next page")).to_be_disabled()
        page.get_by_label("Search by trial id, number or tag").fill("nothing is called so")
        expect(page.get_by_text("No trial fits this search")).to_be_visible()
        expect(pager).to_be_hidden()


def test_a_customized_trial_is_queued_killed_and_run_again(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import HOLD, looking

    more.rest.put("/experiment", params={"update_type": "MAX_TRIAL_NUM"}, json={"params": {"maxTrialNumber": 32}})
    more.until(lambda: more.get("/summary")["trials"] >= 32, "two more trials")
    more.until(lambda: more.get("/summary")["status"] == "DONE", "their end")
    with looking(browser, more.root) as sight:
        page = sight.open("/detail")
        page.get_by_role("button", name="Customized trial", exact=True).click()
        form = page.locator(".sheet")
        form.get_by_label("x", exact=True).fill("much")
        form.get_by_label("rate").fill("0.01")
        form.get_by_role("button", name="Submit").click()
        expect(form.locator(".problem")).to_have_text("x: a number is expected")
        form.get_by_label("x", exact=True).fill(str(HOLD))
        form.get_by_role("button", name="Submit").click()
        expect(form.locator(".problem")).to_contain_text("maxTrialNumber is reached")
        more.rest.put(
            "/experiment", params={"update_type": "TRIAL_CONCURRENCY"}, json={"params": {"trialConcurrency": 1}}
        )
        more.rest.put("/experiment", params={"update_type": "MAX_TRIAL_NUM"}, json={"params": {"maxTrialNumber": 500}})
        form.get_by_role("button", name="Submit").click()
        expect(form).to_have_count(0)
        mine = more.until(
            lambda: [t for t in more.trials() if t["source"] == "customized" and t["status"] == "RUNNING"], "the trial"
        )[0]
        assert mine["parameters"] == {
            "x": HOLD, "rate": 0.01, "act": "relu", "bias": True, "layer": {"_name": "Empty"},
        }  # fmt: skip
        page.get_by_label("Search by trial id, number or tag").fill(mine["id"])
        row = page.locator(".ag-center-cols-container .ag-row")
        expect(row).to_have_count(1)
        expect(row.locator(".status")).to_have_text("▶ Running")
        sight.shot("running")
        page.get_by_role("button", name=f"Kill, trial {mine['sequence']}").click()
        page.locator(".sheet").get_by_role("button", name="Kill").click()
        expect(row.locator(".status")).to_have_text("⊘ User canceled")
        assert more.get(f"/trials/{mine['id']}")["status"] == "USER_CANCELED"

        page.get_by_role("button", name=f"Run again with the same parameters, trial {mine['sequence']}").click()
        again = more.until(
            lambda: [t for t in more.trials() if t["parameters"] == mine["parameters"] and t["id"] != mine["id"]], "it"
        )[0]
        more.until(lambda: more.get(f"/trials/{again['id']}")["status"] == "RUNNING", "its start")
        more.rest.put("/experiment", params={"update_type": "MAX_TRIAL_NUM"}, json={"params": {"maxTrialNumber": 32}})
        more.rest.delete(f"/trial-jobs/{again['id']}")


def test_notes_and_tags_are_kept(more: Lab, browser: Browser):
    from playwright.sync_api import expect
    from webui_lab import looking

    trial = more.trials()[2]
    with looking(browser, more.root) as sight:
        page = sight.open(f"/detail?trial={trial['id']}")
        panel = page.locator(".panel")
        panel.get_by_role("tab", name="Notes").click()
        panel.get_by_label("Tags").fill("baseline, to check")
        panel.get_by_label("Note", exact=True).fill("why is it <b>so</b> good?")
        panel.get_by_role("button", name="Save note").click()
        expect(panel.get_by_text("Saved")).to_be_visible()
        kept = more.get(f"/trials/{trial['id']}")
        assert (kept["note"], kept["tags"]) == ("why is it <b>so</b> good?", ["baseline", "to check"])
        page.get_by_label("Search by trial id, number or tag").fill("baseline")
        expect(page.locator(".table-card .card-head .hint")).to_have_text(f"1 of {len(more.trials())}")
    refused = more.rest.put(f"/trials/{trial['id']}/note", json={"tags": ["x" * 100]})
    assert refused.status_code == 409
    assert more.rest.put("/trials/nobody/note", json={}).status_code == 404


def test_a_model_is_drawn(more: Lab, browser: Browser):
    from onnx_sample import two_layers
    from playwright.sync_api import expect
    from webui_lab import looking

    trial = more.trials()[0]
    directory = Path(trial["directory"])
    (directory / "model.onnx").write_bytes(two_layers())
    with looking(browser, more.root) as sight:
        page = sight.open(f"/detail?trial={trial['id']}")
        page.locator(".panel").get_by_role("tab", name="Model").click()
        expect(page.locator(".model-node")).to_have_count(4)
        expect(page.locator(".model-node", has_text="Gemm")).to_be_visible()
        sight.shot("model")


def test_columns_can_be_asked_for_before_the_trials_have_come(more: Lab, browser: Browser):
    from webui_lab import looking

    with looking(browser, more.root) as sight:
        sight.page.route("**/columns*", lambda route: (sight.page.wait_for_timeout(700), route.continue_()))
        page = sight.open("/detail")
        page.locator(".columns summary").click()
        page.locator(".columns").get_by_label("Intermediate count").check()
