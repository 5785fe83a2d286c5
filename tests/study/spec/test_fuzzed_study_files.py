"""Study files drawn from the schema, and shipped ones with parts exchanged: a study that can be planned, or a
message that names the field.

tests/study/spec/test_damaged_study_files.py damages their text; here the text is always YAML and its content is wrong.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from study.protocol.cell_protocol import cell_protocol
from study.protocol.counts import num_trainings
from study.spec import Study
from study.spec.cells import study_cells
from study.spec.loading import StudyFileError, load_study, shipped_studies
from vae.configuration import TrainingConfiguration
from vae.optimizers.specifications import OPTIMIZERS

SHIPPED: dict[str, Any] = {name: yaml.safe_load(path.read_text(encoding="utf-8")) for name, path in shipped_studies()}
SCHEMA = Study.model_json_schema()
MOST_PLANNED = 40
"""Trainings of a cell's first batch up to which a drawn study is asked for it."""

FIELDS = [*TrainingConfiguration.model_fields, "beta1", "momentum", "weight_decay"]
WORDS = st.sampled_from(
    [*FIELDS, *Study.model_fields, *OPTIMIZERS, "cell", "adm", "", "0", "a b", "../up", "é", "module:function"]
)
NUMBERS = st.one_of(
    st.integers(-2, 12), st.sampled_from([10**6, 2**63, -(2**70), 0.5, 1e-3, 1e308, -0.0, 1e-320]), st.floats(-10, 10)
)
SCALARS = st.one_of(NUMBERS, WORDS, st.booleans(), st.none())
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=5
)
LEGAL_TRAINING: dict[str, Any] = {"hidden_units": 8, "latent_dim": 2, "budget_samples": 1000, "num_evaluations": 2}


def _resolved(schema: dict[str, Any]) -> dict[str, Any]:
    return SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def drawn_from(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What the schema allows, nearly always; its bounds are not kept, so that they are tried too."""
    schema = _resolved(schema)
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    if branches := schema.get("anyOf", schema.get("oneOf")):
        return st.one_of(*map(drawn_from, branches))
    kinds = {
        "integer": st.integers(-1, 6),
        "number": NUMBERS,
        "boolean": st.booleans(),
        "null": st.none(),
        "string": WORDS,
    }
    if schema.get("type") in kinds:
        return kinds[schema["type"]]
    if schema.get("type") == "array":
        return st.lists(drawn_from(schema.get("items", {})), max_size=3)
    if schema.get("type") == "object":
        return _object(schema)
    return SCALARS


def _object(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    properties, needed = schema.get("properties", {}), schema.get("required", [])
    if not properties:
        values = schema.get("additionalProperties")
        return st.dictionaries(WORDS, drawn_from(values) if isinstance(values, dict) else SCALARS, max_size=3)
    fields = {name: drawn_from(part) for name, part in properties.items()}
    return st.fixed_dictionaries(
        {name: fields[name] for name in needed}, optional={name: fields[name] for name in fields if name not in needed}
    )


@st.composite
def studies_of_the_schema(draw: st.DrawFn) -> Any:
    """A study with any of the fields, most of them of the right kind; its training often a legal one, so that more
    is looked at."""
    study = draw(drawn_from(SCHEMA))
    if draw(st.booleans()):
        study |= {
            "name": "drawn",
            "question": "Which?",
            "training": LEGAL_TRAINING | {"optimizer": "adam"},
            "confirm": {"num_reporting_seeds": 2},
        }
    if draw(st.booleans()):
        study["factors"] = {"optimizer": ["adagrad", "adam"]}
    return study


def places(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in the content but itself."""
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for step, part in inner:
        yield (*path, step)
        yield from places(part, (*path, step))


def part_at(content: Any, path: tuple[Any, ...]) -> Any:
    for step in path:
        content = content[step]
    return content


@st.composite
def shipped_with_changes(draw: st.DrawFn) -> Any:
    """A shipped study of which up to three parts are replaced, removed, renamed, doubled, or taken from another
    place or study."""
    study = json.loads(json.dumps(SHIPPED[draw(st.sampled_from(sorted(SHIPPED)))]))
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(list(places(study)) or [("name",)]))
        with contextlib.suppress(KeyError, IndexError, TypeError):  # an earlier change took the place away
            _change(draw, part_at(study, path[:-1]), path[-1])
    return study


def _change(draw: st.DrawFn, parent: Any, step: Any) -> None:
    kind = draw(st.sampled_from(["replace", "replace", "move", "remove", "rename", "double"]))
    if kind == "replace":
        parent[step] = draw(st.one_of(NUMBERS, ANYTHING))
    elif kind == "move":
        other = SHIPPED[draw(st.sampled_from(sorted(SHIPPED)))]
        parent[step] = json.loads(json.dumps(part_at(other, draw(st.sampled_from(list(places(other)))))))
    elif kind == "remove":
        del parent[step]
    elif kind == "double" and isinstance(parent, list):
        parent.append(parent[step])
    elif isinstance(parent, dict):
        parent[draw(WORDS)] = parent.pop(step) if kind == "rename" else parent[step]


def load_or_say_why(content: Any, folder: Path) -> bool:
    """Whether the study is taken. Fails on anything but a study whose trainings can be planned, or one message whose
    lines name a place and a field."""
    path = folder / "fuzzed.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    try:
        study = load_study(str(path))
    except StudyFileError as error:
        said = str(error)
    else:
        _plan(study)
        return True
    assert said.strip()
    for line in said.split("\n"):
        assert re.match(rf"{re.escape(str(path))}(:\d+)?: \S", line), said
        assert _names_a_field(line.partition(": ")[2], content), said
    return False


def _names_a_field(text: str, content: Any) -> bool:
    """Whether a fault begins with a path whose first step is a field of a study, or a key that the file has."""
    if not isinstance(content, dict) or not content:
        return True
    known = {*Study.model_fields, *map(str, content)}
    return (
        any(text == name or text.startswith((f"{name}:", f"{name}.")) for name in known)
        or "the key" in text
        or "finite number" in text
    )


def _plan(study: Study) -> None:
    """The cells of a study that was taken, and the first trainings of one."""
    cells = study_cells(study)
    assert sum(num_trainings(study).values()) >= 0
    if study.search is None or study.search.round_size * study.search.num_tuning_seeds <= MOST_PLANNED:
        next(cell_protocol(study, cells[0]))


CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
DRAWN = [
    pytest.param(studies_of_the_schema(), 20261123, id="of the schema"),
    pytest.param(shipped_with_changes(), 20261124, id="shipped with changes"),
]


@pytest.mark.parametrize("number", [50, pytest.param(1500, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("studies", "seed_of_many"), DRAWN)
def test_a_drawn_study_is_planned_or_refused_by_field(
    studies: st.SearchStrategy[Any], seed_of_many: int, number: int, tmp_path: Path
) -> None:
    """A few are other ones each time, the many always the same."""
    taken: list[bool] = []

    @settings(max_examples=number, suppress_health_check=CHECKS)
    @given(content=studies)
    def check(content: Any) -> None:
        taken.append(load_or_say_why(content, tmp_path))

    (seed(seed_of_many)(check) if number > 50 else check)()
    assert len(taken) >= number
    assert not all(taken), "nothing wrong was drawn"
    assert number <= 50 or any(taken), "nothing legal was drawn, so that the plans were never looked at"


@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_a_shipped_study_written_out_again_is_taken(name: str, tmp_path: Path) -> None:
    """Or the strategies above would begin from studies that nobody can run."""
    assert load_or_say_why(SHIPPED[name], tmp_path)
