from __future__ import annotations

import pytest

from study.tracking import pages
from study.tracking.views import VIEW_TAG
from tests.support.stores import Store
from tests.support.tracked_studies import Done, Open, write_all


def cells(store: Store) -> dict[str, str]:
    """The id of each cell's run, by its name."""
    experiment = store.client.get_experiment_by_name("tiny")
    assert experiment is not None
    runs = store.client.search_runs([experiment.experiment_id], "tags.kind = 'cell'")
    assert len({run.info.run_name for run in runs}) == len(runs)
    return {str(run.info.run_name): str(run.info.run_id) for run in runs}


def test_every_cell_is_one_run_however_often_the_study_is_run(done: Done, open_tracker: Open, uri: str) -> None:
    titles = {planned.curve_title for planned, _ in done if planned.phase == "confirm"}
    assert write_all(open_tracker(uri), done) is None
    first = cells(Store(uri))
    assert first.keys() == titles
    assert write_all(open_tracker(uri), done) is None
    assert cells(Store(uri)) == first


def test_a_cells_run_gives_way_to_one_of_more_seeds(done: Done, open_tracker: Open, uri: str) -> None:
    confirmed = [item for item in done if item[0].phase == "confirm"]
    title = confirmed[-1][0].curve_title
    fewer = [item for item in done if item is not confirmed[-1]]
    assert write_all(open_tracker(uri), fewer) is None
    first = cells(Store(uri))
    assert write_all(open_tracker(uri), done) is None
    second = cells(Store(uri))
    assert {name for name in second if second[name] != first.get(name)} == {title}
    run = Store(uri).client.get_run(second[title])
    assert run.info.status == "FINISHED"
    assert run.data.tags["seeds"].split(" of ")[0] == run.data.tags["seeds"].split(" of ")[1]


def test_a_cells_run_that_a_kill_interrupted_is_written_anew(done: Done, open_tracker: Open, uri: str) -> None:
    assert write_all(open_tracker(uri), done) is None
    store = Store(uri)
    first = cells(store)
    name, run_id = next(iter(first.items()))
    store.client.update_run(run_id, status="RUNNING")
    assert write_all(open_tracker(uri), done) is None
    second = cells(store)
    assert second.keys() == first.keys()
    assert {each for each in second if second[each] != first[each]} == {name}
    assert store.client.get_run(second[name]).info.status == "FINISHED"


def test_the_studys_run_has_each_cells_mean_bound_and_of_other_seeds_a_heading_more(
    done: Done, open_tracker: Open, uri: str
) -> None:
    confirmed = [item for item in done if item[0].phase == "confirm"]
    titles = {planned.curve_title for planned, _ in confirmed}
    fewer, store = [item for item in done if item is not confirmed[-1]], Store(uri)
    for asked, number in ((fewer, ""), (fewer, ""), (done, " 2"), (done, " 2")):
        assert write_all(open_tracker(uri), asked) is None
        metrics = store.parent().data.metrics
        assert {f"mean validation bound{number}/{title}" for title in titles} <= metrics.keys()
        for planned, _ in confirmed[:-1]:
            own = [mine for other, mine in asked if other.phase == "confirm" and other.cell == planned.cell]
            mean = sum(mine.final_metrics["validation/lower_bound"] for mine in own) / len(own)
            assert metrics[f"mean validation bound{number}/{planned.curve_title}"] == pytest.approx(mean)
    points = store.points(store.parent())
    assert set(points.values()) == {1}
    headings = {name.partition("/")[0] for name, *_ in points}
    assert headings == {f"mean {name} bound{number}" for name in ("validation", "test") for number in ("", " 2")}


def test_views_are_left_out_with_a_word_where_the_pages_are_of_another_version(
    done: Done, open_tracker: Open, uri: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "version_of_server", lambda uri: "2.9.2")
    tracker = open_tracker(uri)
    tracker.begin({})
    assert write_all(tracker, done) is None
    experiment = Store(uri).client.get_experiment_by_name("tiny")
    assert experiment is not None
    assert not [tag for tag in experiment.tags if tag.startswith(VIEW_TAG)]
    assert any("2.9.2" in line and "left out" in line for line in said)
