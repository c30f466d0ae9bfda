"""The cells of an evaluation, read from its rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from socrates_core.analysis.baselines import half_sample_of_people
from socrates_core.analysis.cells import Cell, PeopleCell
from socrates_core.analysis.fractions import memberships
from socrates_core.analysis.metrics import Convention
from socrates_core.corpus.queries import Corpus
from socrates_core.evaluations.rows import CELL
from socrates_core.records import Floats, Scale, Stimulus
from socrates_core.scales.order import is_ordered

Ints = NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class EvaluatedCell(PeopleCell):
    """The people of one condition who answered one item on one `scale`, as an evaluation has them.

    `part` is the item's question where the outcome is a battery. `response` [n] are answers as observed, on the scale
    or not; `drawn` [n] is one draw from each person's prediction, NaN without one, and `valid_mass` [n] its valid
    mass. Where answers are drawn, the scale lists every number that was drawn or given, and `is_drawn` says so.
    `everybody` [m] are the answers on the scale of all people of the corpus in this cell, asked or not, and `people`
    [m] their ids: what predicted shares are compared with.
    """

    PERSON_BY_PERSON = (*PeopleCell.PERSON_BY_PERSON, "response", "drawn", "valid_mass")

    condition_num: int
    task_num: int
    part: str
    condition: str
    outcome: str
    scale: Scale
    response: Floats
    drawn: Floats
    valid_mass: Floats
    is_drawn: bool
    everybody: Floats
    people: Ints

    @property
    def counts(self) -> Floats:
        """How many of everybody gave each value [k]; an answer between two values counts for both in proportion."""
        return np.asarray(memberships(self.everybody, self.values).sum(axis=0), dtype=float)

    @property
    def n_people(self) -> int:
        """How many different people are behind `everybody`."""
        return np.unique(self.people).size

    def half_sample(self, convention: Convention) -> float | None:
        """W between two halves of the people, the mean over all halvings; None as `Cell.half_sample`."""
        if self.n_people == self.people.size or not self.counted().has_distances(convention):
            return self.counted().half_sample(convention)
        span = float(np.ptp(self.values)) if convention == "stated" else None
        return half_sample_of_people(self.everybody, self.people, self.values, scale_range=span)

    def oracle(self, convention: Convention) -> float | None:
        """The expected W of the true distribution to these people; None as `Cell.oracle`."""
        if self.n_people == self.people.size:
            return self.counted().oracle(convention)
        half = self.half_sample(convention)
        return None if half is None else half / 2

    def of_everybody(self) -> PeopleCell:
        """Everybody in the cell, each predicted as the mean of the people who were asked."""
        shares = np.tile(self.predicted, (self.everybody.size, 1))
        return PeopleCell(
            study_id=self.study_id,
            values=self.values,
            participants=self.people,
            human=self.everybody,
            probabilities=shares,
        )

    @property
    def is_ordered(self) -> bool:
        """False where the options have no order, so that there are no means and no distances."""
        return is_ordered(self.scale)

    @property
    def n_off_scale(self) -> int:
        return int(np.isnan(self.human).sum())

    @property
    def key(self) -> tuple[str, int, int, str]:
        return self.study_id, self.condition_num, self.task_num, self.part

    @property
    def item(self) -> tuple[str, int, str]:
        """The item that it shares with the cells of other conditions."""
        return self.study_id, self.task_num, self.part

    def counted(self) -> Cell:
        """The cell with its people counted and its predictions averaged."""
        return Cell(
            values=self.values,
            counts=self.counts,
            predicted=self.predicted,
            n_off_scale=self.n_off_scale,
            is_ordered=self.is_ordered,
            is_drawn=self.is_drawn,
        )


def everybody_in(corpus: Corpus, rows: pd.DataFrame) -> pd.DataFrame:
    """The answers of everybody in the corpus in the cells of `rows`, with the columns of `rows.asked_rows`."""
    parts = [
        corpus.responses(str(study)).assign(study_id=study)
        for study in sorted(rows["study_id"].unique().tolist())
    ]
    cells = rows[[*CELL, "part"]].drop_duplicates()
    return pd.concat(parts, ignore_index=True).merge(cells, on=[*CELL, "part"])


def cells_of(
    corpus: Corpus, rows: pd.DataFrame, everybody: pd.DataFrame | None = None
) -> list[EvaluatedCell]:
    """The cells of an evaluation's rows, in order; rows of one cell with different scales are cells of their own.

    `everybody` has the answers that predicted shares are compared with, as `everybody_in` gives them without it.
    """
    everybody = everybody_in(corpus, rows) if everybody is None else everybody
    by_study = dict(iter(everybody.groupby("study_id")))
    cells = []
    for study, of_study in rows.groupby("study_id", sort=True):
        stimuli = {stimulus.stimulus_id: stimulus for stimulus in corpus.stimuli(str(study))}
        scale_of = {number: stimulus.scale for number, stimulus in stimuli.items()}

        def by_scale(answers: pd.DataFrame, scale_of: dict[int, Scale] = scale_of) -> Any:
            scales = answers["stimulus_id"].map(scale_of).rename("scale")
            return answers.groupby([*CELL[1:], "part", scales], sort=False)

        people = dict(iter(by_scale(by_study[study])))
        for key, cell in by_scale(of_study):
            cells.append(_cell(stimuli[cell["stimulus_id"].iloc[0]], cell, people[key]))
    return sorted(cells, key=lambda cell: cell.key)


def _cell(stimulus: Stimulus, rows: pd.DataFrame, everybody: pd.DataFrame) -> EvaluatedCell:
    first = rows.iloc[0]
    answers = answers_on_scale(everybody)
    on_scale = answers.notna()
    scale = stimulus.scale
    is_drawn = stimulus.scale.is_drawn
    if is_drawn:
        numbers = [
            *answers[on_scale],
            *(value for row in rows["values"].dropna() for value in row),
        ]
        scale = Scale("enum_labels", labels=tuple((float(value), "") for value in np.unique(numbers)))
    values = np.array(scale.values, dtype=float)
    name = stimulus.outcome_name
    part = str(first["part"])
    name = f"{name}: {part}" if part not in name else name
    return EvaluatedCell(
        study_id=str(first["study_id"]),
        condition_num=int(first["condition_num"]),
        task_num=int(first["task_num"]),
        part=part,
        condition=stimulus.condition_name,
        outcome=name,
        scale=scale,
        values=values,
        participants=rows["participant"].to_numpy(dtype=np.int64),
        response=rows["response"].to_numpy(dtype=float),
        human=np.asarray(answers_on_scale(rows), dtype=float),
        probabilities=_spread(rows, values),
        drawn=rows["drawn"].to_numpy(dtype=float),
        valid_mass=rows["valid_mass"].to_numpy(dtype=float),
        is_drawn=is_drawn,
        everybody=np.asarray(answers[on_scale], dtype=float),
        people=everybody.loc[on_scale, "participant"].to_numpy(dtype=np.int64),
    )


def answers_on_scale(rows: pd.DataFrame) -> "pd.Series[float]":
    """The answers as they were given, from the columns response and value, NaN off the scale; as `queries.ANSWER`."""
    value = rows["value"].astype(float)
    is_fraction = (rows["response"] - value).abs() > 1e-8
    return value.where(~is_fraction, rows["response"])


def _spread(rows: pd.DataFrame, values: Floats) -> Floats:
    """The probabilities [n, k] of rows over all `values` [k]; NaN without a prediction."""
    spread = np.full((len(rows), len(values)), np.nan)
    for place, (shares, drawn) in enumerate(zip(rows["probabilities"], rows["values"], strict=True)):
        if shares is not None and drawn is None:
            spread[place] = shares
        elif shares is not None:  # draws, of which each person has other values
            spread[place] = 0
            spread[place, np.searchsorted(values, drawn)] = shares
    return spread
