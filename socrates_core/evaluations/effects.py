"""Predicted effects of the held-out people next to those of everybody who took part."""

from typing import Any

import pandas as pd

from socrates_core.analysis.effects import predicted_difference
from socrates_core.corpus.queries import Corpus
from socrates_core.studies.answers import human_effects, read_outline, reference_of

COLUMNS = [
    "study_id",
    "task_num",
    "part",
    "outcome",
    "condition_num",
    "condition",
    "reference_num",
    "reference",
    "basis",
    "span",
    "human",
    "human_se",
    "n_human",
    "predicted",
    "n_predicted",
]


def effects_table(corpus: Corpus, rows: pd.DataFrame) -> pd.DataFrame:
    """A row an item and condition against the study's reference, where both conditions were answered.

    `human` is the difference in means of everybody in the corpus and `human_se` its standard error, `predicted` the
    difference of the mean predicted answers of the people asked; all are shares of the item's range. `basis` is that
    of `studies.HumanEffect`, and `span` the range of the answers compared: 1 where they are places on their scales.
    An item without an order has no means and no row, nor has one whose scales differ where answers were drawn.
    """
    answered = rows.dropna(subset=["mean"])
    parts = [row for study, own in answered.groupby("study_id") for row in _of_study(corpus, str(study), own)]
    return pd.DataFrame(parts, columns=COLUMNS)


def _of_study(corpus: Corpus, study: str, answered: pd.DataFrame) -> list[dict[str, Any]]:
    scales = {stimulus.stimulus_id: stimulus.scale for stimulus in corpus.stimuli(study)}
    listed = {number: scale.values for number, scale in scales.items() if len(scale.values) > 1}
    # The same mean answer on its own units and as a place on its scale, for conditions whose scales differ.
    low = answered["stimulus_id"].map({number: values[0] for number, values in listed.items()})
    high = answered["stimulus_id"].map({number: values[-1] for number, values in listed.items()})
    placed = answered.assign(place=(answered["mean"] - low) / (high - low))
    drawn = [number for number, scale in scales.items() if scale.is_drawn]
    cells = ["condition_num", "task_num", "part"]
    predicted = {
        "answers": dict(iter(placed.groupby(cells)["mean"])),
        "positions": dict(iter(placed[~placed["stimulus_id"].isin(drawn)].groupby(cells)["place"])),
    }
    reference = reference_of(corpus.study(study), read_outline(corpus, study).conditions)
    rows = []
    for human in human_effects(corpus, study):
        by_cell = predicted[human.basis]
        treated = by_cell.get((human.condition_num, human.task_num, human.part))
        base = by_cell.get((reference, human.task_num, human.part))
        if not human.span or treated is None or base is None:
            continue
        effect = predicted_difference(treated.to_numpy(), base.to_numpy(), scale_range=human.span)
        rows.append(
            {
                "study_id": study,
                "task_num": human.task_num,
                "part": human.part,
                "outcome": human.outcome,
                "condition_num": human.condition_num,
                "condition": human.condition,
                "reference_num": reference,
                "reference": human.reference,
                "basis": human.basis,
                "span": human.span,
                "human": human.effect.share,
                "human_se": human.effect.se / human.span,
                "n_human": human.effect.n + human.effect.n_reference,
                "predicted": effect.share,
                "n_predicted": effect.n + effect.n_reference,
            }
        )
    return rows
