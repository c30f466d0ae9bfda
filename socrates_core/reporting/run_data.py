"""A run's data as tables: predictions long and wide, the panel, and people's answers as counts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from socrates_core.projects.run_export import people_table
from socrates_core.projects.run_results import SimulationRun
from socrates_core.records import DEMOGRAPHICS, plain
from socrates_core.reporting.run_numbers import QUANTITIES, SeenInTraining, calibration_row, places
from socrates_core.reporting.tables import AnswerPair, Column, DataTable, answer_pairs, counted_pairs
from socrates_core.scales import render_instruction
from socrates_core.scales.order import is_ordered
from socrates_core.scales.rendering import number_text
from socrates_core.surveys.human_answers import study_behind
from socrates_core.surveys.originals import CellKey

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
                "n": n,
                "value": Column(
                    "a person's answer in the condition, or the mean of several; empty: not in it", "scale"
                ),
                "value_reference": Column(
                    "the same person's answer in the reference; both are filled within people", "scale"
                ),
            },
        ),
        *_calibration(run),
    ]


def _calibration(run: SimulationRun) -> list[DataTable]:
    """The fitted calibration of the model's effects as a table of one row; none without one."""
    row = calibration_row(run)
    if not row:
        return []
    table = pd.DataFrame([row])
    columns = {name: QUANTITIES[f"calibration_{name}"] for name in row}
    return [DataTable("calibration", "calibration of the model's predicted effects", table, columns)]


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
    """People's answers behind each effect, counted: pairs within people, otherwise each side alone."""
    rows = [
        {
            "outcome": o,
            "condition": c,
            "reference": run.spec.draft.reference_index,
            "value": value,
            "value_reference": reference,
            "n": n,
        }
        for (c, o), pairs in _answers_behind_effects(run)
        for value, reference, n in counted_pairs(pairs)
    ]
    columns = ["outcome", "condition", "reference", "value", "value_reference", "n"]
    return pd.DataFrame(rows, columns=columns).astype({"value": float, "value_reference": float})


def _answers_behind_effects(run: SimulationRun) -> Iterator[tuple[CellKey, list[AnswerPair]]]:
    """The answers (condition, reference) of the people behind each effect of people in the run."""
    draft = run.spec.draft
    human = study_behind(draft, run.spec.shown)
    if human is None or not any(effect.people for effect in run.effects):
        return
    within = human.corpus.study(human.study_id).design == "within"
    means = human.corpus.person_means(human.study_id)
    keys = zip(means["task_num"], means["part"], means["condition_num"], strict=True)
    answers = zip(means["participants"], means["responses"], strict=True)
    given = {key: dict(zip(*people, strict=True)) for key, people in zip(keys, answers, strict=True)}
    outcomes = [outcome.name for outcome in draft.outcomes]
    conditions = [condition.name for condition in draft.conditions]
    for effect in run.effects:
        if effect.people is None:
            continue
        key = conditions.index(effect.condition), outcomes.index(effect.outcome)
        stimulus = human.stimuli[key]
        reference = human.stimuli[draft.reference_index, key[1]]
        # The answers to a battery are the mean of all its questions, or those to the one question of the stimulus.
        is_whole = (stimulus.task_num, "", stimulus.condition_num) in given
        item = stimulus.task_num, "" if is_whole else stimulus.question
        sides = [given.get((*item, side.condition_num), {}) for side in (stimulus, reference)]
        yield key, answer_pairs(*sides, within=within)
