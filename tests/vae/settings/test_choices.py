"""What a configuration may say by name is what the code below it knows."""

from __future__ import annotations

from typing import get_args

import pytest

from tests.support.trainings import small_configuration
from vae.settings.choices import Initialisation, Precision
from vae.settings.fields import FieldError


@pytest.mark.parametrize(
    ("field", "names"), [("initialisation", get_args(Initialisation)), ("precision", get_args(Precision))]
)
def test_a_configuration_takes_every_choice_and_no_other(field: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert getattr(small_configuration(**{field: name}), field) == name
    with pytest.raises(FieldError, match=field):
        small_configuration(**{field: f"{names[0]}x"})
