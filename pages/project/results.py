"""One run: predicted answers and effects compared with people's, how sure the model was, and downloads."""

from collections.abc import Callable
from functools import partial

import pandas as pd
import streamlit as st

from pages.project import run_factors_table, run_means_table
from pages.project.draft_population import show_shares
from pages.view import run_charts, state
from pages.view.calibration_words import show_calibration
from pages.view.charts import answer_charts, frames
from pages.view.charts.show import show_chart, theme
from pages.view.exposure_badges import headline, run_badge
from pages.view.fields.link import linked_box, linked_select
from pages.view.fields.live import show_job
from pages.view.fields.table import csv_button, pages_of
from pages.view.outdated import show_outdated
from pages.view.report_download import show_report
from pages.view.seals import show_seal
from pages.view.verdict_line import show_verdict
from pages.view.words import escape, figure_text, percent_text, show_text, visible
from socrates_core.asking.consent import what_is_sent
from socrates_core.errors import UserError
from socrates_core.jobs import store
from socrates_core.populations.panel import profiles_sentence, profiles_text
from socrates_core.projects.experiments import experiment_of
from socrates_core.projects.run_export import cells_table, effects_table, people_table
from socrates_core.projects.run_means import POINTS, Unit
from socrates_core.projects.run_results import SimulationRun, list_runs, load_run
from socrates_core.projects.run_spec import load_spec, run_again
from socrates_core.records import LOW_MASS
from socrates_core.scales.order import is_ordered

VIEWS = ["Answers", "Effects", "Scores", "People", "Panel and model", "Export"]
PAGE = 100  # rows
CALIBRATED = (
    " Calibrated: what to expect of people's true effect, with 50%, 80% and 90% intervals, thick to thin."
)


def choose_run() -> str:
    """The run in the link, or the one chosen in the box at the top."""
    rows = list_runs()
    if not rows:
        st.title("Results", anchor=False)
        st.info(
            "Predicted answers and effects appear here next to people's. There is no run yet: open a study, choose "
            "**Draft from this study**, change what you like and choose **Run simulation**.",
            icon=":material/bar_chart:",
        )
        st.stop()
    names: dict[str, str] = {  # without the state, as Streamlit drops a choice whose name changes
        row["run_id"]: f"{row['title']} · {row.get('model', '')} · {row['run_id'][:15]} {row['run_id'][-4:]}"
        for row in rows
    }
    linked = state.parameter("run")
    if linked and linked not in names:
        st.warning(escape(f"There is no run {linked!r}; choose one here."), icon=":material/help:")
    return linked_box("Run", names, linked, lambda run_id: {"run": run_id}, key="run_box")


def header(run: SimulationRun) -> None:
    card = run.manifest["card"]
    manifest = run.manifest
    title, action = st.columns([4, 1], vertical_alignment="bottom")
    title.title(escape(run.title), anchor=False)
    if run.spec.draft_id and action.button("Open the draft", type="primary", width="stretch"):
        state.go_to(state.PAGES.draft, draft=run.spec.draft_id)
    show_verdict(run.verdict)
    with st.container(horizontal=True, gap="small"):
        st.badge(escape(card["name"]), icon=":material/smart_toy:")
        how = (
            "a stand-in"
            if card["precision"] == "none"
            else f"{card['precision']}, {card['decoding']} decoding"
        )
        st.badge(how, color="gray")
        st.badge(profiles_text(manifest["n_people"], len(set(run.profiles))), color="gray")
        st.badge(f"{manifest['n_answered']:,} of {manifest['n_cells']:,} answers", color="gray")
        st.badge(f"{manifest['n_cached']:,} from the cache", color="gray")
        mass = manifest["valid_mass"] or 0.0
        st.badge(f"valid mass {percent_text(mass)}", color="green" if mass >= LOW_MASS else "red")
        run_badge(run)
    show_outdated_run(run)
    offer_comparison(run)
    if manifest["state"] == "partial":
        st.warning(
            f"This run is not finished: {manifest['n_answered']:,} of {manifest['n_cells']:,} answers are there. "
            "What is shown rests on these alone.",
            icon=":material/hourglass_bottom:",
        )
        if still_runs(run) and st.button("Show what has come since", icon=":material/refresh:"):
            st.rerun()
    if mass < LOW_MASS:
        st.warning(
            f"The model put only {percent_text(mass)} of its probability on valid answers, so its distributions rest "
            "on a small part of what it would say. A finetuned model answers in the format asked for.",
            icon=":material/warning:",
        )


def offer_comparison(run: SimulationRun) -> None:
    """A link that holds the run against the one before it of the same draft, which another wording or model asked."""
    if run.spec.draft_id is None:
        return
    earlier = [
        row["run_id"]
        for row in list_runs()
        if row.get("n_answered")
        and row.get("draft_id") == run.spec.draft_id
        and row["run_id"] != run.spec.run_id
        and row["created"] <= run.spec.created
    ]
    if earlier:
        st.page_link(
            state.PAGES.compare_runs,
            label="Compare with the run before",
            icon=":material/compare_arrows:",
            query_params={"runs": f"{earlier[0]},{run.spec.run_id}"},
        )


def show_origin(run: SimulationRun) -> None:
    """Where the answers come from: people's study, the population, the seal, the experiment that the run is part of."""
    if run.people_sentence:
        st.caption(escape(run.people_sentence))
    st.caption(escape(f"{run.population['name']}: {profiles_sentence(run.spec.people)}"))
    show_seal(run)
    if experiment := experiment_of(run.spec.run_id):
        number = experiment.run_ids.index(run.spec.run_id) + 1
        st.page_link(
            state.PAGES.experiment,
            icon=":material/stacked_line_chart:",
            query_params={"experiment": experiment.experiment_id},
            label=escape(
                f"Specification {number} of {len(experiment.run_ids)} of a panel experiment: {experiment.draft.title}"
            ),
        )


def show_outdated_run(run: SimulationRun) -> None:
    spec = run.spec
    sending = what_is_sent(spec.model.name, spec.model.service, spec.people, run.manifest["n_cells"])
    show_outdated(
        run.outdated,
        "Run again",
        [sending] if sending else [],
        lambda agreed: run_again(spec.run_id, consent=agreed),
        lambda job: state.go_to(state.PAGES.results, run=job.id),
    )


def still_runs(run: SimulationRun) -> bool:
    try:
        return store.read_job(run.spec.run_id).active
    except UserError:
        return False


def choose_outcome(run: SimulationRun) -> int:
    names = {str(at): outcome.name for at, outcome in enumerate(run.spec.draft.outcomes)}
    return int(linked_select("Outcome", names, "outcome", run.spec.run_id))


def show_answers(run: SimulationRun, unit: Unit, o: int) -> None:
    outcome = run.spec.draft.outcomes[o]
    scale = outcome.scale.scale()
    show_text(outcome.question)
    run_means_table.show_means(run, o, unit)
    cells = [cell for cell in run.cells if cell.outcome == o]
    baselines = st.toggle(
        "Show the uniform and condition-blind baselines", key="results_baselines", bind="query-params"
    )
    frame = run_charts.answers(run, o, baselines=baselines)
    if frame.empty:
        st.info("No answer of this outcome is there yet.", icon=":material/hourglass_empty:")
        return
    title = f"What does {run.model} predict, and what did people answer? {outcome.name}"
    show_chart(answer_charts.distribution(frame, scale=scale, title=title, theme=theme()), frame, "answers")
    with_people = [cell for cell in cells if cell.counts is not None]
    if with_people:
        n = ", ".join(f"{cell.condition_name} {cell.n_people:,}" for cell in with_people)
        off = sum(cell.n_off_scale for cell in with_people)
        st.caption(
            escape(
                f"People: {n} ({off} off the scale, left out), 95% intervals. Predicted: "
                f"{profiles_text(cells[0].n_simulated, cells[0].n)}."
            )
        )
    if draws := cells[0].n_samples:
        st.caption(
            f"An open question has no list of answers to score: the prediction is {draws} draws a simulated person "
            "with a fixed seed, so it carries sampling noise. Draws that are no number count against the valid mass."
        )
    if len(with_people) < len(cells):
        st.caption("People's answers are shown only where they were shown exactly this text and question.")


def show_effects(run: SimulationRun, unit: Unit) -> None:
    unordered = [
        o.name for o, scale in zip(run.spec.draft.outcomes, run.scales, strict=True) if not is_ordered(scale)
    ]
    if unordered:
        st.info(
            escape(
                f"The options of {', '.join(unordered)} have no order, so there is no difference of means. Compare the "
                "shares of each option under Answers."
            ),
            icon=":material/format_list_bulleted:",
        )
    if not run.effects:
        if not unordered:
            st.info("Effects need two conditions.", icon=":material/info:")
        return
    frame = run_charts.effects(run)
    title = f"How far does each condition move answers from “{run.effects[0].reference}”?"
    drawn, axis = frames.in_one_unit(frame, percent=unit == "percent")
    if drawn.empty:
        st.info("No effect is known: the model gave no valid answer to compare.", icon=":material/info:")
    else:
        show_chart(
            answer_charts.effects_forest(drawn, title=title, unit=axis, theme=theme()), drawn, "effects"
        )
    if len(drawn) < len(frame):
        st.caption(
            "Effects without a number in this unit, such as those on open outcomes among others, are left out."
        )
    if unit == "points" and axis != POINTS and frame["span"].nunique() > 1:
        st.caption(f"The outcomes have different scales, so one chart shows them in {axis}.")
    without = f", because {run.why_no_interval}." if run.why_no_interval else f".{CALIBRATED}"
    st.caption(
        f"Difference in means against the reference condition, in {axis}. People: 95% intervals. Predicted: as the "
        f"model said, without an interval{without}"
    )
    run_factors_table.show_factors(run, unit)
    show_calibration(run.calibration)
    st.page_link(
        state.PAGES.power,
        label="How many people would find these effects?",
        icon=":material/bolt:",
        query_params={"run": run.spec.run_id},
    )


def show_scores(run: SimulationRun) -> None:
    table = cells_table(run)
    if table["human_n"].isna().all():
        st.info("No person answered exactly these texts, so there is nothing to score.")
    convention = st.segmented_control(
        "W in shares of",
        ["observed", "stated"],
        default="observed",
        required=True,
        key="scores_convention",
        bind="query-params",
        format_func=lambda name: "people's observed range" if name == "observed" else "the stated scale",
    )
    w = {
        f"w_{convention}": f"W {run.model}",
        f"w_{convention}_uniform": "W uniform",
        f"w_{convention}_condition_blind": "W condition-blind",
        f"w_{convention}_half_sample": "W half against half",
        f"w_{convention}_oracle": "W oracle",
    }
    squared = {
        "corrected_distance": f"Squared distance {run.model}",
        "corrected_distance_uniform": "Squared distance uniform",
    }
    mass = {"valid_mass": "Valid mass"}
    sizes = {"human_n": "People", "n_simulated": "Simulated people", "n": "Profiles"}
    names = {"outcome_name": "Outcome", "condition_name": "Condition", **w, **squared, **mass, **sizes}
    scores = table[list(names)].rename(columns=names)
    st.dataframe(
        scores,
        hide_index=True,
        placeholder="–",
        column_config={
            name: st.column_config.NumberColumn(name, format="%.3f")
            for name in (*w.values(), *squared.values(), *mass.values())
        },
    )
    with_people = scores[scores["People"].notna()]
    scored = headline(run, scores).dropna(subset=["People"])
    if len(scored) < len(with_people):
        st.caption(
            f"{len(with_people) - len(scored)} cells that the model saw in training are left out of what follows."
        )
    if scored.empty:
        return
    overall = scored[list(w.values())].mean()
    distances = scored[list(squared.values())].mean()
    st.caption(
        escape(
            f"W (Wasserstein distance, 0 is perfect) of the exact distribution, mean over {len(scored)} cells: "
            + ", ".join(f"{name} {figure_text(value, 3)}" for name, value in overall.items())
            + ". Not comparable with published numbers, which draw one answer a person. Uniform: every answer alike. "
            "Condition-blind: the people whom the other conditions asked the same question, absent without any. Half "
            "against half: half of the people against the other half. Oracle: what the true distribution would "
            "score to as many people. Squared distance without the luck of who answered, 0 for a perfect prediction on "
            "average: "
            + ", ".join(f"{name} {figure_text(value, 3)}" for name, value in distances.items())
            + "."
        )
    )


def show_people(run: SimulationRun) -> None:
    table = people_table(run)
    st.caption(
        f"{len(table):,} rows, one a person and cell. Means are in scale points; "
        "probabilities are over the values of the outcome's scale."
    )
    page = pages_of(len(table), PAGE, "people_page")
    st.dataframe(table.iloc[page.start : page.stop], hide_index=True, key="people_table")


def show_panel(run: SimulationRun) -> None:
    st.markdown("**Model**")
    st.dataframe(
        [{"what": k, "is": visible(str(v))} for k, v in run.manifest["card"].items()],
        hide_index=True,
        width=720,
    )
    st.markdown("**People**")
    for warning in run.population["warnings"]:
        st.warning(escape(warning), icon=":material/warning:")
    show_shares(pd.DataFrame(run.population["shares"]))
    people = pd.DataFrame(
        [{"source": p.source, "weight": p.weight, **p.demographics} for p in run.spec.people]
    )
    st.dataframe(people, hide_index=True)
    st.markdown("**How to repeat this run**")
    st.code(" ".join(run.command), language=None, wrap_lines=True)
    st.caption("draft.yaml is part of the export.")


def show_export(run: SimulationRun) -> None:
    name = run.spec.run_id
    with st.container(horizontal=True):
        for label, table in (("People", people_table), ("Cells", cells_table), ("Effects", effects_table)):
            file = f"{name}_{label.lower()}"
            csv_button(f"{label} as CSV", partial(table, run), file, key=f"export_{label.lower()}")
        st.download_button(
            "People as Parquet",
            (run.spec.path / "people.parquet").read_bytes(),
            f"{name}_people.parquet",
            on_click="ignore",
        )
    show_report(run)


run_id = choose_run()
try:
    show_job(store.read_job(run_id))
except UserError:
    st.caption("The job of this run is gone; its results are kept.")
try:
    run = load_run(run_id)
except UserError as error:
    st.subheader(escape(load_spec(run_id).draft.title), anchor=False)
    st.caption(escape(str(error)))
    st.stop()
header(run)
view = st.segmented_control(
    "What to show",
    VIEWS,
    default=VIEWS[0],
    required=True,
    key="results_view",
    label_visibility="collapsed",
    bind="query-params",
)
left, middle, right = st.columns([2, 2, 1])
outcome = 0
if view == "Answers":
    with left:
        outcome = choose_outcome(run)
with middle:
    run = run_means_table.choose_reference(run)
with right:
    unit = run_means_table.choose_unit(run)
views: dict[str, Callable[[SimulationRun], None]] = {
    "Answers": partial(show_answers, unit=unit, o=outcome),
    "Effects": partial(show_effects, unit=unit),
    "Scores": show_scores,
    "People": show_people,
    "Panel and model": show_panel,
    "Export": show_export,
}
views[view](run)
show_origin(run)
