"""A study in a sentence: its design, people and outcomes, and how far its conditions moved the answers."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from socrates_core.corpus.queries import Corpus
from socrates_core.records import Factor, Scale
from socrates_core.scales.rendering import number_text
from socrates_core.studies.answers import (
    Comparisons,
    HumanEffect,
    OptionEffects,
    StudyItem,
    compare_conditions,
    read_outline,
)
from socrates_core.studies.arms import read_arms

CLEAR = 0.05  # p after Holm's correction
ADULT = 18
TWO = 2
_CONTROL = re.compile(r"\b(control|placebo|baseline|neutral|no|none|not|without)\b", re.IGNORECASE)


@dataclass(frozen=True)
class StudyOverview:
    """A study's design and main finding, with what of them is worked out instead of stated by the source.

    `labels` name the conditions by number. `control` is the condition that the finding is compared with, None if a
    study has one condition. `headline` is the item of the finding, None if nothing could be compared.
    """

    design: str
    people: str
    finding: str
    factors: tuple[Factor, ...]
    labels: dict[int, str]
    control: int | None
    headline: tuple[int, str] | None
    worked_out: tuple[str, ...]

    @property
    def sentence(self) -> str:
        return f"{self.design}; {self.people}. {self.finding}"


def overview(corpus: Corpus, study_id: str) -> StudyOverview:
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
        control = guess_control(arms.labels, {number: of[0] for number, of in texts.items()})
        worked_out += ["the control"] if control is not None else []
    people = corpus.participants([study_id])
    ages = people["age"].dropna()
    grown = len(ages) == len(people) and bool((ages >= ADULT).all())
    who = _counted(record.n_participants, "adult" if grown else "person", "adults" if grown else "people")
    reference = control if control is not None else next(iter(arms.labels))
    compared = compare_conditions(corpus, study_id, reference)
    names = _distinct_names(plan.items)
    best = _headline(compared)
    return StudyOverview(
        design=_design_words(arms.labels, factors, record.design),
        people=f"{who}, {_counted(record.n_outcomes, 'outcome', 'outcomes')}",
        finding=_finding(compared, best, arms.labels, reference, plan.items, names),
        factors=factors,
        labels=arms.labels,
        control=control,
        headline=(best.task_num, best.part) if best else None,
        worked_out=tuple(worked_out),
    )


def guess_control(labels: Mapping[int, str], texts: Mapping[int, str]) -> int | None:
    """The condition that is probably the control: the only one without a text, or named like one; else None."""
    empty = [number for number, text in texts.items() if not text.strip()]
    if len(empty) == 1:
        return empty[0]
    for where in (labels, texts):
        named = [number for number in labels if _CONTROL.search(where[number][:60])]
        if len(named) == 1:
            return named[0]
    # A text that all others repeat and add to.
    words = {number: text.casefold().split() for number, text in texts.items()}
    for number, own in words.items():
        others = [other for key, other in words.items() if key != number]
        if own and all(
            len(other) > len(own) and set(own) <= set(_bare(other)) | set(other) for other in others
        ):
            return number
    return None


def _bare(words: Sequence[str]) -> list[str]:
    return [word.strip(".,;:?!") + end for word in words for end in ("", ".", "?", ",")]


def _design_words(labels: Mapping[int, str], factors: Sequence[Factor], design: str) -> str:
    within = {"within": ", all seen by each person", "mixed": ", some people in several"}.get(design, "")
    if factors:
        sizes = " x ".join(str(len(set(factor.level_of_condition))) for factor in factors)
        levels = " x ".join(
            _listed(list(dict.fromkeys(factor.level_of_condition)), "or") for factor in factors
        )
        return f"{sizes}: {levels}{within}"
    n = len(labels)
    if n == 1:
        return "One condition"
    if n > 4 or any(name.startswith("Condition ") for name in labels.values()):
        return f"{n} conditions{within}"
    return f"{n} conditions, {_listed(list(labels.values()), 'or')}{within}"


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
    if isinstance(row, OptionEffects):
        return float(abs(row.shares.difference).max())
    return abs(row.effect.share) if math.isfinite(row.effect.share) else 0.0


def _finding(
    compared: Comparisons,
    best: HumanEffect | OptionEffects | None,
    labels: Mapping[int, str],
    reference: int,
    items: Sequence[StudyItem],
    names: Mapping[tuple[int, str], str],
) -> str:
    if len(labels) == 1:
        return "There is nothing to compare."
    if best is None:
        return "No two conditions have enough answers to be compared."
    item = next(item for item in items if item.key == (best.task_num, best.part))
    moved = f"“{labels[best.condition_num]}” {_moved(best, item, names[item.key])}, compared with “{labels[reference]}”"
    if best.p_holm < CLEAR:
        return f"{moved}{_interval(best, item)}."
    n = len(compared.effects) + len(compared.options)
    if n == 1:
        return f"No clear difference: {moved}{_interval(best, item)}."
    return f"No difference is clear after correction for {n} comparisons with “{labels[reference]}”."


def _moved(best: HumanEffect | OptionEffects, item: StudyItem, name: str) -> str:
    """What the condition did to the outcome, as in "moved “Anxiety” 0.46 of 3 points toward “very anxious”"."""
    if isinstance(best, OptionEffects):
        at = int(abs(best.shares.difference).argmax())
        value, label = best.options[at]
        difference = float(best.shares.difference[at])
        return _share_moved(difference, label or number_text(value), name)
    scale = item.one_scale
    effect = best.effect
    if best.n_options == TWO and scale is not None:
        high = max(scale.values)
        return _share_moved(effect.share, _label(scale, high) or number_text(high), name)
    end = ""
    if scale is not None and scale.values:
        end = _label(scale, max(scale.values) if effect.difference > 0 else min(scale.values))
    way = f"toward “{end}”" if end else ("up" if effect.difference > 0 else "down")
    about = f"answers to “{name}”" if name.endswith(("?", "…")) else f"“{name}”"
    return f"moved {about} {_points(abs(effect.difference), best)} {way}"


def _points(size: float, best: HumanEffect) -> str:
    if best.basis == "positions":
        return f"{100 * size:.0f}% of the scale"
    if best.span is None:
        return f"by {size:,.3g}"
    return f"{_plain(size)} of {number_text(best.span)} points"


def _plain(number: float) -> str:
    return f"{number:.2f}" if abs(number) < 10 else f"{number:.0f}"


def _share_moved(difference: float, label: str, name: str) -> str:
    verb = "raised" if difference > 0 else "lowered"
    return f"{verb} the share who chose “{label}” by {abs(100 * difference):.0f} percentage points (“{name}”)"


def _label(scale: Scale, value: float) -> str:
    return next((label for known, label in scale.labels if known == value), "")


def _interval(best: HumanEffect | OptionEffects, item: StudyItem) -> str:
    if isinstance(best, OptionEffects):
        at = int(abs(best.shares.difference).argmax())
        low, high = 100 * float(best.shares.low[at]), 100 * float(best.shares.high[at])
        return f" (95% interval {low:.0f} to {high:.0f})" if math.isfinite(low) else ""
    low, high = best.effect.low, best.effect.high
    if not math.isfinite(low):
        return ""
    if best.n_options == TWO or best.basis == "positions":
        span = best.span or 1.0
        return f" (95% interval {100 * low / span:.0f} to {100 * high / span:.0f})"
    return f" (95% interval {_plain(low)} to {_plain(high)})"


def _distinct_names(items: Sequence[StudyItem]) -> dict[tuple[int, str], str]:
    """A short name for each item: its own, or its question if the data only number it."""
    names = {}
    for item in items:
        numbered = re.fullmatch(r"Outcome \d+", item.name)
        words = " ".join((item.question if numbered and item.question else item.name).split())
        names[item.key] = words if len(words) <= 100 else words[:99].rsplit(" ", 1)[0] + "…"
    return names
