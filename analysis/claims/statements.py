"""The words of a claim, from its row of claims.json and nothing else: the verdict in a sentence, then what speaks
for doubting it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, cast

from analysis.findings.cells import levels_title
from analysis.statistics.intervals import Interval, Verdict
from analysis.statistics.pairs import (
    Estimate,
    Wording,
    capital,
    size_reservation,
    skewness_reservation,
    verdict_sentence,
)

Row = Mapping[str, Any]
MOST_DECIMALS = 6
SAID_OF_ROBUSTNESS = frozenset(
    {
        "overturned_by_one_seed",
        "undecided_because_of_one_seed",
        "overturned_by_neighbouring_proposal",
        "mean_and_median_disagree",
        "sign_test_does_not_confirm",
    }
)


def statement_of(row: Row) -> str:
    """The claim in a few sentences: the verdict with its numbers and horizon, then every reservation that its row
    holds."""
    return " ".join([verdict_of(row), *reservations_of(row)])


def verdict_of(row: Row) -> str:
    """The verdict with its estimate, interval, p and number of pairs, as one sentence; or why there is none."""
    words, asks = _wording(row), _asks(row)
    if not row["num_cell_pairs"]:
        at = _at(row)
        return f"{asks} cannot be said: the study has no two cells{at} that differ in {row['factor']} alone."
    if row["not_comparable_in"]:
        return (
            f"{asks} cannot be said: they differ in {' and '.join(row['not_comparable_in'])}, and bounds of different"
            " data are no measure of the same thing."
        )
    if row["estimate_nats"] is None:
        if row["verdict"] in ("better", "worse"):
            return _worst_case_sentence(row, words)
        return f"Inconclusive: {asks[:1].lower()}{asks[1:]} {words.where} cannot be said, because {_why_not(row)}."
    return verdict_sentence(
        words,
        cast(Verdict, row["verdict"]),
        _estimate(row),
        int(row["n"]),
        float(row["confidence"]),
        _margin(row),
        row["holm_p"],
    )


def _margin(row: Row) -> float:
    """The margin in nats; 0 where there is none."""
    return float(row["equivalence_margin_nats"] or 0.0)


def _asks(row: Row) -> str:
    words = _wording(row)
    return f"Whether {words.level} {words.verb} better than {words.baseline}"


def _at(row: Row) -> str:
    return f" with {levels_title(row['at'])}" if row["at"] else ""


def _wording(row: Row) -> Wording:
    level = str(row["level_title"])
    readout = "" if row["readout"] == "final" else f"{row['readout']} "
    metric = str(row["metric"]).replace("/", " ").replace("_", " ")
    where = f"in the {readout}{metric} {_horizon(row)}{_at(row)}"
    return Wording(
        level,
        str(row["baseline_title"]),
        where,
        is_plural=_is_plural(level),
        decimals=decimals_of([row["estimate_nats"], *(row["interval_nats"] or ())]),
    )


def _horizon(row: Row) -> str:
    horizons = [f"{samples:,}" for samples in row["horizons_samples"]]
    if len(horizons) > 1:
        return f"at the ends of budgets that differ, {' and '.join(horizons)} training samples"
    return (
        ("up to " if row["readout"] == "best" else "after ") + f"{horizons[0]} training samples"
        if horizons
        else "at the end of the budget"
    )


def decimals_of(numbers: Iterable[float | None]) -> int:
    """How many decimals show all of them in nats: two, and so many more that none which is not 0 looks like it."""
    sizes = [abs(number) for number in numbers if number]
    return min(MOST_DECIMALS, max(2, math.ceil(-math.log10(2 * min(sizes))))) if sizes else 2


def _is_plural(title: str) -> bool:
    return title.endswith("s") and title[:1].isdigit()


def _interval(pair: list[float | None] | None) -> Interval | None:
    return Interval(float(pair[0]), float(pair[1])) if pair and pair[0] is not None and pair[1] is not None else None


def _estimate(row: Row) -> Estimate:
    return Estimate(
        mean=row["estimate_nats"],
        median=row["median_nats"],
        interval=_interval(row["interval_nats"]),
        p=row["p"],
        sign_test_p=row["sign_test_p"],
        bca=_interval(row["bca_interval_nats"]),
        correlation=row["correlation"],
        minimum_detectable_effect=row["minimum_detectable_effect_nats"],
    )


def _worst_case_sentence(row: Row, words: Wording) -> str:
    """A verdict that holds though trainings diverged: they are counted as the worst outcome there is, so that no
    mean can be given."""
    low, high = row["worst_case_interval_nats"]
    end = high if row["verdict"] == "worse" else low
    corrected = (
        f" and {row['holm_p']:.3g} by Holm's correction"
        if row["holm_p"] is not None and row["holm_p"] > row["p"]
        else ""
    )
    least = f"by at least {words.amount(abs(end))} {words.where}" if end is not None else words.where
    return (
        f"{capital(words.level)} {words.verb} {row['verdict']} than {words.baseline} {least} ({_diverged(row)}, counted"
        f" as the worst outcome there is, so that there is no mean; p = {row['p']:.3g}{corrected}, {row['n']} paired"
        " seeds)."
    )


def _diverged(row: Row) -> str:
    return f"{row['num_diverged_level']} of its trainings and {row['num_diverged_baseline']} of the baseline's diverged"


def _why_not(row: Row) -> str:
    if row["num_without_winner"]:
        return "at least one of its cells has no winner to compare: every proposal of its search diverged"
    if row["num_missing"] + row["num_failed"]:
        missing, failed = row["num_missing"], row["num_failed"]
        return " and ".join(
            [
                *([f"{_trainings(missing)} {_are(missing)} missing"] if missing else []),
                *([f"{_trainings(failed)} failed"] if failed else []),
            ]
            + (
                [f"{_diverged(row)}, and a mean over the others would flatter them"]
                if row["num_diverged_level"] + row["num_diverged_baseline"] > failed
                else []
            )
        )
    if row["num_unread"]:
        if row["readout"] == "final":
            return f"{_trainings(row['num_unread'])} ended without {'it' if row['num_unread'] == 1 else 'one'}"
        return (
            f"{_trainings(row['num_unread'])} {'was' if row['num_unread'] == 1 else 'were'} measured too seldom for the"
            f" readout, {row['readout']}"
        )
    return f"{_diverged(row)}, and a mean over the others would flatter them"


def _trainings(number: int) -> str:
    return f"{number} training" + ("" if number == 1 else "s")


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def reservations_of(row: Row) -> list[str]:
    """What a reader of the verdict has to know besides it, one sentence each."""
    said = [*_scope(row), *_incomplete(row), *_codes(row)]
    if row["verdict"] in ("better", "worse"):
        said += _against_a_decision(row)
    if row["verdict"] != "inconclusive" and row["kind"] == "exploratory":
        said.append(
            "This is exploration: nobody declared it beforehand, and it is not corrected for the number of comparisons"
            " made."
        )
    said += [
        finding["sentence"]
        for finding in row["robustness"]
        if finding["speaks_against"] and finding["label"] in SAID_OF_ROBUSTNESS
    ]
    return [*said, *_skewed(row), *_readouts(row), *_crossovers(row), *_edges(row), *_declared(row)]


def _scope(row: Row) -> list[str]:
    said = (
        [f"It is the average over {row['num_cell_pairs']} pairs of cells, taken within each seed."]
        if row["num_cell_pairs"] > 1
        else []
    )
    if row["margin_from_noise_floor"] and row["equivalence_margin_nats"] is None and row["num_cell_pairs"]:
        said.append(
            "The noise floor that was to say which differences matter cannot be had, so that no verdict can be given"
            " but one against its own cell where that diverged."
        )
    return said


def _codes(row: Row) -> list[str]:
    if row["num_code_versions"] < 2:
        return []
    if row["code_differs_between_sides"]:
        return [
            "The two sides were trained by different versions of the code, so that the difference may be the code's."
        ]
    return [
        f"Its trainings were made by {row['num_code_versions']} versions of the code, so that some of the difference"
        " may be the code's."
    ]


def _incomplete(row: Row) -> list[str]:
    said = []
    if row["num_missing"] + row["num_failed"] and row["estimate_nats"] is not None:
        missing, failed = row["num_missing"], row["num_failed"]
        what = [
            *([f"{_trainings(missing)} of these cells {_are(missing)} missing"] if missing else []),
            *([f"{_trainings(failed)} of these cells failed"] if failed else []),
        ]
        said.append(f"The study is incomplete: {' and '.join(what)}.")
    failed = row["num_failed_to_learn_level"] + row["num_failed_to_learn_baseline"]
    if failed:
        said.append(f"{_trainings(failed)} failed to learn and {_are(failed)} counted in.")
    return said


def _against_a_decision(row: Row) -> list[str]:
    said = []
    size = size_reservation(
        _wording(row), cast(Verdict, row["verdict"]), _interval(row["interval_nats"]), _margin(row)
    ).strip()
    if size:
        said.append(size)
    if row["holm_p"] is not None and row["holm_p"] > 1 - row["confidence"]:
        alone = (
            ", though as the primary claim it was declared to stand by its own p" if row["kind"] == "primary" else ""
        )
        said.append(f"It does not survive Holm's correction over the declared claims (p = {row['holm_p']:.3g}){alone}.")
    step = row["learning_rate_step"]
    if step and step["overturns"]:
        cost = "diverged" if step["cost_nats"] is None else f"was {step['cost_nats']:.2f} nats worse"
        said.append(
            f"Overturned by one step of the learning rate: on the tuning seeds the proposal of {step['cell']} next to"
            f" its winner ({step['from']:.3g} to {step['to']:.3g}) {cost}, no less than the difference."
        )
    return said


def _skewed(row: Row) -> list[str]:
    if not row["strongly_skewed"] or row["interval_nats"] is None:
        return []
    return [skewness_reservation(row["skewness"], row["confidence"])]


def _readouts(row: Row) -> list[str]:
    """Where the verdict depends on how a curve is read out; nothing to say of a verdict that is open for want of
    data."""
    if (
        row["num_missing"] + row["num_failed"] + row["num_unread"] + row["num_without_winner"]
        or row["not_comparable_in"]
    ):
        return []
    unread = [str(one["title"]) for one in row["readout_verdicts"][1:] if one["verdict"] == "not read"]
    others = [one for one in row["readout_verdicts"][1:] if not one["holds"] and one["verdict"] != "not read"]
    listed = "; ".join(
        f"{one['title']}: {one['verdict']}"
        + (f", {one['estimate_nats']:+.2f} nats" if one["estimate_nats"] is not None else "")
        for one in others
    )
    said = [f"The verdict depends on the readout ({listed})."] if others else []
    return said + (
        [f"What it would be by another readout cannot be said where not every training has one ({'; '.join(unread)})."]
        if unread
        else []
    )


def _crossovers(row: Row) -> list[str]:
    if not row["crossovers"]:
        return []
    last, times = row["crossovers"][-1], len(row["crossovers"])
    more = f", the last of {times} times" if times > 1 else ""
    leads = f"{last['leader_after']} {'lead' if _is_plural(str(last['leader_after'])) else 'leads'}"
    agree = f"{last['num_agree']} of {last['num_seeds']} seeds agree"
    return [
        f"The mean learning curves change order at about {last['samples']:,.0f} samples{more}; {leads} from there on"
        f" ({agree})."
    ]


def _edges(row: Row) -> list[str]:
    rounds, unequal = int(row["extra_rounds"]), _unequal(row)
    if row["edges_touched"]:
        tried = f" after {'up to ' if unequal else ''}{_extra_rounds(rounds)} in wider spaces" if rounds else ""
        return [f"A winner lies on the edge of its search{tried}, so that a wider search may change this.", *unequal]
    if unequal or not rounds:
        return unequal
    return [
        f"Every search was extended by {rounds} round{'s' if rounds > 1 else ''}, as a winner lay on the edge of its"
        " space; none does now."
    ]


def _unequal(row: Row) -> list[str]:
    """That the two sides of a pair were given different numbers of proposals, as no claim binds their searches to
    each other."""
    if not row["searched_unequally"]:
        return []
    level, baseline = int(row["extra_rounds_level"]), int(row["extra_rounds_baseline"])
    if level == baseline:
        return [
            f"Within its pairs cells were searched unequally, with up to {_extra_rounds(level)} more: the difference"
            " may be that of the searches."
        ]
    sides = f"{row['level_title']} with {_extra_rounds(level)}, {row['baseline_title']} with {_extra_rounds(baseline)}"
    return [f"The two sides were searched unequally ({sides}): the difference may be that of the searches."]


def _extra_rounds(number: int) -> str:
    return f"{number or 'no'} extra round{'' if number == 1 else 's'}"


def _declared(row: Row) -> list[str]:
    sentence = row["declared"].get("sentence")
    return [str(sentence)] if sentence else []
