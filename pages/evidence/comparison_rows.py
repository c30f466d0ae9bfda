"""The rows and tables of comparisons, cached until the evaluations or their corpus change."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from pages.view import cached
from pages.view.charts import frames
from pages.view.words import counted, figure_text, interval_text, percent_text, visible
from socrates_core.analysis.bootstrap import MIN_STUDIES_FOR_INTERVAL, Measure
from socrates_core.analysis.parity import Parity
from socrates_core.analysis.summary import mean_distribution
from socrates_core.evaluations.comparison import Comparison, Duel
from socrates_core.evaluations.published import published_beside
from socrates_core.evaluations.results import Evaluation
from socrates_core.evaluations.scores import DRAWS, PAPER
from socrates_core.personas import label
from socrates_core.records import LOW_MASS, Scale
from socrates_core.reporting.comparison_measures import MEASURES, NAMES

CHARTED = (
    "wasserstein_exact_stated",
    "wasserstein_exact_observed",
    "corrected_distance",
    "wasserstein_observed",
    "accuracy_draw",
    "log_score",
    "ranked_probability",
    "valid_mass",
)
BETTER = {"low": "Lower is better.", "high": "Higher is better.", "": ""}


def compare(evaluations: Sequence[Evaluation]) -> Comparison:
    """The comparison of evaluations, scored once. Raises UserError if they cannot be compared."""
    return _compare(comparison_key(evaluations), evaluations)


def comparison_key(evaluations: Sequence[Evaluation]) -> tuple[str, ...]:
    """Changes when an evaluation is written again or its corpus shows other answers."""
    written = (f"{evaluation.id} {evaluation.manifest.get('written')}" for evaluation in evaluations)
    corpora = dict.fromkeys(evaluation.spec.corpus for evaluation in evaluations)
    return *written, *(cached.stamp(corpus) for corpus in corpora)


# Streamlit hashes no argument that begins with an underscore; `key` says when to score again.
@st.cache_resource(show_spinner="Scoring every cell", max_entries=4)
def _compare(key: tuple[str, ...], _evaluations: Sequence[Evaluation]) -> Comparison:
    comparison = Comparison(_evaluations)
    if not comparison.seen_only:
        _ = comparison.summaries  # scored here, under the spinner, and not when a view first asks
    return comparison


def published(comparison: Comparison) -> pd.DataFrame:
    return _published(comparison_key(comparison.evaluations), comparison)


@st.cache_data(show_spinner=False, max_entries=20)
def _published(key: tuple[str, ...], _comparison: Comparison) -> pd.DataFrame:
    return published_beside(_comparison)


def parities(comparison: Comparison, field: str) -> dict[str, Parity]:
    """Each model's scores by the groups of a demographic field."""
    return _parities(comparison_key(comparison.evaluations), field, comparison)


@st.cache_data(show_spinner="Scoring every group", max_entries=40)
def _parities(key: tuple[str, ...], field: str, _comparison: Comparison) -> dict[str, Parity]:
    return {name: _comparison.parity(name, field) for name in _comparison.names}


def demographic_fields(comparison: Comparison) -> dict[str, str]:
    """The demographic fields known for people in the comparison's studies, each with its label."""
    fields: dict[str, str] = {}
    for source in comparison.sources:
        corpus = source.corpus.name
        studies = tuple(sorted(source.rows[0]["study_id"].unique().tolist()))
        known = cached.demographic_values(corpus, studies, cached.stamp(corpus))
        fields |= {name: label(name) for name in known}
    return fields


def of_studies(comparison: Comparison) -> str:
    """A name for the comparison's studies, for the keys of choices that belong to them."""
    return "+".join(_studies(comparison))


def _studies(comparison: Comparison) -> list[str]:
    return sorted({cell.study_id for cell in comparison.cells[0]})


def study_titles(comparison: Comparison) -> dict[str, str]:
    return comparison.titles


def headline(comparison: Comparison, measure: str) -> pd.DataFrame:
    """A row a model, baseline and published model that has the measure: name, kind, value, low, high."""
    scores = [
        {
            "name": NAMES.get(summary.name, summary.name),
            "kind": summary.kind,
            **vars(summary.measures[measure]),
        }
        for summary in comparison.summaries
        if measure in summary.measures and np.isfinite(summary.measures[measure].value)
    ]
    rows = pd.DataFrame(scores, columns=["name", "kind", "value", "low", "high"])
    beside = published(comparison)
    if measure not in beside:
        return rows
    beside = beside.dropna(subset=[measure]).rename(columns={measure: "value"})
    return pd.concat([rows, beside[["name", "value"]].assign(kind="published")], ignore_index=True)


def measures_table(comparison: Comparison) -> pd.DataFrame:
    """A row a model and baseline: every measure as "value [low, high]", and what it rests on."""
    rows = []
    for record in comparison.table().to_dict("records"):
        measures = {words.label: _measure_text(record, name) for name, words in MEASURES.items()}
        is_model = record["kind"] == "model"
        rows.append(
            {
                "Who": visible(NAMES.get(str(record["name"]), str(record["name"]))),
                **measures,
                **{f"{MEASURES[name].label}, {DRAWS} draws": _draws_text(record, name) for name in PAPER},
                "Studies": record["n_studies"],
                "Cells": record["n_cells"],
                "Cells without a range": record["n_skipped"],
                "People": record["n_people"],
                "Asked": record["n_rows"] if is_model else None,
                "Dropped": record["n_dropped"],
                "Off scale": record["n_off_scale"],
                "Seconds": record["seconds"],
                "US dollars": record["cost_usd"],
            }
        )
    return pd.DataFrame(rows)


def _measure_text(record: Mapping[Any, Any], name: str) -> str:
    value, low, high = (record.get(f"{name}{end}", np.nan) for end in ("", "_low", "_high"))
    return f"{figure_text(value, 3)} {interval_text(low, high, 3)}".strip()


def _draws_text(record: Mapping[Any, Any], name: str) -> str:
    """The mean over many draws, and how far a single one is from it."""
    mean, sd = (record.get(f"{name}_of_draws{end}", np.nan) for end in ("", "_sd"))
    return f"{figure_text(mean, 3)} (SD {figure_text(sd, 3)})" if np.isfinite(mean) else figure_text(mean, 3)


def remarks(comparison: Comparison) -> list[str]:
    """What a reader of the scores must know: what is left out, what is unknown, and why an interval is missing."""
    sentences = [
        f"{summary.name} put only {percent_text(mass.value)} of its probability on valid answers, so its "
        "scores rest on a small part of what it would say."
        for summary in comparison.summaries
        if summary.kind == "model" and (mass := summary.measures["valid_mass"]).value < LOW_MASS
    ]
    if comparison.n_left_out:
        sentences.append(
            f"{comparison.n_left_out:,} of {comparison.n_rows:,} rows are left out: a model here saw them in training."
        )
    if comparison.n_unanswered:
        sentences.append(
            f"{comparison.n_unanswered:,} rows are left out: a model here answered nobody in their cells."
        )
    if fewer := _fewer_studies(comparison):
        sentences.append(fewer)
    if comparison.unknown:
        sentences.append(
            f"Whether these studies were in training is not known of {', '.join(comparison.unknown)}."
        )
    samples = [{each.spec.sample_digest() for each in source.evaluations} for source in comparison.sources]
    if any(len(digests) > 1 for digests in samples):
        sentences.append(
            "These evaluations asked different people; only rows that all of them have are compared."
        )
    sentences += [
        f"{NAMES.get(summary.name, summary.name)}: {summary.note}."
        for summary in comparison.summaries
        if summary.note
    ]
    n_studies = comparison.summaries[0].n_studies
    if n_studies < MIN_STUDIES_FOR_INTERVAL:
        sentences.append(
            f"No intervals: {counted(n_studies, 'study', 'studies')} cannot say how studies differ. It takes "
            f"{MIN_STUDIES_FOR_INTERVAL}."
        )
    return sentences


def _fewer_studies(comparison: Comparison) -> str:
    """Which measures rest on fewer studies than the others; "" where none does."""
    n_scored = comparison.summaries[0].n_scored
    most = max(n_scored.values(), default=0)
    fewer = {name: n for name, n in n_scored.items() if 0 < n < most}
    if not fewer:
        return ""
    measures = ", ".join(f"{MEASURES[name].label} {n}" for name, n in fewer.items())
    return f"Of {most} studies, some have no score on a measure. Studies behind it: {measures}."


def worth_sentences(comparison: Comparison) -> list[str]:
    """How many respondents each model is worth, and what its interval varies."""
    return [
        f"{name} is worth {worth.describe()}, the interval over {worth.interval_over}."
        for name, worth in comparison.worths.items()
    ]


def paired(comparison: Comparison, measure: str) -> pd.DataFrame:
    """Every two models, and every model and the uniform guess, on the same studies: the mean difference."""
    better = MEASURES[measure].better
    judged = {(duel.first, duel.second): duel for duel in comparison.duels if duel.measure == measure}
    known = {summary.name: summary.by_study for summary in comparison.summaries}
    rows = []
    for first, second in comparison.pairs_of_predictors if better else []:
        if known[second][measure].notna().any():
            pair = comparison.paired(measure, first, second, lower_is_better=better == "low")
            rows.append(
                {
                    "First": visible(first),
                    "Second": visible(NAMES.get(second, second)),
                    "Difference (first − second)": measure_text(pair.difference),
                    **_judged(judged.get((first, second))),
                    "First better": pair.n_first_better,
                    "Second better": pair.n_second_better,
                    "Studies": pair.n_studies,
                }
            )
    return pd.DataFrame(rows)


def _judged(duel: Duel | None) -> dict[str, str]:
    """The corrected p of a pair and who is better; empty for measures that decide nothing."""
    if duel is None:
        return {"Corrected p": "", "Better": ""}
    return {
        "Corrected p": "–" if np.isnan(duel.p_holm) else f"{duel.p_holm:.3f}",
        "Better": visible(NAMES.get(duel.winner, duel.winner)) or "cannot be told",
    }


def measure_text(measure: Measure, digits: int = 3) -> str:
    return f"{figure_text(measure.value, digits)} {interval_text(measure.low, measure.high, digits)}".strip()


def cells_table(comparison: Comparison, measure: str, name: str) -> pd.DataFrame:
    """One model's cells, the worst first; `at` is the cell's place in `comparison.cells`."""
    scores = comparison.scores
    cells = scores[scores["predictor"] == name].reset_index(drop=True).rename_axis("at").reset_index()
    titles = study_titles(comparison)
    cells = cells.assign(study=[titles.get(study, study) for study in cells["study_id"]])
    return cells.dropna(subset=[measure]).sort_values(
        measure, ascending=MEASURES[measure].better == "high", kind="stable", ignore_index=True
    )


def studies_table(comparison: Comparison, measure: str) -> pd.DataFrame:
    """A row a study with the measure of every model and baseline, the first model's worst on top."""
    columns = {
        summary.name: summary.by_study[measure]
        for summary in comparison.summaries
        if measure in summary.by_study
    }
    table = pd.DataFrame(columns)
    titles = study_titles(comparison)
    n_rows = Counter(comparison.rows[0]["study_id"])
    table.insert(0, "Study", [titles.get(str(study), str(study)) for study in table.index])
    table["Rows"] = [n_rows[study] for study in table.index]
    best = MEASURES[measure].better == "high"
    return table.sort_values(comparison.names[0], ascending=best, kind="stable").rename(columns=NAMES)


def cells_of_item(comparison: Comparison, at: int) -> list[int]:
    """The places of all cells with the question and scale of the cell at `at`: that cell first, then by condition."""
    first = comparison.cells[0]
    chosen = first[at]
    alike = [
        place
        for place, cell in enumerate(first)
        if cell.item == chosen.item and (cell.scale == chosen.scale or (cell.is_drawn and chosen.is_drawn))
    ]
    return sorted(alike, key=lambda place: (place != at, first[place].condition_num))


def item_scale(comparison: Comparison, places: Sequence[int]) -> Scale:
    """The scale of an item's cells; for drawn answers, a scale that lists every number in any of them."""
    cells = [cells[place] for cells in comparison.cells for place in places]
    if not cells[0].is_drawn:
        return cells[0].scale
    values = np.unique(np.concatenate([cell.values for cell in cells])).tolist()
    return Scale("enum_labels", labels=tuple((value, "") for value in values))


def answers(comparison: Comparison, places: Sequence[int]) -> pd.DataFrame:
    """The answers of people and of every model in the cells at `places`, as rows for `answer_charts.distribution`."""
    first = comparison.cells[0]
    times = Counter(first[place].condition for place in places)
    parts = []
    for place in places:
        cell = first[place]
        name = cell.condition if times[cell.condition] == 1 else f"{cell.condition} ({cell.condition_num})"
        parts.append(frames.share_rows(name, "people", cell.scale, cell.counts))
        for who, cells in zip(comparison.names, comparison.cells, strict=True):
            rows = cells[place].probabilities[np.isfinite(cells[place].probabilities).all(axis=1)]
            if len(rows):
                shares = mean_distribution(rows)
                parts.append(frames.predicted_rows(name, who, cells[place].scale, shares, n=len(rows)))
    return pd.concat(parts, ignore_index=True)


def effects(comparison: Comparison) -> pd.DataFrame:
    """People's and predicted effects in percent of each scale's range, with the study's title."""
    titles = study_titles(comparison)
    frame = comparison.effects
    shares = {name: 100 * frame[name] for name in ("human", "human_se", "predicted")}
    return frame.assign(**shares, study=[titles.get(study, study) for study in frame["study_id"]])


def ladder_table(comparison: Comparison) -> pd.DataFrame:
    """The field's measures of effects, a row for each model and each floor; misses in percent of the scale's range."""
    return pd.DataFrame(
        [
            {
                "Who": visible(row.name),
                "Direction": 100 * row.direction,
                "Spearman": row.spearman,
                "Pearson": row.pearson,
                "Within outcomes": row.r_within,
                "Without noise": row.r_adjusted,
                "Miss": 100 * row.rmse,
                "Miss without noise": 100 * row.rmse_adjusted,
                "Intercept": 100 * row.intercept,
                "Slope": row.slope,
                "Variance ratio": comparison.shapes.get(row.name, {}).get("variance_ratio"),
                "Overlap": comparison.shapes.get(row.name, {}).get("overlap"),
            }
            for row in comparison.ladder
        ]
    )


def agreement_table(comparison: Comparison) -> pd.DataFrame:
    """How each model's effects agree with people's, a row a model."""
    return pd.DataFrame(
        [
            {
                "Model": visible(name),
                "Same sign": measure_text(agreement.sign, 2),
                "Same sign, clear effects": measure_text(agreement.sign_clear, 2),
                "r": measure_text(agreement.r, 2),
                "Slope": measure_text(agreement.slope, 2),
                "RMSE": measure_text(agreement.rmse),
                "Effects": agreement.n_effects,
                "Clear": agreement.n_clear,
                "Studies": agreement.n_studies,
                "Dropped": agreement.n_dropped,
            }
            for name, agreement in comparison.agreements.items()
        ]
    )


def groups(parities: dict[str, Parity]) -> pd.DataFrame:
    """A row for each model and group, with its W and its number of people."""
    return pd.DataFrame(
        [
            {
                "model": name,
                "group": subgroup.group,
                "n": subgroup.n,
                **vars(subgroup.score),
                "human_mean": subgroup.human_mean,
                "predicted_mean": subgroup.predicted_mean,
            }
            for name, parity in parities.items()
            for subgroup in parity.subgroups
        ]
    )
