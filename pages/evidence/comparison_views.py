"""The views of a comparison: scores, cells, studies, effects, groups of people, and downloads."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from pages.evidence import comparison_charts, comparison_rows
from pages.evidence.comparison_rows import BETTER, CHARTED
from pages.view import state
from pages.view.calibration_words import show_calibration
from pages.view.charts import answer_charts
from pages.view.charts.show import show_chart, theme
from pages.view.fields.link import linked_select
from pages.view.fields.table import choose_row, csv_button, pages_of
from pages.view.report_download import show_comparison_report
from pages.view.words import counted, escape, visible
from socrates_core.analysis.parity import MINIMUM, Parity
from socrates_core.calibrations import calibration_for
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.scores import PAPER
from socrates_core.personas import label
from socrates_core.reporting.comparison_measures import MEASURES

PAGE = 50
LADDER = {  # format and meaning of each measure of effects
    "Direction": ("%.0f%%", "Effects with the same sign as people's. A predicted 0 counts one half."),
    "Spearman": ("%.2f", "Correlation of ranks."),
    "Pearson": ("%.2f", "Linear correlation."),
    "Within outcomes": ("%.2f", "Correlation after each outcome's mean is taken out: which condition works."),
    "Without noise": ("%.2f", "Pearson's correlation without people's sampling error."),
    "Miss": ("%.1f", "Root mean squared error, in % of the scale."),
    "Miss without noise": ("%.1f", "The same without people's sampling error."),
    "Intercept": ("%.1f", "Of the line of people's on predicted effects, in % of the scale."),
    "Slope": ("%.2f", "Of the same line: below 1 where predictions are too large."),
    "Variance ratio": (
        "%.2f",
        "Variance of predicted answers over people's: above 1 where the model varies more.",
    ),
    "Overlap": ("%.2f", "Share of predicted answers that people gave too, from 0 to 1."),
}


def choose_measure(where: Any = st) -> str:
    options = {name: MEASURES[name].label for name in CHARTED}
    return linked_select("Measure", options, "measure", "compare", where=where)


def _explained(measure: str) -> str:
    words = MEASURES[measure]
    return f"{words.label}: {words.meaning}. {BETTER[words.better]}"


def show_scores(comparison: Comparison) -> None:
    measure = choose_measure()
    frame = comparison_rows.headline(comparison, measure)
    title = f"How close do predicted answers come to people’s? {MEASURES[measure].label}"
    figure = comparison_charts.scores(frame, title=title, axis=MEASURES[measure].label, theme=theme())
    show_chart(figure, frame, f"scores_{measure}")
    st.caption(escape(f"{_explained(measure)} Lines: 95% intervals over studies. {_halves(measure)}"))
    for remark in comparison_rows.remarks(comparison):
        st.info(escape(remark), icon=":material/info:")
    _show_published(comparison, measure)
    table = comparison_rows.measures_table(comparison)
    st.dataframe(
        table,
        hide_index=True,
        key="measures",
        placeholder="–",
        alt="Every measure of every model and baseline",
        column_config={
            "Who": st.column_config.TextColumn("Who", pinned=True, width=190),
            "Seconds": st.column_config.NumberColumn(format="%.0f"),
            "US dollars": st.column_config.NumberColumn(format="dollar"),
            **{words.label: st.column_config.TextColumn(help=words.meaning) for words in MEASURES.values()},
        },
    )
    st.caption(
        "Each column is a convention of its own: do not compare numbers of two columns. Every row is scored on the "
        "same cells. People: everybody who answered in them; asked: those whom the model predicted. Dropped rows lack "
        "an answer or a prediction; answers off the scale count in the published measures only."
    )
    for sentence in comparison_rows.worth_sentences(comparison):
        st.markdown(escape(sentence))
    _show_pairs(comparison, measure)


def _halves(measure: str) -> str:
    if not measure.startswith("wasserstein_exact"):
        return ""
    return (
        "Predictions for the people asked are compared with everybody who answered. Half of the people against the "
        "other half: the mean over all halvings of each cell. Oracle: the expected score of the true distribution "
        "with as many people; no prediction is expected to beat it."
    )


def _show_published(comparison: Comparison, measure: str) -> None:
    rows = comparison_rows.published(comparison)
    if rows.empty or measure not in rows:
        return
    st.dataframe(
        rows,
        hide_index=True,
        key="published",
        placeholder="not reported",
        alt="Published scores",
        column_config={
            "name": "Published",
            "source": "Source",
            **{name: st.column_config.NumberColumn(MEASURES[name].label, format="%.3f") for name in PAPER},
        },
    )
    st.caption(
        "Reported on these 40 studies in this convention, with everybody asked; here at most the cap a cell."
    )


def _show_pairs(comparison: Comparison, measure: str) -> None:
    pairs = comparison_rows.paired(comparison, measure)
    if pairs.empty:
        return
    st.markdown(f"**Head to head on the same studies**: {escape(MEASURES[measure].label)}")
    st.dataframe(pairs, hide_index=True, key="pairs", placeholder="–")
    st.caption(
        "Mean difference over studies with its 95% interval. One is better where p is below .05 after Holm's "
        "correction over all pairs and measures of the exact distributions; a single draw decides nothing."
    )


def show_cells(comparison: Comparison) -> None:
    left, right = st.columns(2)
    measure = choose_measure(left)
    models = {name: name for name in comparison.names}
    name = linked_select("Model", models, "model", "+".join(comparison.names), where=right)
    with st.spinner("Scoring each cell"):
        table = comparison_rows.cells_table(comparison, measure, name)
    if table.empty:
        st.info("No cell has this measure.", icon=":material/info:")
        return
    at = _choose_cell(table, measure, name)
    show_item(comparison, at)


def _choose_cell(table: pd.DataFrame, measure: str, name: str) -> int:
    """The place in `Comparison.cells` of the row that was clicked, or of the worst cell before any click."""
    st.caption(
        f"{counted(len(table), 'cell')}, the worst first. Choose a row to see the answers. "
        f"{escape(_explained(measure))} Here it is of one question; the published measures pool the "
        "questions of a battery."
    )
    page = table.iloc[list(pages_of(len(table), PAGE, "page"))].reset_index(drop=True)
    columns = {
        "study": "Study",
        "outcome": "Outcome",
        "condition": "Condition",
        measure: MEASURES[measure].label,
        "human_mean": "People's mean",
        "predicted_mean": "Predicted mean",
        "n_rows": "n",
        "n_dropped": "Dropped",
    }
    chosen = choose_row(
        page[list(columns)].rename(columns=columns),
        page.itertuples(index=False),
        key=f"cells_{measure}_{name}",
        placeholder="–",
        height=min(320, 38 + 35 * len(page)),
        alt="Cells, the worst first",
        column_config={
            **{title: st.column_config.TextColumn(width=150) for title in ("Study", "Outcome", "Condition")},
            **{
                title: st.column_config.NumberColumn(format="%.3f")
                for title in (MEASURES[measure].label, "People's mean", "Predicted mean")
            },
        },
    )
    return int(page["at"].iloc[0]) if chosen is None else int(str(chosen.at))


def show_item(comparison: Comparison, at: int) -> None:
    """The answers of people and of every model to the question of the cell at `at`, a panel for each condition."""
    cell = comparison.cells[0][at]
    places = comparison_rows.cells_of_item(comparison, at)
    frame = comparison_rows.answers(comparison, places)
    scale = comparison_rows.item_scale(comparison, places)
    title = f"What did people answer, and what was predicted? {cell.outcome}"
    show_chart(
        answer_charts.distribution(frame, scale=scale, title=title, theme=theme()), frame, "cell_answers"
    )
    off = sum(comparison.cells[0][place].n_off_scale for place in places)
    st.caption(
        f"{counted(off, 'answer')} off the scale left out. People: 95% intervals; predicted: the mean of one "
        f"distribution a person.{' Drawn answers, an open question.' if cell.is_drawn else ''}"
    )
    source, study_id = comparison.find(cell.study_id)
    st.page_link(
        state.PAGES.study,
        label="Open the study",
        icon=":material/experiment:",
        query_params={"corpus": source.corpus.name, "study": study_id},
    )


def show_studies(comparison: Comparison) -> None:
    measure = choose_measure()
    table = comparison_rows.studies_table(comparison, measure)
    figures = [str(name) for name in table if name not in ("Study", "Rows")]
    study_id = choose_row(
        table,
        table.index.map(str),
        key=f"studies_{measure}:{'+'.join(comparison.names)}",
        placeholder="–",
        alt="Every study's scores",
        column_config={
            "Study": st.column_config.TextColumn(width=260),
            **{name: st.column_config.NumberColumn(visible(name), format="%.3f") for name in figures},
        },
    )
    st.caption(escape(f"{_explained(measure)} Means over a study's cells. Choose a row to open the study."))
    if study_id is not None:
        source, study_id = comparison.find(study_id)
        state.go_to(state.PAGES.study, corpus=source.corpus.name, study=study_id)


def show_effects(comparison: Comparison) -> None:
    """People's effects against predicted ones, with the calibration line of each model that has one."""
    calibrations = {
        name: calibration_for(evaluation.manifest["fingerprint"])
        for name, evaluation in zip(comparison.names, comparison.evaluations, strict=True)
    }
    slopes = {
        name: fitted.calibration.slope for name, fitted in calibrations.items() if not isinstance(fitted, str)
    }
    with st.spinner("Working out the effects"):
        frame = comparison_rows.effects(comparison)
    if frame.empty:
        st.info("No study here was answered in two conditions on one scale.", icon=":material/info:")
        return
    title = "Do predicted effects agree with people’s?"
    figure = comparison_charts.effects_scatter(frame, title=title, theme=theme(), slopes=slopes)
    show_chart(figure, frame, "effects_beside_people")
    st.caption(
        "A point is one outcome's difference between a condition and its study's reference. People's are of everybody "
        "who took part, with 95% intervals; predicted ones are of the people asked and carry none."
    )
    st.dataframe(
        comparison_rows.agreement_table(comparison), hide_index=True, key="agreement", placeholder="–"
    )
    st.caption(
        "Same sign: 50% is a coin; clear effects are those whose interval leaves out 0. Slope of people's on predicted "
        "effects: below 1 where predictions are too large. RMSE in shares of the scale. Intervals are over studies."
    )
    st.markdown("**The field's measures, with floors**")
    st.dataframe(
        comparison_rows.ladder_table(comparison),
        hide_index=True,
        key="ladder",
        placeholder="–",
        alt="The field's measures of effects",
        column_config={
            "Who": st.column_config.TextColumn(pinned=True, width=190),
            **{
                name: st.column_config.NumberColumn(name, format=form, help=meaning)
                for name, (form, meaning) in LADDER.items()
            },
        },
    )
    st.caption(
        "A model should beat the floors *no effect* and *all positive*; *a second human sample* of the same size is "
        "what can be reached at all, worked out from people's standard errors."
    )
    for name, calibration in calibrations.items():
        st.markdown(f"**Calibration of {escape(name)}**")
        show_calibration(calibration, key=name)


def show_subgroups(comparison: Comparison) -> None:
    fields = comparison_rows.demographic_fields(comparison)
    if not fields:
        st.info("Nothing is known about the people of these studies.", icon=":material/group_off:")
        return
    field = linked_select("Groups by", fields, "field", comparison_rows.of_studies(comparison))
    parities = comparison_rows.parities(comparison, field)
    frame = comparison_rows.groups(parities)
    if frame.empty:
        st.info(
            f"No group has {MINIMUM} people in at least half of the cells, so none is scored. A larger cap asks more.",
            icon=":material/group_off:",
        )
    else:
        title = f"Are some people predicted worse than others? {label(field)}"
        show_chart(comparison_charts.group_heat(frame, title=title, theme=theme()), frame, f"groups_{field}")
        for name, parity in parities.items():
            st.markdown(escape(_gap(name, parity)))
    st.caption(escape(_left_out(next(iter(parities.values())))))
    st.caption(
        f"Squared distances between the cumulative shares of people and of predictions on the stated scale, without "
        f"sampling noise, over cells in which every group has {MINIMUM} people. Lower is better. The parity gap is the "
        "highest group's distance minus the lowest's, with an interval that holds for all pairs of groups at once. The "
        "paper prints no formula: this one is ours."
    )


def _gap(name: str, parity: Parity) -> str:
    if len(parity.subgroups) < 2:
        return f"{name}: no gap between groups without two of them."
    gap = comparison_rows.measure_text(parity.difference)
    sentence = f"{name}: parity gap {gap} over {counted(parity.n_cells, 'cell')}."
    if parity.difference.low > 0:
        return f"{sentence} Some group is predicted worse than another."
    return f"{sentence} No clear difference between the groups."


def _left_out(parity: Parity) -> str:
    reasons = (
        [f"{counted(parity.n_unknown, 'person', 'people')} of no known group"] if parity.n_unknown else []
    )
    reasons += [f"{group} ({n:,})" for group, n in parity.left_out[:20]]
    more = len(parity.left_out) - 20
    reasons += [f"{more} more groups"] if more > 0 else []
    skipped = f" {counted(parity.n_skipped, 'cell')} with too few people." if parity.n_skipped else ""
    return f"Left out: {'; '.join(reasons) or 'nobody'}.{skipped}"


def show_downloads(comparison: Comparison) -> None:
    st.markdown("The numbers behind this page, with every measure and count at full precision.")
    tables: dict[str, Callable[[], pd.DataFrame]] = {
        "Scores": comparison.table,
        "Cells": lambda: comparison.scores,
        "Effects": lambda: comparison.effects,
    }
    with st.container(horizontal=True):
        for name, table in tables.items():
            csv_button(f"{name} as CSV", table, name.lower(), key=f"download_{name.lower()}")
    fields = comparison_rows.demographic_fields(comparison)
    chosen = linked_select("Groups in the report", {"": "none"} | fields, "field", "report")
    show_comparison_report(comparison, chosen or None)
