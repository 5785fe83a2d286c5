"""A row of claims.json: one comparison with its verdict and all that it rests on, of a study or of curves from a file.

The descriptions of the fields are the documentation of claims.json: `python -m analysis.claims.schema` writes them as
the tables of docs/reports.md. Numbers have six significant digits; null is what cannot be had.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from analysis.document.sections import AnyClaim, Entry
from analysis.statistics.verdicts import Verdict

Kind = Literal["primary", "descriptive", "exploratory"]
Ends = tuple[float | None, float | None]
ClaimLevel = str | bool | int | float
Label = Literal[
    "too_few_pairs_to_leave_one_out",
    "overturned_by_one_seed",
    "undecided_because_of_one_seed",
    "holds_without_any_one_seed",
    "mean_and_median_disagree",
    "sign_test_does_not_confirm",
    "pairing_bought_nothing",
    "overturned_by_neighbouring_proposal",
    "decided_by_neighbouring_proposal",
    "holds_for_neighbouring_proposal",
]


class ReadingEntry(Entry):
    """The verdict on the same trainings under one reading, the declared one first."""

    title: str = Field(description="the reading in words")
    metric: str = Field(description="the metric that is read out")
    readout: str = Field(description="how its curve becomes one number")
    n: int = Field(description="pairs of seeds that finished on both sides")
    estimate: float | None = Field(description="mean paired difference, in `unit`; null where a training diverged")
    verdict: Verdict | Literal["not read"] = Field(description="`not read` where not every training has this reading")
    holds: bool = Field(description="whether the verdict is the row's; false for an incomplete comparison")


class CrossoverEntry(Entry):
    """A change of order of the two mean learning curves."""

    step: float = Field(description="where straight lines between the points meet, in steps")
    leader_after: str = Field(description="the side that leads from there on")
    num_agree: int = Field(description="seeds that change order themselves")
    num_seeds: int = Field(description="seeds that both sides have")


class LeftOutEntry(Entry):
    """The comparison without one pair of seeds."""

    seed: int = Field(description="the seed that is left out")
    testable: bool = Field(description="whether so few pairs can still reach the confidence")
    estimate: float | None = Field(description="mean paired difference of the others, in `unit`")
    interval: Ends | None = Field(description="its interval")
    p: float | None = Field(description="its p")
    verdict: Verdict = Field(description="the verdict of the others")


class NeighbourEntry(Entry):
    """The comparison with a runner-up of a search in its winner's place."""

    side: Literal["level", "baseline"] = Field(description="the side whose winner is replaced")
    n: int = Field(description="pairs of seeds")
    num_diverged: int = Field(description="pairs of which a training diverged")
    testable: bool = Field(description="whether so many pairs can reach the confidence")
    estimate: float | None = Field(description="mean paired difference, in `unit`; null where a training diverged")
    interval: Ends | None = Field(description="its interval")
    verdict: Verdict = Field(description="the verdict with the runner-up")


class LearningRateStepEntry(Entry):
    """What one step of the better side's learning rate costs on the tuning seeds."""

    cell: str = Field(description="the better side's cell")
    from_rate: float = Field(description="the winner's learning rate")
    to_rate: float = Field(description="that of the nearest other proposal")
    cost_nats: float | None = Field(description="what it costs, in nats of the search's objective; null: it diverged")
    overturns: bool = Field(description="whether it costs no less than the difference")


class DoubtEntry(Entry):
    """One thing that was tried to overturn the verdict."""

    label: Label = Field(description="which")
    speaks_against: bool = Field(description="whether it weakens the claim")
    sentence: str = Field(description="what came of it")


class RepeatEntry(Entry):
    """The claim by the winners of one repeat of the search."""

    repeat: int = Field(description="which repeat, the study's own search being 0")
    verdict: Verdict = Field(description="its verdict")
    estimate: float | None = Field(description="its mean paired difference, in `unit`")
    interval: Ends | None = Field(description="its interval")
    n: int = Field(description="its pairs of seeds")
    num_missing: int = Field(description="its trainings that are missing")


class DeclaredEntry(Entry):
    """When the claim was declared."""

    when: Literal[
        "before any training",
        "after trainings were recorded",
        "first recorded after trainings",
        "changed after trainings were recorded",
        "not declared",
        "not recorded",
    ] = Field(description="as far as the study's record of declarations shows")
    sentence: str = Field("", description="what to know of it, where nothing shows that it was before any training")
    changed: tuple[str, ...] = Field((), description="what changed: the claim, or what all claims rest on")
    num_trainings: int | None = Field(None, description="trainings recorded by then")
    num_confirm_trainings: int | None = Field(None, description="of them those on reporting seeds")


class ClaimRow(AnyClaim):
    """A comparison of two sides that are paired by seed."""

    source: Literal["study", "curves"] = Field(description="a study, or curves from a file")
    kind: Kind = Field(description="`primary`, `descriptive` or `exploratory`")
    title: str = Field(description="the comparison in a few words")
    declared: DeclaredEntry = Field(
        DeclaredEntry(when="not declared"), description="when it was declared; of curves nothing says it"
    )

    # What is compared
    factor: str | None = Field(None, description="the factor in which the sides differ; null for curves")
    level: ClaimLevel = Field(description="the level that is compared; for curves the cell")
    baseline: ClaimLevel = Field(description="what it is compared with")
    level_title: str = Field(description="the level as sentences call it")
    baseline_title: str = Field(description="the baseline as sentences call it")
    at: dict[str, ClaimLevel] = Field(
        default_factory=dict, description="levels of other factors that it is restricted to"
    )
    at_title: str = Field("", description="these levels as sentences call them")
    cells: tuple[tuple[str, str], ...] = Field(description="the pairs of cells that it is averaged over, by label")
    num_cell_pairs: int = Field(description="how many these are")
    metric: str = Field(description="the metric that is compared")
    unit: str = Field(description="its unit, that of every number below without another; may be empty for curves")
    higher_is_better: bool = Field(True, description="if not, positive differences favour the level too")
    readout: str = Field(description="how a curve becomes one number: `final`, `best`, `mean of the last N`")
    horizon: int | None = Field(
        description="the step compared at: training samples for a study, the file's steps for curves; null where cells'"
        " budgets differ"
    )
    horizons: tuple[int, ...] = Field(description="every such step")
    too_early_for: int | None = Field(
        None, description="for curves whose last common step lies too far before their end: that end; else null"
    )
    where: str = Field(description="metric, readout and horizon as sentences say them")
    decimals: int = Field(description="decimals that sentences write in `unit`")
    confidence: float = Field(description="of every interval")
    equivalence_margin: float | None = Field(description="differences below it do not matter; null where there is none")
    margin_from_noise_floor: bool = Field(False, description="whether the A/A comparison says it")

    # The verdict and its numbers
    verdict: Verdict = Field(description="`better`, `worse`, `equivalent` or `inconclusive`, by its own p")
    corrected_verdict: Verdict = Field(
        description="the verdict as Holm's correction leaves it: what the page shows and counts"
    )
    headline: str = Field("", description="the verdict in a sentence with its numbers, or why there is none")
    estimate: float | None = Field(description="mean paired difference, level minus baseline; null where one diverged")
    interval: Ends | None = Field(description="its interval by the sign-flip test; null where the pairs are too few")
    p: float | None = Field(description="p of the test that the verdict rests on; null where there is none")
    holm_p: float | None = Field(description="p by Holm's correction; null for what takes no part in it")
    num_compared: int | None = Field(None, description="how many it corrects for: claims, or pairs of cells")
    n: int = Field(description="pairs of seeds that ended on both sides, diverged or not")
    seeds: tuple[int, ...] = Field(description="the seeds that finished on both sides")
    num_unpaired: tuple[int, int] | None = Field(
        None, description="for curves whose seeds do not correspond: trainings of level and baseline; else null"
    )
    worst_case_interval: Ends | None = Field(
        description="where a training diverged: the interval with it as the worst outcome; an open end is null"
    )
    smallest_p: float | None = Field(description="the smallest p that so many pairs can reach; null without a pair")
    minimum_detectable_effect: float | None = Field(description="what the test finds with a power of 80 %")
    median: float | None = Field(description="median paired difference; null where a training diverged")
    sign_test_p: float | None = Field(description="p of the sign test, which counts seeds and not sizes")
    bca_interval: Ends | None = Field(description="bootstrap interval of the mean (BCa)")
    correlation: float | None = Field(description="over pairs; null where a side never varies")
    variance_gain: float | None = Field(description="what pairing bought: variance unpaired over variance paired")
    skewness: float | None = Field(description="G1 of the paired differences")
    strongly_skewed: bool = Field(description="whether it is so large that the interval is too narrow")

    # What was tried to overturn it
    readouts: tuple[str, ...] = Field(description="titles of the readings under which the verdict holds")
    readout_verdicts: tuple[ReadingEntry, ...] = Field(description="the verdict under each reading")
    crossovers: tuple[CrossoverEntry, ...] = Field(description="where the mean learning curves change order")
    without_most_extreme_pair: LeftOutEntry | None = Field(description="null where it was not tried")
    overturned_by_seeds: tuple[int, ...] | None = Field(
        description="the seeds without any one of which the verdict is another; null where it was not tried"
    )
    neighbouring_proposals: tuple[NeighbourEntry, ...] = Field(description="where a runner-up was trained")
    learning_rate_step: LearningRateStepEntry | None = Field(None, description="null where it was not tried")
    robustness: tuple[DoubtEntry, ...] = Field(description="what came of seeds, statistics and proposals")
    repeats: tuple[RepeatEntry, ...] = Field((), description="by each repeat of the search; empty without any")

    # Searches
    edges_touched: tuple[str, ...] = Field((), description="winners on the edge of their search")
    extra_rounds: int = Field(0, description="extra rounds of the side that had more")
    extra_rounds_level: int = Field(0, description="extra rounds of the level's searches")
    extra_rounds_baseline: int = Field(0, description="extra rounds of the baseline's searches")
    searched_unequally: bool = Field(False, description="whether two searched cells of a pair had different numbers")

    # How the trainings ended
    num_diverged_level: int = Field(description="the level's trainings that diverged or failed")
    num_diverged_baseline: int = Field(description="the baseline's trainings that diverged or failed")
    num_failed: int = Field(0, description="trainings whose code raised; they count as missing")
    num_failed_to_learn_level: int = Field(0, description="the level's trainings that ended below a constant image")
    num_failed_to_learn_baseline: int = Field(0, description="the baseline's trainings that did")
    num_missing: int = Field(description="trainings that are missing; for curves also unfinished or unpaired ones")
    num_unread: int = Field(0, description="trainings that ended without the declared reading")
    num_without_winner: int = Field(0, description="cells all of whose proposals diverged")
    not_comparable_in: tuple[str, ...] = Field((), description="fields that say what the data are, and differ")
    num_code_versions: int = Field(0, description="versions of the code that made the trainings, as far as known")
    code_differs_between_sides: bool = Field(False, description="whether no version made trainings of both sides")


class PublishedClaim(AnyClaim):
    """A cell beside a published number; its verdict is `reproduced`, `not reproduced` or `inconclusive`."""

    metric: str = Field(description="the metric that is compared")
    unit: str = Field("nats", description="its unit")
    horizon: int | None = Field(description="training samples after which it is read")
    estimate: float | None = Field(description="mean over the seeds; null where one is missing")
    published: float = Field(description="the published number")
    tolerance: float = Field(description="how far apart the two may be")
    n: int = Field(description="reporting seeds with a number")


class CellClaim(AnyClaim):
    """A cell of two studies side by side: A minus B, all in nats. Its verdict may be `identical`, to the bit."""

    unit: str = Field("nats", description="the unit of every number")
    n_a: int = Field(description="A's reporting seeds with a number")
    n_b: int = Field(description="B's reporting seeds with a number")
    mean_a_nats: float | None = Field(description="A's mean; null where a seed was lost")
    mean_b_nats: float | None = Field(description="B's mean; null where a seed was lost")
    interval_a_nats: Ends | None = Field(description="its t interval")
    interval_b_nats: Ends | None = Field(description="its t interval")
    difference_nats: float | None = Field(description="A minus B; null where a training diverged")
    low_nats: float | None = Field(description="lower end of its interval; null where it is open")
    high_nats: float | None = Field(description="upper end of its interval; null where it is open")
    p: float | None = Field(description="p of the test that the verdict rests on")
    paired: bool = Field(description="whether the trainings are pairs")
    unlike: tuple[str, ...] = Field(description="fields in which they differ, where they are none")
    pairs: int = Field(description="trainings of the same seed and configuration in both")
    same_to_the_bit: int = Field(description="of them those with the same metrics at every point")
    reused: int = Field(description="of them those that one study took over from the other")
    largest_gap: float | None = Field(description="over all metrics and points of these pairs")
    num_diverged_or_failed_a: int = Field(description="A's trainings that did")
    num_diverged_or_failed_b: int = Field(description="B's trainings that did")
    num_missing_a: int = Field(description="A's trainings that are missing")
    num_missing_b: int = Field(description="B's trainings that are missing")
