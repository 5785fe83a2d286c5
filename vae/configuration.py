"""What one training is: every field that decides its result except the seeds and the data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from vae.optimizers.specifications import OPTIMIZERS, argument_faults, hyperparameters_of, specification
from vae.settings.choices import Initialisation, Precision
from vae.settings.fields import Count, Fault, FieldError, Number, OneScalar, ScalarOrList, Switch, faults_of
from vae.settings.nearest import unknown_name_message

Pixels = Literal["grey", "dynamic", "fixed"]
ActivationName = Literal["tanh", "relu", "softplus", "elu", "gelu", "silu"]
LearningRateSchedule = Literal["constant", "steps", "cosine"]
Spacing = Literal["linear", "log"]

PositiveCount = Annotated[Count, Field(ge=1)]
Arguments = dict[str, OneScalar | None]
ModelArguments = dict[str, ScalarOrList | None]


class TrainingConfiguration(BaseModel):
    """One training's configuration: the model, the optimizer, the budget and what is evaluated when."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    dataset: str = "mnist"
    """mnist, fashion-mnist, a folder of IDX or .npy arrays, an .npz file, or module:function."""
    train_on_all: Switch = False
    """Train on the validation images too (60,000 for MNIST); then nothing is measured on them."""
    pixels: Pixels = "grey"
    """grey: intensities as Bernoulli means; dynamic: resampled every minibatch; fixed: binarised once."""
    binarisation_seed: Count = Field(0, ge=0)
    """The seed that binarises the images once when pixels is fixed, and the evaluation images when it is dynamic."""

    model: str = "vae"
    """vae, or module:Class with the methods encode and decode."""
    num_hidden_layers: PositiveCount = Field(1, le=100)
    """Hidden layers in the encoder, and as many in the decoder."""
    hidden_units: PositiveCount = Field(500, le=100_000)
    """Units in every hidden layer."""
    latent_dim: PositiveCount = Field(20, le=100_000)
    """Dimensions of the latent space."""
    activation: ActivationName = "tanh"
    """The non-linearity after every hidden layer."""
    initialisation: Initialisation = "framework"
    """paper: N(0, sd 0.01) for all parameters; paper_variance: N(0, variance 0.01); paper_code: weights N(0,
    1)/sqrt(fan_in), biases 0, as the author's program; glorot: uniform, biases 0; framework: PyTorch's default."""
    output_bias_from_data: Switch = False
    """Start the decoder's output bias at the logit of the mean training image, clipped to [0.001, 0.999]."""
    weight_prior: Switch = False
    """MAP estimate under the paper's prior p(theta) = N(0, I) on all parameters."""
    model_arguments: ModelArguments = Field(default_factory=dict)
    """Further fields of a model given as module:Class: numbers, true, false, text and lists of these."""

    optimizer: str = "adam"
    """An optimizer's name, or module:Class of a torch optimizer."""
    learning_rate: Number = Field(1e-3, gt=0, le=1e3)
    """The step size, by default the optimizer's own; under a schedule, the first one."""
    optimizer_arguments: Arguments = Field(default_factory=dict)
    """The optimizer's own hyperparameters; what is left out has its default."""
    learning_rate_schedule: LearningRateSchedule = "constant"
    """constant; steps: times learning_rate_factor at each milestone; cosine: to zero at the budget's end."""
    learning_rate_milestones: tuple[Number, ...] = ()
    """For steps: fractions of the budget in (0, 1), rising."""
    learning_rate_factor: Number = Field(0.1, gt=0, le=1)
    """For steps: what the learning rate is multiplied by at each milestone."""
    batch_size: PositiveCount = Field(100, le=60_000)
    """Images in a minibatch."""
    budget_samples: PositiveCount = 1_000_000
    """Training samples evaluated; the last minibatch that would pass it is not started."""
    precision: Precision = "float32"
    """Arithmetic of the training's matrix products. float32: everywhere; tf32: float32 rounded to 10 bits of fraction,
    on NVIDIA GPUs alone; bfloat16: rounded to 7 bits, where the device multiplies it in hardware. Weights, optimizer,
    gradients, sums and all evaluations are float32 in each."""

    num_evaluations: PositiveCount = Field(10, le=100_000)
    """How often the bounds are measured, the last time at the end of the budget."""
    evaluation_spacing: Spacing = "linear"
    """Where in the budget the evaluations lie."""
    first_evaluation_samples: PositiveCount | None = None
    """For log spacing: where the first evaluation lies; by default a hundredth of the budget."""
    test_at_end: Switch = False
    """Read the test set once, at the end: test/lower_bound and the importance-weighted bound."""
    test_curve: Switch = False
    """Measure test/lower_bound at every evaluation; only where nothing is chosen on what the test set could tell."""
    num_importance_samples: PositiveCount = 100
    """K of the importance-weighted bound."""
    num_importance_images: PositiveCount = 1_000
    """The first so many test images, for the importance-weighted bound."""

    @model_validator(mode="before")
    @classmethod
    def _learning_rate_of_the_optimizer(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and fields.get("learning_rate") is None:
            with suppress(ValueError):  # an unknown optimizer is a fault of its own field
                rate = specification(str(fields.get("optimizer", "adam"))).learning_rate
                return fields | {"learning_rate": rate}
        return fields

    @field_validator("learning_rate", mode="before")
    @classmethod
    def _given_where_the_optimizer_has_none(cls, rate: Any, info: ValidationInfo) -> Any:
        if rate is None:
            raise ValueError(f"is to be given: {info.data.get('optimizer')} has no learning rate of its own")
        return rate

    @field_validator("model")
    @classmethod
    def _known_model(cls, name: str) -> str:
        _model_argument_names(name)
        return name

    @field_validator("model_arguments")
    @classmethod
    def _arguments_of_the_model(cls, arguments: ModelArguments, info: ValidationInfo) -> ModelArguments:
        model = info.data.get("model")
        legal = _model_argument_names(model) if model else arguments
        unknown = [name for name in arguments if name not in legal]
        if unknown:
            what = f"a field of the model {model}"
            raise FieldError([Fault((name,), unknown_name_message(name, legal, what)) for name in unknown])
        return arguments

    @field_validator("optimizer")
    @classmethod
    def _known_optimizer(cls, name: str) -> str:
        specification(name)
        return name

    @field_validator("optimizer_arguments")
    @classmethod
    def _arguments_of_the_optimizer(cls, arguments: Arguments, info: ValidationInfo) -> Arguments:
        optimizer = info.data.get("optimizer")
        faults = argument_faults(optimizer, arguments) if optimizer else []
        if faults:
            raise FieldError(faults)
        return arguments

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        faults = list(self._disagreements())
        if faults:
            raise FieldError(faults)
        return self

    def _disagreements(self) -> Iterator[Fault]:
        budget, milestones = self.budget_samples, list(self.learning_rate_milestones)
        if budget < self.batch_size:
            text = f"budget_samples {budget} is less than one minibatch (batch_size {self.batch_size})"
            yield Fault(("budget_samples",), f"{text}; give at least {self.batch_size}", ("batch_size",))
        if any(not 0 < m < 1 for m in milestones) or milestones != sorted(set(milestones)):
            text = "must be rising fractions of the budget between 0 and 1, such as [0.5, 0.75]"
            yield Fault(("learning_rate_milestones",), f"learning_rate_milestones {milestones} {text}")
        if (self.learning_rate_schedule == "steps") != bool(milestones):
            text = "learning_rate_milestones belong to learning_rate_schedule: steps, which needs at least one, such as"
            yield Fault(("learning_rate_milestones",), f"{text} [0.5, 0.75]", ("learning_rate_schedule",))
        first = self.first_evaluation_samples
        if first is not None and first > budget:
            text = f"first_evaluation_samples {first} lies beyond budget_samples {budget}"
            yield Fault(("first_evaluation_samples",), text, ("budget_samples",))

    @classmethod
    def from_flat(cls, fields: Mapping[str, Any]) -> Self:
        """The configuration whose optimizer's and model's own arguments stand beside the other fields, each under
        its name.

        Raises FieldError with every fault, at the names that `fields` has.
        """
        nested = {name: value for name, value in fields.items() if name in cls.model_fields}
        further = {name: value for name, value in fields.items() if name not in cls.model_fields}
        faults: list[Fault] = []
        with suppress(ValueError):  # validation says which optimizer or model is unknown; so are its arguments
            faults += _put_arguments(nested, further)
        try:
            configuration = cls.model_validate(nested)
        except ValidationError as error:
            faults += [
                replace(fault, path=fault.path[1:]) if len(fault.path) > 1 and fault.path[1] in further else fault
                for fault in faults_of(error)
            ]
        if faults:
            raise FieldError(faults)
        return configuration

    def to_flat(self) -> dict[str, Any]:
        """Every field by its full name, the optimizer's hyperparameters resolved to the numbers that were used."""
        fields = self.model_dump(mode="json", exclude={"optimizer_arguments", "model_arguments"})
        defaults = {name: hyperparameter.default for name, hyperparameter in hyperparameters_of(self.optimizer).items()}
        return fields | defaults | self.optimizer_arguments | self.model_arguments

    def evaluation_points(self) -> tuple[int, ...]:
        """Training samples after which the bounds are measured: rising multiples of batch_size, the last at the
        budget's end."""
        num_steps = self.budget_samples // self.batch_size
        if self.evaluation_spacing == "linear" or self.num_evaluations == 1:
            steps = [round(num_steps * (i + 1) / self.num_evaluations) for i in range(self.num_evaluations)]
        else:
            first = (self.first_evaluation_samples or self.budget_samples / 100) / self.budget_samples
            steps = [
                round(num_steps * first ** (1 - i / (self.num_evaluations - 1))) for i in range(self.num_evaluations)
            ]
        return tuple(sorted({max(step, 1) * self.batch_size for step in steps}))


def _model_argument_names(model: str) -> tuple[str, ...]:
    if model == "vae":
        return ()
    from vae.model.network import model_argument_names  # with torch, which takes seconds

    return model_argument_names(model)


def _put_arguments(nested: dict[str, Any], further: Mapping[str, Any]) -> list[Fault]:
    """Puts each further field among the arguments of the optimizer or of the model; a fault for one that neither
    has. Raises ValueError where either is unknown."""
    optimizer, model = str(nested.get("optimizer", "adam")), str(nested.get("model", "vae"))
    holders = dict.fromkeys(_model_argument_names(model), "model_arguments")
    holders |= dict.fromkeys(hyperparameters_of(optimizer), "optimizer_arguments")
    for holder in sorted({holders[name] for name in further if name in holders}):
        inner = nested.get(holder, {})
        if isinstance(inner, Mapping):
            nested[holder] = {**inner, **{name: further[name] for name in further if holders.get(name) == holder}}
    unknown = [name for name in further if name not in holders]
    return [Fault((name,), _unknown_field(name, optimizer, holders)) for name in unknown]


def _unknown_field(name: str, optimizer: str, arguments: Iterable[str]) -> str:
    owners = [other for other, known in OPTIMIZERS.items() if name in known.hyperparameters]
    if owners:
        names = ", ".join(hyperparameters_of(optimizer)) or "none"
        return f"is a hyperparameter of {', '.join(owners)}, not of {optimizer}, whose own are {names}"
    return unknown_name_message(name, [*field_names(), *arguments], "a field of a training")


def field_names() -> tuple[str, ...]:
    """Every field that a training can have, with the hyperparameters of all optimizers that are known by name."""
    known = dict.fromkeys(name for other in OPTIMIZERS.values() for name in other.hyperparameters)
    return (*TrainingConfiguration.model_fields, *known)
