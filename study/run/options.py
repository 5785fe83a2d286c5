"""What a person asks for beside the study itself, and whether this machine can do it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from study.execution.packing import AUTO, Packing, packing_notes, packing_of
from study.outputs import Outputs
from study.run.replay import CodeChanged
from study.spec import Study
from study.spec.cells import fixed_fields, study_cells
from study.worker.checkpoints import require_location
from study.worker.storage import is_uri
from vae.errors import RequestError


@dataclass(frozen=True)
class Options:
    """How a study is run; nothing here changes a result but the kind of device."""

    outputs: Path
    tracking_uri: str
    address: str | None = None
    num_cpus: int | None = None
    num_gpus: int | None = None
    code_changed: CodeChanged = "ask"
    checkpoint_every_seconds: float = 30.0
    command: str = ""
    pack_size: str = AUTO
    gpu_share: str = AUTO
    checkpoints: str = ""

    @property
    def files(self) -> Outputs:
        """What lies where in the folder of outputs."""
        return Outputs(self.outputs)

    @property
    def device(self) -> str:
        """cuda where GPUs were asked for, else cpu."""
        return "cuda" if self.num_gpus else "cpu"

    @property
    def checkpoint_location(self) -> str:
        """Where workers checkpoint: where the options say, else in the outputs folder here; on a cluster nowhere that
        is said: each node has a scratch folder."""
        if self.checkpoints and not is_uri(self.checkpoints):
            return str(Path(self.checkpoints).absolute())
        return self.checkpoints or ("" if self.address else str((self.files.checkpoints).absolute()))


def check_options(study: Study, options: Options) -> None:
    """Raises RequestError for what this machine, as far as it takes part, cannot do, and SharedStorageError."""
    if not options.address:
        _check_device(options)
        _check_precisions(study, options.device)
    require_location(options.checkpoints)


def requested_packing(study: Study, options: Options, report: Callable[[str], None]) -> Packing:
    """What the options say about packs; raises RequestError where the study cannot be run so."""
    packing = packing_of(study, options.pack_size, options.gpu_share, options.num_gpus or 0)
    for note in packing_notes(study, packing, options.gpu_share):
        report(note)
    return packing


def _check_device(options: Options) -> None:
    if options.num_gpus:
        _check_gpus(options.num_gpus)
    cores = os.cpu_count() or 1
    if options.num_cpus is not None and options.num_cpus > cores:
        raise RequestError(
            f"--num-cpus {options.num_cpus}: this machine has {cores}; more trainings at once than cores would only"
            " slow each other"
        )


def _check_gpus(num_gpus: int) -> None:
    import torch  # takes seconds

    if not torch.cuda.is_available():
        raise RequestError(
            f"--num-gpus {num_gpus}: torch {torch.__version__} sees no GPU on this machine; leave it out to train on"
            " the CPU"
        )
    if num_gpus > torch.cuda.device_count():
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        note = f" (CUDA_VISIBLE_DEVICES={visible})" if visible is not None else ""
        raise RequestError(f"--num-gpus {num_gpus}: torch sees {torch.cuda.device_count()} on this machine{note}")


def _check_precisions(study: Study, device: str) -> None:
    """Raises RequestError for a cell whose arithmetic this machine lacks; what a cluster's nodes have, they say
    themselves."""
    for cell in study_cells(study):
        precision = fixed_fields(study, cell).get("precision", "float32")
        if precision == "float32":  # which every device has
            continue
        from vae.model.precision import require_precision

        try:
            require_precision(precision, device)
        except ValueError as error:
            raise RequestError(f"{cell.label}: {error}") from error
