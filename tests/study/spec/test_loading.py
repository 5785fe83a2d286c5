"""A study file by name or path, with changes: what is read, and what is said where it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from study.spec.loading import StudyFileError, load_study, shipped_studies
from study.spec.schema import Range
from tests.support.study_files import MINIMAL, TUNED, load, refusal
from vae.settings.yaml_text import MAX_CHARACTERS

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")
STUDIES = "arms, default, depth, evidence, evidence-long, latents, optimizers, paper, reproduce, smoke"


def refused_name(name: str) -> str:
    with pytest.raises(StudyFileError) as refused:
        load_study(name)
    return str(refused.value)


# --- what is found ---


def test_a_study_is_loaded_by_its_name_from_any_folder() -> None:
    assert load_study("smoke").name == "smoke"


def test_a_study_file_is_loaded_by_its_path() -> None:
    Path("folder").mkdir()
    Path("folder/mine.yaml").write_text(MINIMAL, encoding="utf-8")
    assert load_study("folder/mine.yaml") == load_study(str(Path("folder/mine.yaml").absolute()))


def test_a_file_in_the_working_directory_does_not_hide_a_shipped_study_of_its_name() -> None:
    Path("smoke").write_text(MINIMAL, encoding="utf-8")
    assert load_study("smoke").name == "smoke"
    assert load_study("./smoke").name == "mine"


def test_the_shipped_studies_are_listed_by_name_with_their_files() -> None:
    assert ", ".join(name for name, _ in shipped_studies()) == STUDIES
    assert all(path.is_file() for _, path in shipped_studies())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "defualt",
            (
                f"'defualt' is not a study; did you mean default? Allowed: {STUDIES}. Or the path of a study file, such"
                " as ./mine.yaml."
            ),
        ),
        ("", f"'' is not a study. Allowed: {STUDIES}. Or the path of a study file, such as ./mine.yaml."),
        ("nowhere.yaml", "nowhere.yaml: there is no such file"),
        ("nowhere/mine.yaml", "nowhere/mine.yaml: there is no such file, nor the folder nowhere"),
        ("./mien.yaml", "./mien.yaml: there is no such file; did you mean mine.yaml?"),
        ("./folder", f"./folder: is a folder; name a study file in it, or one of the studies: {STUDIES}"),
        ("/dev/null", "/dev/null: is not a file that can be read; a study file is YAML text"),
    ],
)
def test_a_study_that_is_not_there_is_answered_with_the_nearest_one(name: str, message: str) -> None:
    Path("folder").mkdir()
    Path("mine.yaml").write_text(MINIMAL, encoding="utf-8")
    assert refused_name(name) == message


@pytest.mark.parametrize("name", ["a\0b", "x" * 5_000, "/" + "y" * 5_000, "\udcff.yaml", "~nobody/x.yaml", ".", ".."])
def test_no_name_however_odd_ends_in_a_traceback(name: str) -> None:
    assert refused_name(name)


def test_a_file_that_the_system_refuses_to_read_is_said_to_be_so() -> None:
    assert refused_name("/proc/self/mem") == "/proc/self/mem: cannot be read (Input/output error)"


# --- what is not a study file ---


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "mine.yaml: is empty; a study file says at least name, question and confirm"),
        ("# only a comment\n", "mine.yaml: is empty; a study file says at least name, question and confirm"),
        ("- a\n- b\n", "mine.yaml: is a list; a study file is a mapping, such as name: mine"),
        ("just text", "mine.yaml: is a single value; a study file is a mapping, such as name: mine"),
        (
            "name: mine\nquestion: [\n",
            "mine.yaml:3: is not YAML: while parsing a flow node, expected the node content, but found '<stream end>'",
        ),
        (
            "name: mine\n\tquestion: x\n",
            "mine.yaml:2: is not YAML: a tab stands where YAML wants spaces; indent with spaces",
        ),
        (
            "name: mine: yours\n",
            "mine.yaml:1: is not YAML: mapping values are not allowed here. A value with a colon in it needs quotes.",
        ),
        (
            "name: a\nquestion: b\nname: c\n",
            "mine.yaml:3: the key 'name' stands twice in the same mapping; its first place is line 1",
        ),
        (
            "a: 1\n---\nb: 2\n",
            (
                "mine.yaml:2: is not YAML: expected a single document in the stream that began on line 1, but found"
                " another document"
            ),
        ),
        ("? [a, b]\n: 1\n", "mine.yaml:1: a key is a list or a mapping; every key must be text"),
        (
            "name: !!python/object/apply:os.system [ls]\n",
            (
                "mine.yaml:1: the tag tag:yaml.org,2002:python/object/apply:os.system is not read; write plain"
                " mappings, lists, text and numbers"
            ),
        ),
        ("name: *anchor\n", "mine.yaml:1: is not YAML: found undefined alias 'anchor'."),
        ("name: &a [*a]\n", "mine.yaml:1: is nested more than 20 deep"),
        ("[" * 3_000, "mine.yaml: is nested more than 20 deep"),
        ("seed: .inf\n", "mine.yaml:1: .inf is not a finite number that can be used here"),
        ("seed: 1e999\n", "mine.yaml:1: 1e999 is not a finite number that can be used here"),
        ("name: a\n\x07", "mine.yaml:2: holds the character U+0007, which YAML does not allow; is it a text file?"),
        (
            "#" * (MAX_CHARACTERS + 1),
            "mine.yaml: holds 200,001 characters; at most 200,000 are read. Is it the right file?",
        ),
    ],
)
def test_text_that_is_not_a_study_file_gets_its_reason_and_its_line(text: str, message: str) -> None:
    assert refusal(text) == message


def test_aliases_that_multiply_a_small_file_into_billions_of_values_are_stopped() -> None:
    levels = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"] + [
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)
    ]
    assert refusal("\n".join(levels)).endswith("holds more than 20,000 values once its aliases (*name) are written out")


def test_bytes_that_are_not_utf_8_are_refused_with_the_line_of_the_first() -> None:
    Path("mine.yaml").write_bytes(b"name: mine\nquestion: caf\xe9\n")
    assert (
        refused_name("mine.yaml")
        == "mine.yaml:2: is not UTF-8 text (byte 0xe9); save it as UTF-8, or is it the right file?"
    )


def test_a_binary_file_is_refused_in_words() -> None:
    Path("mine.yaml").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(range(256)))
    assert refused_name("mine.yaml").startswith("mine.yaml:")


def test_a_huge_file_is_refused_before_it_is_read() -> None:
    with Path("mine.yaml").open("wb") as file:
        file.truncate(10**10)
    assert (
        refused_name("mine.yaml")
        == "mine.yaml: is 10,000,000,000 bytes; a study file has at most 1,000,000. Is it the right file?"
    )


def test_a_byte_order_mark_is_no_fault() -> None:
    Path("mine.yaml").write_bytes(b"\xef\xbb\xbf" + MINIMAL.encode())
    assert load_study("mine.yaml").name == "mine"


# --- YAML as a person means it ---


def test_a_learning_rate_written_with_an_exponent_is_a_number() -> None:
    study = load(TUNED)
    assert study.search is not None
    assert study.search.spaces[1].hyperparameters == {"learning_rate": Range(low=0.0001, high=0.01, log=True)}


@pytest.mark.parametrize(("written", "hint"), [("yes", "; write true"), ("off", "; write false"), ("maybe", "")])
def test_yes_and_no_are_answered_with_true_and_false(written: str, hint: str) -> None:
    text = MINIMAL.replace("budget_samples: 1000", f"output_bias_from_data: {written}")
    assert (
        refusal(text) == f"mine.yaml:4: training.output_bias_from_data: is '{written}'; it must be true or false{hint}"
    )


def test_an_alias_stands_for_what_it_names() -> None:
    text = TUNED.replace("{low: 0.003, high: 0.3, log: true}", "&rates {low: 0.003, high: 0.3, log: true}").replace(
        "{low: 1e-4, high: 1e-2, log: true}", "*rates"
    )
    search = load(text).search
    assert search is not None
    assert search.spaces[0].hyperparameters == search.spaces[1].hyperparameters


# --- changes from the command line ---


def test_changes_reach_every_part_of_a_study() -> None:
    study = load(
        TUNED,
        "training.hidden_units=70",
        "confirm.num_reporting_seeds=5",
        "claims.0.primary=false",
        "search.spaces.0.hyperparameters.learning_rate.low=1e-3",
        "seed=7",
    )
    assert study.search is not None
    distribution = study.search.spaces[0].hyperparameters["learning_rate"]
    assert isinstance(distribution, Range)
    assert (
        study.training["hidden_units"],
        study.confirm.num_reporting_seeds,
        study.claims[0].primary,
        distribution.low,
        study.seed,
    ) == (70, 5, False, 0.001, 7)


def test_a_change_makes_the_part_that_the_file_lacks() -> None:
    assert load(MINIMAL.replace("training:\n  budget_samples: 1000\n", ""), "training.batch_size=20").training == {
        "batch_size": 20
    }
    assert load(MINIMAL, "factors.latent_dim=[2, 3]").factors == {"latent_dim": (2, 3)}


@pytest.mark.parametrize(
    ("change", "name", "meant"),
    [
        ("budget_samples=500", "budget_samples", 500),
        ("beta1=0.5", "beta1", 0.5),
        ("learning_rate=1e-2", "learning_rate", 0.01),
    ],
)
def test_a_field_of_the_training_may_stand_alone(change: str, name: str, meant: float) -> None:
    assert load(MINIMAL, change).training[name] == meant


def test_of_two_changes_of_a_field_the_later_holds() -> None:
    assert load(MINIMAL, "seed=1", "seed=2").seed == 2


def test_null_takes_a_part_away() -> None:
    assert load(TUNED, "search=null").search is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            "budget_samples",
            "--set budget_samples: a change has the form field=value, such as training.budget_samples=1000",
        ),
        ("=5", "--set =5: a change has the form field=value, such as training.budget_samples=1000"),
        (
            "budget_sample=5",
            (
                "--set budget_sample=5: 'budget_sample' is not a field of a study; did you mean budget_samples?"
                " Allowed: name, question, description, seed, training, factors, cells, search, confirm, claims,"
                " published, metric, readout, targets, equivalence_margin_nats, noise_floor, confidence, what lies in"
                " them after a dot, and the fields of training by their own names."
            ),
        ),
        (
            "num_reporting_seeds=5",
            (
                "--set num_reporting_seeds=5: 'num_reporting_seeds' is not a field of a study; did you mean"
                " confirm.num_reporting_seeds? Allowed: name, question, description, seed, training, factors, cells,"
                " search, confirm, claims, published, metric, readout, targets, equivalence_margin_nats, noise_floor,"
                " confidence, what lies in them after a dot, and the fields of training by their own names."
            ),
        ),
        (
            "search.num_proposal=5",
            (
                "--set search.num_proposal=5: search.num_proposal: 'num_proposal' is not a field of search; did you"
                " mean num_proposals? Allowed: budget_samples, extra_proposals, max_extra_rounds, num_evaluations,"
                " num_proposals, num_repeats, num_tuning_seeds, objective, round_size, sampler, spaces."
            ),
        ),
        (
            "training.hidden_units=-3",
            "--set training.hidden_units=-3: training.hidden_units: is -3; it must be greater than or equal to 1",
        ),
        (
            "optimizer=adam",
            (
                "--set optimizer=adam: 'optimizer' is a factor of this study; say which levels it has with"
                " factors.optimizer=[...]"
            ),
        ),
        ("name.x=2", "--set name.x=2: name holds no fields, so name.x cannot be set"),
        (
            "claims.4.primary=true",
            "--set claims.4.primary=true: claims is a list of 1; after it comes a position from 0 to 0, not 4",
        ),
        (
            "seed=[",
            "--set seed=[: is not YAML: while parsing a flow node, expected the node content, but found '<stream end>'",
        ),
        ("confirm=3", "--set confirm=3: confirm: is 3; it must be a mapping of names to values"),
    ],
)
def test_a_change_that_cannot_be_made_says_which_and_why(change: str, message: str) -> None:
    assert refusal(TUNED, change) == message


def test_a_change_that_removes_a_level_takes_the_space_that_was_for_it_along() -> None:
    study = load(TUNED, "factors.optimizer=[adam]", "claims=[]")
    assert study.search is not None
    assert [space.when for space in study.search.spaces] == [{"optimizer": "adam"}]


def test_a_change_that_takes_a_claims_cells_away_says_how_to_do_without_it() -> None:
    assert (
        refusal(TUNED, "factors.optimizer=[adam]")
        == "mine.yaml:17: claims.0.baseline: 'adagrad' is not a level of optimizer in any cell; did you mean adam?"
        " Allowed: adam. A change took this from the claim; add --set 'claims=[]' to make none."
    )


def test_a_space_that_never_had_a_cell_is_a_fault_with_changes_too() -> None:
    assert "matches no cell" in refusal(TUNED.replace("when: {optimizer: adam}", "when: {optimizer: sgd}"), "seed=1")
