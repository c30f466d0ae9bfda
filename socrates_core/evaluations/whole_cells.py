"""The predicted answers of a few people of a cell, compared with the answers of everybody in it."""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from socrates_core.analysis.fractions import memberships
from socrates_core.analysis.metrics import accuracy, exact_wasserstein
from socrates_core.corpus.queries import Corpus
from socrates_core.records import Floats

CELL = ["study_id", "stimulus_id"]


def cell_distances(
    corpus: Corpus, asked: pd.DataFrame, probabilities: Sequence[Any], everybody: pd.DataFrame
) -> pd.DataFrame:
    """W of every stimulus asked about: study_id, stimulus_id, w_stated, w_observed, n_asked, n_people.

    `probabilities` has a distribution [k] a row of `asked`, or None; a cell's prediction is their mean. Both tables
    have study_id and stimulus_id, `everybody` also value. W is of the exact distributions, in shares of the stated
    scale and of the observed range; NaN where the people of a cell all answered the same.
    """
    values = {
        (str(study), stimulus.stimulus_id): np.array(stimulus.scale.values, dtype=float)
        for study in asked["study_id"].unique()
        for stimulus in corpus.stimuli(str(study))
    }
    given = everybody.groupby(CELL)["value"]
    rows = asked[CELL].assign(place=np.arange(len(asked)))
    distances = []
    for key, of_cell in rows.groupby(CELL, sort=False):
        study, stimulus = cast(tuple[str, int], key)
        predictions = [probabilities[place] for place in of_cell["place"] if probabilities[place] is not None]
        answers: Floats = given.get_group((study, stimulus)).to_numpy()
        scale = values[study, stimulus]
        counts = memberships(answers, scale).sum(axis=0)
        shares = np.mean(predictions, axis=0) if predictions else np.full(len(scale), np.nan)
        distances.append(
            {
                "study_id": study,
                "stimulus_id": stimulus,
                "n_asked": len(predictions),
                "n_people": len(answers),
                "w_stated": exact_wasserstein(scale, shares, counts, convention="stated")
                if predictions
                else np.nan,
                "w_observed": exact_wasserstein(scale, shares, counts, convention="observed")
                if predictions
                else np.nan,
            }
        )
    return pd.DataFrame(distances)


def cell_accuracies(asked: pd.DataFrame, everybody: pd.DataFrame) -> pd.DataFrame:
    """The accuracy of one draw a person in every stimulus asked about: study_id, stimulus_id, accuracy.

    `asked` has value and drawn; the range is that of `everybody` in the cell. NaN as in `cell_distances`.
    """
    given = everybody.groupby(CELL)["value"]
    accuracies = []
    for key, of_cell in asked.groupby(CELL, sort=False):
        score = accuracy(
            of_cell["value"].to_numpy(float),
            of_cell["drawn"].to_numpy(float),
            clipped=False,
            everybody=given.get_group(key).to_numpy(float),
        )
        accuracies.append(
            {**dict(zip(CELL, cast(tuple[str, int], key), strict=True)), "accuracy": score.value}
        )
    return pd.DataFrame(accuracies)
