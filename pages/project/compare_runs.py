"""Two to six runs side by side: what differs, the answers, the differences, and what should not matter."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from pages.view import state
from pages.view.charts import answer_charts, frames
from pages.view.charts.show import show_chart, theme
from pages.view.fields import consent
from pages.view.fields.link import linked_multiselect, linked_select
from pages.view.fields.table import csv_button
from pages.view.verdict_line import show_verdict
from pages.view.words import escape, show_difference, visible
from socrates_core.asking.consent import what_is_sent
from socrates_core.errors import UserError
from socrates_core.projects.run_changes import MOST_RUNS, ComparedRuns, measure_yardsticks
from socrates_core.projects.run_results import list_runs, load_run


def choose_runs() -> list[str]:
    """The runs in the link, or chosen in the box; only those that have answers."""
    rows = [row for row in list_runs() if row.get("n_answered")]
    if len(rows) < 2:
        st.info(
            "Two runs with answers are needed: of two wordings, two models, or two populations. Change a draft and run "
            "it again, or run it with another model.",
            icon=":material/compare_arrows:",
        )
        st.page_link(state.PAGES.draft, label="Open your drafts", icon=":material/edit_note:")
        st.stop()
    names = {
        row["run_id"]: f"{row['title']} · {row['model']} · {row['run_id'][:15]} {row['run_id'][-4:]}"
        for row in rows
    }
    return linked_multiselect(
        "Runs; each is held against the first",
        names,
        "runs",
        key="compared_runs",
        most=MOST_RUNS,
        placeholder=f"Choose 2 to {MOST_RUNS} runs",
    )


def show_header(compared: ComparedRuns) -> None:
    """The verdict of each model, and how far each run is from the first."""
    for verdict in {run.model: run.verdict for run in compared.runs}.values():
        show_verdict(verdict, name=True)
    for name in compared.names[1:]:
        st.markdown(f"**{escape(compared.summary(name))}**")
    for yardstick in compared.yardsticks:
        st.caption(escape(f"{yardstick} These are changes that should not matter to {compared.names[0]}."))
    if not compared.yardsticks:
        offer_yardsticks(compared)


def offer_yardsticks(compared: ComparedRuns) -> None:
    """A button that runs the first run again with other people and with its answers in reverse."""
    run = compared.runs[0]
    st.caption(
        "How much do the numbers move when nothing that matters changes? Ask the first run again with other people of "
        "its population, and with its answers listed in reverse."
    )
    if st.button("Measure what should not matter", icon=":material/straighten:", key="measure_yardsticks"):
        n_questions = 2 * run.manifest["n_cells"]
        sending = what_is_sent(run.spec.model.name, run.spec.model.service, run.spec.people, n_questions)
        consent.start_with_consent(
            [sending] if sending else [],
            lambda agreed: start_yardsticks(compared, agreed=agreed),
        )


def start_yardsticks(compared: ComparedRuns, *, agreed: bool) -> None:
    jobs = measure_yardsticks(compared.runs[0], consent=agreed)
    if jobs:
        state.set_flash("Two more runs of A are queued. Reload this page when they are done.")
        st.rerun()
    st.warning(
        "This run's answers cannot be listed in reverse, and every profile of its population is asked already.",
        icon=":material/info:",
    )


def show_what_differs(compared: ComparedRuns) -> None:
    """Facts in which the runs differ, and the words of texts that changed."""
    if compared.facts:
        st.dataframe(
            pd.DataFrame(compared.facts).map(visible),
            hide_index=True,
            key="differ_in",
            alt="What differs",
            column_config={"what": "Differs in"},
        )
    for text in compared.texts:
        st.markdown(
            f"**{escape(text.what)}**, {escape(text.run)}: words that {escape(compared.names[0])} has not"
        )
        show_difference(text.after, text.before)
        with st.expander(f"Before, in {visible(compared.names[0])}"):
            st.text(visible(text.before))
    if not compared.facts and not compared.texts:
        st.caption("These runs asked the same of the same model.")
    for sentence in compared.left_out:
        st.caption(escape(sentence))


def show_answers(compared: ComparedRuns, outcome: str) -> None:
    """One outcome: its distributions in every run, and the means with their differences."""
    cells = [row for row in compared.cells if row[0].outcome_name == outcome]
    changes = {(c.run, c.condition): c for c in compared.changes if c.outcome == outcome}
    rows = [
        {
            "condition": row[0].condition_name,
            "run": name,
            "mean": cell.mean,
            "difference": change.difference if change else None,
            "moved": 100 * change.moved if change else None,
            "n": cell.n_simulated,
        }
        for row in cells
        for name, cell in zip(compared.names, row, strict=True)
        for change in [changes.get((name, row[0].condition_name))]
    ]
    table = pd.DataFrame(rows)
    st.dataframe(
        table.map(lambda value: visible(value) if isinstance(value, str) else value),
        hide_index=True,
        key="compared_means",
        placeholder="–",
        alt="Means of every run",
        column_config={
            "condition": st.column_config.TextColumn("Condition", pinned=True),
            "run": "Run",
            "mean": st.column_config.NumberColumn("Mean, points", format="%.2f"),
            "difference": st.column_config.NumberColumn("Minus A, points", format="%.2f"),
            "moved": st.column_config.NumberColumn(
                "Answers moved, %",
                format="%.0f",
                help="The share of answers that would have to change to give A's.",
            ),
            "n": st.column_config.NumberColumn("Simulated people", format="localized"),
        },
    )
    csv_button("Table as CSV", lambda: table, "compared_means", key="data_compared_means", type="tertiary")
    scale = cells[0][0].scale
    parts = [
        frames.predicted_rows(
            cell.condition_name, name, scale, cell.predicted, n=cell.n_simulated, n_profiles=cell.n
        )
        for row in cells
        for name, cell in zip(compared.names, row, strict=True)
    ]
    parts += [
        frames.share_rows(cell.condition_name, "people", scale, cell.counts, size=cell.size)
        for row in cells
        for cell in row[:1]
        if cell.counts is not None
    ]
    frame = pd.concat(parts, ignore_index=True)
    title = f"What does each run predict? {outcome}"
    show_chart(
        answer_charts.distribution(frame, scale=scale, title=title, theme=theme()), frame, "compared_answers"
    )


def show_effects(compared: ComparedRuns) -> None:
    """Differences from the reference in every run, with differences of differences."""
    if not compared.effects:
        return
    st.subheader("Differences between conditions", anchor=False)
    table = pd.DataFrame([{**vars(effect), "change": effect.change} for effect in compared.effects])
    shown = table.assign(**{name: 100 * table[name] for name in ("first", "effect", "change")})
    st.dataframe(
        shown.map(lambda value: visible(value) if isinstance(value, str) else value),
        hide_index=True,
        key="compared_effects",
        alt="Differences between conditions in every run",
        column_order=["outcome", "condition", "run", "first", "effect", "change"],
        column_config={
            "outcome": st.column_config.TextColumn("Outcome", pinned=True),
            "condition": "Condition",
            "run": "Run",
            "first": st.column_config.NumberColumn("In A", format="%.1f"),
            "effect": st.column_config.NumberColumn("In this run", format="%.1f"),
            "change": st.column_config.NumberColumn("Change", format="%.1f"),
        },
    )
    st.caption(
        escape(
            f"Difference in means from “{compared.reference}”, in % of each scale's range, without intervals. "
            "Change: the difference of these differences."
        )
    )
    csv_button(
        "Table as CSV", lambda: table, "compared_effects", key="data_compared_effects", type="tertiary"
    )


def outcome_names(compared: ComparedRuns) -> Sequence[str]:
    return list(dict.fromkeys(row[0].outcome_name for row in compared.cells))


st.title("Compare", anchor=False)
st.caption("Runs side by side: wordings, models, or populations.")
flash = state.pop_flash()
if flash:
    st.success(escape(flash), icon=":material/check:")
chosen = choose_runs()
if len(chosen) < 2:
    st.info("Choose at least two runs.", icon=":material/compare_arrows:")
    st.stop()
comparison = ComparedRuns([load_run(run_id) for run_id in chosen])
outcomes = outcome_names(comparison)
if not outcomes:
    raise UserError(
        "These runs have no condition and outcome of the same name and scale, so there is nothing to compare. Choose "
        "runs of one draft or of versions of it."
    )
show_header(comparison)
st.subheader("What differs", anchor=False)
show_what_differs(comparison)
st.subheader("Answers", anchor=False)
place = linked_select(
    "Outcome", {str(at): name for at, name in enumerate(outcomes)}, "outcome", ",".join(chosen)
)
show_answers(comparison, outcomes[int(place)])
show_effects(comparison)
