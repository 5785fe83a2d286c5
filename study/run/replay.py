"""What is recorded of a study already: the data that it names, and its protocol as far as records take it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

from study.execution.execution import Execution
from study.protocol.cell_protocol import PlannedTraining
from study.records.identity import Identity, training_identity
from study.records.records import Record, Records
from study.spec import Study
from study.spec.cells import common_configuration, study_cells
from vae.data.dataset import Dataset, load_dataset
from vae.errors import RequestError

CodeChanged = Literal["ask", "retrain", "keep"]
"""What to do with records of trainings from which only the code differs."""


class Lookup:
    """The records by identity. It counts the ones that it kept of other code: `keep` uses them, `retrain` does not.

    `ask` uses them too, so that a replay counts all that could be kept; whoever asked then says what to do.
    """

    def __init__(self, records: Records, mode: CodeChanged) -> None:
        self._records = records
        self.mode = mode
        self.num_kept = 0
        self.changed_data: dict[str, int] = {}
        """By dataset: of how many of the missing trainings there are records with other data."""

    def __call__(self, identity: Identity) -> Record | None:
        """The record that answers for that identity; None where it is to be trained."""
        record = self._records.get(identity)
        if record is not None:
            return record
        if self._records.has_other_data(identity):
            dataset = str(identity.configuration["dataset"])
            self.changed_data[dataset] = self.changed_data.get(dataset, 0) + 1
        if self.mode == "retrain":
            return None
        record = self._records.same_but_for_code(identity)
        if record is None:
            return None
        self.num_kept += 1
        return record.model_copy(update={"code_kept": True})


def load_datasets(study: Study, cache: Path, report: Callable[[str], None]) -> dict[str, Dataset]:
    """Every dataset that a cell of the study names. Raises DataError."""
    names = dict.fromkeys(common_configuration(study, cell).dataset for cell in study_cells(study))
    return {name: load_dataset(name, cache, report) for name in names}


def replay(
    study: Study,
    datasets: dict[str, Dataset],
    records: Records,
    device: str,
    code_changed: CodeChanged,
    report: Callable[[str], None] = print,
) -> Execution:
    """The execution as far as records take it. `report` is told where data have changed since. Raises RequestError
    when the code has changed since the records were made and nobody said what to do."""

    def identify(planned: PlannedTraining) -> Identity:
        data_sha256 = datasets[planned.configuration.dataset].sha256
        return training_identity(planned.configuration, planned.seeds, data_sha256, device)

    lookup = Lookup(records, code_changed)
    execution = Execution(study, identify, lookup)
    for dataset, number in lookup.changed_data.items():
        report(f"{dataset} has changed since {number} of this study's trainings were made; they are trained again")
    if lookup.mode == "ask":
        if lookup.num_kept:
            raise RequestError(
                f"the code in vae/ (or a plug-in) has changed since {lookup.num_kept} of this study's trainings were"
                " made. Say --code-changed=retrain to train them again, or --code-changed=keep to use them as they are;"
                " the report marks kept ones."
            )
        lookup.mode = "retrain"  # what is released later follows from what this execution trained itself
    return execution
