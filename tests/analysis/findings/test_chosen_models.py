from __future__ import annotations

import pandas as pd

from analysis.findings.chosen_models import first_finished, reason_of


def _trainings(*rows: tuple[str, str, str, int | None, int]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["phase", "cell", "outcome", "rank", "seed"])
    return frame.assign(rank=frame["rank"].astype("Int64"))


def test_the_lowest_seed_of_the_winner_that_finished_is_first() -> None:
    trainings = _trainings(
        ("search", "all", "finished", None, 0),
        ("confirm", "all", "diverged", 0, 0),
        ("confirm", "all", "finished", 1, 1),
        ("confirm", "all", "finished", 0, 3),
        ("confirm", "all", "finished", 0, 2),
        ("confirm", "another", "finished", 0, 1),
    )
    first = first_finished(trainings, "all")
    assert first is not None
    assert first["seed"] == 2


def test_first_finished_is_none_where_no_training_is() -> None:
    assert first_finished(_trainings(), "all") is None


def test_a_reason_ends_as_a_sentence_does() -> None:
    assert [reason_of(ValueError(text)) for text in ("no file", "No file.")] == ["no file.", "No file."]
