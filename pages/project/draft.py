"""A draft: conditions, outcomes, people, and models; its exact prompt and its cost before it starts."""

from contextlib import suppress

import streamlit as st

from pages.project import draft_design, draft_fields, draft_form, draft_population
from pages.project.draft_lists import show_drafts, show_versions
from pages.project.similar_studies import show_similar_studies
from pages.view import cached, state
from pages.view.exposure_badges import draft_badges
from pages.view.fields import consent
from pages.view.fields.model import model_requests
from pages.view.state import Editing
from pages.view.words import counted, escape, shorten, show_prompt
from socrates_core.asking.consent import what_is_sent
from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.models import prompt_template
from socrates_core.personas import Person
from socrates_core.projects import drafts
from socrates_core.projects.run_estimate import describe_estimate, describe_needs, estimate
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.prompts import TEMPLATE, render_prompt
from socrates_core.surveys.check import Problem, problems, warnings
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.originals import texts_of
from socrates_core.surveys.start import empty_draft

MOST_ROWS = 300  # conditions and outcomes: a browser shows their fields within some seconds


def current() -> Editing | None:
    """The draft in the link, as this session last left it; None if the link has none."""
    draft_id = state.parameter("draft")
    held = state.editing()
    if draft_id is None:
        return None
    if held is not None and held.draft_id == draft_id:
        return held
    try:
        return draft_form.open_for_editing(draft_id)
    except UserError:
        st.warning(
            "The draft of this link is not here. If it was deleted, the bin below has it.",
            icon=":material/help:",
        )
        return None


def show_list() -> None:
    title, action = st.columns([4, 1], vertical_alignment="bottom")
    title.title("Drafts", anchor=False)
    model = state.wished_model()
    if model in cached.model_titles():
        st.caption(f"{escape(model)} will answer: open a draft, or start one from a study.")
    if action.button("New draft", type="primary", icon=":material/add:", width="stretch"):
        state.go_to(state.PAGES.draft, draft=drafts.create(empty_draft()))
    show_drafts()


def toolbar(editing: Editing) -> None:
    """Actions on the whole draft: undo, redo, versions, delete."""
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Undo",
            icon=":material/undo:",
            disabled=not editing.undo,
            shortcut="Ctrl+Alt+Z",
            on_click=draft_form.step,
            args=(editing, True),
            key="draft_undo",
        )
        st.button(
            "Redo",
            icon=":material/redo:",
            disabled=not editing.redo,
            on_click=draft_form.step,
            args=(editing, False),
            key="draft_redo",
        )
        with st.popover("Versions", icon=":material/history:"):
            show_versions(editing)
        if st.button("Delete", icon=":material/delete:", key="draft_delete"):
            drafts.DRAFTS.delete(editing.draft_id)
            state.set_editing(None)
            state.set_flash(f"“{shorten(editing.draft.title)}” is in the bin; bring it back below.")
            state.go_to(state.PAGES.draft)
        if st.button("All drafts", icon=":material/list:", type="tertiary", key="draft_list"):
            state.go_to(state.PAGES.draft)
    if editing.notice:
        st.warning(escape(editing.notice), icon=":material/group:")
        editing.notice = ""


def show_conditions(editing: Editing, wrong: list[Problem]) -> None:
    st.subheader("Conditions", anchor=False)
    draft_fields.show_problems(wrong, "conditions")
    for index in range(len(editing.draft.conditions)):
        draft_fields.condition_row(editing, index, wrong)
    st.button(
        "Add a condition",
        icon=":material/add:",
        key="add_condition",
        on_click=draft_form.change,
        args=(editing, lambda draft: draft_form.added(draft, "conditions")),
    )
    names = [condition.name for condition in editing.draft.conditions]
    if len(names) > 1:
        index = names.index(editing.draft.reference) if editing.draft.reference in names else 0
        st.selectbox(
            "Reference condition: effects are measured against it",
            names,
            index=index,
            key=editing.key("reference"),
        )
    draft_fields.show_problems(wrong, "reference")
    if len(names) > 1:
        with st.expander("Assignment and factors", expanded=bool(draft_form.factor_names(editing.draft))):
            draft_design.design_fields(editing, warnings(editing.draft))


def show_outcomes(editing: Editing, wrong: list[Problem]) -> None:
    st.subheader("Outcomes", anchor=False)
    draft_fields.show_problems(wrong, "outcomes")
    for index in range(len(editing.draft.outcomes)):
        draft_fields.outcome_row(editing, index, wrong)
    st.button(
        "Add an outcome",
        icon=":material/add:",
        key="add_outcome",
        on_click=draft_form.change,
        args=(editing, lambda draft: draft_form.added(draft, "outcomes")),
    )


def show_exact_prompt(draft: Draft, people: list[Person], model: str) -> None:
    st.subheader("The exact prompt", anchor=False)
    person, condition, outcome = st.columns(3)
    who = person.number_input("Person", 1, len(people), key="look_person")
    c = condition.selectbox(
        "Condition",
        range(len(draft.conditions)),
        format_func=lambda i: draft.conditions[i].name,
        key="look_c",
    )
    o = outcome.selectbox(
        "Outcome", range(len(draft.outcomes)), format_func=lambda i: draft.outcomes[i].name, key="look_o"
    )
    stimulus = texts_of(draft)[c, o]
    source = people[who - 1].source
    st.caption(
        escape(
            f"Person {who} is described." if source == "described" else f"Person {who} comes from {source}."
        )
    )
    show_prompt(render_prompt(people[who - 1].demographics, stimulus, _template(model)), model)


def _template(model: str) -> str:
    """The prompt template that the model was finetuned with. A model that is not here yet gets SocSci210's."""
    try:
        return prompt_template(model)
    except UserError:
        return TEMPLATE


def show_cost(draft: Draft, people: list[Person], models: list[ModelRequest]) -> bool:
    """What each model will compute and how long it takes. Returns False if a model cannot be used."""
    st.subheader("What will be computed", anchor=False)
    st.caption(
        f"{counted(len(people), 'person', 'people')} × {counted(len(draft.conditions), 'condition')} × "
        f"{counted(len(draft.outcomes), 'outcome')} = "
        f"{len(people) * len(draft.conditions) * len(draft.outcomes):,} answers per model, each a probability "
        "over every answer of its scale. Answers that are in the cache are used again."
    )
    usable = True
    for model in models:
        try:
            with st.spinner(f"Looking how fast {escape(model.name)} reads here"):
                cost = estimate(draft, people, model)
        except UserError as error:
            st.error(escape(str(error)), icon=":material/error:")
            usable = False
            continue
        sentence = (
            f"{model.name}: {cost.n_distinct:,} different prompts of about {cost.mean_tokens:.0f} tokens; "
            f"time on this machine: {describe_estimate(cost)}.{consent.cost_text(model, cost.usd)} "
            f"{describe_needs(cost)}"
        ).rstrip()
        st.markdown(escape(sentence))
        if cost.limit and cost.max_tokens > cost.limit:
            st.error(
                escape(
                    f"A prompt has {cost.max_tokens:,} tokens, but {model.name} reads at most {cost.limit:,}. "
                    "Shorten the longest text."
                ),
                icon=":material/error:",
            )
            usable = False
    return usable


def start(
    draft: Draft, models: list[ModelRequest], draft_id: str, limit_usd: float | None, *, agreed: bool
) -> None:
    """Keeps a version of the draft, queues a run for each model, and shows the first run."""
    drafts.keep_version(draft_id, draft, "run with " + ", ".join(model.name for model in models))
    jobs = [
        submit_simulation(draft, model, draft_id=draft_id, consent=agreed, limit_usd=limit_usd)
        for model in models
    ]
    state.go_to(state.PAGES.results, run=jobs[0].id)


def start_or_ask(
    draft: Draft, models: list[ModelRequest], draft_id: str, people: list[Person], limit_usd: float | None
) -> None:
    """Starts the runs, after consent if questions leave this machine."""
    n_questions = len(people) * len(draft.conditions) * len(draft.outcomes)
    sent = [what_is_sent(model.name, model.service, people, n_questions) for model in models]
    consent.start_with_consent(
        [sending for sending in sent if sending is not None],
        lambda agreed: start(draft, models, draft_id, limit_usd, agreed=agreed),
    )


def show_people(editing: Editing, wrong: list[Problem]) -> list[Person]:
    """The fields of the population; returns its people, nobody while something is wrong with it."""
    st.subheader("Population", anchor=False)
    draft_population.population_fields(editing, wrong)
    draft_population.show_eligible(editing)
    people: list[Person] = []
    if not any(problem.field.startswith("panel") for problem in wrong):
        with suppress(UserError):  # said next to the fields
            people = cached.panel_of(editing.draft.panel)
            draft_population.show_population(editing.draft.panel)
    return people


def show_editor(editing: Editing) -> None:
    n_rows = len(editing.draft.conditions) + len(editing.draft.outcomes)
    if n_rows > MOST_ROWS:
        toolbar(editing)
        raise UserError(
            f"This draft has {n_rows:,} conditions and outcomes; the window edits at most {MOST_ROWS}. Edit it as a "
            "file, and run it with: python -m socrates_core simulate FILE.yaml --model MODEL"
        )
    # The widgets hold what was typed since the last run of this script; all below shows the draft with it.
    draft_form.commit(editing, draft_form.collect(editing))
    title, action = st.columns([4, 1], vertical_alignment="bottom")
    title.text_input("Title", editing.draft.title, key=editing.key("title"))
    toolbar(editing)
    wrong = problems(editing.draft)
    show_conditions(editing, wrong)
    show_outcomes(editing, wrong)
    for warning in warnings(editing.draft):
        if warning.field != "factors":  # said next to the factors
            st.warning(escape(warning.message), icon=":material/warning:")
    show_similar_studies(editing.draft)
    people = show_people(editing, wrong)
    draft = editing.draft
    st.subheader("Model", anchor=False)
    models = model_requests("draft")
    draft_badges(draft, [model.name for model in models])
    limit_usd = consent.limit_field(models)
    usable = bool(models) and bool(people)
    if not models:
        st.markdown(":red[:material/error: Choose at least one model.]")
    if wrong:
        st.caption("Fix the items in red to see the prompt and cost.")
    if people and models and not wrong:
        show_exact_prompt(draft, people, models[0].name)
        usable = show_cost(draft, people, models) and usable
    ready = usable and not wrong
    hint = f"Fix {counted(len(wrong), 'item')} in red first." if wrong else None
    run = action.button(
        "Run simulation",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not ready,
        help=hint,
        width="stretch",
        key="draft_run",
    )
    if run:
        start_or_ask(draft, models, editing.draft_id, people, limit_usd)


flash = state.pop_flash()
if flash:
    st.success(escape(flash), icon=":material/check:")
held = current()
if held is None:
    show_list()
else:
    show_editor(held)
