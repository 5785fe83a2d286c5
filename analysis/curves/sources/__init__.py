"""Curves as tools leave them behind: a module for each tool, from a path or an address to raw points.

A module reads, and decides nothing else: what is a cell and what is a seed, which metric is compared, what is asked
for, and what a point without a number stands for stands once, in `analysis.curves.runs` and `analysis.curves.points`.
No module imports another one's; all share `raw`. A tool's own library is imported inside `read` where it is heavy.

Every module has three names, and one line in `analysis.curves.runs.kinds`:

    TITLE: str                             what it reads, for messages: "a Ray Tune folder"
    def matches(path: Path) -> bool        whether that file or folder is its kind: by names and first lines, cheaply,
                                           False for what cannot be read; searched for below a folder (`raw.below`)
    def read(address: str) -> RawCurves    all runs with all their numeric metrics; CurveFileError with every fault
                                           (`read(address, metric)` where its Kind `is_by_metric`: that metric alone)

What `read` owes:

- `RawCurves.points`, a row for each point: `run`, `step`, `metric`, `value`, `blank`, `seconds`, `file`, `line`, as
  `raw.POINT_TYPES` says. `line` is what a person counts in `file` from 1: a line, a record, a row. `file` is relative
  to the address. Steps that are logged twice stay twice: `points.each_once` judges them.
- `value` is NaN where the tool wrote NaN, infinite where it wrote infinity. A point that the tool did not measure has
  no row. `blank` is True, and `value` NaN, only where the tool's empty field may mean either.
- A value that the tool writes in NaN's place (0.0, the first loss) becomes NaN where other values of the file prove it,
  and a note says so. Else it stays as it is, and `points.say_stuck` asks.
- `seconds` is training time over all restarts, NaN where nobody knows it; a wall clock's first point is not 0.
- `RawCurves.facts`, for each run what is known of it, as text: `params.NAME` for what configured it (nested names with
  dots, floats by `repr`), `tags.NAME` for what was attached to it, `folder.1`, `folder.2` and so on for the folders
  below the address (`raw.folder_facts`). `name` need not be there. No run without facts or points is left out in
  silence: a run without points is in `facts` alone, and is asked about by those who assign.
- `RawCurves.notes`: what limits the conclusions, in words.

Faults are collected and raised at once by `file.refusal(address, faults)`. Each names file, run and line
(`raw.at`): an empty or truncated file, a line that is none, a step that is no whole number. Nothing is skipped.

Text tables come from `raw.text_table` (every field as text, its index the line) and become points by
`raw.wide_points`; points that are gathered one by one by `raw.points_of`.

Tests read files that the real tool wrote, in `tests/data/curves/TOOL/`, made by `tests/data/curves/TOOL/make.py`, with
`reported.csv` (run, step, metric, value): what the tool's own reader says of them.
"""
