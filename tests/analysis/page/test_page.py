"""What a page shows, in which order, and that whatever a name holds stays text."""

from __future__ import annotations

import base64
import gzip
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.claims.schema import ReadingEntry
from analysis.document.sections import AnyClaim, Section, Table
from analysis.reports.study_page import (
    build_report,
)
from analysis.results.reader import StudyResults
from tests.support.claims import invented_row
from tests.support.pages import Elements, without_programs
from tests.support.sections import HOSTILE, section, with_explorer


class TimedClaim(AnyClaim):
    """A claim about time, which the page leaves out."""

    seconds: float


def test_every_field_of_a_claim_is_shown_whatever_it_is(hostile: StudyResults, tmp_path: Path) -> None:
    reading = {"title": "t", "metric": "m", "readout": "best", "n": 6, "estimate": 1.0, "verdict": "better"}
    claim = invented_row(
        kind="primary",
        verdict="worse",
        estimate=-1.25,
        interval=(-2.0, -0.5),
        confidence=0.9,
        p=0.03125,
        n=6,
        readout_verdicts=(ReadingEntry(**reading, holds=False),),
        title=HOSTILE,
    )
    timing = TimedClaim(name="t", kind="timing", verdict="faster", seconds=771234.5)
    page = build_report(hostile, [section("only", claims=(timing, claim))], tmp_path / "study").read_text()
    facts = page[page.index('class="facts"') : page.index("<figure")]
    assert [text in facts for text in ("−1.25 nats", "90 % interval", "−2.00 to −0.50", ">0.0312<", ">6<")] == [
        True
    ] * 5
    listed = Elements(page[page.index('class="claim"') : page.index('id="what-was-run"')]).text
    for said in ("readout verdicts", "verdict", "better", "declared / when", "edges touched", "none", HOSTILE):
        assert said in listed
    assert "771234" not in page
    assert "771234" in (tmp_path / "study" / "claims.json").read_text()


def test_an_explored_figure_keeps_its_drawing_and_brings_its_numbers(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    page = build_report(hostile, sections, tmp_path / "study").read_text()
    for name in ("first_curves", "second_differences"):
        for part in (f'id="explorer-{name}"', f'id="data-{name}"', f'data-explorer="{name}" hidden'):
            assert page.count(part) == 1
    assert page.count("<script>") == 3
    plain = replace(sections[0], figures=tuple(with_explorer(shown, None) for shown in sections[0].figures))
    assert len(build_report(hostile, [plain], tmp_path / "study").read_text()) < 100_000


def test_page_leads_with_the_section_that_holds_the_primary_claim(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    page = build_report(hostile, sections, tmp_path / "study").read_text()
    lead = page[page.index('id="answer"') : page.index('class="report"')]
    assert "Statement of second." in lead
    assert "better" in lead
    assert 'id="figure-second_curves"' in lead
    assert page.count('id="figure-second_curves"') == 1
    assert page.count('id="figure-first_curves"') == 1


def test_page_says_what_was_run(hostile: StudyResults, sections: list[Section], tmp_path: Path) -> None:
    text = Elements(build_report(hostile, sections, tmp_path / "study").read_text()).text
    for said in (
        "0123456789abcdef",
        "2.15.0",
        "36 trainings: 36 finished, 0 diverged",
        "0.0001 to 0.01, log scale",
        "num_reporting_seeds: 6",
        "invented",
    ):
        assert said in text


def test_names_with_markup_stay_text(hostile: StudyResults, sections: list[Section], tmp_path: Path) -> None:
    page = Elements(build_report(hostile, sections, tmp_path / "study").read_text())
    assert not [
        attributes
        for tag, attributes in page.found
        if tag == "img" or any(name.startswith("on") for name in attributes)
    ]
    assert page.text.count(HOSTILE) >= 6


def test_page_refers_to_nothing_outside_itself_but_its_own_folder(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    page = Elements(build_report(hostile, sections, folder).read_text())
    for _, attributes in page.found:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            address = attributes.get(name, "")
            if address and not address.startswith(("data:", "#")):
                assert (folder / address).exists(), address
    assert not re.search(r"@import|url\((?!#|data:)", without_programs((folder / "index.html").read_text()))


def test_ids_are_unique_although_every_drawing_has_the_same(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    page = build_report(hostile, sections, tmp_path / "study").read_text()
    ids = [attributes["id"] for _, attributes in Elements(page).found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for reference in re.findall(r"url\(#([^)]+)\)", without_programs(page)):
        assert reference in ids


def test_embedded_csv_is_the_file_byte_for_byte_and_a_large_one_is_compressed(
    hostile: StudyResults, tmp_path: Path
) -> None:
    large = Table("large", "Large", "", pd.DataFrame({"nats": np.arange(9_000) / 7}))
    folder = tmp_path / "study"
    page = Elements(build_report(hostile, [section("only", tables=(large,))], folder).read_text())
    downloads = {
        attributes["download"]: base64.b64decode(attributes["href"].partition(",")[2])
        for _, attributes in page.found
        if "download" in attributes
    }
    assert downloads["only_curves.csv"] == (folder / "tables" / "only_curves.csv").read_bytes()
    assert gzip.decompress(downloads["large.csv.gz"]) == (folder / "tables" / "large.csv").read_bytes()
