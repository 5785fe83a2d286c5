"""The links that `make ui` prints, opened in a browser that has never seen MLflow: how its pages read the views that a
study writes is documented nowhere, and may change with MLflow."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from playwright.sync_api import Browser, Page, expect

from study.tracking.views import view_link
from tests.support.browser import browser as browser
from tests.support.mlflow_ui import mlflow_ui
from tests.support.workplaces import FinishedRun

pytestmark = pytest.mark.system
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def server(finished: FinishedRun, root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """On the tiny study with its report."""
    workplace = finished.workplace.copy_to(tmp_path_factory.mktemp("reported"))
    command = [sys.executable, "-m", "analysis", "all", "--study", "tiny", "--outputs", str(workplace.outputs)]
    report = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=False)
    assert report.returncode == 0, report.stderr
    with mlflow_ui(workplace.outputs, root) as ui:
        yield ui.address


@pytest.fixture(scope="module")
def experiment_id(server: str) -> str:
    experiment = MlflowClient(server).get_experiment_by_name("tiny")
    assert experiment is not None
    return str(experiment.experiment_id)


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1500, "height": 950})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    yield page
    context.close()


def cells(server: str, experiment_id: str) -> dict[str, str]:
    """The colour of each cell, by its name."""
    runs = MlflowClient(server).search_runs([experiment_id], "tags.kind = 'cell'")
    return {str(run.info.run_name): run.data.tags["mlflow.runColor"] for run in runs}


def test_the_overview_shows_a_line_for_each_cell_in_its_colour(page: Page, server: str, experiment_id: str) -> None:
    page.goto(view_link(server, experiment_id))
    expected = cells(server, experiment_id)
    assert expected
    for name in expected:
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_text("validation/lower_bound").first).to_be_visible(timeout=PATIENCE_MS)
    lines = page.locator(".scatterlayer .trace .js-line")
    expect(lines.first).to_be_visible(timeout=PATIENCE_MS)
    drawn = {line.evaluate("line => getComputedStyle(line).stroke") for line in lines.all()}
    assert {_css(colour) for colour in expected.values()} <= drawn


def test_the_tables_have_the_columns_that_tell_trainings_apart(page: Page, server: str, experiment_id: str) -> None:
    page.set_viewport_size({"width": 2_600, "height": 950})  # columns beyond the edge are not in the page
    page.goto(view_link(server, experiment_id, "confirm").replace("&compareRunsMode=CHART", ""))
    for column in ("cell_title", "phase", "seed", "learning_rate", "validation/lower_bound", "outcome"):
        header = page.locator(".ag-header-cell", has_text=column)
        header.first.wait_for(state="attached")
    for name in cells(server, experiment_id):
        expect(page.get_by_text(f"Group: {name}").first).to_be_visible(timeout=PATIENCE_MS)
        expect(page.get_by_role("link", name=f"{name} · seed 0", exact=True)).to_be_visible(timeout=PATIENCE_MS)


def test_the_search_is_a_chart_of_each_hyperparameter(page: Page, server: str, experiment_id: str) -> None:
    page.goto(view_link(server, experiment_id, "search"))
    expect(page.get_by_text("learning_rate vs. valid").first).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("link", name="proposal 0").first).to_be_visible(timeout=PATIENCE_MS)


@pytest.fixture
def study_run(server: str, experiment_id: str) -> str:
    """The address of the study's own run; a tab's name follows."""
    (run,) = MlflowClient(server).search_runs([experiment_id], "tags.kind = 'study'")
    return f"{server}/#/experiments/{experiment_id}/runs/{run.info.run_id}"


def test_the_description_of_the_studys_run_opens_its_report(page: Page, study_run: str) -> None:
    page.goto(f"{study_run}?workflowType=machine_learning")
    expect(page.get_by_text("No claim about optimizer was declared beforehand").first).to_be_visible(
        timeout=PATIENCE_MS
    )
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="report, whose figures can be explored").click()
    report = opened.value.frame_locator("iframe")
    expect(report.get_by_role("heading", name="Does the whole path work")).to_be_visible(timeout=PATIENCE_MS)
    expect(report.locator(".plot svg").first).to_be_visible(timeout=PATIENCE_MS)  # its scripts run in there


def test_the_studys_run_charts_each_cells_mean_bound_and_shows_the_figures_of_the_report(
    page: Page, server: str, experiment_id: str, study_run: str
) -> None:
    page.set_viewport_size({"width": 1_500, "height": 6_000})  # charts beyond the edge are not drawn
    page.goto(f"{study_run}/model-metrics?workflowType=machine_learning")
    names = cells(server, experiment_id)
    expect(page.get_by_text("mean validation bound").first).to_be_visible(timeout=PATIENCE_MS)
    for name in names:
        expect(page.get_by_text(f"tiny (mean validation bound/{name})")).to_be_visible(timeout=PATIENCE_MS)
    images = page.locator("img[src^='blob:'], img[src^='data:image/png'], img[src*='get-artifact']")
    expect(images.first).to_be_visible(timeout=PATIENCE_MS)
    assert images.first.evaluate("image => image.decode().then(() => image.naturalWidth)") > 100


def test_claims_are_a_table(page: Page, study_run: str) -> None:
    page.goto(f"{study_run}/artifacts/claims.json?workflowType=machine_learning")
    for text in ("verdict", "estimate_nats", "adam against adagrad"):
        expect(page.get_by_text(text, exact=True).first).to_be_visible(timeout=PATIENCE_MS)


def _css(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"
