"""A page's answer and tables as Markdown."""

from __future__ import annotations

import pandas as pd

from analysis.document.sections import Table
from analysis.page.summary import markdown_summary


def test_a_summary_is_question_answer_warnings_and_tables_in_this_order() -> None:
    table = Table("cells", "Cells", "Means.", pd.DataFrame({"cell": ["a"], "mean_nats": [-100.5]}))
    empty = Table("pairs", "Pairs", "None.", pd.DataFrame({"cell": []}))
    assert markdown_summary("Is *a* better?", "Yes.", ["One seed.", "No margin."], [table, empty]) == (
        "# Is \\*a\\* better?\n"
        "\nYes.\n"
        "\n- One seed.\n- No margin.\n"
        "\n## Cells\n\nMeans.\n"
        "\n| cell | mean (nats) |\n| --- | ---: |\n| a | −100.50 |\n"
        "\n## Pairs\n\nNone.\n"
        "\nNothing to list.\n"
    )


def test_without_a_warning_the_tables_follow_the_answer() -> None:
    assert markdown_summary("Why?", "Because.", [], []) == "# Why?\n\nBecause.\n"
