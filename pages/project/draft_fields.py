"""Fields of the draft form: rows of conditions, rows of outcomes with their scale builder."""

import streamlit as st

from pages.project import draft_form
from pages.project.draft_form import Rows
from pages.view.state import Editing
from pages.view.words import escape
from socrates_core.errors import UserError
from socrates_core.records import Scale
from socrates_core.scales import check_scale, parse_scale, render_instruction
from socrates_core.surveys.check import Problem


def show_problems(problems: list[Problem], *fields: str) -> None:
    """The problems of these fields, in red next to them."""
    for problem in problems:
        if problem.field in fields:
            st.markdown(f":red[:material/error: {escape(problem.message)}]")


def row_actions(editing: Editing, part: Rows, index: int, n_rows: int) -> None:
    """Duplicate, move up, move down, remove."""
    steps = (
        ("duplicate", "content_copy", "Duplicate", False, lambda d: draft_form.duplicated(d, part, index)),
        ("up", "arrow_upward", "Move up", index == 0, lambda d: draft_form.moved(d, part, index, -1)),
        (
            "down",
            "arrow_downward",
            "Move down",
            index + 1 == n_rows,
            lambda d: draft_form.moved(d, part, index, 1),
        ),
        ("remove", "delete", "Remove", False, lambda d: draft_form.removed(d, part, index)),
    )
    with st.container(horizontal=True, gap="small", horizontal_alignment="right"):
        for name, icon, hint, off, how in steps:
            st.button(
                "",
                icon=f":material/{icon}:",
                help=hint,
                key=editing.key(part, index, name),
                type="tertiary",
                disabled=off,
                on_click=draft_form.change,
                args=(editing, how),
            )


def _row_head(editing: Editing, part: Rows, index: int, problems: list[Problem]) -> None:
    """The name of a condition or outcome, with the actions on its row."""
    noun = part.removesuffix("s")
    rows = getattr(editing.draft, part)
    name, actions = st.columns([3, 2], vertical_alignment="bottom")
    name.text_input(
        f"{noun.capitalize()} {index + 1}: name", rows[index].name, key=editing.key(part, index, "name")
    )
    with actions:
        row_actions(editing, part, index, len(rows))
    show_problems(problems, f"{part}.{index}.name")


def condition_row(editing: Editing, index: int, problems: list[Problem]) -> None:
    with st.container(border=True):
        _row_head(editing, "conditions", index, problems)
        st.text_area(
            f"Condition {index + 1}: what people read",
            editing.draft.conditions[index].text,
            height="content",
            key=editing.key("conditions", index, "text"),
            placeholder="The text that only people of this condition see. Leave empty for a group that reads nothing.",
        )
        show_problems(problems, f"conditions.{index}.text")


def outcome_row(editing: Editing, index: int, problems: list[Problem]) -> None:
    with st.container(border=True):
        _row_head(editing, "outcomes", index, problems)
        st.text_area(
            f"Outcome {index + 1}: question",
            editing.draft.outcomes[index].question,
            height="content",
            key=editing.key("outcomes", index, "question"),
            placeholder="How much do you support …?",
        )
        show_problems(problems, f"outcomes.{index}.question")
        scale_builder(editing, index)
        show_problems(problems, f"outcomes.{index}.scale")


def scale_builder(editing: Editing, index: int) -> None:
    """Chooses the answers of an outcome, and shows the instruction and how it is read."""
    scale = editing.draft.outcomes[index].scale

    def key(name: str) -> str:
        return editing.key("outcomes", index, name)

    kinds = draft_form.SCALE_TYPES
    kind = st.selectbox(
        f"Outcome {index + 1}: answers",
        kinds,
        index=kinds.index(draft_form.scale_type(scale)),
        key=key("type"),
    )
    if kind == "Whole numbers":
        low, high, step = st.columns(3)
        low.number_input("Lowest", value=_whole(scale.low, 1), step=1, key=key("low"))
        high.number_input("Highest", value=_whole(scale.high, 7), step=1, key=key("high"))
        step.number_input("Step", value=_whole(scale.step, 1), min_value=1, step=1, key=key("step"))
    if kind in ("Whole numbers", "0 to 100"):
        left, right = st.columns(2)
        ends = (0, 100) if kind == "0 to 100" else (scale.low, scale.high)
        for column, name, end, side in (
            (left, "low_label", ends[0], "lowest"),
            (right, "high_label", ends[1], "highest"),
        ):
            at_end = scale.labels.get(end, "") if end is not None else ""
            column.text_input(f"Label of the {side} (optional)", at_end, key=key(name))
    if kind == "Listed answers":
        st.text_area(
            "Answers, one a line", draft_form.listed_text(scale), height="content", key=key("options")
        )
    show_instruction(editing.draft.outcomes[index].scale.scale())


def _whole(value: float | None, default: int) -> int:
    return default if value is None else int(value)


def show_instruction(scale: Scale) -> None:
    """The instruction of a scale, and whether it is read as the same scale."""
    try:
        check_scale(scale)
    except UserError:
        return
    instruction = render_instruction(scale)
    if parse_scale(instruction) == scale:
        answers = f"{len(scale.values)} answers" if scale.values else "open numbers"
        st.caption(f":material/check: {escape(instruction)} {answers}.")
    else:
        st.markdown(f":red[:material/error: {escape(instruction)} does not read back as this scale.]")
