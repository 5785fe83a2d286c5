"""The words of a comparison of curves from a file: the verdict in a sentence, then what speaks for doubting it, as a
study's claims have them."""

from __future__ import annotations

import math

from analysis.claims.statements import SAID_OF_ROBUSTNESS
from analysis.curves.findings import CurvePair, CurvesFindings
from analysis.statistics.intervals import SignFlip
from analysis.statistics.pairs import Wording, size_reservation, skewness_reservation, verdict_sentence
from analysis.statistics.robustness import RobustnessFinding, robustness_findings, worst_case_findings

DECIDED = ("better", "worse")
MOST_DECIMALS = 12


def decimals(pair: CurvePair, margin: float) -> int:
    """How many places the pair's difference is written with: two digits of the margin, or three of the mean or half
    its interval, whichever is larger."""
    if margin:
        return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(margin))))
    size = max(abs(pair.estimate.mean) if pair.estimate else 0.0, _interval_size(pair))
    return min(MOST_DECIMALS, max(0, 2 - math.floor(math.log10(size)))) if size else 2


def _interval_size(pair: CurvePair) -> float:
    """Half the interval, or of one with one end that end."""
    if pair.worst_case:
        return max(
            (abs(end) for end in (pair.worst_case.interval.low, pair.worst_case.interval.high) if math.isfinite(end)),
            default=0.0,
        )
    interval = pair.estimate.interval if pair.estimate else None
    return (interval.high - interval.low) / 2 if interval else 0.0


def wording(pair: CurvePair, findings: CurvesFindings) -> Wording:
    """How sentences call the pair."""
    readout, metric, end = findings.request.readout, findings.metric, f"{findings.horizon:,}"
    where = {"final": f"in {metric} at step {end}", "best": f"in the best {metric} up to step {end}"}.get(
        readout.kind, f"in {metric}, {readout.title} points up to step {end}"
    )
    return Wording(
        pair.level,
        pair.baseline,
        where,
        unit=findings.request.unit,
        decimals=decimals(pair, findings.request.margin),
        is_name=True,
        higher_is_better=findings.request.higher_is_better,
    )


def statement(pair: CurvePair, findings: CurvesFindings) -> str:
    """The pair's verdict in a sentence that follows from its numbers, then every reservation that its numbers hold."""
    return " ".join([_verdict(pair, findings), *_reservations(pair, findings)])


def _verdict(pair: CurvePair, findings: CurvesFindings) -> str:
    words, request = wording(pair, findings), findings.request
    if pair.estimate:
        return verdict_sentence(words, pair.verdict, pair.estimate, pair.num_pairs, request.confidence, request.margin)
    if pair.worst_case and pair.verdict in DECIDED:
        return _worst_case_sentence(pair, words, pair.worst_case)
    why = (
        f"{_lost(pair)}, and a mean over the others would flatter them"
        if pair.num_lost
        else "they have no finished seed in common"
    )
    return (
        f"Inconclusive: whether {words.level} is better than {words.baseline} {words.where} cannot be said, because"
        f" {why}."
    )


def _lost(pair: CurvePair) -> str:
    return (
        f"{pair.paired.num_lost_level} of its trainings and {pair.paired.num_lost_baseline} of the baseline's diverged"
    )


def _worst_case_sentence(pair: CurvePair, words: Wording, test: SignFlip) -> str:
    """A verdict that holds though trainings diverged: they are counted as the worst outcome there is, so that no
    mean can be given."""
    end = test.interval.high if pair.verdict == "worse" else test.interval.low
    least = f"by at least {words.amount(abs(end))} {words.where}" if math.isfinite(end) else words.where
    return (
        f"{words.beginning} is {pair.verdict} than {words.baseline} {least} ({_lost(pair)}, counted as the worst"
        f" outcome there is, so that there is no mean; p = {test.p:.3g}, {pair.num_pairs} paired seeds)."
    )


def _reservations(pair: CurvePair, findings: CurvesFindings) -> list[str]:
    """What a reader of the verdict has to know besides it, one sentence each; of a verdict that is open for want of
    curves, what is wanting."""
    if pair.paired.num_missing:
        return [
            f"{pair.paired.num_missing} of their trainings are missing, unfinished or under a seed that the other has"
            " not, so that it stays undecided."
        ]
    said = [
        finding.sentence
        for finding in doubts(pair, findings.request.confidence)
        if finding.speaks_against and finding.label in SAID_OF_ROBUSTNESS
    ]
    return [
        *_against_a_decision(pair, findings),
        *said,
        *_skewed(pair, findings),
        *_readouts(pair, findings),
        *_crossovers(pair),
    ]


def doubts(pair: CurvePair, confidence: float) -> tuple[RobustnessFinding, ...]:
    """What single seeds, the median, the sign test and pairing say of the pair; nothing where a training is missing."""
    if pair.robustness:
        return robustness_findings(pair.robustness, confidence)
    return worst_case_findings(pair.worst_case_robustness) if pair.worst_case_robustness else ()


def _against_a_decision(pair: CurvePair, findings: CurvesFindings) -> list[str]:
    if pair.verdict not in DECIDED:
        return []
    request = findings.request
    interval = pair.worst_case.interval if pair.worst_case else pair.estimate.interval if pair.estimate else None
    size = size_reservation(wording(pair, findings), pair.verdict, interval, request.margin).strip()
    said = [size] if size else []
    if pair.holm_p is not None and pair.holm_p > 1 - request.confidence:
        alone = ", though as the primary claim it was declared to stand by its own p" if pair.kind == "primary" else ""
        said.append(
            f"It does not survive Holm's correction over the {len(findings.pairs)} comparisons (p ="
            f" {pair.holm_p:.3g}){alone}."
        )
    return said


def _skewed(pair: CurvePair, findings: CurvesFindings) -> list[str]:
    if not pair.is_strongly_skewed or pair.skewness is None or not (pair.estimate and pair.estimate.interval):
        return []
    return [skewness_reservation(pair.skewness, findings.request.confidence)]


def _readouts(pair: CurvePair, findings: CurvesFindings) -> list[str]:
    """Where the verdict depends on how a curve is read out."""
    words = wording(pair, findings)
    others = [found for found in pair.by_readout[1:] if found.worst_case != pair.verdict]
    listed = "; ".join(
        f"{found.readout.title}: {found.worst_case}"
        + (f", {words.amount(found.mean, signed=True)}" if found.mean is not None else "")
        for found in others
    )
    return [f"The verdict depends on the readout ({listed})."] if others else []


def _crossovers(pair: CurvePair) -> list[str]:
    if not pair.crossovers:
        return []
    last, times = pair.crossovers[-1], len(pair.crossovers)
    more = f", the last of {times} times" if times > 1 else ""
    return [
        f"The mean curves change order at about step {last.step:,.0f}{more}; {last.leader_after} leads from there on"
        f" ({last.num_agree} of {last.num_seeds} seeds agree)."
    ]
