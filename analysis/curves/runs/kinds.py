"""The kinds of sources that curves are read from, and which one an address is."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from analysis.curves.file import REQUIRED, CurveFileError
from analysis.curves.sources import (
    algoperf,
    deepobs,
    hugging_face,
    keras_log,
    lightning_log,
    mlflow_store,
    optuna_storage,
    ray_tune,
    tensorboard,
    wandb_offline,
    wandb_table,
)
from analysis.curves.sources.raw import RawCurves, is_sqlite, public, sqlite_file
from vae.settings.nearest import unknown_name_message


@dataclass(frozen=True)
class Kind:
    """A tool's output. `covers`: kinds whose files this tool writes beside its own, with the same numbers.
    `is_by_metric`: `read` takes the metric too, '' for the only one, and reads no other."""

    title: str
    matches: Callable[[Path], bool]
    read: Callable[..., RawCurves]
    covers: tuple[str, ...] = ()
    is_by_metric: bool = False


KINDS = {
    "mlflow": Kind(mlflow_store.TITLE, mlflow_store.matches, mlflow_store.read, is_by_metric=True),
    "optuna": Kind(optuna_storage.TITLE, optuna_storage.matches, optuna_storage.read),
    "ray": Kind(ray_tune.TITLE, ray_tune.matches, ray_tune.read, ("tensorboard",)),
    "tensorboard": Kind(tensorboard.TITLE, tensorboard.matches, tensorboard.read),
    "wandb": Kind(wandb_offline.TITLE, wandb_offline.matches, wandb_offline.read),
    "wandb_table": Kind(wandb_table.TITLE, wandb_table.matches, wandb_table.read),
    "lightning": Kind(lightning_log.TITLE, lightning_log.matches, lightning_log.read, ("tensorboard",)),
    "keras": Kind(keras_log.TITLE, keras_log.matches, keras_log.read),
    "hugging_face": Kind(hugging_face.TITLE, hugging_face.matches, hugging_face.read, ("tensorboard",)),
    "deepobs": Kind(deepobs.TITLE, deepobs.matches, deepobs.read),
    "algoperf": Kind(algoperf.TITLE, algoperf.matches, algoperf.read, ("tensorboard",)),
}
TABLE = "table"
"""This project's own table, which names cells and seeds itself."""
FORMATS = (TABLE, *KINDS)


def format_of(address: str, said: str = "") -> str:
    """One of FORMATS: the one that was `said`, or the only one that the address can be. Raises CurveFileError where
    none or several match."""
    if said:
        if said not in FORMATS:
            raise CurveFileError(f"--format: {unknown_name_message(said, FORMATS, 'a format')}")
        return said
    path = Path(address.partition("#")[0])
    if "://" in address:
        return _format_of_uri(address)
    if path.is_file() and (path.suffix.lower() in (".parquet", ".pq") or _has_our_columns(path)):
        return TABLE
    found = [name for name, kind in KINDS.items() if kind.matches(path)]
    covered = {name for one in found for name in KINDS[one].covers}
    found = [name for name in found if name not in covered]
    if len(found) > 1:
        raise CurveFileError(
            f"{address} holds what several tools write: {', '.join(KINDS[name].title for name in found)}; say which one"
            f" is meant with --format {' or --format '.join(found)}"
        )
    if not found and is_sqlite(path):
        raise CurveFileError(f"{address} is an SQLite database that is neither MLflow's nor Optuna's, or it is damaged")
    if not found and path.is_dir():
        raise CurveFileError(
            f"the folder {address} holds nothing that is known here. Known are"
            f" {', '.join(kind.title for kind in KINDS.values())}"
        )
    return found[0] if found else TABLE


def _format_of_uri(address: str) -> str:
    uri = address.partition("#")[0]
    path = sqlite_file(uri)
    found = [name for name, kind in KINDS.items() if path is not None and kind.matches(path)]
    if len(found) == 1:
        return found[0]
    if uri.startswith(("http://", "https://")):
        return "mlflow"
    if path is not None and not path.is_file():
        raise CurveFileError(f"there is no file {path}")
    raise CurveFileError(
        f"{public(uri)} does not show whether it is an MLflow store or an Optuna storage; say --format mlflow or"
        " --format optuna"
    )


def _has_our_columns(path: Path) -> bool:
    """Whether the header names cells, seeds and all else, or nearly so."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next((line for line in file if line.strip()), "")
    except (OSError, ValueError):
        return False
    for separator in ",;\t|":
        names = {name.strip() for name in next(csv.reader([header], delimiter=separator), [])}
        if names >= set(REQUIRED):
            return True
    return False
