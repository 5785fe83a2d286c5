"""Names in Markdown stay what they are: no mention, no link, no list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from analysis.document.markdown import escaped


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("by @octocat", "by @&#8203;octocat"),
        ("a@b.org", "a@&#8203;b.org"),
        ("see https://example.org/x", "see https:&#8203;//example.org/x"),
        ("WWW.example.org", "WWW&#8203;.example.org"),
        (":tada: 12:30", ":&#8203;tada: 12:30"),
        ("#12 and #x", r"\#&#8203;12 and \#x"),
        ("- a", r"\- a"),
        ("+ a", r"\+ a"),
        ("---", r"\---"),
        ("1. a", r"1\. a"),
        ("12) a", r"12\) a"),
        ("1.5 is more - or less - than +1", "1.5 is more - or less - than +1"),
    ],
)
def test_markdown_pings_nobody_links_nowhere_and_begins_no_list(text: str, written: str) -> None:
    assert escaped(text) == written


@given(st.sampled_from(["- ", "+ ", "1. ", "7) ", "* ", "# ", "> ", "---", "    ", "```", "="]), st.text(max_size=20))
def test_a_line_that_begins_with_a_name_is_a_paragraph(start: str, name: str) -> None:
    tokens = MarkdownIt("commonmark").parse(escaped(f"{start}{name}x"))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
