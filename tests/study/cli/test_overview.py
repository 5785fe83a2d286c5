"""What a study would run and what of it is done, as a person reads it on the terminal."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from rich.console import Console

from study.cli.overview import print_plan, print_status
from study.execution.packing import Packing
from study.protocol.counts import num_trainings
from study.spec.cells import study_cells
from study.spec.loading import load_study
from tests.support.studies import invented_study, searched
from tests.support.workplaces import Workplace


def test_the_status_and_the_plan_of_a_finished_study(continued: Workplace) -> None:
    status, plan = continued.ask("status", "tiny.yaml"), continued.ask("plan", "tiny.yaml")
    assert (status.returncode, plan.returncode) == (0, 0), status.stderr + plan.stderr
    assert "12 of 12 trainings recorded; complete" in status.stdout
    assert "8 search and 4 confirm trainings, 12 of them recorded already." in plan.stdout
    assert "About 0 s on" in plan.stdout


def test_the_plan_of_a_study_that_never_ran_counts_its_trainings_and_looks_for_no_data(tmp_path: Path) -> None:
    study = invented_study()
    shown = StringIO()
    print_plan(study, tmp_path, 4, Packing(), Console(file=shown, width=200))
    totals = num_trainings(study)
    assert (
        f"{totals['search']} search and {totals['confirm']} confirm trainings, 0 of them recorded" in shown.getvalue()
    )
    assert "(from what one core of a Zen 4 was seen to do)" in shown.getvalue()
    for cell in study_cells(study):
        assert cell.label in shown.getvalue()
    assert list(tmp_path.iterdir()) == []


def test_the_plan_says_where_the_seeds_are_too_few_for_the_claims(tmp_path: Path) -> None:
    for num_seeds, is_said in ((6, True), (8, False)):
        shown = StringIO()
        study = load_study("default", [f"confirm.num_reporting_seeds={num_seeds}"])
        print_plan(study, tmp_path, 4, Packing(), Console(file=shown, width=300))
        assert (
            "No claim can come out as better or worse: 6 reporting seeds cannot reach a p below 0.125 by Holm's"
            " correction over 4 claims. At 95 % it takes 8 seeds." in shown.getvalue()
        ) == is_said


def test_the_plan_says_in_how_many_packs_a_study_is_trained(tmp_path: Path) -> None:
    """Two cells of one shape: rounds of two proposals and of one, two seeds each, then two reporting seeds in each."""
    study = invented_study()
    for size, said in ((4, "about 4 packs"), (64, "about 3 packs"), (1, "")):
        shown = StringIO()
        print_plan(study, tmp_path, 4, Packing(size), Console(file=shown, width=200))
        assert said in shown.getvalue()
        assert ("packs" in shown.getvalue()) == bool(said)


def test_the_status_of_a_study_that_never_ran_says_that_run_begins_it(tmp_path: Path) -> None:
    study = invented_study()
    shown = StringIO()
    print_status(study, tmp_path, Console(file=shown, width=200))
    assert f"0 of {sum(num_trainings(study).values())} trainings recorded; not running; `run` continues it." in (
        shown.getvalue()
    )


def test_the_plan_says_what_a_sampler_draws_at_random(tmp_path: Path) -> None:
    words = {
        ("tpe", 3): "tpe draws all 3 proposals of each cell at random: it has too few results to learn from.",
        ("gp", 20): "gp draws the first 10 of each cell's 20 proposals at random,",
        ("qmc", 3): "",
    }
    for (sampler, number), said in words.items():
        shown = StringIO()
        study = invented_study(search=searched(sampler=sampler, num_proposals=number))
        print_plan(study, tmp_path, 4, Packing(), Console(file=shown, width=200))
        assert said in shown.getvalue()
        assert ("at random" in shown.getvalue()) == bool(said)
