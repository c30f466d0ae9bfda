"""One study: what people were shown and asked, what they answered, what the treatment did."""

import pandas as pd
import streamlit as st

from pages.view import charts, data, state
from pages.view.parts import show_chart, show_prompt, theme
from pages.view.text import counted, escape, interval_text, shorten, show_difference, show_text
from socrates_core.corpus.queries import Corpus, StudyRecord
from socrates_core.corpus.store import open_corpus
from socrates_core.drafts import store as drafts
from socrates_core.drafts.start import draft_from_study
from socrates_core.prompts import render_prompt
from socrates_core.records import Stimulus
from socrates_core.scales import render_instruction
from socrates_core.studies import condition_names, outcome_names, reference_of

VIEWS = ["Answers", "Effects", "Conditions", "Outcomes", "Exact prompt", "About"]


def choose_study() -> tuple[Corpus, StudyRecord]:
    """The study of the link, or the one chosen in the box on top."""
    studies = data.catalogue()
    if studies.empty:
        st.title("Study")
        st.info("There are no studies yet. Run `make setup`, then reload.", icon=":material/download:")
        st.stop()
    keys = [f"{row.corpus}/{row.study_id}" for row in studies.itertuples()]
    titles = dict(zip(keys, studies["title"], strict=True))
    linked = f"{state.parameter('corpus')}/{state.parameter('study')}"
    if state.parameter("study") and linked not in keys:
        st.warning(f"There is no study {escape(linked)}. Choose one here.", icon=":material/help:")
    index = keys.index(linked) if linked in keys else 0
    chosen = st.selectbox("Study", keys, index=index, format_func=titles.__getitem__, key=f"study:{linked}")
    corpus, study_id = chosen.split("/", 1)
    state.set_parameters(corpus=corpus, study=study_id)
    found = open_corpus(corpus)
    return found, found.study(study_id)


def header(corpus: Corpus, record: StudyRecord) -> None:
    """Title, facts and the page's one action."""
    title, action = st.columns([3, 1], vertical_alignment="center")
    title.title(escape(record.title), anchor=False)
    if action.button("Draft from this study", type="primary", width="stretch"):
        draft_id = drafts.create(draft_from_study(corpus, record.study_id))
        state.go_to(state.PAGES.draft, draft=draft_id)
    with st.container(horizontal=True, gap="small"):
        st.badge(f"{record.n_participants:,} people", icon=":material/group:", color="gray")
        st.badge(counted(record.n_conditions, "condition"), color="gray")
        st.badge(counted(record.n_outcomes, "outcome"), color="gray")
        within = record.design == "within"
        st.badge(
            "each person saw all conditions" if within else "each person saw one condition", color="gray"
        )
        colour = {"instrument": "green", "partly": "orange"}.get(record.wording, "orange")
        wording = {"instrument": "instrument's wording", "partly": "wording partly rebuilt"}
        st.badge(wording.get(record.wording, "wording rebuilt"), color=colour)  # type: ignore[arg-type]


def choose_outcome(stimuli: list[Stimulus], key: str) -> int:
    outcomes = outcome_names(stimuli)
    return st.selectbox("Outcome", list(outcomes), format_func=lambda number: outcomes[number], key=key)


def show_answers(corpus: Corpus, record: StudyRecord, stimuli: list[Stimulus]) -> None:
    task = choose_outcome(stimuli, "answers_outcome")
    rows = [row for row in data.study_cells(corpus.name, record.study_id, data.stamp(corpus.name))
            if row["task_num"] == task]  # fmt: skip
    scale = next(s.scale for s in stimuli if s.task_num == task)
    question = next(s.question or s.stimulus for s in stimuli if s.task_num == task)
    show_text(question)
    frame = data.distribution_frame(rows, scale)
    title = f"What did people answer? {outcome_names(stimuli)[task]}"
    show_chart(charts.distribution(frame, scale=scale, title=title, theme=theme()), frame, "people_answers")
    dropped = sum(row["n_off_scale"] for row in rows)
    n = ", ".join(f"{row['condition']} {row['n']:,}" for row in rows)
    off = f" {dropped} answers off the scale are not shown." if dropped else " No answer was off the scale."
    st.caption(escape(f"People: {n}. Bars: share of the condition's people, with 95% intervals.{off}"))


def show_effects(corpus: Corpus, record: StudyRecord, stimuli: list[Stimulus]) -> None:
    conditions = condition_names(stimuli)
    if len(conditions) < 2:
        st.info("This study has one condition, so there is no effect to show.", icon=":material/info:")
        return
    numbers = list(conditions)
    reference = st.selectbox(
        "Reference condition", numbers, index=numbers.index(reference_of(record, conditions)),
        format_func=lambda number: conditions[number], key="effects_reference",
    )  # fmt: skip
    effects = data.study_effects(corpus.name, record.study_id, reference, data.stamp(corpus.name))
    frame = pd.DataFrame(
        [
            {
                "outcome": e.outcome,
                "condition": e.condition,
                "who": "people",
                "span": e.span,
                **vars(e.effect),
            }
            for e in effects
        ]
    )
    title = f"How far does each condition move answers from “{conditions[reference]}”?"
    drawn, unit = data.in_one_unit(frame)
    show_chart(charts.effects_forest(drawn, title=title, unit=unit, theme=theme()), drawn, "people_effects")
    table = frame.assign(interval=[interval_text(e.effect.low, e.effect.high) for e in effects])
    st.dataframe(
        table, hide_index=True,
        column_order=["outcome", "condition", "difference", "interval", "share", "d", "n", "n_reference"],
        column_config={
            "outcome": "Outcome", "condition": "Condition", "interval": "95% interval",
            "difference": st.column_config.NumberColumn("Difference", format="%.2f", help="scale points"),
            "share": st.column_config.NumberColumn("of the range", format="percent"),
            "d": st.column_config.NumberColumn("Cohen's d", format="%.2f"), "n": "n", "n_reference": "n reference",
        },
    )  # fmt: skip
    method = "paired within people" if record.design == "within" else "Welch's t between people"
    st.caption(f"Difference in means, condition minus reference, in scale points; 95% intervals: {method}.")


def show_conditions(record: StudyRecord, stimuli: list[Stimulus]) -> None:
    conditions = condition_names(stimuli)
    texts = {
        number: next(s.condition_text for s in stimuli if s.condition_num == number) for number in conditions
    }
    own = reference_of(record, conditions)
    reference = texts[own]
    st.caption("Words that the reference condition does not have are marked.")
    for row in range(0, len(texts), 3):
        columns = st.columns(3)
        for column, number in zip(columns, list(texts)[row : row + 3], strict=False):
            with column.container(border=True):
                mark = " · reference" if number == own else ""
                st.markdown(f"**{escape(conditions[number])}**{mark}")
                if not texts[number].strip():
                    st.caption("People of this condition read nothing before the questions.")
                elif number == own:
                    show_text(texts[number])
                else:
                    show_difference(texts[number], reference)


def show_outcomes(stimuli: list[Stimulus]) -> None:
    for task, name in outcome_names(stimuli).items():
        asked = [s for s in stimuli if s.task_num == task]
        with st.container(border=True):
            st.markdown(f"**{escape(name)}**")
            show_text(asked[0].question or asked[0].stimulus)
            st.caption(escape(render_instruction(asked[0].scale)))
            if len({s.scale for s in asked}) > 1:
                st.warning("The scale differs between conditions.", icon=":material/warning:")


def show_person(corpus: Corpus, record: StudyRecord, stimuli: list[Stimulus]) -> None:
    people = data.people_of(corpus.name, record.study_id, data.stamp(corpus.name))
    left, middle, right = st.columns(3)
    person = left.selectbox("Participant", people["participant"].tolist(), key="prompt_person")
    conditions, outcomes = condition_names(stimuli), outcome_names(stimuli)
    condition = middle.selectbox(
        "Condition", list(conditions), format_func=conditions.__getitem__, key="prompt_c"
    )
    task = right.selectbox("Outcome", list(outcomes), format_func=outcomes.__getitem__, key="prompt_t")
    stimulus = next((s for s in stimuli if (s.condition_num, s.task_num) == (condition, task)), None)
    if stimulus is None:
        st.info("People of this condition were not asked this. Choose another pair.", icon=":material/info:")
        return
    demographics = corpus.participant(record.study_id, person).demographics
    show_prompt(render_prompt(demographics, stimulus.stimulus), "starter")


def show_about(record: StudyRecord) -> None:
    st.markdown("**Source**")
    show_text(record.source + (f"\n{record.url}" if record.url else ""))
    st.markdown("**Licence**")
    show_text(record.licence)
    st.markdown("**Notes and caveats**")
    for note in record.notes:
        show_text(f"• {note}")
    if not record.notes:
        st.caption("Nothing is known that a reader should be warned of.")


corpus, record = choose_study()
header(corpus, record)
stimuli = corpus.stimuli(record.study_id)
view = st.segmented_control(
    "What to show",
    VIEWS,
    default=VIEWS[0],
    required=True,
    key="study_view",
    label_visibility="collapsed",
    bind="query-params",
)
if view == "Answers":
    show_answers(corpus, record, stimuli)
elif view == "Effects":
    show_effects(corpus, record, stimuli)
elif view == "Conditions":
    show_conditions(record, stimuli)
elif view == "Outcomes":
    show_outcomes(stimuli)
elif view == "Exact prompt":
    show_person(corpus, record, stimuli)
else:
    show_about(record)
if view in ("Answers", "Effects") and record.notes:
    st.caption(escape(f"Note: {shorten(record.notes[0], 200)} More under About."))
