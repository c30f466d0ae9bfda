"""A study in a sentence: its design, people and outcomes, and how far its conditions moved the answers."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

from socrates_core.corpus.queries import Corpus
from socrates_core.records import Factor, crossing_sentence
from socrates_core.scales.rendering import number_text
from socrates_core.studies.answers import (
    Comparisons,
    HumanEffect,
    OptionEffects,
    Outline,
    StudyItem,
    compare_conditions,
    read_outline,
)
from socrates_core.studies.arms import NUMBERED, alike, read_arms

CLEAR = 0.05  # p after Holm's correction
ADULT = 18
TWO = 2
LONGEST = 100  # characters of an outcome's name
REPEATED = 0.9  # of a text's words that another repeats
ODD = 0.2  # by which texts are more like each other than like the control's
_CONTROL = re.compile(r"\b(control|placebo|baseline|neutral|no|none|not|without)\b", re.IGNORECASE)


@dataclass(frozen=True)
class StudyOverview:
    """A study's design and main finding, with what of them is worked out instead of stated by the source.

    `labels` name the conditions by number. `control` is None if nothing says which one it is; `reference` is what the
    finding is compared with, the first condition without a control. `headline` is the item of the finding, None if
    nothing could be compared.
    """

    design: str
    people: str
    finding: str
    factors: tuple[Factor, ...]
    labels: dict[int, str]
    control: int | None
    reference: int
    headline: tuple[int, str] | None
    worked_out: tuple[str, ...]

    @property
    def sentence(self) -> str:
        return f"{self.design}; {self.people}. {self.finding}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "sentence": self.sentence,
            "factors": [asdict(factor) for factor in self.factors],
            "labels": {str(number): label for number, label in self.labels.items()},
            "control": self.control,
            "reference": self.reference,
            "headline": None
            if self.headline is None
            else dict(zip(("task_num", "part"), self.headline, strict=True)),
            "worked_out": list(self.worked_out),
        }


def read_overview(corpus: Corpus, study_id: str) -> StudyOverview:
    """The study's overview. Raises UserError if there is no such study or its answers are hidden."""
    record = corpus.study(study_id)
    plan = read_outline(corpus, study_id)
    texts: dict[int, list[str]] = {}
    for stimulus in corpus.stimuli(study_id):
        texts.setdefault(stimulus.condition_num, []).append(stimulus.condition_text)
    arms = read_arms(plan.conditions, texts)
    stored = corpus.design(study_id).factors
    factors = stored or arms.factors
    worked_out = ["the names of the conditions"] if arms.labels_worked_out else []
    if factors and not stored:
        worked_out.append("the factors")
    if record.title.endswith(f"({study_id})"):
        worked_out.append("the title")
    control = record.reference_condition
    if control is None and len(arms.labels) > 1:
        control = guess_control(arms.labels, texts)
        worked_out.append(
            "the control" if control is not None else "the reference, which is the first condition"
        )
    people = corpus.participants([study_id])
    ages = people["age"].dropna()
    grown = len(ages) == len(people) and bool((ages >= ADULT).all())
    who = _counted(record.n_participants, "adult" if grown else "person", "adults" if grown else "people")
    reference = control if control is not None else next(iter(arms.labels))
    compared = compare_conditions(corpus, study_id, reference)
    best = _headline(compared)
    return StudyOverview(
        design=_design_words(arms.labels, stored, arms.factors, record.design),
        people=f"{who}, {_counted(record.n_outcomes, 'outcome', 'outcomes')}",
        finding=_Words(plan.items, _short_names(plan), arms.labels, reference).finding(compared, best),
        factors=factors,
        labels=arms.labels,
        control=control,
        reference=reference,
        headline=(best.task_num, best.part) if best else None,
        worked_out=tuple(worked_out),
    )


def guess_control(labels: Mapping[int, str], all_texts: Mapping[int, Sequence[str]]) -> int | None:
    """The condition that is probably the control, None if nothing speaks for one.

    It has no text, is named like a control, is repeated by all others with something added, or is unlike the others,
    which are like each other. `all_texts` are the texts that each condition was shown.
    """
    texts = {number: of_condition[0] for number, of_condition in all_texts.items()}
    empty = [number for number, text in texts.items() if not text.strip()]
    if len(empty) == 1:
        return empty[0]
    for where in (labels, texts):
        named = [number for number in labels if _CONTROL.search(where[number][:60])]
        if len(named) == 1:
            return named[0]
    if any(len(set(of_condition)) > 1 for of_condition in all_texts.values()):
        return None  # texts of one condition differ as much as those of two
    words = {number: text.split() for number, text in texts.items()}
    matched = {frozenset(pair): alike(*(words[number] for number in pair)) for pair in combinations(words, 2)}
    repeated = [
        number
        for number, own in words.items()
        if all(
            len(words[other]) > len(own)
            and sum(block.size for block in matched[frozenset({number, other})].get_matching_blocks())
            > REPEATED * len(own)
            for other in words
            if other != number
        )
    ]
    if len(repeated) == 1:
        return repeated[0]
    ratio = {pair: matcher.ratio() for pair, matcher in matched.items()}
    odd = [
        number
        for number in words
        if len(words) > TWO
        and min(ratio[pair] for pair in ratio if number not in pair)
        > ODD + max(ratio[pair] for pair in ratio if number in pair)
    ]
    return odd[0] if odd else None


def _design_words(
    labels: Mapping[int, str], stated: Sequence[Factor], worked_out: Sequence[Factor], design: str
) -> str:
    within = {"within": ", all seen by each person", "mixed": ", some people in several"}.get(design, "")
    if stated:
        return crossing_sentence(stated).rstrip(".") + within
    if worked_out:
        levels = [list(dict.fromkeys(factor.level_of_condition)) for factor in worked_out]
        sizes = " x ".join(str(len(names)) for names in levels)
        return f"{sizes}: {' x '.join(_listed(names, 'or') for names in levels)}{within}"
    n = len(labels)
    if n == 1:
        return "One condition"
    if n > 4 or any(NUMBERED.fullmatch(name) for name in labels.values()):
        return f"{n} conditions{within}"
    return f"{n} conditions: {_listed(list(labels.values()), 'or')}{within}"


def _listed(names: Sequence[str], word: str) -> str:
    quoted = [f"“{name}”" for name in names]
    if len(quoted) < 3:
        return f" {word} ".join(quoted)
    return f"{', '.join(quoted[:-1])}, {word} {quoted[-1]}"


def _counted(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"


def _headline(compared: Comparisons) -> HumanEffect | OptionEffects | None:
    """The largest clear difference, as a share of its scale; the one with the smallest p if none is clear."""
    rows: list[HumanEffect | OptionEffects] = [*compared.effects, *compared.options]
    clear = [row for row in rows if row.p_holm < CLEAR]
    if clear:
        return max(clear, key=_size)
    tested = [row for row in rows if not math.isnan(row.p_holm)]
    return min(tested, key=lambda row: row.p_holm, default=None)


def _size(row: HumanEffect | OptionEffects) -> float:
    """How large a difference is, in standard deviations where it is one of means."""
    if isinstance(row, OptionEffects):
        return TWO * float(abs(row.shares.difference).max())
    return abs(row.effect.d) if math.isfinite(row.effect.d) else 0.0


@dataclass(frozen=True)
class _Words:
    """Puts a difference into words; `names` are short names of the items, `labels` those of the conditions."""

    items: Sequence[StudyItem]
    names: Mapping[tuple[int, str], str]
    labels: Mapping[int, str]
    reference: int

    def finding(self, compared: Comparisons, best: HumanEffect | OptionEffects | None) -> str:
        if len(self.labels) == 1:
            return "There is nothing to compare."
        if best is None:
            return "No two conditions have enough answers to be compared."
        n = len(compared.effects) + len(compared.options)
        is_clear = best.p_holm < CLEAR
        reference = self.labels[self.reference]
        if not is_clear and n > 1:
            return f"No difference is clear after correction for {n} comparisons with “{reference}”."
        moved = self._option_moved(best) if isinstance(best, OptionEffects) else self._moved(best)
        sentence = f"“{self.labels[best.condition_num]}” {moved}, compared with “{reference}”."
        return sentence if is_clear else f"No clear difference: {sentence}"

    def _moved(self, best: HumanEffect) -> str:
        """As in "moved “Anxiety” by 0.46 of 3 points toward “very anxious” (95% interval 0.20 to 0.72)"."""
        item = next(item for item in self.items if item.key == (best.task_num, best.part))
        name = self.names[item.key]
        effect = best.effect
        scale = item.one_scale
        sign = 1 if effect.difference >= 0 else -1
        # In the direction of the difference, so that a reader need not turn minus signs around.
        low, high = sorted((sign * effect.low, sign * effect.high))
        if best.n_options == TWO and best.span and scale is not None:
            top = max(scale.values)
            shares = tuple(number / best.span for number in (abs(effect.difference), low, high))
            return _share_moved(sign, shares, scale.label(top) or number_text(top), name)
        end = ""
        if scale is not None and scale.values:
            end = scale.label(max(scale.values) if sign > 0 else min(scale.values))
        way = f"toward “{end}”" if end else ""
        direction = "" if end else ("up " if sign > 0 else "down ")
        about = f"answers to “{name}”" if name.endswith(("?", "…")) else f"“{name}”"
        if best.basis == "positions":
            size = f"{100 * abs(effect.difference):.0f}% of the scale"
            low, high = 100 * low, 100 * high
        else:
            of = "" if best.span is None else f" of {number_text(best.span)} points"
            size = f"{_plain(abs(effect.difference))}{of}"
        return " ".join(filter(None, [f"moved {about} {direction}by {size}", way, _interval(low, high)]))

    def _option_moved(self, best: OptionEffects) -> str:
        at = int(abs(best.shares.difference).argmax())
        value, label = best.options[at]
        difference, low, high = (
            float(getattr(best.shares, name)[at]) for name in ("difference", "low", "high")
        )
        sign = 1 if difference >= 0 else -1
        shares = (abs(difference), *sorted((sign * low, sign * high)))
        return _share_moved(sign, shares, label or number_text(value), self.names[best.task_num, best.part])


def _share_moved(sign: int, shares: Sequence[float], label: str, name: str) -> str:
    """`shares` are the size of the difference and the ends of its interval."""
    size, low, high = (100 * share for share in shares)
    verb = "raised" if sign > 0 else "lowered"
    interval = f" (95% interval {low:.0f} to {high:.0f})" if math.isfinite(low) else ""
    return f"{verb} the share of “{label}” in “{name}” by {size:.0f} percentage points{interval}"


def _interval(low: float, high: float) -> str:
    return f"(95% interval {_plain(low)} to {_plain(high)})" if math.isfinite(low) else ""


def _plain(number: float) -> str:
    """Two or three significant digits."""
    if abs(number) >= 10:
        return f"{number:,.0f}"
    return f"{number:.2f}" if abs(number) < 1 else f"{number:#.3g}"


def _short_names(plan: Outline) -> dict[tuple[int, str], str]:
    """A short name for each item: its own, or what was asked if the data only number or code it."""
    names = {}
    for item in plan.items:
        words = re.sub(r"^\S+: (?=\w)", "", item.name) if item.question else item.name
        if re.fullmatch(r"Outcome \d+", words):
            words = item.question or _asked(plan.texts[min(item.scales)]) or words
        words = " ".join(words.split())
        names[item.key] = words if len(words) <= LONGEST else words[: LONGEST - 1].rsplit(" ", 1)[0] + "…"
    return names


def _asked(text: str) -> str:
    """The sentence of a text that asks: the last one with a question mark, or the first that says how."""
    sentences = re.split(r"(?<=[.?!])\s+", text.strip())
    questions = [one for one in sentences if one.endswith("?")]
    if questions:
        return questions[-1]
    asking = [one for one in sentences if re.search(r"\bhow\b", one, re.IGNORECASE)]
    return asking[0] if asking else ""
