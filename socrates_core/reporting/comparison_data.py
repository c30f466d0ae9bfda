"""A comparison's data as tables: answers, predictions and effects of people."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from socrates_core.analysis.bootstrap import SEED
from socrates_core.analysis.respondent_equivalent import GROUPS
from socrates_core.evaluations.cells import EvaluatedCell, Ints
from socrates_core.populations.bands import group
from socrates_core.reporting.comparison_numbers import PLACES, Reported
from socrates_core.reporting.tables import ANSWERS_BEHIND, Column, DataTable, answers_behind
from socrates_core.studies.answers import PERSON_MEANS
from socrates_core.studies.assignment import read_assignment

# Baselines that the scripts work out from people's answers, so that data/ has no probabilities for them.
FROM_PEOPLE = ("uniform", "condition-blind", "pooled", "majority")
WHERE = {
    "study": Column("position of the study", "", "see studies"),
    "cell": Column("position of the cell", "", "see cells"),
    "row": Column("position of the answer", "", "see rows"),
    "effect": Column("position of the effect", "", "see effects"),
    "item": Column("the question of a study: an outcome, or one question of a battery", "", "see cells"),
    "predictor": PLACES["predictor"],
    "participant": Column("number of the participant within the study"),
    "condition_num": Column("number of the condition in the corpus"),
    "task_num": Column("number of the outcome in the corpus"),
    "part": Column("the question if the outcome is a battery, otherwise empty"),
    "condition": Column("name of the condition"),
    "outcome": Column("name of the outcome"),
    "value": Column("an answer on the scale", "scale"),
    "n": Column("how many people", "people"),
}


def comparison_tables(reported: Reported) -> list[DataTable]:
    """Every table of the data of a comparison's folder."""
    tables = [
        DataTable(
            "studies",
            "the studies that the evaluations share",
            _studies(reported),
            {
                **WHERE,
                "study_id": Column("its id in the corpus"),
                "title": Column("its title"),
                "n_left_out": Column("rows left out because a model saw them in training", "rows"),
                "n_unanswered": Column("rows left out because a model did not answer their cell", "rows"),
            },
        ),
        DataTable(
            "predictors",
            "models, then baselines, then people's halves and the oracle",
            _predictors(reported),
            {
                **WHERE,
                "name": Column("its name"),
                "kind": Column("model or baseline"),
                "seconds": Column("time its answers took", "seconds"),
                "cost_usd": Column("their price", "US dollars"),
            },
        ),
        DataTable(
            "cells",
            "people in one condition who answered one question on one scale",
            _cells(reported),
            {
                **WHERE,
                "pool": Column("cells that share it ask the same question on the same scale"),
                "open": Column("whether answers are drawn and the scale has no range", "", "1 = yes, 0 = no"),
                "ordered": Column(
                    "whether the options have an order; otherwise no means or distances",
                    "",
                    "1 = yes, 0 = no",
                ),
            },
        ),
        DataTable(
            "values",
            "the answers of every cell's scale, in order",
            _values(reported),
            {
                **WHERE,
                "predictor": Column(
                    "the model; an open cell has the numbers that the model drew and people gave"
                ),
            },
        ),
        DataTable(
            "rows",
            "answers of the people who were asked",
            _rows(reported),
            {
                **WHERE,
                "response": Column("the answer as observed", "scale"),
                "value": Column("the same, empty if it is off the scale", "scale"),
            },
        ),
        DataTable(
            "people",
            "answers on the scale of everybody in a cell, asked or not",
            _people(reported),
            {**WHERE},
        ),
        DataTable(
            "predicted_wide",
            "one row per predictor x answer",
            _wide(reported),
            {
                **WHERE,
                "drawn": Column("one draw from the predicted distribution; empty if there is none", "scale"),
                "valid_mass": Column(
                    "probability that the model put on any valid answer before normalizing", "share"
                ),
            },
        ),
        DataTable(
            "predicted_long",
            "one row per predictor x answer x value",
            _long(reported),
            {
                **WHERE,
                "probability": Column(
                    "predicted probability of the value; values not listed have 0", "share"
                ),
            },
        ),
        DataTable(
            "effects",
            "conditions compared with their study's reference",
            _effect_names(reported),
            {
                **WHERE,
                "reference_num": Column("number of the reference condition"),
                "reference": Column("its name"),
                "basis": Column(
                    "what is compared", "", "answers; positions = places on the scale from 0 to 1"
                ),
                "span": Column("range of what is compared", "scale"),
            },
        ),
        DataTable(
            "people_differences",
            "everybody's answers behind each effect, counted",
            _differences(reported),
            {
                **WHERE,
                **ANSWERS_BEHIND,
                "value": Column(
                    "a person's mean in the condition, in units of the effect's basis; empty: not in it"
                ),
                "value_reference": Column("the same person's mean in the reference; empty: not in it"),
            },
        ),
        DataTable(
            "people_left_out",
            "groups of people that the jackknife of a model's worth leaves out, one after the other",
            _jackknife(reported),
            {
                **WHERE,
                "turn": Column("number of the group that is left out with this person"),
            },
        ),
    ]
    if reported.field:
        tables.append(
            DataTable(
                "people_groups",
                f"people's groups: {reported.field}",
                _groups(reported),
                {
                    **WHERE,
                    "group": Column("position of the group, empty if it is unknown", "", "see groups"),
                },
            )
        )
        names = pd.DataFrame({"group": range(len(reported.groups)), "name": reported.groups})
        tables.append(
            DataTable(
                "groups",
                f"groups of people: {reported.field}",
                names,
                {
                    "group": Column("position of the group"),
                    "name": Column("its name"),
                },
            )
        )
    return tables


def _studies(reported: Reported) -> pd.DataFrame:
    titles = reported.comparison.titles
    return pd.DataFrame(
        {
            "study": place,
            "study_id": study,
            "title": titles[study],
            "n_left_out": reported.left_out.get(study, 0),
            "n_unanswered": reported.unanswered.get(study, 0),
        }
        for place, study in enumerate(reported.studies)
    )


def _predictors(reported: Reported) -> pd.DataFrame:
    table = reported.comparison.table()[["name", "kind", "seconds", "cost_usd"]]
    table = table.astype({"seconds": float, "cost_usd": float})
    return table.rename_axis("predictor").reset_index()


def _cells(reported: Reported) -> pd.DataFrame:
    cells = reported.comparison.cells[0]
    items = _items(reported)
    pools = list(dict.fromkeys((*cell.item, cell.scale) for cell in cells))
    pool_numbers = {pool: number for number, pool in enumerate(pools)}
    return pd.DataFrame(
        {
            "cell": place,
            "study": reported.studies.index(cell.study_id),
            "condition_num": cell.condition_num,
            "task_num": cell.task_num,
            "item": items[cell.item],
            "part": cell.part,
            "condition": cell.condition,
            "outcome": cell.outcome,
            "pool": pool_numbers[*cell.item, cell.scale],
            "open": int(cell.is_drawn),
            "ordered": int(cell.is_ordered),
        }
        for place, cell in enumerate(cells)
    )


def _items(reported: Reported) -> dict[tuple[str, int, str], int]:
    items = dict.fromkeys(cell.item for cell in reported.comparison.cells[0])
    return {item: place for place, item in enumerate(items)}


def _values(reported: Reported) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"predictor": p, "cell": place, "value": cell.values})
        for p, cells in enumerate(reported.comparison.cells)
        for place, cell in enumerate(cells)
    ]
    return pd.concat(parts, ignore_index=True)


def _numbered(cells: list[EvaluatedCell]) -> Iterator[tuple[int, int]]:
    """The position of each cell and of its first row."""
    starts = np.cumsum([0, *(len(cell.human) for cell in cells)]).tolist()
    yield from enumerate(starts[:-1])


def _rows(reported: Reported) -> pd.DataFrame:
    parts = [
        pd.DataFrame(
            {"cell": place, "participant": cell.participants, "response": cell.response, "value": cell.human}
        )
        for place, cell in enumerate(reported.comparison.cells[0])
    ]
    return pd.concat(parts, ignore_index=True).rename_axis("row").reset_index()


def _people(reported: Reported) -> pd.DataFrame:
    parts = [
        pd.DataFrame({"cell": place, "participant": cell.people, "value": cell.everybody})
        for place, cell in enumerate(reported.comparison.cells[0])
    ]
    return pd.concat(parts, ignore_index=True)


def _wide(reported: Reported) -> pd.DataFrame:
    parts = []
    for p, (cells, predictor) in enumerate(reported.comparison.predictors):
        drawn = np.concatenate(predictor.drawn)
        masses = np.concatenate([cell.valid_mass for cell in cells])
        masses = masses if predictor.kind == "model" else np.full(len(drawn), np.nan)
        parts.append(
            pd.DataFrame({"predictor": p, "row": range(len(drawn)), "drawn": drawn, "valid_mass": masses})
        )
    return pd.concat(parts, ignore_index=True)


def _long(reported: Reported) -> pd.DataFrame:
    parts = []
    for p, (cells, predictor) in enumerate(reported.comparison.predictors):
        if predictor.name in FROM_PEOPLE:
            continue
        for place, start in _numbered(cells):
            shares = predictor.probabilities[place]
            row, at = np.nonzero(np.nan_to_num(shares) > 0)
            columns = {"row": start + row, "value": cells[place].values[at], "probability": shares[row, at]}
            parts.append(pd.DataFrame({"predictor": p, **columns}))
    return pd.concat(parts, ignore_index=True)


def _effect_names(reported: Reported) -> pd.DataFrame:
    names = ["task_num", "part", "condition_num", "reference_num"]
    names += ["outcome", "condition", "reference", "basis", "span"]
    items = _items(reported)
    keys = reported.effects[["study_id", "task_num", "part"]].to_numpy().tolist()
    studies = [reported.studies.index(study_id) for study_id, _, _ in keys]
    table = reported.effects[names].assign(study=studies, item=[items[tuple(key)] for key in keys])
    return table.rename_axis("effect").reset_index()


def _differences(reported: Reported) -> pd.DataFrame:
    """Everybody's answers behind each effect."""
    nobody = np.array([], dtype=np.int64), np.array([])
    parts = [pd.DataFrame(columns=["effect", *ANSWERS_BEHIND])]
    for study, effects in reported.effects.groupby("study_id"):
        source, study_id = reported.comparison.find(str(study))
        means = source.corpus.person_means(study_id)
        keys = list(zip(means["condition_num"], means["task_num"], means["part"], strict=True))
        given = {
            basis: dict(zip(keys, zip(means["participants"], means[column], strict=True), strict=True))
            for basis, column in PERSON_MEANS.items()
        }
        assignment = read_assignment(source.corpus, study_id)
        for place, effect in zip(effects.index, effects.to_dict("records"), strict=True):
            item = effect["task_num"], effect["part"]
            numbers = effect["condition_num"], effect["reference_num"]
            ours, theirs = (given[effect["basis"]].get((number, *item), nobody) for number in numbers)
            parts.append(answers_behind(assignment, ours, theirs).assign(effect=int(place)))
    filled = [part for part in parts if len(part)] or parts
    return pd.concat(filled, ignore_index=True)[["effect", *ANSWERS_BEHIND]]


def _jackknife(reported: Reported) -> pd.DataFrame:
    """The groups of people that `worth_in_respondents` leaves out in turn, if its interval is over people."""
    parts = [pd.DataFrame({"predictor": [], "study": [], "participant": [], "turn": []})]
    comparison = reported.comparison
    for p, name in enumerate(comparison.names):
        if comparison.worths[name].interval_over == "studies":
            continue
        # The same draws in the same order as `respondent_equivalent._without_people`, whose interval this explains.
        generator = np.random.default_rng(SEED)
        people: dict[str, list[Ints]] = {}
        for cell in comparison.cells[p]:
            if cell.is_ordered and cell.everybody.size >= 2 and len(cell.values) >= 2:
                people.setdefault(cell.study_id, []).append(cell.people)
        for study, ids in people.items():
            groups = np.array_split(generator.permutation(np.unique(np.concatenate(ids))), GROUPS)
            turns = np.repeat(np.arange(GROUPS), [len(group) for group in groups])
            columns = {"participant": np.concatenate(groups), "turn": turns}
            parts.append(pd.DataFrame({"predictor": p, "study": reported.studies.index(study), **columns}))
    return pd.concat(parts, ignore_index=True).astype(int)


def _groups(reported: Reported) -> pd.DataFrame:
    people = reported.comparison.participants()
    in_rows = reported.comparison.rows[0][["study_id", "participant"]].drop_duplicates()
    people = in_rows.merge(people, on=["study_id", "participant"], how="left")
    number = {name: place for place, name in enumerate(reported.groups)}
    numbers = group(people[reported.field], str(reported.field)).map(number)
    study = [reported.studies.index(study_id) for study_id in people["study_id"]]
    table = pd.DataFrame({"study": study, "participant": people["participant"], "group": numbers})
    return table.astype({"group": "Int64"})
