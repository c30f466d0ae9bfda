"""What becomes of every study in a finetune, in numbers: trained on, kept back, held out, not used."""

import pandas as pd

from socrates_core.corpus.splits import Split, select
from socrates_core.finetuning.rows import Chosen

SIDES = ("trained", "validation", "held_out", "unused")


def unit_of(split: Split) -> str:
    """What the sides are counted in: people where the split holds people out, else cells."""
    return "people" if split.kind == "participants" else "cells"


def count_sides(chosen: Chosen) -> pd.DataFrame:
    """A row a study of the split: study_id and title, then how many of its units (see `unit_of`) each side has.

    `trained` learns; `validation` chooses the checkpoint; `held_out` is for evaluation alone; `unused` is the rest,
    such as what the caps leave out. A cell that is trained on in part counts as trained on.
    """
    people = unit_of(chosen.split) == "people"
    unit = "participant" if people else "(condition_num, task_num)"
    found = select(
        chosen.corpus,
        chosen.split,
        f"SELECT study_id, count(DISTINCT {unit}) AS n, count(DISTINCT {unit}) FILTER (side = 'eval') AS held_out "
        "FROM placed JOIN texts USING (study_id, stimulus_id) GROUP BY study_id ORDER BY study_id",
    )
    columns = ["study_id", *(["participant"] if people else ["condition_num", "task_num"])]
    trained, validation = (
        frame[columns].drop_duplicates().assign(side=side)
        for side, frame in (("trained", chosen.train), ("validation", chosen.validation))
    )
    units = pd.concat([trained, validation]).drop_duplicates(columns)
    counts = units.groupby(["study_id", "side"]).size().unstack(fill_value=0)
    told = found.set_index("study_id").join(counts).reindex(columns=["n", *SIDES]).fillna(0).astype(int)
    told["unused"] = told["n"] - told["trained"] - told["validation"] - told["held_out"]
    titles = chosen.corpus.studies().set_index("study_id")["title"]
    return told.assign(title=titles).reset_index()[["study_id", "title", *SIDES]]
