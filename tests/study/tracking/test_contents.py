"""What the parent run says of a study: always JSON that can be read again, and never more than MLflow takes."""

from __future__ import annotations

import json

import pytest

from study.tracking.contents import MOST_CHARACTERS, answered_note, renewed_note, study_note, with_execution
from tests.support.studies import invented_study


def test_executions_are_listed_in_order_as_many_of_the_newest_as_a_tag_holds() -> None:
    tag = ""
    for number in range(40):
        tag = with_execution(tag, {"number": number, "command": 'python -m study run "x"' * 20})
        listed = [execution["number"] for execution in json.loads(tag)]
        assert len(tag) <= MOST_CHARACTERS
        assert listed == list(range(number + 1))[-len(listed) :]
    assert 10 <= len(listed) < 40


@pytest.mark.parametrize("tag", ['[{"command": "cut', "null", "7", "nonsense", "[]"])
def test_a_list_that_was_cut_or_is_none_begins_anew(tag: str) -> None:
    assert json.loads(with_execution(tag, {"number": 1})) == [{"number": 1}]


def test_an_execution_that_no_tag_holds_is_left_out() -> None:
    assert with_execution('[{"number": 1}]', {"command": "x" * MOST_CHARACTERS}) == "[]"


def test_a_long_description_is_cut_to_what_a_tag_holds() -> None:
    assert len(study_note(invented_study(description="long " * 5_000))) == MOST_CHARACTERS
    assert "Which optimizer?" in study_note(invented_study())


def test_the_answer_of_a_report_stays_until_the_study_file_changes() -> None:
    study = invented_study()
    answered = answered_note(study, "**Adam is better.**")
    assert answered.startswith("**Adam is better.**")
    assert renewed_note(answered, study) == answered
    assert renewed_note("", study) == study_note(study)
    other = invented_study(question="Which of the two?")
    assert renewed_note(answered, other) == study_note(other)
    assert len(answered_note(invented_study(description="long " * 5_000), "Yes.")) == MOST_CHARACTERS
