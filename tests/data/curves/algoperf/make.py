"""Measurements of AlgoPerf's submission runner, and beside them what it logged.

AlgoPerf is no package: it is taken from its repository (mlcommons/algorithmic-efficiency, commit 2c90454). Run in an
environment of its own: pip install tensorflow-cpu==2.19.0 clu==0.0.12 jax==0.7.0 flax==0.10.7 optax==0.2.4
absl-py==2.1.0 gputil==1.4.0 psutil torch==2.15.0; python make.py FOLDER CHECKOUT

The runner, its loop, its checkpoints and its logs are AlgoPerf's own, the workload is mnist in PyTorch. Its pictures
are replaced by 64 that are drawn here, and its evaluations, by the clock, come after every step.

Cells sgd, adam and wild (which diverges), seeds 1 to 3: FOLDER/CELL/study_SEED/mnist_pytorch/trial_1. sgd's seed 3 is
interrupted between a log and its checkpoint, after step 4, and continued. Of the files about the machine only what
configures the run is kept.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import tempfile
import types
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

FOLDER, CHECKOUT = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
sys.path.insert(0, str(CHECKOUT))
sys.modules["triton"] = None  # Its LLVM and that of TensorFlow do not go together.
sys.modules["tensorflow_datasets"] = types.ModuleType("tensorflow_datasets")  # Its pictures are replaced.
SUBMISSION = """
import torch

def init_optimizer_state(workload, model_params, model_state, hyperparameters, rng):
    kind = torch.optim.Adam if hyperparameters.optimizer == "adam" else torch.optim.SGD
    return {"optimizer": kind(model_params.parameters(), lr=hyperparameters.learning_rate)}

def update_params(workload, current_param_container, current_params_types, model_state, hyperparameters, batch,
                  loss_type, optimizer_state, eval_results, global_step, rng, train_state=None):
    model = current_param_container
    model.train()
    optimizer_state["optimizer"].zero_grad()
    logits = model(batch["inputs"])
    torch.nn.functional.cross_entropy(logits, batch["targets"]).backward()
    optimizer_state["optimizer"].step()
    return optimizer_state, model, model_state

def prepare_for_eval(workload, current_param_container, current_params_types, model_state, hyperparameters, loss_type,
                     optimizer_state, eval_results, global_step, rng):
    return optimizer_state, current_param_container, model_state

def get_batch_size(workload_name):
    return 16

def data_selection(workload, input_queue, optimizer_state, current_param_container, model_state, hyperparameters,
                   global_step, rng):
    return next(input_queue)
"""
RATES = {"sgd": 0.5, "adam": 0.01, "wild": 1e38}
KEPT = {
    "meta_data_": ("rng_seed",),
    "flags_": ("workload", "framework", "submission_path", "experiment_name", "tuning_ruleset", "rng_seed"),
}


class PreemptionError(Exception):
    """What stands for a machine that is taken away."""


def main() -> None:
    """Trains and writes."""
    import numpy as np
    import submission_runner
    from absl import flags, logging
    from algoperf import checkpoint_utils, logger_utils
    from algoperf.profiler import PassThroughProfiler
    from algoperf.workloads import workloads
    from algoperf.workloads.mnist.workload import BaseMnistWorkload

    def pictures(self, data_rng, split, data_dir, global_batch_size, *more, **named):
        generator = np.random.default_rng({"train": int(data_rng[0]), "eval_train": 1}.get(split, len(split)))
        while True:
            targets = generator.integers(0, 10, global_batch_size)
            inputs = generator.normal(size=(global_batch_size, 28, 28, 1)) + targets[:, None, None, None] / 5
            yield {"inputs": inputs.astype("float32"), "targets": targets}

    BaseMnistWorkload._build_input_queue = pictures
    for name, number in {"num_eval_train_examples": 64, "num_validation_examples": 64, "num_test_examples": 64}.items():
        setattr(BaseMnistWorkload, name, property(lambda self, number=number: number))
    BaseMnistWorkload.eval_batch_size = property(lambda self: 64)
    BaseMnistWorkload.eval_period_time_sec = property(lambda self: 0)
    BaseMnistWorkload.validation_target_value = BaseMnistWorkload.test_target_value = property(lambda self: 2.0)
    flags.FLAGS(["submission_runner.py", "--framework=pytorch", "--workload=mnist", "--notorch_compile"])
    logging.set_verbosity(logging.ERROR)
    logged: list[list[object]] = []
    appended = logger_utils.MetricLogger.append_scalar_metrics
    saved = checkpoint_utils.save_checkpoint
    state = {"run": "", "interrupt_at": 0}

    def append(self, metrics, global_step, *more, **named):
        names = ("train/loss", "validation/loss", "test/loss", "validation/accuracy")
        seconds = metrics.get("accumulated_submission_time")
        logged.extend([state["run"], global_step, name, metrics[name], seconds] for name in names if name in metrics)
        appended(self, metrics, global_step, *more, **named)

    def save(**named):
        if named["global_step"] == state["interrupt_at"]:
            raise PreemptionError
        saved(**named)

    logger_utils.MetricLogger.append_scalar_metrics = append
    checkpoint_utils.save_checkpoint = save
    with tempfile.TemporaryDirectory() as kept:
        os.chdir(kept)
        Path("submission.py").write_text(SUBMISSION)
        sys.path.insert(0, kept)
        for cell, rate in RATES.items():
            space = {"learning_rate": {"feasible_points": [rate]}, "optimizer": {"feasible_points": [cell]}}
            Path(f"{cell}.json").write_text(json.dumps(space))
            for seed in (1, 2, 3):
                name = f"{cell}/study_{seed}"
                flags.FLAGS.experiment_name, flags.FLAGS.rng_seed = name, seed
                flags.FLAGS.submission_path = "submission.py"
                state["run"] = f"{name}/mnist_pytorch/trial_1"
                for interrupt_at in (4, 0) if (cell, seed) == ("sgd", 3) else (0,):
                    state["interrupt_at"] = interrupt_at
                    workload = workloads.import_workload(
                        "algoperf/workloads/mnist/mnist_pytorch/workload.py", "MnistWorkload", workload_init_kwargs={}
                    )
                    try:
                        submission_runner.score_submission_on_workload(
                            workload=workload,
                            workload_name="mnist",
                            submission_path="submission.py",
                            data_dir=kept,
                            tuning_ruleset="external",
                            profiler=PassThroughProfiler(),
                            max_global_steps=6,
                            tuning_search_space=f"{cell}.json",
                            num_tuning_trials=1,
                            log_dir=logger_utils.get_log_dir(kept, "mnist", "pytorch", name, True, False),
                            rng_seed=seed,
                        )
                    except PreemptionError:
                        continue
        for file in sorted(Path(kept).rglob("trial_1/*")):
            keep(file, FOLDER / file.relative_to(kept))
    with (FOLDER / "reported.csv").open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([["run", "step", "metric", "value", "seconds"], *logged])


def keep(file: Path, target: Path) -> None:
    """Measurements and hyperparameters as they are; of the files about the machine what configures the run."""
    kept = next((names for start, names in KEPT.items() if file.name.startswith(start)), ())
    if file.suffix not in (".csv", ".json"):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if not kept:
        shutil.copy(file, target)
    else:
        target.write_text(json.dumps({name: json.loads(file.read_text())[name] for name in kept}, indent=2))


if __name__ == "__main__":
    main()
