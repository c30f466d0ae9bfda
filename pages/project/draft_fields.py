"""Fields of the draft form: rows of conditions, rows of outcomes with their scale builder, and the panel."""

import streamlit as st

from pages.project import draft_form
from pages.project.draft_form import Rows
from pages.view import cached
from pages.view.state import Editing
from pages.view.words import escape
from socrates_core.corpus.store import corpora
from socrates_core.errors import UserError
from socrates_core.personas import label
from socrates_core.records import DEMOGRAPHICS, Scale
from socrates_core.scales import check_scale, parse_scale, render_instruction
from socrates_core.surveys.check import Problem

NUMERIC = ("age", "household_size")


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
            placeholder="The text that only people of this condition see. Empty: they are asked straight away.",
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
        st.caption(f":material/check: {escape(instruction)} Reads back as {answers}.")
    else:
        st.markdown(f":red[:material/error: {escape(instruction)} does not read back as this scale.]")


def panel_fields(editing: Editing, problems: list[Problem]) -> None:
    """Who answers: sampled or described people, how many, and the seed."""
    panel = editing.draft.panel
    kinds = ["sample", "describe"]
    kind = st.segmented_control(
        "Where the people come from",
        kinds,
        default=panel.kind,
        required=True,
        key=editing.key("panel", "kind"),
        format_func=lambda value: "Sample real participants" if value == "sample" else "Describe people",
    )
    if kind == "sample":
        _sample_fields(editing)
    else:
        _describe_fields(editing)
    n, seed = st.columns(2)
    n.number_input("People", value=panel.n, min_value=1, step=10, key=editing.key("panel", "n"))
    seed.number_input(
        "Seed",
        value=panel.seed,
        min_value=0,
        step=1,
        key=editing.key("panel", "seed"),
        help="The same seed draws the same people.",
    )
    show_problems(problems, "panel", "panel.n", "panel.describe")


def _sample_fields(editing: Editing) -> None:
    panel = editing.draft.panel
    known = corpora()
    if not known:
        st.info(
            "There is no corpus to sample from. Run `make setup`, or describe people.", icon=":material/info:"
        )
        return
    where, who = st.columns(2)
    index = known.index(panel.corpus) if panel.corpus in known else 0
    corpus = where.selectbox("Corpus", known, index=index, key=editing.key("panel", "corpus"))
    studies = cached.catalogue()
    titles = dict(zip(studies["study_id"], studies["title"], strict=True))
    ids = studies.loc[studies["corpus"] == corpus, "study_id"].tolist()
    who.multiselect(
        "Participants of (empty: all studies)",
        ids,
        default=[s for s in panel.studies if s in ids],
        format_func=lambda study_id: titles.get(study_id, study_id),
        key=editing.key("panel", "studies"),
    )
    chosen = editing.draft.panel.studies
    values = cached.demographic_values(corpus, tuple(chosen), cached.stamp(corpus))
    fields = st.multiselect(
        "Filter by",
        [f for f in DEMOGRAPHICS if f in values],
        format_func=label,
        default=[f for f in panel.filters if f in values],
        key=editing.key("panel", "fields"),
    )
    for field in fields:
        key = editing.key("panel", f"filter:{field}")
        now = panel.filters.get(field)
        if field in NUMERIC:
            ends = (int(min(values[field])), int(max(values[field])))
            # Streamlit refuses a value beyond a slider's ends, and another corpus or study has other ends.
            value = (max(now[0], ends[0]), min(now[1], ends[1])) if isinstance(now, tuple) else ends
            if ends[0] < ends[1]:
                st.slider(label(field), *ends, value=value, key=key)
        else:
            kept = [v for v in (now or ()) if v in values[field]]
            st.multiselect(label(field), values[field], default=kept, key=key)


def _describe_fields(editing: Editing) -> None:
    describe = editing.draft.panel.describe
    fields = st.multiselect(
        "Fields to describe",
        DEMOGRAPHICS,
        default=list(describe),
        format_func=label,
        key=editing.key("panel", "described"),
    )
    for field in fields:
        st.text_input(
            f"{label(field)}: values and shares",
            draft_form.shares_text(describe.get(field, {})),
            key=editing.key("panel", f"shares:{field}"),
            placeholder="Female 0.5; Male 0.5",
            help="Separate values by semicolons; shares add up to 1. Fields are drawn independently.",
        )


def show_eligible(editing: Editing) -> None:
    """How many people a sample is drawn from, and what they are like."""
    panel = editing.draft.panel
    if panel.kind != "sample":
        st.caption("Described people are drawn field by field, independently; joint patterns are not kept.")
        return
    try:
        count = cached.count_eligible(panel)
    except UserError as error:
        st.markdown(f":red[:material/error: {escape(str(error))}]")
        return
    sentence = f"{count:,} participants pass the filters"
    if panel.n <= count:
        st.caption(f"{sentence}; {panel.n:,} of them are drawn without replacement.")
    else:
        st.markdown(
            f":red[:material/error: {sentence}, but the panel asks for {panel.n:,}. "
            "Choose fewer people or widen the filters.]"
        )
