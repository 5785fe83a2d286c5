"""`python -m analysis curves`: the files that it writes, and what it says to a person whose request cannot be met."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from analysis.cli.app import app
from tests.support.curve_points import points, spoiled, written

HOSTILE = '<img src=x onerror="alert(1)"></details>&'
NAMES = (HOSTILE, "_hidden", "a|b $x_1$ ${y}", "x\\y{z}% #", "bell \a, 深度")


def _curves(file: Path, out: Path, *more: str) -> Result:
    return CliRunner().invoke(app, ["curves", str(file), "--out", str(out), *more])


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _page(folder: Path) -> str:
    return (folder / "index.html").read_text(encoding="utf-8")


def _said(result: Result) -> str:
    assert not result.exception or isinstance(result.exception, SystemExit), result.exception
    return " ".join(result.output.split())


class _Read(HTMLParser):
    """A page's elements and its text, scripts aside."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: Counter[str] = Counter()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements[tag] += 1
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        self.elements[f"/{tag}"] += 1

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a page about three cells, one of which has a diverged seed, in nats."""
    folder = tmp_path_factory.mktemp("curves")
    frame = spoiled(points(("adagrad", "adam", "sgd")), "sgd", 1, 300)
    file = written(frame, folder)
    done = _curves(
        file,
        folder / "page",
        "--primary",
        "adam",
        "adagrad",
        "--margin",
        "0.5",
        "--unit",
        "nats",
        "--targets=-101,-100",
    )
    assert done.exit_code == 0, done.output
    return folder


def test_the_page_leads_with_the_claim_and_lists_what_to_doubt(whole: Path) -> None:
    text = _Read(_page(whole / "page")).text
    assert "Is adam better than adagrad in bound?" in text
    assert re.search(
        r"adam is better than adagrad by \d\.\d\d nats in bound at step 400 \(95 % interval \+\d\.\d\d to \+\d\.\d\d, p"
        r" = 0\.0312, 6 paired seeds\)\.",
        text,
    )
    assert "Diverged: cell 'sgd', seed 1 from step 300 on." in text
    for title in (
        "Every cell",
        "Pairs of cells",
        "Verdicts under other readouts",
        "Single seeds, median, pairing",
        "Steps to a target",
        "Mean ranks",
    ):
        assert title in text


def test_the_folder_holds_claims_figures_tables_and_a_summary(whole: Path) -> None:
    files = _files(whole / "page")
    assert {
        "index.html",
        "claims.json",
        "summary.md",
        "provenance.json",
        "figures/curves_by_step.svg",
        "figures/paired_differences.png",
        "tables/pairs.csv",
    } <= set(files)
    claims = json.loads(files["claims.json"])
    assert (claims[0]["name"], claims[0]["kind"]) == ("adam against adagrad", "primary")
    assert len(claims) == 3
    assert all(claim["statement"] and claim["unit"] == "nats" and claim["horizon"] == 400 for claim in claims)
    assert len(pd.read_csv(whole / "page" / "tables" / "curves_by_step.csv")) > 0
    assert (
        files["summary.md"]
        .decode()
        .startswith("# Is adam better than adagrad in bound?\n\nadam is better than adagrad by")
    )


def test_a_second_run_gives_the_same_bytes(whole: Path) -> None:
    before = _files(whole / "page")
    done = _curves(
        whole / "curves.csv",
        whole / "page",
        "--primary",
        "adam",
        "adagrad",
        "--margin",
        "0.5",
        "--unit",
        "nats",
        "--targets=-101,-100",
    )
    assert done.exit_code == 0
    assert _files(whole / "page") == before


def test_another_order_of_rows_changes_nothing_but_where_it_came_from(whole: Path, tmp_path: Path) -> None:
    shuffled = pd.read_csv(whole / "curves.csv").sample(frac=1, random_state=3)
    done = _curves(
        written(shuffled, tmp_path),
        tmp_path / "page",
        "--primary",
        "adam",
        "adagrad",
        "--margin",
        "0.5",
        "--unit",
        "nats",
        "--targets=-101,-100",
    )
    assert done.exit_code == 0
    ours, theirs = _files(tmp_path / "page"), _files(whole / "page")
    assert set(ours) == set(theirs)
    differing = {name for name in ours if ours[name] != theirs[name]}
    assert differing == {"provenance.json", "index.html"}
    without = [
        re.sub(r"<!-- begin timing -->.*?<!-- end timing -->", "", files["index.html"].decode(), flags=re.DOTALL)
        for files in (ours, theirs)
    ]
    assert without[0] == without[1]


def test_names_are_shown_as_they_are_and_never_as_markup(tmp_path: Path) -> None:
    frame = points(NAMES, steps=(100, 200)).assign(metric=f"m {HOSTILE}")
    done = _curves(written(frame, tmp_path), tmp_path / "page", "--unit", "nats", "--margin", "1e-200")
    assert done.exit_code == 0, done.output
    page = _Read(_page(tmp_path / "page"))
    assert page.elements["img"] == 0
    assert page.elements["details"] == page.elements["/details"] > 0
    assert all(name in page.text for name in NAMES)
    for drawn in (tmp_path / "page" / "figures").glob("*.svg"):
        text = " ".join(ET.parse(drawn).getroot().itertext())
        assert all(part in text for part in ("_hidden", "$x_1$", "深度"))
    assert all(
        line.count("|") - line.count("\\|") in (0, 11, 19)
        for line in (tmp_path / "page" / "summary.md").read_text(encoding="utf-8").splitlines()
    )


def test_seconds_are_left_out_where_nobody_measured_them(tmp_path: Path) -> None:
    done = _curves(written(points().drop(columns="seconds"), tmp_path), tmp_path / "page")
    assert done.exit_code == 0
    assert not [name for name in _files(tmp_path / "page") if "seconds" in name]


@pytest.mark.parametrize(
    "frame",
    [
        points(("adam",)),
        points(seeds=[1]),
        points(steps=(100,)),
        points().assign(value=float("nan")),
        points().assign(value=1.0),
        points().assign(seconds=0.0),
    ],
    ids=["one cell", "one seed", "one point", "all diverged", "all equal", "no time"],
)
def test_curves_that_decide_little_still_make_a_page(frame: pd.DataFrame, tmp_path: Path) -> None:
    done = _curves(written(frame, tmp_path), tmp_path / "page", "--readout", "best")
    assert done.exit_code == 0, done.output
    assert _page(tmp_path / "page").endswith("</html>\n")


def test_by_default_the_page_lies_in_the_outputs_under_the_files_name(tmp_path: Path) -> None:
    file = written(points(steps=(100,)), tmp_path, "mine.csv")
    done = CliRunner().invoke(app, ["curves", str(file), "--outputs", str(tmp_path / "outputs")])
    assert done.exit_code == 0
    assert done.output.splitlines()[-1] == f"Page: {tmp_path / 'outputs' / 'reports' / 'curves-mine' / 'index.html'}"


# Requests that cannot be met


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--readout", "last"], "--readout 'last' is not a readout. Allowed: final, best, mean_of_last:K"),
        (["--readout", "mean_of_last:0"], "Allowed: final, best, mean_of_last:K with a whole number K from 1"),
        (["--readout", "mean_of_last:9"], "takes 9 points; the cells share 4"),
        (["--targets=-100,soon"], "--targets: 'soon' is not a number"),
        (["--targets=nan"], "--targets: 'nan' is not a number"),
        (["--confidence", "95"], "--confidence 95 is out of range. Allowed: above 0.5 and below 1"),
        (["--margin", "-1"], "--margin -1 is out of range"),
        (["--metric", "loss"], "'loss' is not a metric of these curves. Allowed: bound."),
        (["--baseline", "adma"], "'adma' is not a cell of these curves; did you mean adam?"),
        (["--primary", "adam", "adamw"], "'adamw' is not a cell of these curves; did you mean adam?"),
    ],
)
def test_a_wrong_request_is_refused_with_what_is_allowed(more: list[str], says: str, tmp_path: Path) -> None:
    done = _curves(written(points(), tmp_path), tmp_path / "page", *more)
    assert done.exit_code == 2
    assert says in _said(done)
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.csv", None, "there is no file"),
        ("empty.csv", b"", "empty.csv is empty; allowed: a header with the columns cell, seed, step, metric, value"),
        ("blank.csv", b"\n\n", "blank.csv is empty"),
        ("header.csv", b"cell,seed,step,metric,value\n", "it has a header and no rows"),
        ("other.csv", b"name;age\nx;1\n", "the column 'cell' is missing"),
        ("broken.parquet", b"PAR1 no parquet", "broken.parquet cannot be read as Parquet"),
        ("image.csv", b"\x89PNG\r\n\x1a\n\xff\xfe\x00", "image.csv cannot be read as CSV"),
        ("text.csv", b"cell,seed,step,metric,value\na,one,1,m,2\n", "seed is not a number in row 2: 'one'"),
    ],
)
def test_a_file_that_holds_no_curves_is_refused_in_words(
    name: str, content: bytes | None, says: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = _curves(tmp_path / name, tmp_path / "page")
    assert done.exit_code == 2
    assert says in _said(done)


def test_a_folder_that_holds_anything_else_is_not_replaced(tmp_path: Path) -> None:
    file = written(points(), tmp_path)
    done = _curves(file, tmp_path)
    assert (done.exit_code, file.is_file()) == (2, True)
    assert "holds curves.csv, which no page has" in _said(done)
    assert _curves(file, file).exit_code == 2


def test_a_page_that_cannot_be_written_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = _curves(written(points(steps=(100,)), tmp_path), tmp_path / "file" / "page")
    assert done.exit_code == 1
    assert "the page cannot be written: File exists" in _said(done)


# The commands of `python -m analysis`


@pytest.mark.parametrize("words", [[], ["all"], ["--tracking-uri", "sqlite:///none.db"]])
def test_a_report_is_made_without_naming_its_command(words: list[str]) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert "--study" in _said(done)


def test_a_reports_name_is_no_command(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["optimizer_comparisn", "--study", "x", "--outputs", str(tmp_path)])
    assert (done.exit_code, "did you mean optimizer_comparison?" in _said(done)) == (2, True)


def test_help_names_every_command() -> None:
    done = CliRunner().invoke(app, ["--help"])
    assert done.exit_code == 0
    assert all(name in done.output for name in ("report", "curves", "compare"))


# The documentation


DOCUMENT = (Path(__file__).parents[3] / "docs" / "curves.md").read_text(encoding="utf-8")


def test_the_example_of_the_documentation_makes_a_page(tmp_path: Path) -> None:
    (example,) = re.findall(r"```csv\n(.*?)```", DOCUMENT, re.DOTALL)
    (tmp_path / "example.csv").write_text(example, encoding="utf-8")
    done = _curves(tmp_path / "example.csv", tmp_path / "page", "--unit", "nats")
    assert done.exit_code == 0, done.output
    assert "adam minus adagrad is +6.68 nats in validation/lower_bound at step 20,000" in (
        tmp_path / "page" / "summary.md"
    ).read_text(encoding="utf-8").replace("\\", "")


def test_every_option_is_documented_and_every_documented_option_is_there() -> None:
    documented = set(re.findall(r"^\| `(--[a-z-]+)", DOCUMENT, re.MULTILINE))
    help_text = CliRunner().invoke(app, ["curves", "--help"], env={"COLUMNS": "300"}).output
    offered = set(re.findall(r"--[a-z-]+", help_text)) - {"--help", "--higher-is-better", "--outputs"}
    assert documented == offered


# What tools leave behind


def _ray_folder(folder: Path, frame: pd.DataFrame) -> Path:
    """The same curves as a Ray Tune folder would hold them."""
    for (cell, seed), rows in frame.groupby(["cell", "seed"]):
        trial = folder / "trials" / f"{cell}_{seed}"
        trial.mkdir(parents=True)
        (trial / "params.json").write_text(json.dumps({"optimizer": cell, "seed": seed}), encoding="utf-8")
        reports = [
            {"training_iteration": row.step, "bound": row.value, "time_total_s": row.seconds}
            for row in rows.itertuples()
        ]
        (trial / "result.json").write_text("".join(f"{json.dumps(one)}\n" for one in reports), encoding="utf-8")
    return folder / "trials"


def test_a_tools_folder_gives_the_claims_of_the_same_curves_as_a_table(tmp_path: Path) -> None:
    frame = spoiled(points(), "adam", 3, 300)
    assert _curves(written(frame, tmp_path), tmp_path / "table").exit_code == 0
    done = _curves(_ray_folder(tmp_path, frame), tmp_path / "ray", "--runs", "cell=params.optimizer")
    assert done.exit_code == 0, done.output
    table, ray = (_files(tmp_path / name) for name in ("table", "ray"))
    assert json.loads(ray["claims.json"]) == json.loads(table["claims.json"])
    provenance = json.loads(ray["provenance.json"])
    assert (provenance["format"], provenance["cell"], provenance["seed"]) == ("ray", "params.optimizer", "params.seed")


def test_a_dry_run_shows_what_was_understood_and_writes_nothing(tmp_path: Path) -> None:
    source = _ray_folder(tmp_path, points())
    done = _curves(source, tmp_path / "page", "--runs", "cell=params.optimizer", "--dry-run")
    assert done.exit_code == 0, done.output
    assert re.search(r"adagrad +0, 1, 2, 3, 4, 5 +24 +100 to 400 +none", done.output)
    assert not (tmp_path / "page").exists()


def test_runs_without_seeds_are_compared_as_groups(tmp_path: Path) -> None:
    source = _ray_folder(tmp_path, points())
    said = _said(_curves(source, tmp_path / "page", "--runs", "cell=params.optimizer seed=none"))
    assert "none: the runs of a cell are numbered" in said
    (claim,) = json.loads((tmp_path / "page" / "claims.json").read_text(encoding="utf-8"))
    assert claim["num_unpaired"] == [6, 6]


def test_what_is_ambiguous_is_asked_for_and_nothing_is_written(tmp_path: Path) -> None:
    source = _ray_folder(tmp_path, points())
    (source / "again").mkdir()
    for file in (source / "adam_0").iterdir():
        (source / "again" / file.name).write_bytes(file.read_bytes())
    done = _curves(source, tmp_path / "page", "--runs", "cell=params.optimizer")
    assert done.exit_code != 0
    assert "runs 'adam_0', 'again' are all cell 'adam', seed 0" in _said(done)
    assert not (tmp_path / "page").exists()
