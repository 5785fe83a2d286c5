"""The report's files: what they hold, that the same trainings give the same bytes, that a crash leaves no half."""

from __future__ import annotations

import base64
import gzip
import json
import math
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner

from analysis.claims.schema import ReadingEntry
from analysis.cli.app import app
from analysis.document.sections import AnyClaim, Section, Table
from analysis.page.folder import json_bytes
from analysis.reports.study_page import (
    build_report,
    build_single_report,
    completeness_warnings,
    search_space,
    totals,
)
from analysis.results.reader import StudyResults, attach_report, read_study
from study.spec.schema import Search
from tests.support.claims import invented_row
from tests.support.sections import HOSTILE, explorer, section
from tests.support.synthetic_store import Place, build_store, synthetic_study


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> StudyResults:
    study = synthetic_study(question=f"Is it safe? {HOSTILE}", description=HOSTILE)
    return read_study(study.name, build_store(tmp_path_factory.mktemp("report"), study))


class TimedClaim(AnyClaim):
    """A claim about time, which the page leaves out."""

    seconds: float


@pytest.fixture
def sections() -> list[Section]:
    timing = Table("timing_cost", "Cost", "", pd.DataFrame({"seconds": [12.5]}))
    return [section("first", tables=(timing,)), section("second", kind="primary")]


class _Elements(HTMLParser):
    """Every element's tag and attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: text or "" for name, text in attrs}))

    def handle_data(self, data: str) -> None:
        self.text += data


def without_timing(page: str) -> str:
    return re.sub(r"<!-- begin timing -->.*?<!-- end timing -->", "", page, flags=re.DOTALL)


def without_programs(page: str) -> str:
    """The page without what is run in it; data in script elements stays."""
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_report_holds_a_csv_for_every_figure_and_table(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    page = build_report(results, sections, tmp_path / "study")
    assert page == tmp_path / "study" / "index.html"
    written = files(tmp_path / "study")
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
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    page = build_report(results, sections, tmp_path / "study").read_text()
    written = files(tmp_path / "study")
    for name in ("second_pairs", "claims"):
        for ending in ("md", "tex"):
            text = written[f"tables/{name}.{ending}"].decode()
            assert f'id="paste-{name}-{ending}"' in page
            assert text in _Elements(page).text
    assert "tables/timing_cost.md" not in written
    assert written["tables/claims.csv"].decode().splitlines()[1].startswith("second-claim,primary,better,")


def test_every_field_of_a_claim_is_shown_whatever_it_is(results: StudyResults, tmp_path: Path) -> None:
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
    page = build_report(results, [section("only", claims=(timing, claim))], tmp_path / "study").read_text()
    facts = page[page.index('class="facts"') : page.index("<figure")]
    assert [text in facts for text in ("−1.25 nats", "90 % interval", "−2.00 to −0.50", ">0.0312<", ">6<")] == [
        True
    ] * 5
    listed = _Elements(page[page.index('class="claim"') : page.index('id="what-was-run"')]).text
    for said in ("readout verdicts", "verdict", "better", "declared / when", "edges touched", "none", HOSTILE):
        assert said in listed
    assert "771234" not in page
    assert "771234" in (tmp_path / "study" / "claims.json").read_text()


def test_claims_in_a_table_of_that_name_are_refused(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    own = replace(sections[0], tables=(Table("claims", "", "", pd.DataFrame({"a": [1]})),))
    with pytest.raises(ValueError, match="named claims"):
        build_report(results, [own], tmp_path / "study")


def test_an_explored_figure_keeps_its_drawing_and_brings_its_numbers(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    page = build_report(results, sections, tmp_path / "study").read_text()
    for name in ("first_curves", "second_differences"):
        for part in (f'id="explorer-{name}"', f'id="data-{name}"', f'data-explorer="{name}" hidden'):
            assert page.count(part) == 1
    assert page.count("<script>") == 3
    plain = replace(sections[0], figures=tuple(replace(drawn, explorer=None) for drawn in sections[0].figures))
    assert len(build_report(results, [plain], tmp_path / "study").read_text()) < 100_000


def test_page_leads_with_the_section_that_holds_the_primary_claim(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    page = build_report(results, sections, tmp_path / "study").read_text()
    lead = page[page.index('id="answer"') : page.index('class="report"')]
    assert "Statement of second." in lead
    assert "better" in lead
    assert 'id="figure-second_curves"' in lead
    assert page.count('id="figure-second_curves"') == 1
    assert page.count('id="figure-first_curves"') == 1


def test_page_says_what_was_run(results: StudyResults, sections: list[Section], tmp_path: Path) -> None:
    text = _Elements(build_report(results, sections, tmp_path / "study").read_text()).text
    for said in (
        "0123456789abcdef",
        "2.15.0",
        "36 trainings: 36 finished, 0 diverged",
        "0.0001 to 0.01, log scale",
        "num_reporting_seeds: 6",
        "invented",
    ):
        assert said in text


def test_claims_are_plain_json_with_null_for_what_is_not_finite(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    build_report(results, sections, tmp_path / "study")
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


def test_names_with_markup_stay_text(results: StudyResults, sections: list[Section], tmp_path: Path) -> None:
    page = _Elements(build_report(results, sections, tmp_path / "study").read_text())
    assert not [
        attributes
        for tag, attributes in page.found
        if tag == "img" or any(name.startswith("on") for name in attributes)
    ]
    assert page.text.count(HOSTILE) >= 6


def test_page_refers_to_nothing_outside_itself_but_its_own_folder(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    page = _Elements(build_report(results, sections, folder).read_text())
    for _, attributes in page.found:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            address = attributes.get(name, "")
            if address and not address.startswith(("data:", "#")):
                assert (folder / address).exists(), address
    assert not re.search(r"@import|url\((?!#|data:)", without_programs((folder / "index.html").read_text()))


def test_ids_are_unique_although_every_drawing_has_the_same(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    page = build_report(results, sections, tmp_path / "study").read_text()
    ids = [attributes["id"] for _, attributes in _Elements(page).found if "id" in attributes]
    assert len(ids) == len(set(ids))
    for reference in re.findall(r"url\(#([^)]+)\)", without_programs(page)):
        assert reference in ids


def test_embedded_csv_is_the_file_byte_for_byte_and_a_large_one_is_compressed(
    results: StudyResults, tmp_path: Path
) -> None:
    large = Table("large", "Large", "", pd.DataFrame({"nats": np.arange(9_000) / 7}))
    folder = tmp_path / "study"
    page = _Elements(build_report(results, [section("only", tables=(large,))], folder).read_text())
    downloads = {
        attributes["download"]: base64.b64decode(attributes["href"].partition(",")[2])
        for _, attributes in page.found
        if "download" in attributes
    }
    assert downloads["only_curves.csv"] == (folder / "tables" / "only_curves.csv").read_bytes()
    assert gzip.decompress(downloads["large.csv.gz"]) == (folder / "tables" / "large.csv").read_bytes()


def test_same_trainings_give_the_same_bytes_whoever_ran_them_when(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    elsewhere = replace(
        results,
        parent_run_id="another",
        provenance={"machine": {"cpu": "another"}, "started": "2031-01-01"},
        trainings=results.trainings.assign(run_id="another", training_seconds=1e6),
        curves=results.curves.assign(seconds=results.curves["seconds"] * 7),
    )
    explored = replace(explorer("first_curves"), dataset="curves", own_data=None)
    sections[0] = replace(sections[0], figures=(replace(sections[0].figures[0], explorer=explored),))
    slower = [
        replace(sections[0], tables=(replace(sections[0].tables[0], frame=pd.DataFrame({"seconds": [99.0]})),)),
        sections[1],
    ]
    build_report(results, sections, tmp_path / "here")
    build_report(elsewhere, slower, tmp_path / "there")
    here, there = files(tmp_path / "here"), files(tmp_path / "there")
    assert {name for name in here if here[name] != there[name]} == {
        "index.html",
        "provenance.json",
        "tables/timing_cost.csv",
    }
    assert 'id="data-curves"' in without_timing(here["index.html"].decode())
    assert 'id="seconds-curves"' in here["index.html"].decode()
    assert without_timing(here["index.html"].decode()) == without_timing(there["index.html"].decode())


def test_files_of_an_older_report_vanish(results: StudyResults, sections: list[Section], tmp_path: Path) -> None:
    folder = tmp_path / "study"
    build_report(results, sections, folder)
    (folder / "tables" / "stale.csv").write_text("old")
    build_report(results, sections[1:], folder)
    assert not (folder / "tables" / "stale.csv").exists()
    assert not (folder / "tables" / "first_curves.csv").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def test_a_report_that_cannot_be_written_leaves_the_older_one(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    build_report(results, sections, folder)
    before = files(folder)
    impossible = replace(sections[0], tables=(Table("n" * 300, "", "", pd.DataFrame({"a": [1]})),))
    with pytest.raises(OSError, match="too long"):
        build_report(results, [impossible], folder)
    assert files(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


def finished_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_what_a_killed_process_left_is_cleared_away(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    gone = finished_process()
    for state in ("new", "old"):
        (tmp_path / f".study.{gone}.{state}").mkdir()
    (tmp_path / f".study.{os.getppid()}.new").mkdir()
    build_report(results, sections, tmp_path / "study")
    assert {path.name for path in tmp_path.iterdir()} == {"study", f".study.{os.getppid()}.new"}


def test_two_tables_of_one_name_are_refused(results: StudyResults, sections: list[Section], tmp_path: Path) -> None:
    twice = [sections[0], replace(sections[0], name="third")]
    with pytest.raises(ValueError, match="first_curves"):
        build_report(results, twice, tmp_path / "study")


def test_single_report_is_written_beside_the_others(
    results: StudyResults, sections: list[Section], tmp_path: Path
) -> None:
    folder = tmp_path / "study"
    build_report(results, sections, folder)
    before = files(folder)
    assert build_single_report(results, section("extra"), folder) == folder / "extra.html"
    after = files(folder)
    assert before.items() <= after.items()
    assert {
        "extra.html",
        "tables/extra_pairs.csv",
        "figures/extra_curves.svg",
        "figures/extra_curves.png",
        "tables/extra_curves.csv",
    } <= set(after) - set(before)
    assert "Answer of extra." in after["extra.html"].decode()


def test_report_is_attached_to_the_parent_run(results: StudyResults, sections: list[Section], tmp_path: Path) -> None:
    build_report(results, sections, tmp_path / "study")
    attach_report(results, tmp_path / "study")
    client = MlflowClient(tracking_uri=results.tracking_uri)
    assert {item.path for item in client.list_artifacts(results.parent_run_id, "report")} >= {
        "report/index.html",
        "report/claims.json",
        "report/tables",
    }


def test_missing_and_diverged_trainings_are_counted_in_warnings(tmp_path: Path) -> None:
    label = "num_hidden_layers=1,optimizer=adam"
    study = synthetic_study()
    diverged = {Place("search", label, 0, None, 0): "diverged", Place("confirm", label, 1, 0, 2): "failed_to_learn"}
    uri = build_store(tmp_path, study, outcomes=diverged, missing=frozenset({Place("confirm", label, 1, 0, 5)}))
    found = read_study(study.name, uri)
    assert list(completeness_warnings(found)) == [
        "1 of 36 trainings that the study asks for are missing; run the study again to train them.",
        "1 of 12 trainings diverged in the search phase.",
        "1 of 23 trainings failed to learn in the confirm phase.",
    ]
    assert totals(found) == "35 trainings: 33 finished, 1 diverged, 1 failed to learn, 0 failed, 1 missing."


def test_search_space_is_said_in_words() -> None:
    hyperparameters = {
        "learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
        "batch_size": {"low": 20, "high": 200, "integer": True},
        "epsilon": {"choices": (1e-8, 1e-3)},
    }
    spaces = [{"hyperparameters": hyperparameters}, {"when": {"optimizer": "adam"}, "hyperparameters": hyperparameters}]
    study = synthetic_study(search=Search.model_validate({"num_proposals": 2, "spaces": spaces}))
    frame = search_space(study)
    assert frame["searched"].tolist()[:3] == [
        "0.0001 to 0.01, log scale",
        "whole numbers 20 to 200",
        "one of 1e-08, 0.001",
    ]
    assert frame["cells"].tolist() == ["all"] * 3 + ["optimizer=adam"] * 3


def test_json_is_sorted_and_ends_with_a_line_end() -> None:
    assert (
        json_bytes({"b": np.array([1.5, math.inf]), "a": Path("p")})
        == b'{\n  "a": "p",\n  "b": [\n    1.5,\n    null\n  ]\n}\n'
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["interpolatoin", "--study", "synthetic"], "'interpolatoin' is not a report; did you mean interpolation?"),
        (["--study", "syntetic"], "did you mean synthetic?"),
        (
            ["--study", "synthetic", "--tracking-uri", "", "--outputs", "/nowhere"],
            "no MLflow database at /nowhere/mlflow.db",
        ),
        (["--study", "nowhere.yaml"], "--study nowhere.yaml cannot be read as a study file"),
        ([], "--study"),
    ],
)
def test_a_wrong_request_ends_with_status_2_and_a_sentence(
    results: StudyResults, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    for name in ("MLFLOW_TRACKING_URI", "OUTPUTS"):
        monkeypatch.delenv(name, raising=False)
    done = CliRunner().invoke(app, ["--tracking-uri", results.tracking_uri, *arguments])
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert done.exception is None or isinstance(done.exception, SystemExit)


def test_a_server_that_does_not_answer_ends_with_status_1() -> None:
    done = CliRunner().invoke(app, ["--study", "synthetic", "--tracking-uri", "http://127.0.0.1:9"])
    assert done.exit_code == 1, done.output
    assert "cannot be reached" in done.output


def test_a_wrong_request_prints_no_traceback_as_a_program(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "analysis",
        "--study",
        "synthetic",
        "--tracking-uri",
        f"sqlite:///{tmp_path}/none.db",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no MLflow database")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir()), "reading made a database"
