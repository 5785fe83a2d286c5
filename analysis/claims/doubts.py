"""What might overturn a comparison, in words: labelled findings from the numbers of `statistics.robustness`."""

from __future__ import annotations

from collections.abc import Iterator

from analysis.claims.schema import DoubtEntry
from analysis.statistics.robustness import Robustness
from analysis.statistics.verdicts import DECIDED

MOST_NAMED = 3


def doubt_entries(robustness: Robustness | None, confidence: float) -> tuple[DoubtEntry, ...]:
    """The findings in words, those about seeds first; nothing where nothing was tried."""
    if robustness is None:
        return ()
    return (
        _of_seeds(robustness),
        *_of_statistics(robustness, confidence),
        *_of_pairing(robustness),
        *_of_neighbours(robustness),
    )


def _of_seeds(robustness: Robustness) -> DoubtEntry:
    verdict, num_pairs = robustness.judgement.verdict, robustness.judgement.num_pairs
    if not robustness.left_out or not all(case.testable for case in robustness.left_out):
        sentence = (
            f"Whether one seed overturns it cannot be tested: with a pair fewer than {num_pairs} no test can reach the"
            " confidence."
        )
        return DoubtEntry(label="too_few_pairs_to_leave_one_out", speaks_against=verdict in DECIDED, sentence=sentence)
    changed = [
        f"{case.seed} ({case.judgement.verdict}"
        + (f", {case.judgement.mean:+.3g})" if case.judgement.mean is not None else ")")
        for case in robustness.left_out
        if case.judgement.verdict != verdict
    ]
    if not changed:
        sentence = f"It stays {verdict} without any one of its {num_pairs} seeds."
        return DoubtEntry(label="holds_without_any_one_seed", speaks_against=False, sentence=sentence)
    named = ", ".join(changed[:MOST_NAMED])
    named += f" and {len(changed) - MOST_NAMED} more" if len(changed) > MOST_NAMED else ""
    without = f"without {'seed' if len(changed) == 1 else 'any one of the seeds'} {named}"
    if verdict in DECIDED:
        sentence = f"Overturned by one seed: it is {verdict}, but no longer {without}."
        return DoubtEntry(label="overturned_by_one_seed", speaks_against=True, sentence=sentence)
    sentence = f"Undecided because of one seed: it is decided {without}."
    return DoubtEntry(label="undecided_because_of_one_seed", speaks_against=True, sentence=sentence)


def _of_statistics(robustness: Robustness, confidence: float) -> Iterator[DoubtEntry]:
    verdict, mean, median = robustness.judgement.verdict, robustness.judgement.mean, robustness.median
    if verdict in DECIDED and mean is not None and median is not None and mean * median < 0:
        sentence = f"The mean difference ({mean:+.3g}) and the median ({median:+.3g}) have different signs."
        yield DoubtEntry(label="mean_and_median_disagree", speaks_against=True, sentence=sentence)
    sign_test_p = robustness.sign_test_p
    if verdict in ("better", "worse") and sign_test_p is not None and sign_test_p > 1 - confidence:
        sentence = f"The sign test, which counts seeds and not sizes, does not confirm it (p = {sign_test_p:.3g})."
        yield DoubtEntry(label="sign_test_does_not_confirm", speaks_against=True, sentence=sentence)


def _of_pairing(robustness: Robustness) -> Iterator[DoubtEntry]:
    pairing = robustness.pairing
    if pairing is not None and pairing.variance_gain is not None and pairing.variance_gain <= 1:
        correlation = f"correlation {pairing.correlation:.2f}, " if pairing.correlation is not None else ""
        sentence = (
            f"Pairing by seed bought nothing ({correlation}variance gain {pairing.variance_gain:.2f}): the interval is"
            " no narrower than that of unpaired seeds."
        )
        yield DoubtEntry(label="pairing_bought_nothing", speaks_against=False, sentence=sentence)


def _of_neighbours(robustness: Robustness) -> Iterator[DoubtEntry]:
    verdict, has_interval = (
        robustness.judgement.verdict,
        robustness.judgement.mean is None or robustness.judgement.interval,
    )
    for neighbour in robustness.neighbours:
        if not neighbour.testable and has_interval:
            continue  # an open verdict of so few seeds says nothing of a decided one
        judgement, whose = neighbour.judgement, f"the {neighbour.side}'s neighbouring proposal"
        size = f"{judgement.mean:+.3g}, " if judgement.mean is not None else ""
        lost = judgement.num_diverged_pairs
        counted = f", {lost} of them diverged and counted as the worst outcome there is" if lost else ""
        outcome = f"{judgement.verdict}{{}} ({size}{judgement.num_pairs} seeds{counted})."
        if verdict == judgement.verdict:
            sentence = f"With {whose} it is {outcome.format(' as well')}"
            yield DoubtEntry(label="holds_for_neighbouring_proposal", speaks_against=False, sentence=sentence)
        elif verdict in DECIDED:
            sentence = f"Overturned by one step of the search: with {whose} it is {outcome.format('')}"
            yield DoubtEntry(label="overturned_by_neighbouring_proposal", speaks_against=True, sentence=sentence)
        else:
            sentence = f"With {whose} it is {outcome.format('')}"
            yield DoubtEntry(label="decided_by_neighbouring_proposal", speaks_against=False, sentence=sentence)
