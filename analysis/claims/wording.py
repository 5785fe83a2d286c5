"""The words of a claim, from its row of claims.json and nothing else: the verdict in a sentence, then what speaks for
doubting it. The same words for a study's claims and for curves from a file."""

from __future__ import annotations

import math
from collections.abc import Iterator

from analysis.claims.schema import ClaimRow, LearningRateStepEntry

WORDED_DOUBTS = frozenset(
    {
        "overturned_by_one_seed",
        "undecided_because_of_one_seed",
        "overturned_by_neighbouring_proposal",
        "mean_and_median_disagree",
        "sign_test_does_not_confirm",
    }
)


OPEN_AFTER_HOLM = "Inconclusive by Holm's correction"


def worded(row: ClaimRow) -> ClaimRow:
    """The row with its headline and its statement."""
    headline = verdict_of(row)
    return row.model_copy(update={"headline": headline, "statement": " ".join([headline, *reservations_of(row)])})


# The verdict


def verdict_of(row: ClaimRow) -> str:
    """The verdict with its estimate, interval, p and number of pairs, as one sentence; or why there is none."""
    asks = f"hether {row.level_title} {_verb(row)} better than {row.baseline_title}"
    if not row.num_cell_pairs:
        at = f" with {row.at_title}" if row.at_title else ""
        return f"W{asks} cannot be said: the study has no two cells{at} that differ in {row.factor} alone."
    if row.not_comparable_in:
        return (
            f"W{asks} cannot be said: they differ in {' and '.join(row.not_comparable_in)}, and bounds of different"
            " data are no measure of the same thing."
        )
    if row.estimate is not None:
        return f"{_lead(row, row.estimate)} {row.where} ({_precision(row)})."
    if row.verdict in ("better", "worse"):
        sentence = _worst_case_sentence(row)
        return sentence if row.corrected_verdict == row.verdict else f"{OPEN_AFTER_HOLM}: by its own p, {sentence}"
    return f"Inconclusive: w{asks} {row.where} cannot be said, because {_why_not(row)}."


def _lead(row: ClaimRow, estimate: float) -> str:
    level, baseline, verb = _beginning(row), row.baseline_title, _verb(row)
    if row.corrected_verdict == "inconclusive":
        is_ = f"minus {baseline} is" if row.higher_is_better else f"improves on {baseline} by"
        inconclusive = "Inconclusive" if row.verdict == "inconclusive" else OPEN_AFTER_HOLM
        return f"{inconclusive}: {row.level_title} {is_} {_amount(row, estimate, signed=True)}"
    if row.verdict == "equivalent":
        kind = "difference" if row.higher_is_better else "improvement"
        return (
            f"{level} and {baseline} are equivalent within {_margin_text(row)}, the {kind} being"
            f" {_amount(row, estimate, signed=True)}"
        )
    return f"{level} {verb} {row.verdict} than {baseline} by {_amount(row, abs(estimate))}"


def _precision(row: ClaimRow) -> str:
    seeds, confidence = _seeds(row), f"{100 * row.confidence:g} %"
    low, high = row.interval or (None, None)
    if low is None or high is None:
        least = row.smallest_p if row.smallest_p is not None else 1.0
        return f"{seeds}: too few for a {confidence} interval, as the smallest p they can reach is {least:.3g}"
    return f"{confidence} interval {low:+.{row.decimals}f} to {high:+.{row.decimals}f}, {_p_text(row)}, {seeds}"


def _seeds(row: ClaimRow) -> str:
    """How many seeds there are: `6 paired seeds`, `8 and 7 unpaired seeds`."""
    if row.num_unpaired:
        return f"{row.num_unpaired[0]} and {row.num_unpaired[1]} unpaired seeds"
    return f"{row.n} paired seed{'' if row.n == 1 else 's'}"


def _p_text(row: ClaimRow) -> str:
    """The test's p; of a study's claim also Holm's, where it is larger."""
    p, holm_p = row.p or 0.0, row.holm_p
    corrected = row.source == "study" and holm_p is not None and holm_p > p
    return f"p = {p:.3g}" + (f" and {holm_p:.3g} by Holm's correction" if corrected else "")


def _worst_case_sentence(row: ClaimRow) -> str:
    """A verdict that holds though trainings diverged: they are counted as the worst outcome there is, so that no
    mean can be given."""
    low, high = row.worst_case_interval or (None, None)
    end = high if row.verdict == "worse" else low
    sure = f"{_amount(row, abs(end or 0.0))}, the end of its {100 * row.confidence:g} % interval,"
    least = f"by at least {sure} {row.where}" if end is not None else row.where
    return (
        f"{_beginning(row)} {_verb(row)} {row.verdict} than {row.baseline_title} {least} ({_diverged(row)}, counted as"
        f" the worst outcome there is, so that there is no mean; {_p_text(row)}, {_seeds(row)})."
    )


def _why_not(row: ClaimRow) -> str:
    """Why there is no estimate. What curves lack is a reservation of its own."""
    if row.too_early_for is not None:
        return (
            f"their last common step, {row.horizon or 0:,}, lies far before {row.too_early_for:,}, where they end:"
            " values at the same steps are needed"
        )
    flattered = f"{_diverged(row)}, and a mean over the others would flatter them"
    num_diverged = row.num_diverged_level + row.num_diverged_baseline
    if row.num_without_winner:
        return "at least one of its cells has no winner to compare: every proposal of its search diverged"
    if row.source == "study" and row.num_missing + row.num_failed:
        missing = [f"{_trainings(row.num_missing)} {_are(row.num_missing)} missing"] if row.num_missing else []
        failed = [f"{_trainings(row.num_failed)} failed"] if row.num_failed else []
        return " and ".join([*missing, *failed, *([flattered] if num_diverged > row.num_failed else [])])
    if row.num_unread:
        if row.readout == "final":
            return f"{_trainings(row.num_unread)} ended without {'it' if row.num_unread == 1 else 'one'}"
        were = "was" if row.num_unread == 1 else "were"
        return f"{_trainings(row.num_unread)} {were} measured too seldom for the readout, {row.readout}"
    return flattered if num_diverged else "they have no finished seed in common"


def _diverged(row: ClaimRow) -> str:
    return f"{row.num_diverged_level} of its trainings and {row.num_diverged_baseline} of the baseline's diverged"


# How sentences call things


def _is_plural(row: ClaimRow, title: str) -> bool:
    """Whether a study's level is several things: `2 hidden layers`. Cells of a file are names."""
    return row.source == "study" and title.endswith("s") and title[:1].isdigit()


def _verb(row: ClaimRow) -> str:
    return "are" if _is_plural(row, row.level_title) else "is"


def _beginning(row: ClaimRow) -> str:
    """The level as a sentence begins with it; a cell of a file is a name, which is never capitalised."""
    return row.level_title if row.source == "curves" else row.level_title[:1].upper() + row.level_title[1:]


def _amount(row: ClaimRow, number: float, signed: bool = False) -> str:
    """A number of the metric's unit: `9.27 nats`."""
    return f"{number:{'+' if signed else ''}.{row.decimals}f} {row.unit}".rstrip()


def _margin_text(row: ClaimRow) -> str:
    """The margin with no more digits than it was given: `0.5 nats`."""
    return f"{row.equivalence_margin or 0.0:g} {row.unit}".rstrip()


def _trainings(number: int) -> str:
    return f"{number} training" + ("" if number == 1 else "s")


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _extra_rounds(number: int) -> str:
    return f"{number or 'no'} extra round{'' if number == 1 else 's'}"


# What speaks for doubting it


def reservations_of(row: ClaimRow) -> tuple[str, ...]:
    """What a reader of the verdict has to know besides it, one sentence each; of curves whose verdict is open for want
    of trainings, what is wanting."""
    if row.source == "curves" and row.num_missing:
        return (
            f"{row.num_missing} of their trainings are missing, unfinished or under a seed that the other has not, so"
            " that it stays undecided.",
        )
    return (
        *_scope(row),
        *_incomplete(row),
        *_against_a_decision(row),
        *(doubt.sentence for doubt in row.robustness if doubt.speaks_against and doubt.label in WORDED_DOUBTS),
        *_shape(row),
        *_readouts(row),
        *_crossovers(row),
        *_edges(row),
        *([row.declared.sentence] if row.declared.sentence else []),
    )


def _scope(row: ClaimRow) -> Iterator[str]:
    if row.num_cell_pairs > 1:
        yield f"It is the average over {row.num_cell_pairs} pairs of cells, taken within each seed."
    if row.margin_from_noise_floor and row.equivalence_margin is None and row.num_cell_pairs:
        yield (
            "The noise floor that was to say which differences matter cannot be had, so that no verdict can be given"
            " but one against its own cell where that diverged."
        )


def _incomplete(row: ClaimRow) -> Iterator[str]:
    if row.num_missing + row.num_failed and row.estimate is not None:
        missing, failed = row.num_missing, row.num_failed
        what = [
            *([f"{_trainings(missing)} of these cells {_are(missing)} missing"] if missing else []),
            *([f"{_trainings(failed)} of these cells failed"] if failed else []),
        ]
        yield f"The study is incomplete: {' and '.join(what)}."
    if failed_to_learn := row.num_failed_to_learn_level + row.num_failed_to_learn_baseline:
        yield f"{_trainings(failed_to_learn)} failed to learn and {_are(failed_to_learn)} counted in."
    if row.code_differs_between_sides:
        yield "The two sides were trained by different versions of the code, so that the difference may be the code's."
    elif row.num_code_versions > 1:
        yield (
            f"Its trainings were made by {row.num_code_versions} versions of the code, so that some of the difference"
            " may be the code's."
        )


def _against_a_decision(row: ClaimRow) -> Iterator[str]:
    if row.verdict in ("better", "worse"):
        sizes = [abs(end) for end in row.interval or row.worst_case_interval or () if end is not None]
        if row.corrected_verdict == row.verdict and min(sizes, default=math.inf) < (row.equivalence_margin or 0.0):
            yield f"Whether it exceeds the {_margin_text(row)} that matter is not settled."
        if row.holm_p is not None and row.corrected_verdict != row.verdict:
            yield _not_corrected(row, row.holm_p, row.num_compared or 1)
        if row.learning_rate_step and row.learning_rate_step.overturns:
            yield _step_sentence(row.learning_rate_step)
    if row.source == "study" and row.verdict != "inconclusive" and row.kind == "exploratory":
        yield (
            "This is exploration: nobody declared it beforehand, and it is not corrected for the number of comparisons"
            " made."
        )


def _not_corrected(row: ClaimRow, holm_p: float, num_compared: int) -> str:
    among = "comparisons" if row.source == "curves" else "declared claims"
    sentence = (
        f"By its own p it is {row.verdict}, but it does not survive Holm's correction over the {num_compared} {among}"
        f" (p = {holm_p:.3g})"
    )
    least = (row.smallest_p or 0.0) * num_compared
    if least <= 1 - row.confidence:
        return f"{sentence}."
    return f"{sentence}: the smallest p that so few seeds can reach by it is {min(1.0, least):.3g}."


def _step_sentence(step: LearningRateStepEntry) -> str:
    cost = "diverged" if step.cost_nats is None else f"was {step.cost_nats:.2f} nats worse"
    return (
        f"Overturned by one step of the learning rate: on the tuning seeds the proposal of {step.cell} next to its"
        f" winner ({step.from_rate:.3g} to {step.to_rate:.3g}) {cost}, no less than the difference."
    )


def _shape(row: ClaimRow) -> Iterator[str]:
    """What to know of the interval of strongly skewed differences; analysis/statistics/intervals.py says which are."""
    if row.strongly_skewed and row.interval is not None and row.skewness is not None:
        yield (
            f"Its paired differences are strongly skewed (skewness {row.skewness:+.2g}): of such differences an"
            f" interval of {100 * row.confidence:g} % holds the true mean less often than it says, one of 95 % in"
            " simulation in 90 to 93 %."
        )


def _readouts(row: ClaimRow) -> Iterator[str]:
    """Where the verdict depends on how a curve is read out; nothing to say of a verdict that is open for want of
    data."""
    if row.num_missing + row.num_failed + row.num_unread + row.num_without_winner or row.not_comparable_in:
        return
    unread = [reading.title for reading in row.readout_verdicts[1:] if reading.verdict == "not read"]
    others = [reading for reading in row.readout_verdicts[1:] if not reading.holds and reading.verdict != "not read"]
    if others:
        listed = "; ".join(
            f"{reading.title}: {reading.verdict}"
            + (f", {_amount(row, reading.estimate, signed=True)}" if reading.estimate is not None else "")
            for reading in others
        )
        yield f"The verdict depends on the readout ({listed})."
    if unread:
        listed = "; ".join(unread)
        yield f"What it would be by another readout cannot be said where not every training has one ({listed})."


def _crossovers(row: ClaimRow) -> Iterator[str]:
    if not row.crossovers:
        return
    last, times = row.crossovers[-1], len(row.crossovers)
    more = f", the last of {times} times" if times > 1 else ""
    leads = f"{last.leader_after} {'lead' if _is_plural(row, last.leader_after) else 'leads'}"
    curves, position = (
        ("mean learning curves", f"{last.step:,.0f} samples")
        if row.source == "study"
        else ("mean curves", f"step {last.step:,.0f}")
    )
    yield (
        f"The {curves} change order at about {position}{more}; {leads} from there on ({last.num_agree} of"
        f" {last.num_seeds} seeds agree)."
    )


def _edges(row: ClaimRow) -> Iterator[str]:
    rounds = row.extra_rounds
    if row.edges_touched:
        up_to = "up to " if row.searched_unequally else ""
        tried = f" after {up_to}{_extra_rounds(rounds)} in wider spaces" if rounds else ""
        yield f"A winner lies on the edge of its search{tried}, so that a wider search may change this."
    elif rounds and not row.searched_unequally:
        yield (
            f"Every search was extended by {rounds} round{'s' if rounds > 1 else ''}, as a winner lay on the edge of"
            " its space; none does now."
        )
    if row.searched_unequally:
        yield _unequal_sentence(row)


def _unequal_sentence(row: ClaimRow) -> str:
    """That the two sides of a pair were given different numbers of proposals, as no claim binds their searches to
    each other."""
    level, baseline = _extra_rounds(row.extra_rounds_level), _extra_rounds(row.extra_rounds_baseline)
    if row.extra_rounds_level == row.extra_rounds_baseline:
        return (
            f"Within its pairs cells were searched unequally, with up to {level} more: the difference may be that of"
            " the searches."
        )
    sides = f"{row.level_title} with {level}, {row.baseline_title} with {baseline}"
    return f"The two sides were searched unequally ({sides}): the difference may be that of the searches."
