"""How near predictions come to people in studies that no model was trained on: who is asked, scores and baselines.

Outcomes are those that at least LEAST people answered, in any condition: in a sample of a large data set most cells
have one or two people, whose distance even to other people of the same cell is larger than what a model could win.
"""

import math
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.baselines import expected_half_sample, pooled, uniform
from socrates_core.analysis.bootstrap import Measure, mean_over_studies, over_studies, ratio
from socrates_core.analysis.metrics import exact_wasserstein
from socrates_core.corpus.queries import Corpus
from socrates_core.evaluations.rows import questions_of_rows, with_answers
from socrates_core.prompts import TEMPLATE
from socrates_core.records import Floats, Question, Scale, parse_number

LEAST, MOST_OUTCOMES, MOST_PEOPLE = (
    10,
    4,
    4,
)  # people of an outcome; outcomes of a study; people who are asked
OUTCOME = ["study_id", "task_num", "part", "scale"]
LEVELS: Mapping[str, list[str]] = {"": OUTCOME, "cell_": [*OUTCOME, "condition_num"]}
MEASURES = ("w_stated", "w_observed", "cell_w_stated", "cell_w_observed", "log_score", "valid_mass")
FLOOR = 1e-6  # of a probability in the log score
GRID: Floats = np.linspace(0, 1, 201)  # of a scale's length, to compare scales of different lengths


@dataclass(frozen=True)
class Asked:
    """The held-out rows that every model of a seed is asked, and everybody's answers to the same outcomes."""

    rows: pd.DataFrame
    questions: list[Question]
    everybody: pd.DataFrame


def answers_of(corpus: Corpus, studies: Sequence[str]) -> pd.DataFrame:
    """All answers of `studies` on scales with listed values, a row each, with the Scale that it was given on."""
    told = corpus.ask(
        "SELECT study_id, sample_id FROM read_parquet($responses) WHERE list_contains($studies, study_id)",
        studies=list(studies),
    )
    rows = with_answers(corpus, told)
    scales = {(study, each.stimulus_id): each.scale for study in studies for each in corpus.stimuli(study)}
    keys = zip(rows["study_id"], rows["stimulus_id"], strict=True)
    rows["scale"] = pd.Series([scales[key] for key in keys], index=rows.index, dtype=object)
    listed = [not each.is_drawn and len(each.values) > 1 for each in rows["scale"]]
    return rows[rows["value"].notna() & np.array(listed)]


def choose(corpus: Corpus, studies: Sequence[str], seed: int, *, most: int = MOST_PEOPLE) -> Asked:
    """At most MOST_OUTCOMES outcomes of each study, and `most` people of each, from its conditions in turn."""
    everybody = answers_of(corpus, studies)
    everybody = everybody[everybody.groupby(OUTCOME, sort=False)["value"].transform("size") >= LEAST]
    kept = []
    for study, own in everybody.groupby("study_id"):
        rng = np.random.default_rng([seed, zlib.crc32(str(study).encode())])
        outcomes = [people for _, people in own.groupby(OUTCOME, sort=False)]
        for place in rng.permutation(len(outcomes))[:MOST_OUTCOMES]:
            people = outcomes[place].iloc[rng.permutation(len(outcomes[place]))]
            turn = people.groupby("condition_num").cumcount().sort_values(kind="stable")
            kept.append(people.loc[turn.index[:most]])
    rows = pd.concat(kept, ignore_index=True)
    questions = [
        question
        for study, own in rows.groupby("study_id", sort=False)
        for question in questions_of_rows(corpus, str(study), own, TEMPLATE)
    ]
    return Asked(rows, questions, everybody)


def scored(asked: Asked, seed: int, model: str, probabilities: Sequence[Any], masses: Floats) -> pd.DataFrame:
    """A row a study with MEASURES of predicted `probabilities` [k], one entry a row that was asked.

    W is between the mean prediction and everybody's answers, of outcomes (all conditions together) and of cells with
    LEAST people and more; means over these within the study.
    """
    given = [
        each[list(question.options).index(str(parse_number(float(value))))]
        for each, question, value in zip(probabilities, asked.questions, asked.rows["value"], strict=True)
    ]
    rows = asked.rows.assign(
        log_score=np.log(np.maximum(given, FLOOR)), valid_mass=masses, said=[*probabilities]
    )
    means = rows.groupby(OUTCOME, sort=False)[["log_score", "valid_mass"]].mean().groupby("study_id").mean()
    for prefix, keys in LEVELS.items():
        told = asked.everybody.groupby(keys, sort=False)["value"]
        found = [
            {"study_id": own["study_id"].iloc[0], **_distances(own, told.get_group(key), prefix)}
            for key, own in rows.groupby(keys, sort=False)
            if len(told.get_group(key)) >= LEAST
        ]
        means = means.join(_by_study(found, prefix))
    return means.reset_index().assign(seed=seed, model=model)


def _distances(own: pd.DataFrame, answers: pd.Series, prefix: str) -> dict[str, float]:
    scale = own["scale"].iloc[0]
    counts, said = counted(answers, scale), np.mean(own["said"].tolist(), axis=0)
    values = np.array(scale.values, dtype=float)
    return {
        f"{prefix}w_stated": exact_wasserstein(values, said, counts, convention="stated"),
        f"{prefix}w_observed": exact_wasserstein(values, said, counts, convention="observed"),
    }


def _by_study(found: Sequence[Mapping[str, Any]], prefix: str) -> pd.DataFrame:
    """The means of both W within studies; empty where nothing was measured."""
    columns = ["study_id", f"{prefix}w_stated", f"{prefix}w_observed"]
    return pd.DataFrame(found, columns=columns).groupby("study_id").mean()


def counted(answers: pd.Series, scale: Scale) -> Floats:
    """How many of `answers` are each value [k] of the scale."""
    found: Floats = (answers.to_numpy()[:, None] == np.array(scale.values, dtype=float)).sum(axis=0)
    return found.astype(float)


def baselines(asked: Asked, trained_on: pd.DataFrame, seed: int) -> list[pd.DataFrame]:
    """Who knows nothing; only what people answer elsewhere; only the outcome; and people against people.

    `trained_on` are the answers of the training side: their mean shape, laid over each scale, is blind to the text.
    """
    scales = asked.rows["scale"].tolist()
    shape = _mean_shape(trained_on)
    answers = asked.everybody.groupby(OUTCOME, sort=False)["value"]
    keys = asked.rows[OUTCOME].itertuples(index=False, name=None)
    blind = [
        pooled(counted(answers.get_group(key), scale)[None]) for key, scale in zip(keys, scales, strict=True)
    ]
    nothing = np.full(len(scales), np.nan)
    flat, typical = (
        [uniform(len(each.values)) for each in scales],
        [_laid(shape, len(each.values)) for each in scales],
    )
    return [
        scored(asked, seed, "uniform", flat, nothing),
        scored(asked, seed, "mean shape of other studies", typical, nothing),
        scored(asked, seed, "condition-blind", blind, nothing).drop(columns=["w_stated", "w_observed"]),
        _halves(asked).assign(seed=seed, model="half-sample"),
    ]


def _mean_shape(answers: pd.DataFrame) -> Floats:
    """The mean cumulative share on GRID of outcomes with LEAST answers or more, within studies, then over them."""
    shapes = []
    for _, study in answers.groupby("study_id"):
        own = []
        for _, outcome in study.groupby(OUTCOME, sort=False):
            counts = counted(outcome["value"], outcome["scale"].iloc[0])
            edges = np.arange(len(counts) + 1) / len(counts)
            if counts.sum() >= LEAST:
                own.append(np.interp(GRID, edges, np.append(0, np.cumsum(counts) / counts.sum())))
        if own:
            shapes.append(np.mean(own, axis=0))
    return np.asarray(np.mean(shapes, axis=0))


def _laid(shape: Floats, k: int) -> Floats:
    """The shares [k] of a scale's values under a cumulative shape on GRID."""
    return np.diff(np.interp(np.arange(k + 1) / k, GRID, shape))


def _halves(asked: Asked) -> pd.DataFrame:
    """People against people: a row a study with W of half of the people against the other half."""
    means = pd.DataFrame(index=pd.Index(sorted(asked.rows["study_id"].unique()), name="study_id"))
    for prefix, keys in LEVELS.items():
        told = asked.everybody.groupby(keys, sort=False)["value"]
        found = []
        for key, own in asked.rows.groupby(keys, sort=False):
            scale, answers = own["scale"].iloc[0], told.get_group(key)
            values, counts = np.array(scale.values, dtype=float), counted(answers, scale)
            if len(answers) >= LEAST:
                found.append(
                    {
                        "study_id": own["study_id"].iloc[0],
                        f"{prefix}w_stated": expected_half_sample(
                            counts, values, scale_range=float(np.ptp(values))
                        ),
                        f"{prefix}w_observed": expected_half_sample(counts, values),
                    }
                )
        means = means.join(_by_study(found, prefix))
    return means.reset_index()


def table(scores: pd.DataFrame) -> pd.DataFrame:
    """The measures of every model: means over studies, with how many have outcomes and cells to measure."""
    groups = scores.groupby("model", sort=False)
    counts = {
        "n_studies": groups["w_stated"].count(),
        "n_studies_with_cells": groups["cell_w_stated"].count(),
    }
    return groups[list(MEASURES)].mean().round(4).assign(**counts)


def paired(wide: Mapping[str, pd.DataFrame], one: str, other: str) -> dict[str, Any]:
    """The mean difference of two models in each measure, and how much smaller the one's W is, with 95% intervals.

    `wide` has a table of studies by models for each of MEASURES; studies that lack one of the two are left out.
    """
    told: dict[str, Any] = {}
    for name, measure in wide.items():
        both = measure.reindex(columns=[one, other]).dropna().to_numpy()  # baselines have no valid mass
        if not len(both):
            continue
        difference = _rounded(mean_over_studies(both[:, 0] - both[:, 1]))
        told[name] = {"difference": difference, "n_studies": len(both)}
        if name in ("w_stated", "cell_w_stated"):
            told[f"{name}_smaller_by"] = _rounded(over_studies(both[:, ::-1], lambda sums: 1 - ratio(sums)))
    return told


def _rounded(measure: Measure) -> list[float | None]:
    """The number and the ends of its interval; None where there is none."""
    return [
        round(each, 4) if math.isfinite(each) else None for each in (measure.value, measure.low, measure.high)
    ]
