"""The report's files: what they hold, that the same trainings give the same bytes, that a crash leaves no half."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.document.sections import Section, Table
from analysis.page.folder import json_bytes
from analysis.reports.study_page import (
    build_report,
    build_single_report,
)
from analysis.results.reader import StudyResults
from tests.support.pages import Elements, files_of, without_timing
from tests.support.sections import HOSTILE, explorer, section, with_explorer


def test_report_holds_a_csv_for_every_figure_and_table(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    page = build_report(hostile, sections, tmp_path / "study")
    assert page == tmp_path / "study" / "index.html"
    written = files_of(tmp_path / "study")
    assert {"index.html", "claims.json", "provenance.json", "tables/timing_cost.csv", "tables/second_pairs.csv"} <= set(
        written
    )
    for made in sections:
        for shown in made.figures:
            assert {f"figures/{shown.name}.svg", f"figures/{shown.name}.png", f"tables/{shown.name}.csv"} <= set(
                written
            )
    assert written["tables/first_curves.csv"] == b"samples,nats\n100,-101.25\n200,0.3333333333333333\n"


def test_tables_for_pasting_are_files_and_lie_on_the_page(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    page = build_report(hostile, sections, tmp_path / "study").read_text()
    written = files_of(tmp_path / "study")
    for name in ("second_pairs", "claims"):
        for ending in ("md", "tex"):
            text = written[f"tables/{name}.{ending}"].decode()
            assert f'id="paste-{name}-{ending}"' in page
            assert text in Elements(page).text
    assert "tables/timing_cost.md" not in written
    assert written["tables/claims.csv"].decode().splitlines()[1].startswith("second-claim,primary,better,")


def test_claims_in_a_table_of_that_name_are_refused(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    own = replace(sections[0], tables=(Table("claims", "", "", pd.DataFrame({"a": [1]})),))
    with pytest.raises(ValueError, match="named claims"):
        build_report(hostile, [own], tmp_path / "study")


def test_claims_are_plain_json_with_null_for_what_is_not_finite(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    build_report(hostile, sections, tmp_path / "study")
    claims = json.loads((tmp_path / "study" / "claims.json").read_text())
    assert [claim["report"] for claim in claims] == ["first", "second"]
    assert claims[1] == {
        "report": "second",
        "name": "second-claim",
        "kind": "primary",
        "verdict": "better",
        "statement": "Statement of second.",
        "metric": HOSTILE,
        "unit": "nats",
        "horizon": None,
        "estimate": None,
        "published": -100.0,
        "tolerance": 0.5,
        "n": 6,
    }


def test_same_trainings_give_the_same_bytes_whoever_ran_them_when(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    elsewhere = replace(
        hostile,
        parent_run_id="another",
        provenance={"machine": {"cpu": "another"}, "started": "2031-01-01"},
        trainings=hostile.trainings.assign(run_id="another", training_seconds=1e6),
        curves=hostile.curves.assign(seconds=hostile.curves["seconds"] * 7),
    )
    explored = replace(explorer("first_curves"), dataset="curves", own_data=None)
    sections[0] = replace(sections[0], figures=(with_explorer(sections[0].figures[0], explored),))
    slower = [
        replace(sections[0], tables=(replace(sections[0].tables[0], frame=pd.DataFrame({"seconds": [99.0]})),)),
        sections[1],
    ]
    build_report(hostile, sections, tmp_path / "here")
    build_report(elsewhere, slower, tmp_path / "there")
    here, there = files_of(tmp_path / "here"), files_of(tmp_path / "there")
    assert {name for name in here if here[name] != there[name]} == {
        "index.html",
        "provenance.json",
        "tables/timing_cost.csv",
    }
    assert 'id="data-curves"' in without_timing(here["index.html"].decode())
    assert 'id="seconds-curves"' in here["index.html"].decode()
    assert without_timing(here["index.html"].decode()) == without_timing(there["index.html"].decode())


def test_files_of_an_older_report_vanish(hostile: StudyResults, sections: list[Section], tmp_path: Path) -> None:
    folder = tmp_path / "study"
    build_report(hostile, sections, folder)
    (folder / "tables" / "stale.csv").write_text("old")
    build_report(hostile, sections[1:], folder)
    assert not (folder / "tables" / "stale.csv").exists()
    assert not (folder / "tables" / "first_curves.csv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_a_report_that_cannot_be_written_leaves_the_older_one(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    build_report(hostile, sections, folder)
    before = files_of(folder)
    impossible = replace(sections[0], tables=(Table("n" * 300, "", "", pd.DataFrame({"a": [1]})),))
    with pytest.raises(OSError, match="too long"):
        build_report(hostile, [impossible], folder)
    assert files_of(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def finished_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_process_left_is_cleared_away(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    gone = finished_process()
    for state in ("new", "old"):
        (tmp_path / f".study.{gone}.{state}").mkdir()
    (tmp_path / f".study.{os.getppid()}.new").mkdir()
    build_report(hostile, sections, tmp_path / "study")
    assert {path.name for path in tmp_path.iterdir()} == {"study", f".study.{os.getppid()}.new"}


def test_two_tables_of_one_name_are_refused(hostile: StudyResults, sections: list[Section], tmp_path: Path) -> None:
    twice = [sections[0], replace(sections[0], name="third")]
    with pytest.raises(ValueError, match="first_curves"):
        build_report(hostile, twice, tmp_path / "study")


def test_single_report_is_written_beside_the_others(
    hostile: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    build_report(hostile, sections, folder)
    before = files_of(folder)
    assert build_single_report(hostile, section("extra"), folder) == folder / "extra.html"
    after = files_of(folder)
    assert before.items() <= after.items()
    assert {
        "extra.html",
        "tables/extra_pairs.csv",
        "figures/extra_curves.svg",
        "figures/extra_curves.png",
        "tables/extra_curves.csv",
    } <= set(after) - set(before)
    assert "Answer of extra." in after["extra.html"].decode()


def test_json_is_sorted_and_ends_with_a_line_end() -> None:
    assert (
        json_bytes({"b": np.array([1.5, math.inf]), "a": Path("p")})
        == b'{\n  "a": "p",\n  "b": [\n    1.5,\n    null\n  ]\n}\n'
    )
