"""Which tool left a file, a folder or an address: told by what is in it, or asked."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from analysis.curves.file import CurveFileError
from analysis.curves.runs.kinds import FORMATS, KINDS, format_of
from tests.support.curve_points import points, written
from tests.support.raw_curves import TOOLS


def test_own_tables_and_folders_of_tools_are_told_apart(tmp_path: Path) -> None:
    assert format_of(str(written(points(), tmp_path))) == "table"
    assert format_of(str(TOOLS / "ray" / "trials")) == "ray"
    assert format_of(str(TOOLS / "tensorboard" / "logs")) == "tensorboard"
    assert format_of(str(tmp_path / "none.csv")) == "table"
    for tool in ("keras", "lightning", "hugging_face", "deepobs", "algoperf"):
        assert format_of(str(TOOLS / tool)) == tool
    assert format_of(str(TOOLS / "wandb" / "offline")) == "wandb"
    assert format_of(str(TOOLS / "wandb" / "chart.csv")) == format_of(str(TOOLS / "wandb" / "history")) == "wandb_table"


def test_ray_writes_event_files_itself_and_is_not_asked_about_them(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(TOOLS / "ray" / "trials", tmp_path / "trials"))
    shutil.copytree(TOOLS / "tensorboard" / "logs" / "adam", folder / "trial_00000", dirs_exist_ok=True)
    assert format_of(str(folder)) == "ray"
    assert format_of(str(folder), "tensorboard") == "tensorboard"


def test_a_format_that_is_none_is_told_the_nearest_and_all() -> None:
    with pytest.raises(CurveFileError, match="did you mean tensorboard") as caught:
        format_of("x", "tensorbord")
    assert all(name in str(caught.value) for name in FORMATS)


def test_a_folder_of_nothing_known_names_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(CurveFileError, match="holds nothing that is known here") as caught:
        format_of(str(tmp_path))
    assert all(kind.title in str(caught.value) for kind in KINDS.values())


def test_a_database_of_neither_tool_is_said_to_be_one(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE other (x)")
    with pytest.raises(CurveFileError, match="neither MLflow's nor Optuna's, or it is damaged"):
        format_of(str(file))


def test_addresses_are_asked_about_where_two_tools_have_such(tmp_path: Path) -> None:
    assert format_of("http://127.0.0.1:5000/#/experiments/1") == "mlflow"
    with pytest.raises(CurveFileError, match="there is no file"):
        format_of(f"sqlite:///{tmp_path}/none.db")
    with pytest.raises(CurveFileError, match="--format mlflow or --format optuna") as caught:
        format_of("postgresql://me:secret@host/database")
    assert "secret" not in str(caught.value)
