"""What one training is: every field that decides its result except the seeds and the data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from vae.model.network import model_argument_names
from vae.model.precision import Precision
from vae.nearest import unknown_name_message
from vae.optimizers import check_hyperparameters, hyperparameters_of, specification

Pixels = Literal["grey", "dynamic", "fixed"]
Activation = Literal["tanh", "relu", "softplus", "elu", "gelu", "silu"]
Initialisation = Literal["paper", "paper_variance", "paper_code", "glorot", "framework"]
Schedule = Literal["constant", "steps", "cosine"]
Spacing = Literal["linear", "log"]
Argument = float | int | bool | str | None

PositiveInt = Annotated[int, Field(ge=1)]


class TrainingConfiguration(BaseModel):
    """One training's configuration: the model, the optimizer, the budget and what is evaluated when."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, allow_inf_nan=False)

    dataset: str = Field(
        "mnist", description="mnist, fashion-mnist, a folder of IDX or .npy arrays, or module:function."
    )
    train_on_all: bool = Field(
        False, description="Train on the validation images too (60,000 for MNIST); then nothing is measured on them."
    )
    pixels: Pixels = Field(
        "grey",
        description="grey: intensities as Bernoulli means; dynamic: resampled every minibatch; fixed: binarised once.",
    )
    binarisation_seed: int = Field(
        0,
        ge=0,
        description=(
            "The seed that binarises the images once when pixels is fixed, and the evaluation images when it is"
            " dynamic."
        ),
    )

    model: str = Field("vae", description="vae, or module:Class with the methods encode and decode.")
    num_hidden_layers: PositiveInt = Field(
        1, le=100, description="Hidden layers in the encoder, and as many in the decoder."
    )
    hidden_units: PositiveInt = Field(500, le=100_000, description="Units in every hidden layer.")
    latent_dim: PositiveInt = Field(20, le=100_000, description="Dimensions of the latent space.")
    activation: Activation = Field("tanh", description="The non-linearity after every hidden layer.")
    initialisation: Initialisation = Field(
        "framework",
        description=(
            "paper: N(0, sd 0.01) for all parameters; paper_variance: N(0, variance 0.01); paper_code: weights N(0,"
            " 1)/sqrt(fan_in), biases 0, as the author's program; glorot: uniform, biases 0; framework: PyTorch's"
            " default."
        ),
    )
    output_bias_from_data: bool = Field(
        False,
        description=(
            "Start the decoder's output bias at the logit of the mean training image, clipped to [0.001, 0.999]."
        ),
    )
    weight_prior: bool = Field(
        False, description="MAP estimate under the paper's prior p(theta) = N(0, I) on all parameters."
    )
    model_arguments: dict[str, Argument] = Field(
        default_factory=dict, description="Further fields of a model given as module:Class."
    )

    optimizer: str = Field("adam", description="An optimizer's name, or module:Class of a torch optimizer.")
    learning_rate: float = Field(
        1e-3,
        gt=0,
        le=1e3,
        description="The step size, by default the optimizer's own; under a schedule, the first one.",
    )
    optimizer_arguments: dict[str, Argument] = Field(
        default_factory=dict, description="The optimizer's own hyperparameters; what is left out has its default."
    )
    learning_rate_schedule: Schedule = Field(
        "constant",
        description=(
            "constant; steps: times learning_rate_factor at each milestone; cosine: to zero at the budget's end."
        ),
    )
    learning_rate_milestones: tuple[float, ...] = Field(
        (), description="For steps: fractions of the budget in (0, 1), rising."
    )
    learning_rate_factor: float = Field(
        0.1, gt=0, le=1, description="For steps: what the learning rate is multiplied by at each milestone."
    )
    batch_size: PositiveInt = Field(100, le=60_000, description="Images in a minibatch.")
    budget_samples: PositiveInt = Field(
        1_000_000, description="Training samples evaluated; the last minibatch that would pass it is not started."
    )
    precision: Precision = Field(
        "float32",
        description=(
            "Arithmetic of the training's matrix products. float32: everywhere; tf32: float32 rounded to 10 bits of"
            " fraction, on NVIDIA GPUs alone; bfloat16: rounded to 7 bits, where the device multiplies it in hardware."
            " Weights, optimizer, gradients, sums and all evaluations are float32 in each."
        ),
    )

    num_evaluations: PositiveInt = Field(
        10, le=100_000, description="How often the bounds are measured, the last time at the end of the budget."
    )
    evaluation_spacing: Spacing = Field("linear", description="Where in the budget the evaluations lie.")
    first_evaluation_samples: PositiveInt | None = Field(
        None, description="For log spacing: where the first evaluation lies; by default a hundredth of the budget."
    )
    test_at_end: bool = Field(
        False, description="Read the test set once, at the end: test/lower_bound and the importance-weighted bound."
    )
    test_curve: bool = Field(
        False,
        description=(
            "Measure test/lower_bound at every evaluation; only where nothing is chosen on what the test set could"
            " tell."
        ),
    )
    num_importance_samples: PositiveInt = Field(100, description="K of the importance-weighted bound.")
    num_importance_images: PositiveInt = Field(
        1_000, description="The first so many test images, for the importance-weighted bound."
    )

    @model_validator(mode="before")
    @classmethod
    def _learning_rate_of_the_optimizer(cls, fields: Any) -> Any:
        if isinstance(fields, dict) and fields.get("learning_rate") is None:
            return fields | {"learning_rate": specification(str(fields.get("optimizer", "adam"))).learning_rate}
        return fields

    @model_validator(mode="after")
    def _fields_agree(self) -> Self:
        if self.budget_samples < self.batch_size:
            raise ValueError(
                f"budget_samples {self.budget_samples} is less than one minibatch (batch_size {self.batch_size}); give"
                f" at least {self.batch_size}"
            )
        check_hyperparameters(self.optimizer, self.optimizer_arguments)
        unknown = sorted(set(self.model_arguments) - set(model_argument_names(self.model)))
        if unknown:
            raise ValueError(
                unknown_name_message(unknown[0], model_argument_names(self.model), f"a field of the model {self.model}")
            )
        milestones = self.learning_rate_milestones
        if any(not 0 < m < 1 for m in milestones) or list(milestones) != sorted(set(milestones)):
            raise ValueError(
                f"learning_rate_milestones {list(milestones)} must be rising fractions of the budget between 0 and 1,"
                " such as [0.5, 0.75]"
            )
        if (self.learning_rate_schedule == "steps") != bool(milestones):
            raise ValueError(
                "learning_rate_milestones belong to learning_rate_schedule: steps, which needs at least one, such as"
                " [0.5, 0.75]"
            )
        if self.first_evaluation_samples is not None and self.first_evaluation_samples > self.budget_samples:
            raise ValueError(
                f"first_evaluation_samples {self.first_evaluation_samples} lies beyond budget_samples"
                f" {self.budget_samples}"
            )
        return self

    @classmethod
    def from_flat(cls, fields: Mapping[str, Any]) -> Self:
        """The configuration whose optimizer's and model's own arguments stand beside the other fields, each under
        its name.

        Raises ValueError that names the nearest legal field when a name belongs to none of the three.
        """
        own = {name: given for name, given in fields.items() if name in cls.model_fields}
        optimizer_names = hyperparameters_of(str(own.get("optimizer", "adam")))
        model_names = model_argument_names(str(own.get("model", "vae")))
        optimizer_arguments = dict(own.pop("optimizer_arguments", {}))
        model_arguments = dict(own.pop("model_arguments", {}))
        for name, given in fields.items():
            if name in cls.model_fields:
                continue
            if name in optimizer_names:
                optimizer_arguments[name] = given
            elif name in model_names:
                model_arguments[name] = given
            else:
                legal = [*cls.model_fields, *optimizer_names, *model_names]
                raise ValueError(
                    unknown_name_message(
                        name, legal, f"a field of a training with optimizer {own.get('optimizer', 'adam')}"
                    )
                )
        return cls(**own, optimizer_arguments=optimizer_arguments, model_arguments=model_arguments)

    def to_flat(self) -> dict[str, Any]:
        """Every field by its full name, the optimizer's hyperparameters resolved to the numbers that were used."""
        own = self.model_dump(mode="json", exclude={"optimizer_arguments", "model_arguments"})
        defaults = {name: hyperparameter.default for name, hyperparameter in hyperparameters_of(self.optimizer).items()}
        return own | defaults | self.optimizer_arguments | self.model_arguments

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
