"""The pages of curves from a file and of two studies, opened in Chromium from the disk: they work as a study's page
does."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from typer.testing import CliRunner

from analysis.cli.app import app
from analysis.results.reader import StudyResults
from analysis.side_by_side.findings import studies_findings
from analysis.side_by_side.report import write_studies_page
from tests.support.browser import DESKTOP, PHONE, explored
from tests.support.curve_points import points, spoiled, written

pytestmark = pytest.mark.system

HOSTILE = "a.cell [of] 'a' long \"name\", </script><!-- with details of its kind"


@pytest.fixture(scope="module", params=["curves in nats", "a loss", "two studies"])
def page(request: pytest.FixtureRequest, results: StudyResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    if request.param == "two studies":
        other = replace(
            results, study=results.study.model_copy(update={"name": "other", "seed": 3}), parent_run_id="other"
        )
        return write_studies_page(studies_findings(results, other), folder / "page")
    frame = spoiled(points(("adagrad", "adam", HOSTILE)), "adam", 1, 300)
    file = written(frame if request.param == "curves in nats" else frame.assign(value=-1e-5 * frame["value"]), folder)
    more = ["--unit", "nats", "--margin", "0.5"] if request.param == "curves in nats" else ["--lower-is-better"]
    done = CliRunner().invoke(app, ["curves", str(file), "--out", str(folder / "page"), *more])
    assert done.exit_code == 0, done.output
    return folder / "page" / "index.html"


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_page_fits_its_window_sorts_its_tables_and_fetches_nothing(
    browser: Browser, page: Path, size: tuple[int, int], scheme: str
) -> None:
    faults: list[str] = []
    opened = browser.new_page(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if scheme == "dark" else "light"
    )
    opened.on("console", lambda message: faults.append(message.text))
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "request",
        lambda request: faults.append(request.url) if not request.url.startswith(("data:", page.as_uri())) else None,
    )
    opened.goto(page.as_uri())
    opened.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert opened.evaluate("document.documentElement.scrollWidth") <= size[0]
    for figure in opened.locator("figure").all():
        figure.scroll_into_view_if_needed()
        opened.wait_for_timeout(300)
        if figure.locator(".explorer").count():
            figure.locator(".plot svg.marks").wait_for()
        box = figure.locator(".plot svg.marks, .drawing svg").last.bounding_box()
        assert box is not None
        assert box["width"] > 200
    assert opened.evaluate("document.documentElement.scrollWidth") <= size[0]
    heading = opened.locator("#table-cells th button").first
    heading.click()
    cells: list[str] = opened.eval_on_selector_all(
        "#table-cells tbody tr td:first-child", "cells => cells.map(cell => cell.textContent)"
    )
    assert cells == sorted(cells)
    opened.close()
    assert faults == []


@pytest.mark.parametrize("page", ["a loss"], indirect=True)
def test_any_metric_is_explored_in_its_own_direction_and_digits(browser: Browser, page: Path) -> None:
    opened = browser.new_page()
    opened.goto(page.as_uri())
    opened.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    curves = explored(opened, "curves_by_step")
    assert curves.locator(".axis").inner_text() == "bound, lower is better"
    curves.get_by_role("application").focus()
    opened.keyboard.press("ArrowRight")
    assert re.fullmatch(
        re.escape(HOSTILE) + r", mean of 6 seeds: 0\.\d{7,} at step 100", curves.get_by_role("status").inner_text()
    )
    curves.get_by_role("button", name=HOSTILE).click()
    expect(curves.locator(".plot .means_marks path")).to_have_count(2)
    opened.close()


@pytest.mark.parametrize("page", ["a loss"], indirect=True)
def test_differences_of_curves_are_those_of_the_readout_that_is_chosen(browser: Browser, page: Path) -> None:
    opened = browser.new_page()
    opened.goto(page.as_uri())
    differences = explored(opened, "paired_differences")
    choice = differences.get_by_role("combobox", name="differences in")
    assert choice.locator("option").all_inner_texts() == ["final, as asked for", "best", "mean of the last 2"]
    choice.select_option("best")
    differences.get_by_role("application").focus()
    opened.keyboard.press("ArrowRight")
    said = differences.get_by_role("status").inner_text()
    assert re.match(re.escape(HOSTILE) + r" against adagrad: mean \+\d\.\d+e-5, n = 6, better, ", said)
    opened.close()
