"""The whole study's page in Chromium: what it leads with, its tables, widths, colours, print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.support.browser import DESKTOP, PHONE, Opened, Scheme

pytestmark = pytest.mark.system


def column(page: Page, table: str, number: int) -> list[str]:
    texts: list[str] = page.eval_on_selector_all(
        f"#table-{table} tbody tr td:nth-child({number})", "cells => cells.map(cell => cell.textContent.trim())"
    )
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
    loaded = (
        "images => Promise.all(images.map(image => { const copy = new Image(); copy.src = image.href.baseVal; return"
        " copy.decode().then(() => copy.naturalWidth); }))"
    )
    widths: list[int] = page.eval_on_selector_all("figure svg image", loaded)
    assert len(widths) >= 20
    assert min(widths) > 0


def test_data_of_a_figure_is_downloaded_from_the_page_itself(opened: Opened, index: Path) -> None:
    page = opened()
    with page.expect_download() as download:
        page.locator("#figure-optimizer_learning_curves a[download]").first.click()
    assert download.value.suggested_filename == "optimizer_learning_curves.csv"
    assert (
        Path(download.value.path()).read_bytes()
        == (index.parent / "tables" / "optimizer_learning_curves.csv").read_bytes()
    )


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
        "[...document.querySelectorAll('body *')].filter((part) => part.getBoundingClientRect().right > innerWidth + 1"
        " && !part.closest('.scroll, pre, .skip')).map((part) => part.outerHTML.slice(0, 80))"
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
    undecided = [
        (node["html"][:100], check["data"]["messageKey"])
        for rule in response["incomplete"]
        for node in rule["nodes"]
        for check in node["any"]
    ]
    # axe leaves open text on a drawing, a lone letter and cells scrolled out of their box; a gradient would hide all
    # text on it
    assert [
        held
        for held in undecided
        if held[1] not in ("imgNode", "shortTextContent", "nonBmp", "elmPartiallyObscured", "elmPartiallyObscuring")
    ] == []
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
