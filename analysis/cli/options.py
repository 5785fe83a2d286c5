"""What the subcommands of `python -m analysis` share: from the words of a command to a request, and faults as one
message with an exit status."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from study.outputs import Outputs
from vae.errors import ExplainedError, RequestError, StoppedError

if TYPE_CHECKING:
    from analysis.statistics.readouts import Readout

FILES_OF_A_PAGE = frozenset(
    {"index.html", "claims.json", "provenance.json", "summary.md", "comparison.json", "figures", "tables"}
)


@contextmanager
def writing(page: str, folder: Path, option: str = "--outputs") -> Iterator[None]:
    """What a full disk or Ctrl-C means for a `page` that is being written to `folder`: the older one is untouched.
    Raises ExplainedError."""
    try:
        yield
    except OSError as error:
        raise ExplainedError(
            f"the {page} cannot be written: {error.strerror or error} ({error.filename or folder}). An older {page} is"
            f" untouched; free space or give another {option}."
        ) from error
    except KeyboardInterrupt:
        raise StoppedError(f"stopped. An older {page} is untouched; the same command makes it again.") from None


def default_tracking_uri(outputs: Path) -> str:
    """MLFLOW_TRACKING_URI where it is set, else the database in the folder of outputs."""
    return os.environ.get("MLFLOW_TRACKING_URI") or Outputs(outputs).tracking_uri


def study_name(name_or_file: str, option: str = "--study") -> str:
    """A study's name, or the name that the study file of that path has."""
    if not name_or_file.endswith((".yaml", ".yml")):
        return name_or_file
    from study.spec.loading import StudyFileError, read_study_file

    remedy = "Give a study's name, or its file."
    try:
        name = read_study_file(Path(name_or_file)).content.get("name")
    except StudyFileError as error:
        raise RequestError(f"{option} {name_or_file} cannot be read as a study file: {error}. {remedy}") from error
    if not isinstance(name, str):
        raise RequestError(f"{option} {name_or_file} names no study: a study file has a field name. {remedy}")
    return name


AllowedCode = Annotated[
    list[str],
    typer.Option(
        "--allow-code",
        help=(
            "Code, module:attribute, that a study on an MLflow server may name; what a study file given here names is"
            " allowed."
        ),
    ),
]


def parsed_readout(text: str) -> Readout:
    """`final`, `best` or `mean_of_last:K`."""
    from analysis.statistics.readouts import Readout

    if text == "final":
        return Readout("final")
    if text == "best":
        return Readout("best")
    kind, _, count = text.partition(":")
    if kind == "mean_of_last" and count.isdecimal() and int(count) >= 1:
        return Readout("mean_of_last", int(count))
    raise RequestError(
        f"--readout {text!r} is not a readout. Allowed: final, best, mean_of_last:K with a whole number K from 1, such"
        " as mean_of_last:5."
    )


def parsed_targets(text: str) -> tuple[float, ...]:
    """Numbers between commas, each once, in their order."""
    targets: list[float] = []
    for word in filter(None, (part.strip() for part in text.split(","))):
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise RequestError(
                f"--targets: {word!r} is not a number. Allowed: numbers between commas, such as --targets=-110,-105."
            )
        targets.append(number)
    return tuple(dict.fromkeys(targets))


def check_confidence(confidence: float) -> None:
    """Raises RequestError for what is no confidence."""
    if not 0.5 < confidence < 1:
        raise RequestError(
            f"--confidence {confidence:g} is out of range. Allowed: above 0.5 and below 1, such as 0.95."
        )


def check_margin(margin: float) -> None:
    """Raises RequestError for what is no margin."""
    if not (math.isfinite(margin) and margin >= 0):
        raise RequestError(
            f"--margin {margin:g} is out of range. Allowed: a number from 0, in the metric's unit; 0 is none."
        )


def check_page_folder(folder: Path) -> None:
    """Raises RequestError where `folder` holds anything but an older page: the page replaces the whole folder."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RequestError(
            f"{folder} is a file. Name a folder that is new, empty, or holds an older page: it is replaced."
        )
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in FILES_OF_A_PAGE)
    if foreign:
        more = f" and {len(foreign) - 3} more" if len(foreign) > 3 else ""
        raise RequestError(
            f"the folder {folder} holds {', '.join(foreign[:3])}{more}, which no page has. It would be replaced: name"
            " one that is new, empty, or holds an older page."
        )
