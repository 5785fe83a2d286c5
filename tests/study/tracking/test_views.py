"""What the views of a study ask MLflow's pages for. That the pages understand them is shown in a browser:
tests/integration/test_ui.py."""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from study.tracking.views import VIEW_TAG, Bounds, view_link, view_tags
from tests.support.studies import invented_study


def views(shown: Bounds | None = None, **changes: Any) -> dict[str, dict[str, Any]]:
    """The state of each view, by its key."""
    tags = view_tags(invented_study(**changes), 1_000, shown)
    return {name.removeprefix(VIEW_TAG): state(content) for name, content in tags.items()}


def state(content: str) -> dict[str, Any]:
    form, _, text = json.loads(content)["state"].partition(";")
    assert form == "deflate"
    decoded: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text)))
    return decoded


def metrics(view: dict[str, Any], kind: str) -> list[str]:
    return [chart["metricKey"] for chart in view["compareRunCharts"] if chart["type"] == kind]


def test_a_study_has_an_overview_of_cells_its_seeds_and_its_search() -> None:
    found = views()
    assert found.keys() == {"overview", "confirm", "search"}
    assert "kind = 'cell'" in found["overview"]["searchFilter"]
    assert found["overview"]["groupBy"] is None
    for phase in ("confirm", "search"):
        assert found[phase]["searchFilter"] == f"tags.phase = '{phase}' AND tags.superseded IS NULL"
        assert found[phase]["groupBy"]["groupByKeys"] == [{"mode": "tag", "groupByData": "cell_title"}]
    scattered = [chart["xaxis"]["key"] for chart in found["search"]["compareRunCharts"]]
    assert scattered == ["learning_rate"]


def test_a_study_without_a_search_has_no_view_of_one() -> None:
    assert views(search=None).keys() == {"overview", "confirm"}


def test_the_test_bound_is_a_curve_where_it_was_measured_along_it_and_a_bar_where_at_the_end() -> None:
    fields = invented_study().training
    assert metrics(views()["overview"], "LINE") == ["validation/lower_bound"]
    assert metrics(views()["overview"], "BAR") == ["test/lower_bound"]
    on_curve = views(training=fields | {"test_curve": True}, metric="test/lower_bound")
    assert metrics(on_curve["overview"], "LINE") == ["validation/lower_bound", "test/lower_bound"]


def test_the_axis_shows_where_the_cells_ended_and_what_lay_before_it() -> None:
    def axis(shown: Bounds) -> tuple[float, float]:
        (curve,) = (chart for chart in views(shown)["overview"]["compareRunCharts"] if chart["type"] == "LINE")
        return curve["range"]["yMin"], curve["range"]["yMax"]

    assert axis(Bounds(-110.0, -100.0)) == (-130.0, -99.0)
    lowest, highest = axis(Bounds(-100.0, -100.0))
    assert lowest < -100 < highest


def test_a_view_fits_into_a_tag_of_an_experiment() -> None:
    assert all(len(content) < 5_000 for content in view_tags(invented_study(), 1_000).values())


def test_a_link_names_the_mode_without_which_a_fresh_browser_forgets_the_view() -> None:
    assert view_link("http://server:5000/", "7") == (
        "http://server:5000/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=overview"
        "&compareRunsMode=CHART"
    )
