from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import pytest

from benchmarks.figure import distances, draw
from benchmarks.machine import Machine
from benchmarks.results_files import (
    Measured,
    Results,
    csv_text,
    folder_of_today,
    markdown,
    read_results,
    table_line,
    write_results,
)
from benchmarks.rows import Row, Settings, at_least, at_most, not_measured

MACHINE = Machine("a processor", 2, 23.5, "yes", "none", "Linux x86_64", {"python": "3.11.7", "torch": "2.15.0"})
FAST = Row("step", "products / step", "ratio", (0.82, 0.85, 0.79), at_least(0.8))
SLOW = Row("start", "command to first step", "s", (14.0, 12.0, 13.0), at_most(10))
FREE = Row("step", "time of a step", "ms", (7.5,))
ABSENT = not_measured("gpu", "256 seeds packed", "there is no GPU on this machine", target=at_least(50))
ROWS = (FAST, SLOW, FREE, ABSENT)


def results_with(*rows: Row, name: str = "all") -> Results:
    return Results(MACHINE, False).with_(Measured(name, "2026-01-02T03:04:05+00:00", "abc", 0.1, 12.0, rows))


def test_median_decides_whether_a_target_is_met() -> None:
    assert [row.verdict for row in ROWS] == ["met", "missed", "no target", "not measured"]
    assert FAST.median == 0.82
    assert FAST.spread == (0.79, 0.85)


def test_row_without_numbers_has_no_number_in_place_of_one() -> None:
    assert math.isnan(ABSENT.median)
    assert all(map(math.isnan, ABSENT.spread))
    assert "not measured: there is no GPU on this machine" in table_line(ABSENT)
    assert ",,,,0,>= 50,not measured" in csv_text([ABSENT]).splitlines()[1]


def test_number_that_is_not_finite_never_meets_a_target() -> None:
    assert not at_most(10).met(math.nan)
    assert not at_least(1).met(math.inf)


def test_results_read_back_as_they_were_written(tmp_path: Path) -> None:
    results = results_with(*ROWS)
    write_results(tmp_path, results)
    assert read_results(tmp_path / "results.json") == results
    assert (tmp_path / "table.md").read_text() == markdown(results)
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 1 + len(ROWS)


def test_measurement_made_again_replaces_its_rows_and_keeps_the_others(tmp_path: Path) -> None:
    day = date(2026, 1, 2)
    folder, empty = folder_of_today(tmp_path, MACHINE, False, day)
    write_results(
        folder,
        empty.with_(Measured("step", "", "abc", 0, 1, (FAST,))).with_(Measured("start", "", "abc", 0, 1, (SLOW,))),
    )
    again, held = folder_of_today(tmp_path, MACHINE, False, day)
    assert again == folder
    assert held.with_(Measured("step", "", "def", 0, 1, (FREE,))).rows == [FREE, SLOW]


def test_numbers_of_other_versions_never_stand_in_the_same_table(tmp_path: Path) -> None:
    day = date(2026, 1, 2)
    folder, empty = folder_of_today(tmp_path, MACHINE, False, day)
    write_results(folder, empty)
    other = Machine(**(MACHINE.facts() | {"versions": {"torch": "2.16.0"}}))  # type: ignore[arg-type]
    second, held = folder_of_today(tmp_path, other, False, day)
    quick, _ = folder_of_today(tmp_path, MACHINE, True, day)
    assert [folder.name, second.name, quick.name] == ["2026-01-02", "2026-01-02-2", "2026-01-02-quick"]
    assert held.rows == []


def test_quick_results_say_that_no_number_counts() -> None:
    assert "believe no number" in markdown(Results(MACHINE, True))
    assert "believe no number" not in markdown(Results(MACHINE, False))


@pytest.mark.parametrize("row", [FAST, SLOW])
def test_distance_above_one_means_met_whichever_way_a_target_points(row: Row) -> None:
    (distance,) = distances([row])
    assert (distance.median > 1) == (row.verdict == "met")
    assert distance.low <= distance.median <= distance.high


def test_picture_shows_the_rows_with_targets_alone(tmp_path: Path) -> None:
    assert [each.label for each in distances(list(ROWS))] == ["step: products / step", "start: command to first step"]
    assert [path.suffix for path in draw(list(ROWS), tmp_path, "caption") if path.stat().st_size > 1_000] == [
        ".png",
        ".svg",
    ]
    assert draw([FREE, ABSENT], tmp_path, "caption") == []


def test_each_repeat_is_announced_and_counted(tmp_path: Path) -> None:
    said: list[str] = []
    asked = Settings(False, 3, tmp_path, tmp_path, 2, said.append)
    assert list(asked.repeated("step", 7)) == [0, 1, 2]
    assert said[-1] == "[step] repeat 3 of 3"
    assert list(Settings(True, None, tmp_path, tmp_path, 2, said.append).repeated("step", 7)) == [0]


def test_folders_of_the_scratch_place_are_never_given_twice(tmp_path: Path) -> None:
    settings = Settings(True, None, tmp_path, tmp_path, 2)
    assert settings.folder("a") != settings.folder("a")
