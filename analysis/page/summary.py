"""A page's answer and tables as one Markdown file, for pasting into a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.document.markdown import escaped
from analysis.document.paste_tables import markdown_table
from analysis.document.sections import Table


def markdown_summary(question: str, answer: str, warnings: Sequence[str], tables: Sequence[Table]) -> str:
    """Question, answer, warnings and tables, in this order; a table without a row as a line that says so."""
    parts = [f"# {escaped(question)}\n", f"{escaped(answer)}\n"]
    parts += ["\n".join(f"- {escaped(warning)}" for warning in warnings) + "\n"] if warnings else []
    parts += [f"## {escaped(table.title)}\n\n{escaped(table.caption)}\n\n{_rows(table)}" for table in tables]
    return "\n".join(parts)


def _rows(table: Table) -> str:
    return markdown_table(table) if len(table.frame) else "Nothing to list.\n"
