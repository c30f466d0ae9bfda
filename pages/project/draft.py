"""A draft: conditions, outcomes, people and model; what it will ask and what that takes, before it starts."""

import streamlit as st

from pages.project import draft_fields, draft_form
from pages.project.draft_lists import show_drafts, show_versions
from pages.view import data, state
from pages.view.exposure_badges import draft_badges
from pages.view.fields import consent
from pages.view.state import Editing
from pages.view.text import counted, escape, shorten
from pages.view.widgets import show_prompt
from socrates_core.asking.consent import what_is_sent
from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.models import is_served, prompt_template
from socrates_core.personas import Person
from socrates_core.populations.panel import profiles_sentence
from socrates_core.projects import drafts
from socrates_core.projects.benchmark_questions import known_drifts
from socrates_core.projects.run_estimate import describe_estimate, estimate
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.prompts import TEMPLATE, render_prompt
from socrates_core.records import Decoding, Precision
from socrates_core.surveys.check import Problem, problems, warnings
from socrates_core.surveys.draft import Draft
from socrates_core.surveys.originals import texts_of
from socrates_core.surveys.start import empty_draft

PRECISIONS: tuple[Precision, ...] = ("auto", "fp32", "bf16", "nf4")
DECODINGS: tuple[Decoding, ...] = ("exact", "paper")
MOST_ROWS = 300  # conditions and outcomes: a browser shows their fields within some seconds


def current() -> Editing | None:
    """The draft that the link names, as this session last left it; None where the link names none."""
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
    if model in data.model_titles():
        st.caption(f"{escape(model)} will answer: open a draft, or start one from a study.")
    if action.button("New draft", type="primary", icon=":material/add:", width="stretch"):
        state.go_to(state.PAGES.draft, draft=drafts.create(empty_draft()))
    show_drafts()


def toolbar(editing: Editing) -> None:
    """Undo, redo, versions, delete: what one does to a draft as a whole."""
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


def show_conditions(editing: Editing, found: list[Problem]) -> None:
    st.subheader("Conditions", anchor=False)
    draft_fields.show_problems(found, "conditions")
    for index in range(len(editing.draft.conditions)):
        draft_fields.condition_row(editing, index, found)
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
    draft_fields.show_problems(found, "reference")


def show_outcomes(editing: Editing, found: list[Problem]) -> None:
    st.subheader("Outcomes", anchor=False)
    draft_fields.show_problems(found, "outcomes")
    for index in range(len(editing.draft.outcomes)):
        draft_fields.outcome_row(editing, index, found)
    st.button(
        "Add an outcome",
        icon=":material/add:",
        key="add_outcome",
        on_click=draft_form.change,
        args=(editing, lambda draft: draft_form.added(draft, "outcomes")),
    )


def choose_models() -> list[ModelRequest]:
    """The models that should answer; nothing is loaded here."""
    st.subheader("Model", anchor=False)
    titles = data.model_titles()
    wished = state.wished_model() or "starter"
    chosen = st.multiselect(
        "Models",
        list(titles),
        default=[wished] if wished in titles else None,
        format_func=lambda name: titles.get(name, name),
        accept_new_options=True,
        key="draft_models",
        help="Type a folder, a hub id such as org/name, or api:MODEL of a server and press Enter to use another model.",
    )
    served = any(is_served(name) for name in chosen)
    service = consent.service_fields() if served else None
    with st.expander("Precision and decoding"):
        precision = st.segmented_control(
            "Precision",
            PRECISIONS,
            default="auto",
            required=True,
            key="draft_precision",
            help="auto: bf16 where the processor has it, 4-bit NF4 where the model does not fit otherwise.",
        )
        decoding = st.segmented_control(
            "Decoding",
            DECODINGS,
            default="exact",
            required=True,
            key="draft_decoding",
            help="exact: the model's own probabilities; paper: temperature 0.6 and top-p 0.9, as published.",
        )
        for row in known_drifts(chosen[0]) if chosen else []:
            st.caption(
                escape(
                    f"{row['model']} in {row['precision']} against fp32 on {row['n_questions']} real questions here: "
                    f"total variation {row['mean_tv']:.3f} on average, {row['max_tv']:.3f} at most."
                )
            )
    if served and service is None:
        return []
    return [ModelRequest(name, precision, decoding, service=service) for name in chosen]


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
    st.caption(escape(f"Person {who} comes from {people[who - 1].source}."))
    show_prompt(render_prompt(people[who - 1].demographics, stimulus, _template(model)), model)


def _template(model: str) -> str:
    """The wording that the model was finetuned with; that of a model which is not there yet is SocSci210's."""
    try:
        return prompt_template(model)
    except UserError:
        return TEMPLATE


def show_cost(draft: Draft, people: list[Person], models: list[ModelRequest]) -> bool:
    """What each model will compute and how long it takes here; False where a model cannot be used."""
    st.subheader("What will be computed", anchor=False)
    st.caption(
        f"{counted(len(people), 'person', 'people')} × {counted(len(draft.conditions), 'condition')} × "
        f"{counted(len(draft.outcomes), 'outcome')} = "
        f"{len(people) * len(draft.conditions) * len(draft.outcomes):,} answers a model, each a probability "
        "over every answer of its scale. Answers that were worked out before are not worked out again."
    )
    if sentence := profiles_sentence(people):
        st.caption(escape(sentence))
    usable = True
    for model in models:
        try:
            cost = estimate(draft, people, model)
        except UserError as error:
            st.error(escape(str(error)), icon=":material/error:")
            usable = False
            continue
        told = (
            f"{model.name}: {cost.n_distinct:,} different prompts of about {cost.mean_tokens:.0f} tokens; "
            f"time on this machine: {describe_estimate(cost)}.{consent.cost_text(model, cost.usd)}"
        )
        st.markdown(escape(told))
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
    draft: Draft, models: list[ModelRequest], draft_id: str, limit_usd: float | None, *, agreed: bool = False
) -> None:
    """Keeps a version of what is run, queues one run a model and shows the first."""
    drafts.keep_version(draft_id, draft, "run with " + ", ".join(model.name for model in models))
    jobs = [
        submit_simulation(draft, model, draft_id=draft_id, consent=agreed, limit_usd=limit_usd)
        for model in models
    ]
    state.go_to(state.PAGES.results, run=jobs[0].id)


def start_or_ask(
    draft: Draft, models: list[ModelRequest], draft_id: str, people: list[Person], limit_usd: float | None
) -> None:
    """Starts the runs, after consent where questions would leave this machine."""
    n_questions = len(people) * len(draft.conditions) * len(draft.outcomes)
    sent = [what_is_sent(model.name, model.service, people, n_questions) for model in models]
    leaving = [sending for sending in sent if sending is not None]
    if not leaving:
        return start(draft, models, draft_id, limit_usd)
    consent.ask_consent(leaving, lambda: start(draft, models, draft_id, limit_usd, agreed=True))


def show_editor(editing: Editing) -> None:
    n_rows = len(editing.draft.conditions) + len(editing.draft.outcomes)
    if n_rows > MOST_ROWS:
        toolbar(editing)
        raise UserError(
            f"This draft has {n_rows:,} conditions and outcomes; the window edits at most {MOST_ROWS}. Edit it as a "
            "file, and run it with: python -m socrates_core simulate FILE.yaml --model MODEL"
        )
    draft_form.commit(editing, draft_form.collect(editing))
    title, action = st.columns([4, 1], vertical_alignment="bottom")
    title.text_input("Title", editing.draft.title, key=editing.key("title"))
    toolbar(editing)
    found = problems(editing.draft)
    show_conditions(editing, found)
    show_outcomes(editing, found)
    for warning in warnings(editing.draft):
        st.warning(escape(warning.message), icon=":material/warning:")
    st.subheader("People", anchor=False)
    draft_fields.panel_fields(editing, found)
    draft_fields.show_eligible(editing)
    draft = editing.draft
    models = choose_models()
    draft_badges(draft, [model.name for model in models])
    limit_usd = consent.limit_field() if any(model.service for model in models) else None
    usable, people = bool(models), []
    if not models:
        st.markdown(":red[:material/error: Choose at least one model.]")
    try:
        people = data.panel_of(draft.panel) if not found else []
    except UserError:
        usable = False  # said beside the panel's fields
    if found:
        st.caption("The exact prompt and the cost are shown here once what is marked in red is mended.")
    if people and models:
        show_exact_prompt(draft, people, models[0].name)
        usable = show_cost(draft, people, models) and usable
    ready = usable and not found
    told = None if ready else f"{len(found)} things to mend first; they are marked in red." if found else None
    run = action.button(
        "Run simulation",
        type="primary",
        icon=":material/play_arrow:",
        disabled=not ready,
        help=told,
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
