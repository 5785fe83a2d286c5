"""The figures of the whole study's page that a person explores, in Chromium."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.support.browser import DESKTOP, PHONE, Opened, explored

pytestmark = pytest.mark.system

ADAM, ADAGRAD = "#0a7abf", "#d55e00"
TOOLTIP = "#vg-tooltip-element.visible"


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
    assert re.search(
        r"adagrad, \d hidden layers?\nline\s(seed \d|mean of \d seeds)\ntraining samples\s10,000\ntraining time\s\d+"
        r" s\nnats\s−1\d\d\.\d{3}\ninterval\s",
        said,
    ), said
    expect(figure.locator(".plot .ring_marks path")).to_have_count(1)


def test_the_keyboard_goes_from_point_to_point_and_says_where_it_is(opened: Opened) -> None:
    figure = curves(opened)
    said = figure.get_by_role("status")
    figure.get_by_role("application").focus()
    texts = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp"):
        figure.page.keyboard.press(key)
        texts.append(said.inner_text())
    assert re.fullmatch(
        r"adagrad, 1 hidden layer, mean of 6 seeds: −13\d\.\d\d nats after 2,000 training samples", texts[0]
    )
    assert "after 4,000 training samples" in texts[1]
    assert texts[2].startswith("adam, 1 hidden layer, mean of 6 seeds")
    assert texts[3] == texts[0]
    expect(figure.locator(".plot .ring_marks path")).to_have_count(1)


def test_differences_say_their_seed_and_are_picked_by_kind(opened: Opened) -> None:
    figure = explored(opened(), "optimizer_paired_differences")
    seeds = figure.locator(".plot .seeds_marks path")
    assert seeds.count() == 5 + 6 + 5
    assert re.search(
        r"adam against adagrad\ndifference\s(seed \d: \+[23]\.\d\d nats|mean \+2\.\d\d nats, n = 5)",
        hover(figure.page, figure.locator(".plot"), 0.85, 0.2),
    )
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
        assert f"mean +{reading['estimate']:.2f} nats, n = {reading['n']}, " in said, (title, said)


def test_what_might_overturn_a_claim_is_picked_by_variant_and_extended_to_explored_comparisons(opened: Opened) -> None:
    figure = explored(opened(), "robustness_of_claims")
    points = figure.locator(".plot .filled_marks path, .plot .outlined_marks path")
    declared = points.count()
    assert declared >= 8
    figure.get_by_role("button", name="median").click()
    expect(points).to_have_count(declared - 2)
    figure.get_by_role("combobox", name="show").select_option("all")
    expect(figure.locator(".plot .names_marks text")).to_have_count(5)
    figure.get_by_role("application").focus()
    figure.page.keyboard.press("ArrowRight")
    assert re.match(
        r"adam against adagrad: as declared: \+\d\.\d\d nats, (better|inconclusive)",
        figure.get_by_role("status").inner_text(),
    )


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
    expect(figure.locator(".axis")).to_have_text(
        "best validation lower bound so far, in the order of proposing (nats), higher is better"
    )
    figure.get_by_role("application").focus()
    figure.page.keyboard.press("ArrowRight")
    assert re.search(r"\u2212\d{3}\.\d\d nats \(number of proposals: 1\)$", figure.get_by_role("status").inner_text())


def test_every_explored_figure_lies_beside_the_page_as_svg_and_png(opened: Opened, index: Path) -> None:
    page = opened()
    names: list[str] = page.eval_on_selector_all(".explorer", "places => places.map(place => place.dataset.explorer)")
    assert len(names) >= 11
    for name in names:
        hrefs: list[str] = page.eval_on_selector_all(
            f"#figure-{name} figcaption a:not([download])", "links => links.map(link => link.getAttribute('href'))"
        )
        assert {f"figures/{name}.svg", f"figures/{name}.png"} <= set(hrefs)
        assert (index.parent / f"figures/{name}.svg").read_text(encoding="utf-8").startswith("<svg")
        assert (index.parent / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")


def test_sensitivity_names_the_proposal_and_marks_what_was_lost(opened: Opened) -> None:
    figure = explored(opened(), "optimizer_learning_rate_sensitivity")
    assert figure.locator(".plot .lost_marks path").count() == 1
    assert figure.locator(".plot .winners_marks path").count() == 4
    assert re.search(
        r"adam, \d hidden layers?\nproposal\snumber \d: learning rate 0\.\d+; −1\d\d\.\d\d nats",
        hover(figure.page, figure.locator(".plot"), 0.4, 0.1),
    )


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_the_drawing_fills_its_place_and_its_ink_is_the_pages(opened: Opened, size: tuple[int, int]) -> None:
    figure = curves(opened, size=size, scheme="dark")
    plot, drawing = figure.locator(".plot").bounding_box(), figure.locator(".plot svg.marks").bounding_box()
    assert plot is not None
    assert drawing is not None
    assert 0.95 * plot["width"] < drawing["width"] < plot["width"] + 1
    colours: list[str] = figure.locator(".plot .role-axis-label text").evaluate_all(
        "texts => texts.map(text => getComputedStyle(text).fill)"
    )
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
    page.evaluate(
        "allowed => { if (!allowed) Object.defineProperty(navigator, 'clipboard', { value: undefined }); }", allowed
    )
    page.locator("#table-claims summary").scroll_into_view_if_needed()
    page.get_by_role("button", name="Copy Every claim in LaTeX").click()
    expect(page.locator("#table-claims .pasted").nth(1).get_by_role("status")).to_have_text(re.compile("copied|Ctrl"))
    page.locator("#table-claims .pasted").nth(0).locator("textarea").evaluate(
        "area => { area.readOnly = false; area.value = ''; area.focus(); }"
    )
    page.keyboard.press("Control+V")
    assert (
        page.locator("#table-claims .pasted").nth(0).locator("textarea").input_value()
        == (index.parent / "tables" / "claims.tex").read_text()
    )
