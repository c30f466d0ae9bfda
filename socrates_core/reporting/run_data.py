"""A run's data as tables: predictions long and wide, the panel, and people's answers as counts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.analysis.agreement import EffectPairs
from socrates_core.projects.run_export import people_table
from socrates_core.projects.run_results import SimulationRun
from socrates_core.records import DEMOGRAPHICS, Floats, plain
from socrates_core.reporting.run_numbers import SeenInTraining, places
from socrates_core.reporting.tables import ANSWERS_BEHIND, Column, DataTable, answers_behind
from socrates_core.scales import render_instruction
from socrates_core.scales.order import is_ordered
from socrates_core.scales.rendering import number_text
from socrates_core.studies.answers import shares_by_person
from socrates_core.studies.assignment import read_assignment
from socrates_core.surveys.human_answers import study_behind

COUNTS = (
    "condition",
    "outcome",
    "condition_name",
    "outcome_name",
    "study_id",
    "seen_in_training",
    "value",
    "n",
    "pooled_share",
)


def run_tables(run: SimulationRun, seen: SeenInTraining) -> list[DataTable]:
    """Every table of the data of a run's folder."""
    where = {
        **places(run.spec.draft),
        "reference": Column("position of the reference condition", "", "see condition"),
        "person": Column("number of the simulated person", "", "see panel"),
    }
    named = {"condition_name": Column("its name"), "outcome_name": Column("its name")}
    n = Column("how many people", "people")
    mass = Column("probability that the model put on any valid answer before normalizing", "share", "0 to 1")
    source = Column("participant behind the simulated person: corpus/study/participant, or described")
    weight = Column("how much the simulated person counts in means and shares, in proportion to the others")
    profile = Column("number of the profile; equal profiles get equal answers and count once")
    return [
        DataTable(
            "predicted_wide",
            "one row per simulated person x condition x outcome",
            _wide(run),
            {
                **where,
                **named,
                "source": source,
                "weight": weight,
                "mean": Column("mean of the predicted distribution", "scale"),
                "profile": profile,
                "valid_mass": mass,
                "n_tokens": Column("length of the prompt", "tokens"),
                "n_samples": Column("draws behind an open answer; 0 where probabilities are exact", "draws"),
                "p_*": Column(
                    "predicted probability of this answer; empty on other outcomes' scales", "share", "0 to 1"
                ),
            },
        ),
        DataTable(
            "predicted_long",
            "one row per simulated person x condition x outcome x answer",
            _long(run),
            {
                **where,
                "probability": Column("predicted probability of the answer", "share", "0 to 1"),
            },
        ),
        DataTable(
            "conditions",
            "the conditions",
            _conditions(run),
            {
                **where,
                **named,
                "text": Column("what people in the condition read"),
                "reference": Column("whether it is the reference of effects", "", "1 = yes, 0 = no"),
            },
        ),
        DataTable(
            "outcomes",
            "the outcomes",
            _outcomes(run),
            {
                **where,
                **named,
                "question": Column("what everyone is asked; empty: the condition's text asks it"),
                "instruction": Column("the response instruction"),
                "open": Column(
                    "whether the scale has no range; its values are the numbers that occurred", "", "1 = yes"
                ),
                "ordered": Column(
                    "whether the options have an order; otherwise no means or distances",
                    "",
                    "1 = yes, 0 = no",
                ),
            },
        ),
        DataTable(
            "values",
            "the answers of every outcome's scale",
            _values(run),
            {
                **where,
                "outcome_name": Column("its name"),
                "label": Column("its label on the scale, if it has one"),
                "column": Column("its column in predicted_wide; empty if it was never drawn"),
            },
        ),
        DataTable(
            "panel",
            "the simulated people",
            _panel(run),
            {
                **where,
                "source": source,
                "weight": weight,
                "profile": profile,
                **{name: Column("demographic field") for name in DEMOGRAPHICS},
            },
        ),
        DataTable(
            "people_counts",
            "people's answers to the same texts, word for word",
            _counts(run, seen),
            {
                **where,
                **named,
                "study_id": Column("the study they answered"),
                "n": n,
                "seen_in_training": Column(
                    "whether the cell is left out of means over cells", "", "1 = yes, 0 = no"
                ),
                "pooled_share": Column(
                    "share among people in the other conditions that asked the same", "share", "0 to 1"
                ),
            },
        ),
        DataTable(
            "people_differences",
            "the people behind each effect of people",
            _differences(run),
            {
                **where,
                **ANSWERS_BEHIND,
            },
        ),
        DataTable(
            "people_options",
            "the people behind each effect of people on options without an order",
            _options(run),
            {
                **where,
                "option": Column("the option, a value of the outcome's scale", "scale"),
                **ANSWERS_BEHIND,
                "value": Column(
                    "the share of a person's answers in the condition that are the option", "share"
                ),
                "value_reference": Column("the same in the reference; empty: not in it", "share"),
            },
        ),
        DataTable(
            "people_answers",
            "people's answers in cells where not every answer is another person's, or people are clustered or weighted",
            _answers(run),
            {
                **where,
                "person": Column("number of the person in the cell"),
                "cluster": ANSWERS_BEHIND["cluster"],
                "weight": ANSWERS_BEHIND["weight"],
                "n": Column("how often the person gave the answer", "answers"),
            },
        ),
        DataTable(
            "people_units",
            "people's answers as they gave them, counted, behind squared distances",
            _units(run),
            {
                **where,
                "answer": Column("the answer as observed", "scale"),
                "unit": Column("number of the person, or the cluster, in the cell; empty: of one answer"),
                "weight": ANSWERS_BEHIND["weight"],
                "n": Column("how many such answers", "answers"),
            },
        ),
        *([] if isinstance(run.calibration, str) else pair_tables(run.calibration.pairs)),
    ]


def pair_tables(pairs: EffectPairs) -> list[DataTable]:
    """The effects that a calibration was fitted on, and the covariances of their errors."""
    study = Column("the study, as corpus/study")
    effects = pd.DataFrame(
        {
            "study": pairs.study,
            "outcome": pairs.item,
            "human": pairs.human,
            "human_se": pairs.human_se,
            "predicted": pairs.predicted,
        }
    )
    return [
        DataTable(
            "pairs",
            "effects of other studies that the model's calibration was fitted on",
            effects,
            {
                "study": study,
                "outcome": Column("the outcome in the study; its effects have the reference in common"),
                "human": Column("people's effect", "share of the scale"),
                "human_se": Column("its standard error", "share of the scale"),
                "predicted": Column("the predicted effect", "share of the scale"),
            },
        ),
        DataTable(
            "pair_errors",
            "covariances of the errors of a study's effects, without those that are 0",
            _error_triangles(pairs.errors or {}),
            {
                "study": study,
                "first": Column(
                    "position of an effect among those of the study in pairs, from 0; "
                    "after people's come the predicted ones"
                ),
                "second": Column("position of the other effect; the same or a later one"),
                "covariance": Column("covariance of their errors", "squared share of the scale"),
            },
        ),
    ]


def _error_triangles(errors: Mapping[str, Floats]) -> pd.DataFrame:
    parts = []
    for study, covariance in errors.items():
        first, second = np.nonzero(np.triu(covariance))
        parts.append(
            pd.DataFrame(
                {"study": study, "first": first, "second": second, "covariance": covariance[first, second]}
            )
        )
    return pd.concat(parts, ignore_index=True)


def _wide(run: SimulationRun) -> pd.DataFrame:
    table = people_table(run).drop(columns="cached")
    table.insert(1, "profile", [run.profiles[person] for person in table["person"]])
    return table if "n_samples" in table else table.assign(n_samples=0)


def _long(run: SimulationRun) -> pd.DataFrame:
    parts = []
    for o, rows in run.people.dropna(subset=["probabilities"]).groupby("outcome"):
        values = run.drawn_values(int(str(o)))
        keys = rows[["person", "condition", "outcome"]]
        long = keys.loc[keys.index.repeat(len(values))].reset_index(drop=True)
        shares = np.concatenate([np.asarray(row, dtype=float) for row in rows["probabilities"]])
        parts.append(long.assign(value=np.tile(values, len(rows)), probability=shares))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _conditions(run: SimulationRun) -> pd.DataFrame:
    draft = run.spec.draft
    return pd.DataFrame(
        {
            "condition": c,
            "condition_name": condition.name,
            "text": condition.text,
            "reference": int(c == draft.reference_index),
        }
        for c, condition in enumerate(draft.conditions)
    )


def _outcomes(run: SimulationRun) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "outcome": o,
            "outcome_name": outcome.name,
            "question": outcome.question,
            "instruction": render_instruction(outcome.scale.scale()),
            "open": int(outcome.scale.scale().is_drawn),
            "ordered": int(is_ordered(outcome.scale.scale())),
        }
        for o, outcome in enumerate(run.spec.draft.outcomes)
    )


def _values(run: SimulationRun) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for o, outcome in enumerate(run.spec.draft.outcomes):
        drawn = set(run.drawn_values(o).tolist())
        for value in run.scales[o].values:
            column = f"p_{value:.15g}" if float(value) in drawn else None
            label = outcome.scale.labels.get(value, "")
            rows.append(
                {
                    "outcome": o,
                    "outcome_name": outcome.name,
                    "value": float(value),
                    "label": label,
                    "column": column,
                }
            )
    return pd.DataFrame(rows)


def _panel(run: SimulationRun) -> pd.DataFrame:
    people = [
        {"person": p.person, "source": p.source, "weight": p.weight, "profile": profile, **p.demographics}
        for p, profile in zip(run.spec.people, run.profiles, strict=True)
    ]
    frame = pd.DataFrame(people).convert_dtypes()
    # A field may have words and numbers, but a Parquet column has one type.
    mixed = [name for name in DEMOGRAPHICS if name in frame and frame[name].dropna().map(type).nunique() > 1]
    texts = {name: frame[name].map(lambda x: number_text(x) if isinstance(x, int) else x) for name in mixed}
    return frame.assign(**texts)


def _counts(run: SimulationRun, seen: SeenInTraining) -> pd.DataFrame:
    """A row for each answer of a cell, and one without an answer for people off the scale."""
    rows: list[dict[str, Any]] = []
    for cell in run.cells:
        if cell.counts is None:
            continue
        place = {
            "condition": cell.condition,
            "outcome": cell.outcome,
            "condition_name": cell.condition_name,
            "outcome_name": cell.outcome_name,
            "study_id": run.people_study,
            "seen_in_training": int((cell.condition, cell.outcome) in seen.cells),
        }
        blind = np.full(len(cell.values), np.nan) if cell.condition_blind is None else cell.condition_blind
        for value, n, share in zip(cell.values, cell.counts, blind, strict=True):
            rows.append({**place, "value": float(value), "n": plain(n), "pooled_share": float(share)})
        rows.append({**place, "value": np.nan, "n": cell.n_off_scale, "pooled_share": np.nan})
    return pd.DataFrame(rows, columns=COUNTS)


def _differences(run: SimulationRun) -> pd.DataFrame:
    """People's answers behind each effect of people in the run."""
    places = ["outcome", "condition", "reference"]
    nothing = pd.DataFrame(columns=[*places, *ANSWERS_BEHIND])
    draft = run.spec.draft
    human = study_behind(draft, run.spec.shown)
    if human is None or not any(effect.people for effect in run.effects):
        return nothing
    assignment = read_assignment(human.corpus, human.study_id)
    means = human.corpus.person_means(human.study_id)
    keys = zip(means["task_num"], means["part"], means["condition_num"], strict=True)
    given = dict(zip(keys, zip(means["participants"], means["responses"], strict=True), strict=True))
    nobody = np.array([], dtype=np.int64), np.array([])
    outcomes = [outcome.name for outcome in draft.outcomes]
    conditions = [condition.name for condition in draft.conditions]
    parts = []
    for effect in run.effects:
        if effect.people is None:
            continue
        c, o = conditions.index(effect.condition), outcomes.index(effect.outcome)
        stimulus = human.stimuli[c, o]
        reference = human.stimuli[draft.reference_index, o]
        # The answers to a battery are the mean of all its questions, or those to the one question of the stimulus.
        is_whole = (stimulus.task_num, "", stimulus.condition_num) in given
        item = stimulus.task_num, "" if is_whole else stimulus.question
        ours, theirs = (given.get((*item, side.condition_num), nobody) for side in (stimulus, reference))
        rows = answers_behind(assignment, ours, theirs)
        parts.append(rows.assign(outcome=o, condition=c, reference=draft.reference_index))
    return pd.concat(parts, ignore_index=True)[[*places, *ANSWERS_BEHIND]] if parts else nothing


def _options(run: SimulationRun) -> pd.DataFrame:
    """People's choices behind each of their effects on options without an order."""
    places = ["outcome", "condition", "reference", "option"]
    parts = [pd.DataFrame(columns=[*places, *ANSWERS_BEHIND])]
    draft = run.spec.draft
    human = study_behind(draft, run.spec.shown)
    with_people = [options for options in run.option_effects if options.people is not None]
    if human is None or not with_people:
        return parts[0]
    assignment = read_assignment(human.corpus, human.study_id)
    rows = human.corpus.responses(human.study_id)
    outcomes = [outcome.name for outcome in draft.outcomes]
    conditions = [condition.name for condition in draft.conditions]
    base = draft.reference_index
    for effect in with_people:
        c, o = conditions.index(effect.condition), outcomes.index(effect.outcome)
        stimuli = human.stimuli[c, o], human.stimuli[base, o]
        is_whole = ((rows["task_num"] == stimuli[0].task_num) & (rows["part"] == "")).any()
        part = "" if is_whole else stimuli[0].question
        ours, theirs = (
            shares_by_person(rows, (side.task_num, part, side.condition_num), run.scales[o])
            for side in stimuli
        )
        for option in run.scales[o].values:
            sides = (
                (side.index.to_numpy(dtype=np.int64), side[option].to_numpy()) for side in (ours, theirs)
            )
            behind = answers_behind(assignment, *sides)
            parts.append(behind.assign(outcome=o, condition=c, reference=base, option=float(option)))
    return pd.concat(parts[1:], ignore_index=True)[[*places, *ANSWERS_BEHIND]]


def _units(run: SimulationRun) -> pd.DataFrame:
    """People's answers of every cell, counted; those of one person or cluster keep its number."""
    columns = ["outcome", "condition", "answer", "unit", "weight", "n"]
    parts = [pd.DataFrame(columns=columns)]
    for cell in run.cells:
        people = cell.answerers
        if people is None or cell.is_drawn:
            continue
        _, unit, answers_of = np.unique(people.unit, return_inverse=True, return_counts=True)
        rows = pd.DataFrame(
            {
                "answer": people.answers,
                "unit": np.where(answers_of[unit] > 1, unit, np.nan),
                "weight": people.weight,
            }
        )
        counted = rows.groupby(["answer", "unit", "weight"], dropna=False).size().rename("n").reset_index()
        parts.append(counted.assign(outcome=cell.outcome, condition=cell.condition))
    return pd.concat(parts[1:] or parts, ignore_index=True)[columns]


def _answers(run: SimulationRun) -> pd.DataFrame:
    """The people behind the counts of cells that have a size of their own."""
    columns = ["outcome", "condition", "person", "cluster", "weight", "value", "n"]
    sized = {(cell.condition, cell.outcome): cell for cell in run.cells if cell.size is not None}
    human = study_behind(run.spec.draft, run.spec.shown)
    if human is None or not sized:
        return pd.DataFrame(columns=columns)
    assignment = read_assignment(human.corpus, human.study_id)
    given = human.corpus.answers_by_person(human.study_id)
    parts = []
    for c, o in sized:
        answers = given[given["stimulus_id"] == human.stimuli[c, o].stimulus_id]
        participants = answers["participant"].to_numpy()
        cluster = pd.Series(assignment.clusters(participants))
        weight = np.full(len(answers), np.nan)
        if assignment.design.weight:
            weight = assignment.people["weight"].reindex(participants).to_numpy(dtype=float)
        rows = pd.DataFrame(
            {
                "outcome": o,
                "condition": c,
                "person": pd.factorize(participants, sort=True)[0],
                "cluster": np.where(cluster < 0, -1 - cluster, np.nan),
                "weight": weight,
                "value": answers["value"].to_numpy(dtype=float),
                "n": answers["n"].to_numpy(),
            }
        )
        parts.append(rows.dropna(subset=["weight"]) if assignment.design.weight else rows)
    return pd.concat(parts, ignore_index=True)[columns]
