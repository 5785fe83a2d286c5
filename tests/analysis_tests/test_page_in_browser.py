"""The whole study's page, made by `python -m analysis`, opened in Chromium from the disk, with nothing to fetch from."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.analysis_tests.invented_models import study_with_pictures, write_dataset, write_weights
from tests.analysis_tests.synthetic_store import Place, build_store

pytestmark = pytest.mark.system

Scheme = Literal["light", "dark"]
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
DESKTOP, PHONE = (1200, 900), (360, 740)
ADAM, ADAGRAD = "#0a7abf", "#d55e00"
TOOLTIP = "#vg-tooltip-element.visible"


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
    command = [sys.executable, "-m", "analysis", "all", "--study", study.name, "--tracking-uri", uri, "--outputs", str(folder / "outputs")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"})
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
    """Opens the page; at the end, nothing may have been logged as an error or asked of anything but the page's own file."""
    faults: list[str] = []
    pages: list[Page] = []

    def open_page(size: tuple[int, int] = DESKTOP, scheme: Scheme = "light", unfold: bool = True) -> Page:
        page = browser.new_page(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
        pages.append(page)
        page.on("console", lambda message: faults.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.append(request.url) if not request.url.startswith(("data:", index.as_uri())) else None)
        page.goto(index.as_uri())
        if unfold:
            page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        return page

    yield open_page
    for page in pages:
        page.close()
    assert faults == []


def column(page: Page, table: str, number: int) -> list[str]:
    texts: list[str] = page.eval_on_selector_all(f"#table-{table} tbody tr td:nth-child({number})", "cells => cells.map(cell => cell.textContent.trim())")
    return texts


def test_page_leads_with_the_verdict_and_folds_the_rest(opened: Opened) -> None:
    page = opened(unfold=False)
    lead = page.locator("#answer")
    assert lead.locator(".verdict").inner_text() in ("better", "worse", "equivalent", "inconclusive")
    assert "10,000 training samples" in lead.locator(".answer").inner_text()
    assert "difference" in lead.locator(".facts").inner_text()
    assert lead.locator("figure .drawing svg").count() == 1
    assert "missing" in page.locator(".warnings").inner_text()
    assert page.locator("details.report").count() >= 5
    assert page.locator("details.report[open]").count() == 0
    page.locator("#hidden_layer_ablation > summary").press("Enter")
    assert page.locator("#hidden_layer_ablation > .inside > .answer").is_visible()


def test_every_figure_is_drawn_and_has_a_name_and_its_data(opened: Opened) -> None:
    page = opened()
    figures = page.locator("figure")
    assert figures.count() >= 10
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        drawing = figure.locator(".drawing svg")
        if figure.locator(".explorer").count():
            drawing = figure.locator(".plot svg.marks")
            drawing.wait_for()
            assert not figure.locator(".drawing").is_visible()
            assert (figure.locator(".plot").get_attribute("aria-label") or "").strip()
        box = drawing.bounding_box()
        assert box is not None
        assert box["width"] > 200
        assert box["height"] > 50
        assert (figure.locator(".drawing svg").get_attribute("aria-label") or "").strip()
        assert (figure.locator("a[download]").first.get_attribute("href") or "").startswith("data:")
    loaded = "images => Promise.all(images.map(image => { const copy = new Image(); copy.src = image.href.baseVal; return copy.decode().then(() => copy.naturalWidth); }))"
    widths: list[int] = page.eval_on_selector_all("figure svg image", loaded)
    assert len(widths) >= 20
    assert min(widths) > 0


def test_data_of_a_figure_is_downloaded_from_the_page_itself(opened: Opened, index: Path) -> None:
    page = opened()
    with page.expect_download() as download:
        page.locator("#figure-optimizer_learning_curves a[download]").first.click()
    assert download.value.suggested_filename == "optimizer_learning_curves.csv"
    assert Path(download.value.path()).read_bytes() == (index.parent / "tables" / "optimizer_learning_curves.csv").read_bytes()


def test_table_sorts_by_click_and_back(opened: Opened) -> None:
    page = opened()
    header = page.locator("#table-interpolation_latents th").nth(3)
    header.locator("button").click()
    rising = [float(text) for text in column(page, "interpolation_latents", 4)]
    assert header.get_attribute("aria-sort") == "ascending"
    assert rising == sorted(rising)
    header.locator("button").click()
    assert header.get_attribute("aria-sort") == "descending"
    assert [float(text) for text in column(page, "interpolation_latents", 4)] == rising[::-1]
    assert page.locator("#table-interpolation_latents th[aria-sort]").count() == 1


def test_table_sorts_by_keyboard_and_keeps_rows_together(opened: Opened) -> None:
    page = opened()
    before = list(zip(*(column(page, "outcomes", number) for number in (1, 2, 3)), strict=True))
    page.locator("#table-outcomes th button").nth(2).focus()
    page.keyboard.press("Enter")
    after = list(zip(*(column(page, "outcomes", number) for number in (1, 2, 3)), strict=True))
    assert [int(row[2]) for row in after] == sorted(int(row[2]) for row in before)
    assert sorted(after) == sorted(before)
    assert after != before


def test_empty_cells_stay_last_whichever_way_a_table_is_sorted(opened: Opened) -> None:
    page = opened()
    page.evaluate("document.querySelector('#table-outcomes tbody tr td:nth-child(3)').dataset.sort = ''")
    first = page.locator("#table-outcomes tbody tr").first.inner_text()
    for _ in range(2):
        page.locator("#table-outcomes th button").nth(2).click()
        assert page.locator("#table-outcomes tbody tr").last.inner_text() == first


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_a_phone(opened: Opened, scheme: Scheme) -> None:
    page = opened(PHONE, scheme)
    for explorer in page.locator(".explorer").all():
        explorer.locator("..").scroll_into_view_if_needed()
        explorer.locator(".plot svg.marks").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE[0]
    wide: list[str] = page.evaluate(
        "[...document.querySelectorAll('body *')].filter((part) => part.getBoundingClientRect().right > innerWidth + 1 && !part.closest('.scroll, pre, .skip'))"
        ".map((part) => part.outerHTML.slice(0, 80))"
    )
    assert wide == []


def test_dark_and_light_are_both_painted(opened: Opened) -> None:
    def darkness(scheme: Scheme) -> int:
        colour: str = opened(scheme=scheme).evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))

    assert darkness("dark") < 150 < 600 < darkness("light")


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "dark"), (PHONE, "light")], ids=["desktop dark", "phone light"])
def test_axe_finds_no_fault(opened: Opened, size: tuple[int, int], scheme: Scheme) -> None:
    page = opened(size, scheme)
    response: dict[str, Any] = Axe().run(page, options={"resultTypes": ["violations", "incomplete", "passes"]}).response
    assert [(fault["id"], fault["nodes"][0]["html"][:200], fault["help"]) for fault in response["violations"]] == []
    undecided = [(node["html"][:100], check["data"]["messageKey"]) for rule in response["incomplete"] for node in rule["nodes"] for check in node["any"]]
    # axe leaves open text on a drawing, a lone letter and cells scrolled out of their box; a gradient would hide all text on it
    assert [held for held in undecided if held[1] not in ("imgNode", "shortTextContent", "nonBmp", "elmPartiallyObscured", "elmPartiallyObscuring")] == []
    assert sum(len(rule["nodes"]) for rule in response["passes"] if rule["id"] == "color-contrast") > 200


def test_a_link_to_a_part_unfolds_it(opened: Opened) -> None:
    page = opened(unfold=False)
    assert not page.locator("#figure-interpolation_samples svg").is_visible()
    page.evaluate("location.hash = '#figure-interpolation_samples'")
    page.locator("#figure-interpolation_samples svg").wait_for(state="visible")


def test_everything_is_printed(opened: Opened) -> None:
    page = opened(unfold=False)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details.report[open]").count() == page.locator("details.report").count()
    figure = page.locator("#figure-optimizer_learning_curves")
    assert figure.locator(".drawing").is_visible()
    assert not figure.locator(".explorer").is_visible()


# Figures that a person explores


def explored(page: Page, name: str) -> Locator:
    """The figure, once it is drawn."""
    figure = page.locator(f"#figure-{name}")
    figure.scroll_into_view_if_needed()
    figure.locator(".plot svg.marks").wait_for()
    return figure


def curves(opened: Opened, **options: object) -> Locator:
    return explored(opened(**options), "optimizer_learning_curves")


def means(figure: Locator, colour: str) -> Locator:
    return figure.locator(f".plot .means_marks path[stroke='{colour}']")


def hover(page: Page, plot: Locator, right: float, down: float) -> str:
    """What is said under the pointer, at shares of the drawing's width and height."""
    box = plot.locator("svg.marks").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + right * box["width"], box["y"] + down * box["height"])
    return page.locator(TOOLTIP).inner_text()


def test_a_click_on_the_legend_takes_a_cell_away_and_brings_it_back(opened: Opened) -> None:
    figure = curves(opened)
    assert (means(figure, ADAM).count(), means(figure, ADAGRAD).count()) == (2, 2)
    assert figure.locator(".plot .seeds_marks path").count() == 23  # one of 24 is missing
    button = figure.get_by_role("button", name="adagrad, 2 hidden layers")
    button.click()
    expect(means(figure, ADAGRAD)).to_have_count(1)
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    expect(means(figure, ADAGRAD)).to_have_count(2)
    figure.get_by_role("button", name="none").click()
    expect(figure.locator(".plot svg")).to_have_count(0)
    expect(figure.get_by_text("Nothing is shown.")).to_be_visible()
    figure.get_by_role("button", name="all").click()
    expect(means(figure, ADAM)).to_have_count(2)


def test_the_axis_goes_from_samples_to_seconds(opened: Opened) -> None:
    figure = curves(opened)
    assert "training samples" in figure.locator(".plot").inner_text()
    figure.get_by_role("combobox", name="against").select_option("seconds")
    expect(figure.locator(".plot")).to_contain_text("training time (seconds, evaluations left out)")
    said = hover(figure.page, figure.locator(".plot"), 0.95, 0.3)
    assert "20 s" in said  # the store's deeper trainings take 10,000 / 1,000 x 2 seconds


def test_another_metric_is_drawn_with_its_own_name_and_height(opened: Opened) -> None:
    figure = curves(opened)
    heading = figure.locator(".axis")
    assert heading.inner_text() == "validation lower bound (nats), higher is better"
    assert "−85" not in figure.locator(".plot").inner_text()
    figure.get_by_role("combobox", name="Show").select_option("train/reconstruction")
    expect(heading).to_have_text("train reconstruction (nats), higher is better")
    expect(figure.locator(".plot")).to_contain_text("−85")
    figure.get_by_role("combobox", name="Show").select_option("validation/kl")
    expect(heading).to_have_text("validation KL divergence (nats)")


def test_seeds_and_the_whole_height_are_shown_when_asked_for(opened: Opened) -> None:
    figure = curves(opened)
    figure.get_by_label("every seed").uncheck()
    expect(figure.locator(".plot .seeds_marks path")).to_have_count(0)
    assert means(figure, ADAM).count() == 2
    figure.get_by_label("whole height").check()
    expect(means(figure, ADAM)).to_have_count(2)


def test_the_pointer_is_told_cell_seed_samples_and_value(opened: Opened) -> None:
    figure = curves(opened)
    said = hover(figure.page, figure.locator(".plot"), 0.97, 0.75)
    assert re.search(r"adagrad, \d hidden layers?\nline\s(seed \d|mean of \d seeds)\ntraining samples\s10,000\ntraining time\s\d+ s\nnats\s−1\d\d\.\d{3}\ninterval\s", said), said
    expect(figure.locator(".plot .ring_marks path")).to_have_count(1)


def test_the_keyboard_goes_from_point_to_point_and_says_where_it_is(opened: Opened) -> None:
    figure = curves(opened)
    said = figure.get_by_role("status")
    figure.get_by_role("application").focus()
    texts = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp"):
        figure.page.keyboard.press(key)
        texts.append(said.inner_text())
    assert re.fullmatch(r"adagrad, 1 hidden layer, mean of 6 seeds: −13\d\.\d\d nats after 2,000 training samples", texts[0])
    assert "after 4,000 training samples" in texts[1]
    assert texts[2].startswith("adam, 1 hidden layer, mean of 6 seeds")
    assert texts[3] == texts[0]
    expect(figure.locator(".plot .ring_marks path")).to_have_count(1)


def test_differences_say_their_seed_and_are_picked_by_kind(opened: Opened) -> None:
    figure = explored(opened(), "optimizer_paired_differences")
    seeds = figure.locator(".plot .seeds_marks path")
    assert seeds.count() == 5 + 6 + 5
    assert re.search(r"adam against adagrad\ndifference\s(seed \d: \+[23]\.\d\d nats|mean \+2\.\d\d nats, n = 5)", hover(figure.page, figure.locator(".plot"), 0.85, 0.2))
    figure.get_by_role("button", name="exploration").click()
    expect(seeds).to_have_count(5)


def test_differences_are_those_of_the_readout_that_is_chosen(opened: Opened, index: Path) -> None:
    figure = explored(opened(), "optimizer_paired_differences")
    claims = json.loads((index.parent / "claims.json").read_text(encoding="utf-8"))
    readings = next(claim for claim in claims if claim["kind"] == "primary")["readout_verdicts"]
    choice = figure.get_by_role("combobox", name="differences in")
    titles = choice.locator("option").all_inner_texts()
    assert titles == [readings[0]["title"] + ", as declared", *(one["title"] for one in readings[1:])]
    assert len(titles) == 4
    for title, reading in zip(titles, readings, strict=True):
        choice.select_option(title)
        figure.get_by_role("application").focus()
        figure.page.keyboard.press("ArrowRight")
        said = figure.get_by_role("status").inner_text()
        assert f"mean +{reading['estimate_nats']:.2f} nats, n = {reading['n']}, " in said, (title, said)


def test_what_might_overturn_a_claim_is_picked_by_variant_and_extended_to_explored_comparisons(opened: Opened) -> None:
    figure = explored(opened(), "robustness_of_claims")
    points = figure.locator(".plot .agreeing_marks path, .plot .differing_marks path")
    declared = points.count()
    assert declared >= 8
    figure.get_by_role("button", name="median").click()
    expect(points).to_have_count(declared - 2)
    figure.get_by_role("combobox", name="show").select_option("all")
    expect(figure.locator(".plot .names_marks text")).to_have_count(5)
    figure.get_by_role("application").focus()
    figure.page.keyboard.press("ArrowRight")
    assert re.match(r"adam against adagrad: as declared: \+\d\.\d\d nats, (better|inconclusive)", figure.get_by_role("status").inner_text())


def test_ranks_go_from_cells_to_the_levels_of_a_factor(opened: Opened) -> None:
    figure = explored(opened(), "mean_ranks_of_cells")
    names = figure.locator(".plot .names_marks text")
    expect(names).to_have_count(4)
    figure.get_by_role("button", name="adagrad").click()
    expect(names).to_have_count(2)
    figure.get_by_role("combobox", name="ranks of").select_option("num_hidden_layers")
    expect(names).to_have_text(["2 hidden layers", "1 hidden layer"])
    assert not figure.get_by_role("button", name="adagrad").is_visible()


def test_times_to_targets_are_of_the_target_and_the_clock_that_are_chosen(opened: Opened) -> None:
    figure = explored(opened(), "time_to_target")
    assert figure.locator(".axis").inner_text() == "share of seeds that reached \u2212108 nats"
    figure.get_by_role("combobox", name="Show").select_option("-90")
    expect(figure.locator(".axis")).to_have_text("share of seeds that reached \u221290 nats")
    figure.get_by_role("combobox", name="against").select_option("seconds")
    expect(figure.locator(".plot")).to_contain_text("training time (seconds)")
    figure.get_by_role("application").focus()
    for _ in range(2):
        figure.page.keyboard.press("ArrowRight")
    assert re.search(r"0\.00 after \d+ seconds of training$", figure.get_by_role("status").inner_text())


def test_expected_best_is_a_median_with_quartiles_a_mean_or_what_was_seen(opened: Opened) -> None:
    figure = explored(opened(), "expected_best")
    assert figure.locator(".plot .role-axis-label text").all_text_contents()[:3] == ["1", "2", "3"]
    assert figure.locator(".plot .bands_marks path").count() == 4
    choice = figure.get_by_role("combobox", name="Show")
    choice.select_option("mean")
    expect(figure.locator(".plot .bands_marks path")).to_have_count(0)
    expect(means(figure, ADAM)).to_have_count(2)
    choice.select_option("running")
    expect(figure.locator(".axis")).to_have_text("best validation lower bound so far, in the order of proposing (nats), higher is better")
    figure.get_by_role("application").focus()
    figure.page.keyboard.press("ArrowRight")
    assert re.search(r"\u2212\d{3}\.\d\d nats \(number of proposals: 1\)$", figure.get_by_role("status").inner_text())


def test_every_explored_figure_lies_beside_the_page_as_svg_and_png(opened: Opened, index: Path) -> None:
    page = opened()
    names: list[str] = page.eval_on_selector_all(".explorer", "places => places.map(place => place.dataset.explorer)")
    assert len(names) >= 11
    for name in names:
        hrefs: list[str] = page.eval_on_selector_all(f"#figure-{name} figcaption a:not([download])", "links => links.map(link => link.getAttribute('href'))")
        assert {f"figures/{name}.svg", f"figures/{name}.png"} <= set(hrefs)
        assert (index.parent / f"figures/{name}.svg").read_text(encoding="utf-8").startswith("<svg")
        assert (index.parent / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_sensitivity_names_the_proposal_and_marks_what_was_lost(opened: Opened) -> None:
    figure = explored(opened(), "optimizer_learning_rate_sensitivity")
    assert figure.locator(".plot .lost_marks path").count() == 1
    assert figure.locator(".plot .winners_marks path").count() == 4
    assert re.search(r"adam, \d hidden layers?\nproposal\snumber \d: learning rate 0\.\d+; −1\d\d\.\d\d nats", hover(figure.page, figure.locator(".plot"), 0.4, 0.1))


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_drawing_fills_its_place_and_its_ink_is_the_pages(opened: Opened, size: tuple[int, int]) -> None:
    figure = curves(opened, size=size, scheme="dark")
    plot, drawing = figure.locator(".plot").bounding_box(), figure.locator(".plot svg.marks").bounding_box()
    assert plot is not None
    assert drawing is not None
    assert 0.95 * plot["width"] < drawing["width"] < plot["width"] + 1
    colours: list[str] = figure.locator(".plot .role-axis-label text").evaluate_all("texts => texts.map(text => getComputedStyle(text).fill)")
    assert set(colours) == {figure.page.evaluate("getComputedStyle(document.body).color")}


def test_nothing_moves_for_those_who_ask_for_no_motion(opened: Opened) -> None:
    figure = curves(opened)
    figure.page.emulate_media(reduced_motion="reduce")
    figure.get_by_role("button", name="adam, 1 hidden layer").click()
    assert figure.page.evaluate("document.getAnimations().length") == 0


def test_without_javascript_the_drawing_stays(browser: Browser, index: Path) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(index.as_uri())
    figure = page.locator("#answer figure")
    assert figure.locator(".drawing svg").is_visible()
    assert not figure.locator(".explorer").is_visible()
    page.close()


@pytest.mark.parametrize("allowed", [True, False], ids=["clipboard", "no clipboard"])
def test_a_table_is_copied_as_it_lies_in_its_file(opened: Opened, index: Path, allowed: bool) -> None:
    page = opened()
    page.evaluate("allowed => { if (!allowed) Object.defineProperty(navigator, 'clipboard', { value: undefined }); }", allowed)
    page.locator("#table-claims summary").scroll_into_view_if_needed()
    page.get_by_role("button", name="Copy Every claim in LaTeX").click()
    expect(page.locator("#table-claims .pasted").nth(1).get_by_role("status")).to_have_text(re.compile("copied|Ctrl"))
    page.locator("#table-claims .pasted").nth(0).locator("textarea").evaluate("area => { area.readOnly = false; area.value = ''; area.focus(); }")
    page.keyboard.press("Control+V")
    assert page.locator("#table-claims .pasted").nth(0).locator("textarea").input_value() == (index.parent / "tables" / "claims.tex").read_text()
