"""The whole study's page, made by `python -m analysis`, opened in Chromium from the disk, with nothing to fetch
from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.support.models import study_with_pictures, write_dataset, write_weights
from tests.support.synthetic_store import Place, build_store

Scheme = Literal["light", "dark"]
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = (1200, 900), (360, 740)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a diverged and a missing training, so that the page has warnings."""
    folder = tmp_path_factory.mktemp("page")
    study = study_with_pictures(write_dataset(folder / "bars"), targets=(-108.0, -90.0))
    uri = build_store(
        folder / "outputs",
        study,
        outcomes={Place("search", "num_hidden_layers=1,optimizer=adam", 0, None, 0): "diverged"},
        missing=frozenset({Place("confirm", "num_hidden_layers=2,optimizer=adagrad", 1, 0, 5)}),
        write_weights=write_weights,
    )
    command = [
        sys.executable,
        "-m",
        "analysis",
        "all",
        "--study",
        study.name,
        "--tracking-uri",
        uri,
        "--outputs",
        str(folder / "outputs"),
    ]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    page = folder / "outputs" / "reports" / study.name / "index.html"
    assert done.stdout.splitlines()[-1] == f"Report: {page}"
    return page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), "install Chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


Opened = Callable[..., Page]


@pytest.fixture
def opened(browser: Browser, index: Path) -> Iterator[Opened]:
    """Opens the page; at the end, nothing may have been logged as an error or asked of anything but the page's own
    file."""
    faults: list[str] = []
    pages: list[Page] = []

    def open_page(size: tuple[int, int] = DESKTOP, scheme: Scheme = "light", unfold: bool = True) -> Page:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request",
            lambda request: (
                faults.append(request.url) if not request.url.startswith(("data:", index.as_uri())) else None
            ),
        )
        page.goto(index.as_uri())
        if unfold:
            page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def explored(page: Page, name: str) -> Locator:
    """The figure, once it is drawn."""
    figure = page.locator(f"#figure-{name}")
    figure.scroll_into_view_if_needed()
    figure.locator(".plot svg.marks").wait_for()
    return figure
