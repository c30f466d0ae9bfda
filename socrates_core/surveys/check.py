"""What is still wrong with a draft, as sentences to show next to the field that they are about."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from socrates_core.errors import UserError
from socrates_core.personas import label
from socrates_core.populations.bands import BANDS, overlapping
from socrates_core.populations.panel import PanelSpec
from socrates_core.populations.shares import whole_of
from socrates_core.records import DEMOGRAPHICS
from socrates_core.scales import check_scale
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.originals import original_cells, texts_of, worded_by_condition

MAX_PANEL = 100_000
# Drafts of earlier versions wrote shares as text, in which two of them could be read as one value.
_HOLDS_SHARES = re.compile(r"\s\d*[.]?\d+%?\s*[,;\n]\s*\S")


@dataclass(frozen=True)
class Problem:
    """`field` is a path such as "conditions.0.text", or "" for the draft as a whole."""

    field: str
    message: str


def problems(draft: Draft) -> list[Problem]:
    """Everything that must be fixed before the draft can be run, in the order of the form."""
    return [*_conditions(draft), *_outcomes(draft), *_panel(draft.panel)]


def warnings(draft: Draft) -> list[Problem]:
    """What a person should know before running this draft, without having to change it."""
    return [*_shown_alike(draft), *_reworded(draft), *_uncrossed(draft)]


def require_runnable(draft: Draft) -> None:
    """Raises UserError with the first problems of a draft that cannot be run."""
    faults = problems(draft)
    if faults:
        listed = " ".join(f"{_place(problem.field)}{problem.message}" for problem in faults[:5])
        more = f" And {len(faults) - 5} more." if len(faults) > 5 else ""
        raise UserError(f"The draft {draft.title!r} cannot be run yet. {listed}{more}")


def _place(field: str) -> str:
    part, _, rest = field.partition(".")
    number, _, name = rest.partition(".")
    if not number.isdigit():
        return ""
    return f"{part.rstrip('s').capitalize()} {int(number) + 1}{', ' + name if name else ''}: "


def _conditions(draft: Draft) -> Iterator[Problem]:
    if not draft.conditions:
        yield Problem("conditions", "Add at least one condition.")
    yield from _names("conditions", [condition.name for condition in draft.conditions])
    for index, condition in enumerate(draft.conditions):
        bare = not condition.text.strip()
        # An outcome taken from a study may ask within the condition's text, so that text must be there.
        if bare and any(
            not outcome.question.strip() and outcome.source is not None for outcome in draft.outcomes
        ):
            yield Problem(f"conditions.{index}.text", "Write what people of this condition read.")
    shown = _all_shown(draft)
    for index, condition in enumerate(draft.conditions):
        if shown.count(shown[index]) > 1:
            yield Problem(
                f"conditions.{index}.text",
                f"{condition.name or 'This condition'} reads the same as another condition; "
                "a model cannot tell them apart. Change the text or remove one.",
            )
    names = [condition.name for condition in draft.conditions]
    if draft.reference and draft.reference not in names:
        yield Problem(
            "reference",
            f"The reference {draft.reference!r} is no condition. Choose one of: {', '.join(names)}.",
        )


def _all_shown(draft: Draft) -> list[tuple[str, ...]]:
    """What each condition reads, with every outcome where its text alone does not tell it from the others."""
    read: list[tuple[str, ...]] = [(condition.text.strip(),) for condition in draft.conditions]
    if len(set(read)) == len(read) or not draft.outcomes:
        return read
    texts = texts_of(draft)
    return [tuple(texts[c, o] for o in range(len(draft.outcomes))) for c in range(len(read))]


def _shown_alike(draft: Draft) -> Iterator[Problem]:
    """The outcomes for which several conditions show the same words, where they differ in other outcomes."""
    texts = texts_of(draft)
    for o in range(len(draft.outcomes)):
        names: dict[str, list[str]] = {}
        for c, condition in enumerate(draft.conditions):
            names.setdefault(texts[c, o], []).append(condition.name)
        for alike in names.values():
            if len(alike) > 1:
                yield Problem(
                    f"outcomes.{o}.question",
                    f"{' and '.join(alike)} show the same words here, so a model cannot tell them apart: "
                    "no difference between them can be predicted for this outcome.",
                )


def _reworded(draft: Draft) -> Iterator[Problem]:
    """The outcomes that the study words differently by condition, where an edited cell has lost that wording."""
    originals = original_cells(draft)
    for o in sorted(worded_by_condition(draft)):
        edited = [condition.name for c, condition in enumerate(draft.conditions) if (c, o) not in originals]
        if edited:
            yield Problem(
                f"outcomes.{o}.question",
                "The study words this question differently from condition to condition. After your edit "
                f"{' and '.join(edited)} show the question as it stands here; what the study says in it about their "
                "condition is lost. Write it into their text.",
            )


def _uncrossed(draft: Draft) -> Iterator[Problem]:
    """Why there will be no main effects, where somebody has begun to name the levels of factors."""
    levels = [condition.levels for condition in draft.conditions]
    names = list(dict.fromkeys(name for condition in levels for name in condition))
    if not names or draft.design.factors:
        return
    places = "There will be no main effects and interactions:"
    for condition in draft.conditions:
        missing = [name for name in names if not condition.levels.get(name, "").strip()]
        if missing:
            yield Problem(
                "factors",
                f"{places} {condition.name or 'a condition'} has no level of {' and '.join(missing)}.",
            )
            return
    varied = [name for name in names if len({condition[name] for condition in levels}) > 1]
    if len(varied) < 2:
        yield Problem("factors", f"{places} they need two factors whose levels differ between conditions.")
        return
    first_with: dict[tuple[str, ...], str] = {}
    for condition in draft.conditions:
        cell = tuple(condition.levels[name] for name in varied)
        if cell in first_with:
            yield Problem(
                "factors",
                f"{places} {first_with[cell]} and {condition.name} have the same levels. Give each condition its own "
                "combination.",
            )
            return
        first_with[cell] = condition.name


def _outcomes(draft: Draft) -> Iterator[Problem]:
    if not draft.outcomes:
        yield Problem("outcomes", "Add at least one outcome.")
    yield from _names("outcomes", [outcome.name for outcome in draft.outcomes])
    for index, outcome in enumerate(draft.outcomes):
        if not outcome.question.strip() and outcome.source is None:
            yield Problem(f"outcomes.{index}.question", "Write the question.")
        try:
            check_scale(outcome.scale.scale())
        except UserError as error:
            yield Problem(f"outcomes.{index}.scale", str(error))


def _names(part: str, names: list[str]) -> Iterator[Problem]:
    counts = Counter(name.strip() for name in names)
    for index, name in enumerate(names):
        if not name.strip():
            yield Problem(f"{part}.{index}.name", "Give it a short name.")
        elif counts[name.strip()] > 1:
            yield Problem(f"{part}.{index}.name", f"The name {name!r} is used twice; names must differ.")


def _panel(panel: PanelSpec) -> Iterator[Problem]:
    if not 1 <= panel.n <= MAX_PANEL:
        yield Problem("panel.n", f"The panel size is {panel.n}; choose 1 to {MAX_PANEL:,}.")
    if panel.seed < 0:
        yield Problem("panel.n", f"The seed is {panel.seed}; choose 0 or more.")
    named = [*panel.filters, *panel.describe]
    for name in named:
        if name not in DEMOGRAPHICS:
            yield Problem("panel", f"{name!r} is no demographic field. Known: {', '.join(DEMOGRAPHICS)}.")
    if panel.kind == "describe":
        yield from _described(panel)


def _described(panel: PanelSpec) -> Iterator[Problem]:
    if not panel.describe:
        yield Problem("panel.describe", "Describe at least one field, for example gender.")
    for field, shares in panel.describe.items():
        unread = [value for value, share in shares.items() if not share]
        if holding := [value for value in shares if _HOLDS_SHARES.search(value)]:
            yield Problem(
                f"panel.describe.{field}",
                f"{holding[0]!r} ({label(field)}) was read as one value, but holds a share. Give each value a row.",
            )
        elif not shares:
            yield Problem(f"panel.describe.{field}", f"Give {label(field)} at least one value and its share.")
        elif unread:
            yield Problem(
                f"panel.describe.{field}",
                f"{unread[0]!r} ({label(field)}) has no share. Write a number such as 40 or 0.4, or remove the row.",
            )
        # `not ... >=` rather than `<`: a share that is NaN has to be refused too.
        elif not min(shares.values()) >= 0 or whole_of(shares) is None:
            yield Problem(
                f"panel.describe.{field}",
                f"The shares of {field!r} add up to {sum(shares.values()):g}; they must be 0 or more "
                "and add up to 1, or to 100 in percent.",
            )
        elif field in BANDS and (pair := overlapping(shares)):
            yield Problem(
                f"panel.describe.{field}",
                f"{pair[0]} and {pair[1]} overlap. Choose bands without common numbers.",
            )
    if panel.every_profile and panel.n_profiles > MAX_PANEL:
        yield Problem(
            "panel.describe",
            f"There are {panel.n_profiles:,} profiles; ask at most {MAX_PANEL:,}, or draw quotas.",
        )
