"""Panel experiments: the same people asked in many ways, and how much a predicted effect depends on the way."""

import streamlit as st

from pages.project import experiment_form, specification_chart
from pages.view import cached, state
from pages.view.charts.show import show_chart, theme
from pages.view.exposure_badges import draft_badges
from pages.view.fields import consent
from pages.view.fields.link import linked_select
from pages.view.fields.live import live
from pages.view.fields.table import choose_row
from pages.view.words import counted, escape, interval_text, percent_text, shorten, visible
from socrates_core.corpus.store import corpora
from socrates_core.errors import UserError
from socrates_core.jobs.store import ACTIVE, RESUMABLE
from socrates_core.projects import drafts
from socrates_core.projects.experiments import Experiment, load_experiment, resume, stop, submit_experiment
from socrates_core.projects.specification_curves import EffectCurve, list_experiments, load_curves, run_states
from socrates_core.records import LOW_MASS
from socrates_core.surveys.check import problems
from socrates_core.surveys.draft import Draft


def show_list() -> None:
    """Every experiment, to open, and the form of a new one."""
    title, action = st.columns([4, 1], vertical_alignment="bottom")
    title.title("Panel experiments", anchor=False)
    st.caption(
        "One panel is asked the same in many ways: by several models, in other number formats, orders and wordings. "
        "How far a predicted effect moves shows how much it depends on choices that should not matter."
    )
    rows = list_experiments()
    if rows:
        chosen = choose_row(
            [
                {key: visible(value) if isinstance(value, str) else value for key, value in row.items()}
                for row in rows
            ],
            [str(row["experiment_id"]) for row in rows],
            column_order=["title", "created", "n_specifications", "n_complete", "chosen"],
            key="experiments_table",
            alt="Panel experiments",
            column_config={
                "title": st.column_config.TextColumn("Experiment", width="large"),
                "created": st.column_config.DatetimeColumn("Started", format="distance"),
                "n_specifications": "Specifications",
                "n_complete": "Complete",
                "chosen": "Chosen",
            },
        )
        st.caption("Choose a row to open the experiment.")
        if chosen is not None:
            state.go_to(state.PAGES.experiment, experiment=chosen)
    titles = {row["draft_id"]: shorten(visible(row["title"])) for row in drafts.list_drafts()}
    if not titles:
        st.info(
            "An experiment starts from a draft, and there is none yet. Choose **New draft** on the page Draft, or open "
            "a study and choose **Draft from this study**.",
            icon=":material/stacked_line_chart:",
        )
        return
    st.subheader("New experiment", anchor=False)
    show_form(linked_select("Draft", titles, "draft", "experiment"), action)


def show_form(draft_id: str, action: st.delta_generator.DeltaGenerator) -> None:
    draft = drafts.open_draft(draft_id)
    if problems(draft):
        st.warning("This draft has things to mend first.", icon=":material/edit_note:")
        st.page_link(state.PAGES.draft, label="Open the draft", query_params={"draft": draft_id})
        return
    planned = experiment_form.plan(draft, draft_id)
    usable = bool(planned.specifications)
    people = cached.panel_of(draft.panel)
    population = cached.population_of(draft.panel)
    st.caption(escape(f"{population['name']}: {population['sentence']}"))
    for warning in population["warnings"]:
        st.warning(escape(warning), icon=":material/warning:")
    limit_usd = consent.limit_field(specification.model for specification in planned.specifications)
    if usable:
        try:
            experiment_form.show_cost(draft, people, planned)
        except UserError as error:
            st.error(escape(str(error)), icon=":material/error:")
            usable = False
    start = action.button(
        "Start experiment",
        type="primary",
        icon=":material/play_arrow:",
        width="stretch",
        disabled=not usable,
        key="experiment_start",
    )
    if start:
        consent.start_with_consent(
            experiment_form.leaving(draft, people, planned.specifications),
            lambda agreed: begin(draft, planned, draft_id, limit_usd, agreed=agreed),
        )


def begin(
    draft: Draft,
    planned: experiment_form.Planned,
    draft_id: str,
    limit_usd: float | None,
    *,
    agreed: bool,
) -> None:
    """Keeps a version of the draft, queues every run, and shows the experiment."""
    experiment = submit_experiment(
        draft,
        planned.specifications,
        chosen=planned.chosen,
        paraphrases=planned.paraphrases,
        draft_id=draft_id,
        consent=agreed,
        limit_usd=limit_usd,
    )
    drafts.keep_version(draft_id, draft, f"experiment of {counted(len(experiment.run_ids), 'specification')}")
    state.go_to(state.PAGES.experiment, experiment=experiment.experiment_id)


@st.cache_data(show_spinner="Reading the runs", max_entries=8)
def curves_of(experiment_id: str, states: list[str], stamp: str) -> list[EffectCurve]:
    """The curves, cached until a run ends or people's answers are hidden, revealed, or written again."""
    return load_curves(load_experiment(experiment_id))


def show_progress(experiment_id: str, known: str) -> None:
    """How many runs are complete. Draws the whole page again when another one is."""
    states = run_states(load_experiment(experiment_id))
    n_complete = states.count("complete")
    if str(states) != known:
        st.rerun()
    st.progress(
        n_complete / len(states), text=f"{n_complete:,} of {counted(len(states), 'specification')} complete"
    )
    if st.button("Stop", icon=":material/stop_circle:", key="experiment_stop"):
        stop(load_experiment(experiment_id))
        st.rerun()


def show_state(experiment: Experiment, states: list[str]) -> None:
    if set(states) & set(ACTIVE):
        live(show_progress, "2s", experiment.experiment_id, str(states))
        return
    ended = [ending for ending in states if ending != "complete"]
    if ended:
        how = ", ".join(sorted(set(ended)))
        st.warning(
            f"{counted(len(ended), 'specification')} of {len(states)} did not finish ({how}); "
            "the page Jobs says why. The curve rests on the others.",
            icon=":material/warning:",
        )
    if set(ended) & set(RESUMABLE) and st.button(
        "Resume", icon=":material/play_arrow:", key="experiment_resume"
    ):
        resume(experiment)
        st.rerun()


def show_numbers(effect: EffectCurve) -> None:
    """The curve in a few figures."""
    curve = effect.curve
    people = effect.people
    figures = {"Chosen": curve.chosen, "Median": curve.median, "Lowest": curve.low, "Highest": curve.high}
    metrics = {name: percent_text(value, 1) for name, value in figures.items()}
    if curve.n_like_chosen is not None:
        metrics["Same sign as chosen"] = f"{curve.n_like_chosen} of {curve.n_others} others"
    if people:
        metrics["People"] = percent_text(people.share, 1)
    if curve.n_like_people is not None:
        metrics["Same sign as people"] = f"{curve.n_like_people} of {curve.n}"
    with st.container(horizontal=True):
        for name, text in metrics.items():
            st.metric(name, text, width="content")


def show_curve(experiment: Experiment, effect: EffectCurve) -> None:
    if effect.drawn.empty:
        st.info(
            "No specification is complete yet; the first one starts the curve.",
            icon=":material/hourglass_empty:",
        )
        return
    show_numbers(effect)
    title = f"How far does {effect.condition} move “{effect.outcome}” from {effect.reference}, in every specification?"
    show_chart(
        specification_chart.specification_curve(effect, title=title, theme=theme()),
        effect.rows,
        "specification_curve",
    )
    people = effect.people
    if people:
        bounds = interval_text(100 * people.low, 100 * people.high, 1)
        st.caption(
            f"People: {percent_text(people.share, 1)} {bounds} of the scale, 95% interval, n = {people.n:,} and "
            f"{people.n_reference:,}, where they were asked the draft's own words. Predicted effects carry no interval."
        )
    else:
        st.caption("Nobody's answers to these words are here. Predicted effects carry no interval.")
    complete = effect.rows[effect.rows["same_as"].isna() & (effect.rows["state"] == "complete")]
    silent = int(complete["effect"].isna().sum())
    unsure = int((effect.drawn["valid_mass"] < LOW_MASS).sum())
    if silent:
        st.caption(
            f"{counted(silent, 'specification')} without a valid answer in a condition: no effect to show."
        )
    if unsure:
        st.caption(
            f"In {counted(unsure, 'specification')} the model put less than {percent_text(LOW_MASS)} of its "
            "probability on valid answers, so the effect rests on a small part of what it would say."
        )
    doubles = int(effect.rows["same_as"].notna().sum())
    if doubles:
        st.caption(
            f"{counted(doubles, 'specification')} asked the very same as another here and "
            f"{'is' if doubles == 1 else 'are'} not counted twice."
        )


def show_table(effect: EffectCurve) -> None:
    """A table of every specification. A click on a row opens its run."""
    rows = effect.rows.map(lambda value: visible(value) if isinstance(value, str) else value)
    run_id = choose_row(
        rows,
        rows["run_id"].map(str),
        key=f"specifications_table:{effect.outcome}:{effect.condition}",
        alt="Specifications",
        placeholder="–",
        column_order=[
            "effect",
            "chosen",
            "specification",
            *specification_chart.DIMENSIONS,
            "valid_mass",
            "state",
            "same_as",
        ],
        column_config={
            **specification_chart.DIMENSIONS,
            "state": "State",
            "effect": st.column_config.NumberColumn(
                "Effect", format="percent", help="share of the outcome's scale"
            ),
            "chosen": st.column_config.CheckboxColumn("Chosen", width="small"),
            "specification": st.column_config.NumberColumn("No.", width="small"),
            "valid_mass": st.column_config.NumberColumn("Valid mass", format="percent"),
            "same_as": st.column_config.NumberColumn("Same as no.", format="%d"),
        },
    )
    st.caption("Choose a row to open its run.")
    if run_id is not None:
        state.go_to(state.PAGES.results, run=run_id)


def show_experiment(experiment: Experiment) -> None:
    title, action = st.columns([4, 1], vertical_alignment="bottom")
    title.title(escape(experiment.draft.title), anchor=False)
    if action.button("All experiments", icon=":material/list:", width="stretch"):
        state.go_to(state.PAGES.experiment)
    chosen = experiment.specifications[experiment.chosen]
    with st.container(horizontal=True, gap="small"):
        st.badge(f"{len(experiment.run_ids)} specifications", color="gray")
        st.badge(f"{experiment.draft.panel.size:,} simulated people", color="gray")
        st.badge(escape(f"chosen: no. {experiment.chosen + 1}, {chosen.label}"), icon=":material/flag:")
        draft_badges(experiment.draft, list(dict.fromkeys(s.model.name for s in experiment.specifications)))
    states = run_states(experiment)
    show_state(experiment, states)
    study = experiment.draft.study
    stamp = cached.stamp(study.corpus) if study and study.corpus in corpora() else ""
    effects = curves_of(experiment.experiment_id, states, stamp)
    if not effects:
        st.info("Effects need two conditions, and an outcome that is not open.", icon=":material/info:")
        return
    names = {
        str(at): shorten(f"{effect.outcome}: {effect.condition}", 90) for at, effect in enumerate(effects)
    }
    effect = effects[int(linked_select("Effect", names, "effect", experiment.experiment_id))]
    show_curve(experiment, effect)
    show_table(effect)


linked = state.parameter("experiment")
if linked:
    show_experiment(load_experiment(linked))
else:
    show_list()
