"""Code that a server's results name runs here only where its reader named it too."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from analysis.cli.app import app
from analysis.results.errors import ForeignCodeError, ResultsError
from analysis.results.own_code import code_beside, code_named, require_own_code
from analysis.results.reader import read_study
from study.spec import Study
from tests.support.synthetic_store import Place, build_store, synthetic_study
from vae.checkpoint import encode_weights
from vae.configuration import TrainingConfiguration

SERVER = "http://mlflow.example:5000"
MARK = "its_module_was_imported"


def with_code(**training: str) -> Study:
    study = synthetic_study("foreign").model_dump(mode="json")
    return Study.model_validate(study | {"training": study["training"] | training})


def test_code_is_found_wherever_a_study_can_name_it_and_not_in_words_for_people() -> None:
    named = {
        "training": {"dataset": "a.b:c"},
        "factors": {"model": ["vae", "d:E"]},
        "cells": {"add": [{"levels": {"optimizer": "f:G"}}]},
    }
    assert code_named(named | {"description": "note:this", "question": "why:not"}) == {"a.b:c", "d:E", "f:G"}


@pytest.mark.parametrize("field", ["dataset", "model", "optimizer"])
def test_code_of_a_study_on_a_server_is_refused_before_it_is_imported(field: str) -> None:
    study = with_code(**{field: "some_module:thing"})
    with pytest.raises(
        ForeignCodeError, match=r"names code, some_module:thing.*--allow-code some_module:thing"
    ) as caught:
        require_own_code(study, SERVER.replace("//", "//me:secret@"), frozenset({"another:thing"}))
    assert "secret" not in str(caught.value)
    require_own_code(study, SERVER, frozenset({"some_module:thing"}))
    require_own_code(study, "sqlite:///outputs/mlflow.db", frozenset())
    require_own_code(synthetic_study(), SERVER, frozenset())


def test_code_in_the_header_of_weights_is_refused_before_it_is_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever can write to the server can exchange the weights, and the hash beside them."""
    (tmp_path / f"{MARK}.py").write_text("def images():\n    raise SystemExit('it ran')\n")
    monkeypatch.chdir(tmp_path)

    def exchanged(place: Place, configuration: TrainingConfiguration, path: Path) -> None:
        path.write_bytes(
            encode_weights({"weight": torch.zeros(1)}, configuration.model_copy(update={"dataset": f"{MARK}:images"}))
        )

    study = synthetic_study("exchanged")
    results = read_study(study.name, build_store(tmp_path / "store", study, write_weights=exchanged))
    identity = str(results.trainings.query("phase == 'confirm' and outcome == 'finished'")["identity"].iloc[0])
    with pytest.raises(ResultsError, match=f"name code that the study does not, {MARK}:images; it is not run"):
        results.weights(identity)
    assert MARK not in sys.modules


def test_a_file_that_holds_no_weights_is_left_to_who_reads_it(tmp_path: Path) -> None:
    (tmp_path / "weights.safetensors").write_bytes(b"no weights")
    assert code_beside(tmp_path / "weights.safetensors", synthetic_study()) == ()
    assert code_beside(tmp_path / "nowhere", synthetic_study()) == ()


@pytest.mark.parametrize("command", [["report", "all", "--study"], ["compare", "one"]], ids=["report", "compare"])
def test_commands_take_what_is_allowed(command: list[str], tmp_path: Path) -> None:
    """With a store that is not there the option is read all the same."""
    told = CliRunner().invoke(
        app, [*command, "foreign", "--outputs", str(tmp_path), "--allow-code", "some_module:thing"]
    )
    assert told.exit_code == 2
    assert "there is no MLflow database" in told.output
