"""What a page's script is given of a figure: text that stays text."""

from __future__ import annotations

import json
import math
import re

import pytest

from analysis.document.explorer import Explorer, Group, View, as_script_text, explorer_text, shown_datasets

HOSTILE = "</script><script>alert(1)</script><!-- begin timing -->&\u2028"


def test_a_script_element_cannot_be_ended_by_a_name() -> None:
    text = as_script_text({HOSTILE: [HOSTILE, 1.5, None]})
    assert not re.search(r"[<>&\u2028]", text)
    assert json.loads(text) == {HOSTILE: [HOSTILE, 1.5, None]}
    explorer = Explorer(
        "x", (View("v", HOSTILE, {"title": HOSTILE}),), (Group(HOSTILE, HOSTILE, "#000000"),), "cell", "Cells", "x"
    )
    assert "<" not in explorer_text(explorer)


def test_what_is_no_number_is_refused_instead_of_breaking_the_page() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        as_script_text({"nats": math.nan})


def test_an_explorer_without_its_numbers_is_not_shown() -> None:
    explorer = Explorer("x", (), (), "cell", "Cells", "curves")
    assert shown_datasets([explorer], []) == {}
