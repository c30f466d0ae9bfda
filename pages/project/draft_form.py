"""The draft form without its widgets: from the values in the widgets to a draft, and changes to its rows."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import pandas as pd

from pages.view import cached
from pages.view.state import Editing, set_editing, widget
from socrates_core.corpus.store import corpora
from socrates_core.populations.bands import BANDS
from socrates_core.populations.panel import PanelSpec
from socrates_core.populations.shares import evened, shares_of
from socrates_core.projects import drafts
from socrates_core.records import Number, ScaleKind
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec, ScaleSpec

Rows = Literal["conditions", "outcomes"]
ScaleType = Literal["Whole numbers", "Listed answers", "Yes / No", "0 to 100"]
SCALE_TYPES: tuple[ScaleType, ...] = ("Whole numbers", "Listed answers", "Yes / No", "0 to 100")
MOST_VALUES = 6  # of a field that was just chosen
YES_NO: dict[Number, str] = {1: "Yes", 2: "No"}


def scale_type(scale: ScaleSpec) -> ScaleType:
    """The entry of the scale builder that a scale belongs to."""
    if scale.kind == "enum_labels":
        return "Yes / No" if sorted(scale.labels.values()) == ["No", "Yes"] else "Listed answers"
    return "0 to 100" if (scale.low, scale.high, scale.step) == (0, 100, 1) else "Whole numbers"


def collect(editing: Editing) -> Draft:
    """The draft with the values in the widgets. What was not drawn keeps its value."""
    draft = editing.draft
    return draft.model_copy(
        update={
            "title": widget(editing.key("title"), draft.title),
            "reference": _reference(editing, draft),
            "assignment": widget(editing.key("assignment"), draft.assignment),
            "conditions": _conditions(editing, draft),
            "outcomes": tuple(_outcome(editing, i, o) for i, o in enumerate(draft.outcomes)),
            "panel": _panel(editing, draft.panel),
        }
    )


def _reference(editing: Editing, draft: Draft) -> str:
    """The chosen reference. A draft without one keeps none while its first condition is selected."""
    chosen = widget(editing.key("reference"), draft.reference) or ""
    old = [condition.name for condition in draft.conditions]
    if chosen in old:  # a renamed reference stays the reference
        chosen = widget(editing.key("conditions", old.index(chosen), "name"), chosen)
    first = widget(editing.key("conditions", 0, "name"), old[0]) if old else ""
    return "" if not draft.reference and chosen == first else chosen


def _conditions(editing: Editing, draft: Draft) -> tuple[ConditionSpec, ...]:
    levels = _levels(editing, draft)
    return tuple(
        condition.model_copy(
            update={
                "name": widget(editing.key("conditions", i, "name"), condition.name),
                "text": widget(editing.key("conditions", i, "text"), condition.text),
                "levels": levels[i],
            }
        )
        for i, condition in enumerate(draft.conditions)
    )


def factor_names(draft: Draft) -> list[str]:
    """The factors that some condition has a level of, in order."""
    return list(dict.fromkeys(name for condition in draft.conditions for name in condition.levels))


def levels_key(editing: Editing, names: list[str]) -> str:
    """The key of the table of levels of these factors."""
    return editing.key("levels", ",".join(names))


def _levels(editing: Editing, draft: Draft) -> list[dict[str, str]]:
    """The levels of each condition: as typed, else as they were; empty for a factor that was just named."""
    before = factor_names(draft)
    typed = widget(editing.key("factors"), ", ".join(before))
    names = list(dict.fromkeys(name.strip() for name in typed.split(",") if name.strip()))
    if typed == ", ".join(before):
        names = before  # an imported name may hold a comma
    key = levels_key(editing, before)
    changes = widget(key, None) or {}
    levels = [dict(condition.levels) for condition in draft.conditions]
    if key in editing.tables:
        for row, cells in changes.get("edited_rows", {}).items():
            levels[int(row)].update({name: (text or "").strip() for name, text in cells.items()})
    return [{name: condition.get(name, "") for name in names} for condition in levels]


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
        lines = text.splitlines()
        first = int(min(scale.labels, default=1)) if scale.kind == "enum_labels" else 1
        listed: dict[Number, str] = {number: line.strip() for number, line in enumerate(lines, first)}
        return ScaleSpec(kind="enum_labels", low=first, high=first + len(listed) - 1, labels=listed)
    low: Number = 0
    high: Number = 100
    step: Number = 1
    if kind != "0 to 100":
        low = held("low", 1 if scale.low is None else scale.low)
        high = held("high", 7 if scale.high is None else scale.high)
        step = held("step", scale.step)
    inner = {v: text for v, text in scale.labels.items() if low < v < high and scale_type(scale) == kind}
    ends = {
        value: held(name, scale.labels.get(value, "")).strip()
        for value, name in ((low, "low_label"), (high, "high_label"))
    }
    labels: dict[Number, str] = dict(
        sorted((inner | {value: text for value, text in ends.items() if text}).items())
    )
    # A scale that is read from a study's instruction keeps its kind while its steps stay the same.
    same_steps = scale.kind in ("range", "if_upto", "multiple") and scale.step == step
    usual: ScaleKind = "range" if step == 1 else "multiple"
    return ScaleSpec(kind=scale.kind if same_steps else usual, low=low, high=high, step=step, labels=labels)


def listed_text(scale: ScaleSpec) -> str:
    """The answers of a listed scale, one on each line."""
    return "\n".join(scale.labels.values()) if scale.kind == "enum_labels" else ""


def _panel(editing: Editing, panel: PanelSpec) -> PanelSpec:
    def held(name: str, default: Any) -> Any:
        return widget(editing.key("panel", name), default)

    fields = held("fields", list(panel.filters))
    filters = {field: held(f"filter:{field}", panel.filters.get(field, [])) for field in fields}
    described = held("described", list(panel.describe))
    return panel.model_copy(
        update={
            "kind": held("kind", panel.kind),
            "corpus": held("corpus", panel.corpus),
            "studies": tuple(held("studies", panel.studies)),
            "filters": {field: allowed for field, allowed in filters.items() if allowed},
            "describe": {field: _shares(editing, panel, field) for field in described},
            "n": held("n", panel.n),
            "seed": held("seed", panel.seed),
            "every_profile": held("every_profile", panel.every_profile),
        }
    )


def shares_key(editing: Editing, field: str) -> str:
    """The key of the table of a field's shares."""
    return editing.key("panel", f"shares:{field}")


def _shares(editing: Editing, panel: PanelSpec, field: str) -> dict[str, float]:
    """The shares in the table of a field; a field that was just chosen starts with known values in even shares."""
    key = shares_key(editing, field)
    if field not in panel.describe:
        editing.tables.pop(key, None)
        return _first_shares(panel, field)
    changes = widget(key, None)
    if not changes or not any(changes.values()) or key not in editing.tables:
        return panel.describe[field]
    return shares_of(edited_rows(editing.tables[key], changes))


def edited_rows(table: pd.DataFrame, changes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a table after the changes that Streamlit's editor keeps: edited, added and deleted rows."""
    rows = table.to_dict("records")
    for position, cells in changes.get("edited_rows", {}).items():
        rows[int(position)].update(cells)
    gone = set(changes.get("deleted_rows", []))
    kept = [row for position, row in enumerate(rows) if position not in gone]
    return [*kept, *changes.get("added_rows", [])]


def _first_shares(panel: PanelSpec, field: str) -> dict[str, float]:
    if field in BANDS:
        adults = BANDS[field][1:] if field == "age" else BANDS[field]
        return evened(adults)
    if panel.corpus not in corpora():
        return {}
    known = cached.demographic_values(panel.corpus, (), cached.stamp(panel.corpus))
    return evened([str(value) for value in known.get(field, [])[:MOST_VALUES]])


def evened_out(draft: Draft, field: str) -> Draft:
    """The draft with the same share for every value of a field."""
    describe = {**draft.panel.describe, field: evened(list(draft.panel.describe[field]))}
    return draft.model_copy(update={"panel": draft.panel.model_copy(update={"describe": describe})})


def commit(editing: Editing, draft: Draft) -> None:
    """Saves a changed draft and remembers the step back. An unchanged draft costs nothing."""
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
    """Applies a step to the draft in the widgets, then builds the form again."""
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
    """The draft in the link, from this session or from disk."""
    fresh = Editing(draft_id, drafts.open_draft(draft_id), [], [])
    set_editing(fresh)
    return fresh


def _save(editing: Editing, draft: Draft) -> None:
    saved = drafts.save(editing.draft_id, draft, based_on=editing.draft.digest())
    editing.notice = saved.notice
