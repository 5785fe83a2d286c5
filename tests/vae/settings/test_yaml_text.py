"""YAML as a person means it: scalars, lines and limits."""

from __future__ import annotations

import pytest

from vae.settings.yaml_text import YamlError, read_value, read_yaml


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(
            ("1e-3", 0.001),
            ("1E3", 1000.0),
            ("1.5e+2", 150.0),
            (".5", 0.5),
            ("-2", -2),
            ("600_000", 600_000),
            ("010", 10),
        ),
        *(("true", True), ("False", False), ("no", "no"), ("on", "on"), ("yes", "yes"), ("y", "y")),
        *(
            ("1:30", "1:30"),
            ("2020-01-01", "2020-01-01"),
            ("'1e-3'", "1e-3"),
            ('"5"', "5"),
            ("0x10", "0x10"),
            ("~", None),
            ("", None),
        ),
    ],
)
def test_a_scalar_means_what_it_looks_like(written: str, meant: object) -> None:
    found = read_yaml(f"key: {written}").content["key"]
    assert found == meant
    assert type(found) is type(meant)


def test_every_value_has_the_line_that_it_begins_on() -> None:
    lines = read_yaml("name: mine\nfactors:\n  optimizer: [adam,\n    sgd]\n").lines
    assert lines == {
        (): 1,
        ("name",): 1,
        ("factors",): 2,
        ("factors", "optimizer"): 3,
        ("factors", "optimizer", 0): 3,
        ("factors", "optimizer", 1): 4,
    }


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a: 1\nb: {c: 1, c: 2}", "the key 'c' stands twice in the same mapping; its first place is line 2", 2),
        ("a: 1\nb: !!int x", "'x' cannot be read as tag:yaml.org,2002:int; leave the tag out", 2),
        ("a: !!timestamp 2020-01-01", "'2020-01-01' cannot be read as tag:yaml.org,2002:timestamp; leave the tag", 1),
        ("9" * 50, "9999999999999999999999999999999999999999 is not a finite number that can be used here", 1),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, message: str, line: int) -> None:
    with pytest.raises(YamlError) as refused:
        read_value(text)
    assert refused.value.text.startswith(message)
    assert refused.value.line == line
