"""The draft form without its drawing: from what the widgets hold to a draft, and the steps on its rows."""

import re
from collections.abc import Callable
from typing import Any, Literal

from pages.view.state import Editing, set_editing, widget
from socrates_core.populations.panel import PanelSpec
from socrates_core.projects import drafts
from socrates_core.records import Number
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec, ScaleSpec

Rows = Literal["conditions", "outcomes"]
ScaleType = Literal["Whole numbers", "Listed answers", "Yes / No", "0 to 100"]
SCALE_TYPES: tuple[ScaleType, ...] = ("Whole numbers", "Listed answers", "Yes / No", "0 to 100")
YES_NO: dict[Number, str] = {1: "Yes", 2: "No"}


def scale_type(scale: ScaleSpec) -> ScaleType:
    """Which entry of the scale builder a scale belongs to."""
    if scale.kind == "enum_labels":
        return "Yes / No" if sorted(scale.labels.values()) == ["No", "Yes"] else "Listed answers"
    return "0 to 100" if (scale.low, scale.high, scale.step) == (0, 100, 1) else "Whole numbers"


def collect(editing: Editing) -> Draft:
    """The draft as the widgets hold it now; what was not drawn keeps its value."""
    draft = editing.draft
    return draft.model_copy(
        update={
            "title": widget(editing.key("title"), draft.title),
            "reference": _reference(editing, draft),
            "conditions": tuple(_condition(editing, i, c) for i, c in enumerate(draft.conditions)),
            "outcomes": tuple(_outcome(editing, i, o) for i, o in enumerate(draft.outcomes)),
            "panel": _panel(editing, draft.panel),
        }
    )


def _reference(editing: Editing, draft: Draft) -> str:
    """The chosen reference; a draft that names none keeps so while its first condition is shown."""
    chosen = widget(editing.key("reference"), draft.reference) or ""
    old = [condition.name for condition in draft.conditions]
    if chosen in old:  # a renamed reference stays the reference
        chosen = widget(editing.key("conditions", old.index(chosen), "name"), chosen)
    first = widget(editing.key("conditions", 0, "name"), old[0]) if old else ""
    return "" if not draft.reference and chosen == first else chosen


def _condition(editing: Editing, i: int, condition: ConditionSpec) -> ConditionSpec:
    return condition.model_copy(
        update={
            "name": widget(editing.key("conditions", i, "name"), condition.name),
            "text": widget(editing.key("conditions", i, "text"), condition.text),
        }
    )


def _outcome(editing: Editing, i: int, outcome: OutcomeSpec) -> OutcomeSpec:
    return outcome.model_copy(
        update={
            "name": widget(editing.key("outcomes", i, "name"), outcome.name),
            "question": widget(editing.key("outcomes", i, "question"), outcome.question),
            "scale": _scale(editing, i, outcome.scale),
        }
    )


def _scale(editing: Editing, i: int, scale: ScaleSpec) -> ScaleSpec:
    def held(name: str, default: Any) -> Any:
        return widget(editing.key("outcomes", i, name), default)

    kind: ScaleType = held("type", scale_type(scale))
    if kind == "Yes / No" and scale_type(scale) == kind:
        return scale
    if kind == "Yes / No":
        return ScaleSpec(kind="enum_labels", low=1, high=2, labels=YES_NO)
    if kind == "Listed answers":
        text = held("options", listed_text(scale))
        if text == listed_text(scale) and scale.kind == "enum_labels":
            return scale
        lines, first = (
            text.splitlines(),
            int(min(scale.labels, default=1)) if scale.kind == "enum_labels" else 1,
        )
        listed: dict[Number, str] = {number: line.strip() for number, line in enumerate(lines, first)}
        return ScaleSpec(kind="enum_labels", low=first, high=first + len(listed) - 1, labels=listed)
    low: Number
    low, high, step = (
        (0, 100, 1)
        if kind == "0 to 100"
        else (
            held("low", scale.low if scale.low is not None else 1),
            held("high", scale.high if scale.high is not None else 7),
            held("step", scale.step),
        )
    )
    inner = {v: text for v, text in scale.labels.items() if low < v < high and scale_type(scale) == kind}
    ends = {
        value: held(name, scale.labels.get(value, "")).strip()
        for value, name in ((low, "low_label"), (high, "high_label"))
    }
    labels: dict[Number, str] = dict(
        sorted((inner | {value: text for value, text in ends.items() if text}).items())
    )
    same_steps = scale.kind in ("range", "if_upto", "multiple") and scale.step == step
    told = scale.kind if same_steps else ("range" if step == 1 else "multiple")
    return ScaleSpec(kind=told, low=low, high=high, step=step, labels=labels)


def listed_text(scale: ScaleSpec) -> str:
    """The answers of a listed scale, one a line."""
    return "\n".join(scale.labels.values()) if scale.kind == "enum_labels" else ""


def _panel(editing: Editing, panel: PanelSpec) -> PanelSpec:
    def held(name: str, default: Any) -> Any:
        return widget(editing.key("panel", name), default)

    fields = held("fields", list(panel.filters))
    filters = {field: held(f"filter:{field}", panel.filters.get(field, [])) for field in fields}
    described = held("described", list(panel.describe))
    shares = {
        field: parse_shares(held(f"shares:{field}", shares_text(panel.describe.get(field, {}))))
        for field in described
    }
    return panel.model_copy(
        update={
            "kind": held("kind", panel.kind),
            "corpus": held("corpus", panel.corpus),
            "studies": tuple(held("studies", panel.studies)),
            "filters": {field: allowed for field, allowed in filters.items() if allowed},
            "describe": shares,
            "n": held("n", panel.n),
            "seed": held("seed", panel.seed),
        }
    )


_BETWEEN_SHARES = re.compile(r"[;\n]|(?<=[\d%]),\s")  # no comma inside a value such as "$25,000 to $50,000"


def parse_shares(text: str) -> dict[str, float]:
    """Shares by value out of "Female 0.5; Male 50%", also with commas or lines between them.

    What has no number has the share 0, which `drafts.check` calls a problem.
    """
    found: dict[str, float] = {}
    for part in _BETWEEN_SHARES.split(text):
        value, _, number = part.strip().rpartition(" ")
        try:
            share = float(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
        except ValueError:
            value, share = part.strip(), 0.0
        if value.strip():
            found[value.strip()] = share
    return found


def shares_text(shares: dict[str, float]) -> str:
    return "; ".join(f"{value} {share:g}" for value, share in shares.items())


def commit(editing: Editing, draft: Draft) -> None:
    """Saves a changed draft and remembers the step back; an unchanged one costs nothing."""
    if draft != editing.draft:
        _save(editing, draft)
        editing.undo.append(editing.draft)
        editing.redo.clear()
        editing.draft = draft


def step(editing: Editing, back: bool) -> None:
    """Undoes or redoes one step."""
    commit(editing, collect(editing))
    source, target = (editing.undo, editing.redo) if back else (editing.redo, editing.undo)
    if source:
        draft = source.pop()
        _save(editing, draft)
        target.append(editing.draft)
        editing.draft = draft
        editing.generation += 1


def change(editing: Editing, how: Callable[[Draft], Draft]) -> None:
    """Applies a step to the draft as the widgets hold it, then builds the form anew."""
    commit(editing, collect(editing))
    commit(editing, how(editing.draft))
    editing.generation += 1


def added(draft: Draft, part: Rows) -> Draft:
    if part == "conditions":
        rows = (*draft.conditions, ConditionSpec(name=f"Condition {len(draft.conditions) + 1}"))
        return draft.model_copy(update={"conditions": rows})
    rows_o = (*draft.outcomes, OutcomeSpec(name=f"Outcome {len(draft.outcomes) + 1}"))
    return draft.model_copy(update={"outcomes": rows_o})


def duplicated(draft: Draft, part: Rows, index: int) -> Draft:
    rows = list(getattr(draft, part))
    copy = rows[index].model_copy(update={"name": f"{rows[index].name} (copy)", "source": None})
    return draft.model_copy(update={part: (*rows[: index + 1], copy, *rows[index + 1 :])})


def removed(draft: Draft, part: Rows, index: int) -> Draft:
    rows = getattr(draft, part)
    return draft.model_copy(update={part: (*rows[:index], *rows[index + 1 :])})


def moved(draft: Draft, part: Rows, index: int, by: int) -> Draft:
    rows = list(getattr(draft, part))
    rows.insert(index + by, rows.pop(index))
    return draft.model_copy(update={part: tuple(rows)})


def open_for_editing(draft_id: str) -> Editing:
    """The draft of the page's link, from this session or from disk."""
    fresh = Editing(draft_id, drafts.open_draft(draft_id), [], [])
    set_editing(fresh)
    return fresh


def _save(editing: Editing, draft: Draft) -> None:
    saved = drafts.save(editing.draft_id, draft, based_on=editing.draft.digest())
    editing.notice = saved.notice
