"""`python -m vae`: one training, or the log-likelihood of its weights, without Ray, Optuna or MLflow."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

import torch

from vae.checkpoint import encode_weights
from vae.cli import likelihood as likelihood_command
from vae.cli.output_folder import CHECKPOINT, FACTS, WEIGHTS, TrainingFacts, own_folder
from vae.configuration import TrainingConfiguration
from vae.data.dataset import load_dataset
from vae.disk import write_atomically
from vae.errors import ExplainedError, RequestError, StoppedError, end_command
from vae.minibatches import prepare
from vae.optimizers.specifications import OPTIMIZERS, hyperparameters_of
from vae.randomness import Seeds
from vae.settings.fields import Fault, FieldError
from vae.settings.nearest import unknown_name_message
from vae.settings.yaml_text import YamlError, read_value
from vae.training import Training, TrainingResult
from vae.trial import try_out


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        print(f"error: {message}\nSee {self.prog} --help.", file=sys.stderr)
        raise SystemExit(2)


def _parser() -> _Parser:
    parser = _Parser(
        prog="python -m vae", description="Train one VAE, or estimate its log-likelihood.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    train = commands.add_parser(
        "train",
        help="train one model and measure its bounds",
        description="Trains one model on one CPU thread; the same options give the same bits.",
        allow_abbrev=False,
    )
    _add_options(train)
    likelihood = commands.add_parser(
        "likelihood",
        help="estimate log p(x) of test images",
        description=(
            "Estimates log p(x) of binary test images by importance sampling, or by annealed importance sampling."
            " Interrupted, the same command continues."
        ),
        allow_abbrev=False,
    )
    likelihood_command.add_options(likelihood)
    return parser


def _add_options(train: argparse.ArgumentParser) -> None:
    for name, field in TrainingConfiguration.model_fields.items():
        if name not in ("optimizer_arguments", "model_arguments"):
            is_fixed = field.default is not None and name != "learning_rate"
            default = f" [{field.default}]" if is_fixed else ""
            text = f"{field.description}{default}".replace("%", "%%")
            train.add_argument(_option(name), dest=name, metavar="X", help=text)
    train.add_argument("--seed", type=int, default=0, help="The root of the training's random streams. [0]")
    data, every = Path("outputs/data"), 30.0
    train.add_argument("--data", type=Path, default=data, help=f"Where datasets are cached. [{data}]")
    files = "weights.safetensors, training.json and the checkpoint to continue from"
    train.add_argument("--output", type=Path, help=f"A folder for {files}.")
    often = f"How often --output gets a checkpoint. [{every:g}]"
    train.add_argument("--checkpoint-every-seconds", type=float, default=every, help=often)
    train.add_argument("--device", default="cpu", help="cpu, or cuda where there is a GPU. [cpu]")
    further = [f"{name}: {', '.join(map(_option, hyperparameters_of(name)))}" for name in OPTIMIZERS]
    train.epilog = f"Each optimizer's own hyperparameters are options too: {', '.join(further)}."


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _further_arguments(rest: Sequence[str]) -> dict[str, str]:
    """--name value and --name=value pairs that are no option of the parser: the optimizer's or the model's own."""
    further: dict[str, str] = {}
    words = iter(rest)
    for word in words:
        if not word.startswith("--"):
            raise RequestError(f"unexpected argument {word!r}")
        name, equals, value = word[2:].partition("=")
        further[name.replace("-", "_")] = value if equals else next(words, "")
    return further


def parse_configuration(options: Mapping[str, str]) -> TrainingConfiguration:
    """The configuration that options say, each read as YAML unless its field is text; raises FieldError."""
    fields: dict[str, Any] = {}
    faults = []
    for name, text in options.items():
        field = TrainingConfiguration.model_fields.get(name)
        try:
            fields[name] = text if field and field.annotation is str else read_value(text)
        except YamlError as error:
            faults.append(Fault((name,), error.text))
    if faults:
        raise FieldError(faults)
    return TrainingConfiguration.from_flat(fields)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0, or 1 when the training diverged or its data cannot be had, or 2 for a wrong request, or 130
    after Ctrl-C."""
    try:
        return _run(arguments)
    except (ExplainedError, KeyboardInterrupt) as error:
        return end_command(error)


def _run(arguments: Sequence[str] | None) -> int:
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if options.command == "likelihood":
        if rest:
            parser.error(f"unrecognised arguments: {' '.join(rest)}")
        return likelihood_command.run(options)
    named = {
        name: value
        for name, value in vars(options).items()
        if name in TrainingConfiguration.model_fields and value is not None
    }
    try:
        configuration = parse_configuration(named | _further_arguments(rest))
    except FieldError as error:
        raise RequestError(str(error)) from error
    return _train(configuration, options)


def _train(configuration: TrainingConfiguration, options: argparse.Namespace) -> int:
    _check_machine(options)
    data = prepare(load_dataset(configuration.dataset, options.data), configuration)
    trial = try_out(configuration, data.num_pixels)
    if trial.fault:
        raise RequestError(str(trial.fault))
    for line in trial.notes:
        print(f"note: {line}", flush=True)
    if options.output:
        _make_folder(options.output)
        if note := own_folder(options.output, TrainingFacts.of(configuration, options.seed, data, options.device)):
            print(note, flush=True)
    training = Training(
        configuration,
        Seeds.from_root(options.seed),
        data,
        device=options.device,
        checkpoint=options.output / CHECKPOINT if options.output else None,
        checkpoint_every_seconds=options.checkpoint_every_seconds,
    )
    try:
        for progress in training.run():
            if progress.evaluation:
                metrics = progress.evaluation.metrics
                bounds = "  ".join(f"{name} {nats:.2f}" for name, nats in metrics.items() if name.endswith("bound"))
                print(f"{progress.samples:>10,} samples  {progress.evaluation.seconds:7.1f} s  {bounds}", flush=True)
    except KeyboardInterrupt:
        training.save()
        if options.output:
            raise StoppedError(f"stopped after {training.samples:,} samples; the same command continues") from None
        raise StoppedError("stopped; with --output it could be continued") from None
    result = training.result
    assert result is not None
    if options.output:
        training.save()  # a larger budget goes on from here
        _write(result, configuration, data.sha256, options)
    print(f"{result.outcome}; {result.num_parameters:,} parameters, {result.seconds:.1f} s of training")
    return 0 if result.outcome != "diverged" else 1


def _check_machine(options: argparse.Namespace) -> None:
    if options.seed < 0:
        raise RequestError(f"--seed {options.seed}: it must be a whole number from 0 up")
    has_gpu = torch.cuda.is_available()
    if options.device not in ("cpu", "cuda") or (options.device == "cuda" and not has_gpu):
        text = unknown_name_message(options.device, ["cpu", "cuda"], "a device")
        devices = "cpu, cuda" if has_gpu else "cpu (torch sees no GPU here)"
        raise RequestError(f"--device {options.device}: {text} Here: {devices}.")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        text = f"the folder cannot be made ({error.strerror}); name another"
        raise RequestError(f"--output {folder}: {text}") from error


def _write(
    result: TrainingResult, configuration: TrainingConfiguration, data_sha256: str, options: argparse.Namespace
) -> None:
    facts = {
        "outcome": result.outcome,
        "configuration": configuration.to_flat(),
        "seed": options.seed,
        "data": data_sha256,
        "evaluations": [asdict(evaluation) for evaluation in result.evaluations],
    }
    write_atomically(options.output / WEIGHTS, encode_weights(result.weights, configuration, data_sha256))
    write_atomically(options.output / FACTS, json.dumps(facts, indent=1).encode())
