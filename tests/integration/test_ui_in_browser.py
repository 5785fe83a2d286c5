"""The links that `make ui` prints, opened in a browser that has never seen MLflow: how its pages read the views that a
study writes is documented nowhere, and may change with MLflow."""

from __future__ import annotations

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
def server(finished: FinishedRun, root: Path) -> Iterator[str]:
    with mlflow_ui(finished.workplace.outputs, root) as ui:
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


def _css(colour: str) -> str:
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return f"rgb({red}, {green}, {blue})"
