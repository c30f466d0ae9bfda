"""What a model is compared with on the same rows: guesses without knowledge or treatment, and a small pilot."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import pandas as pd

from socrates_core.analysis.baselines import condition_blind, majority, pooled, uniform
from socrates_core.analysis.metrics import draw_answers
from socrates_core.analysis.pilot import draw_pilot, predict_from_pilot
from socrates_core.evaluations.cells import EvaluatedCell
from socrates_core.populations.panel import present
from socrates_core.records import Floats

PILOT = 30  # people a study, at most half of those there
Kind = Literal["model", "baseline"]


@dataclass(frozen=True)
class Predictor:
    """One way of predicting every cell: for each cell `probabilities` [n, k] and one draw a person, `drawn` [n]."""

    name: str
    kind: Kind
    probabilities: tuple[Floats, ...]
    drawn: tuple[Floats, ...]


def model_predictor(name: str, cells: Sequence[EvaluatedCell]) -> Predictor:
    """What a model predicted."""
    return Predictor(name, "model", tuple(c.probabilities for c in cells), tuple(c.drawn for c in cells))


def baselines(people: pd.DataFrame, cells: Sequence[EvaluatedCell], *, seed: int) -> list[Predictor]:
    """The `guesses`, then the regression of a pilot, drawn from those who were asked.

    `people` has their demographics, as `Corpus.participants` of the studies of `cells`.
    """
    rows, sizes = _pilot(people, cells, seed)
    return [*guesses(cells, seed=seed), _predictor(_pilot_name(sizes), cells, rows, seed)]


def _pilot_name(sizes: Sequence[int]) -> str:
    """The name of the pilot's row, with how many people it has in the smallest and the largest study."""
    least, most = min(sizes), max(sizes)
    return f"pilot of {most} people" if least == most else f"pilot of {least} to {most} people"


def guesses(cells: Sequence[EvaluatedCell], *, seed: int) -> list[Predictor]:
    """Uniform, condition-blind, pooled and majority, one distribution a cell.

    Condition-blind and majority know what everybody answered in the other conditions that asked the same question on
    the same scale. Where there are none they know nothing and guess uniformly, so that every row of a table is scored
    on the same cells. Pooled is the published condition-blind row, which includes the cell itself.
    """
    counts = _counts_by_item(cells)
    by_name = {
        "uniform": [uniform(len(cell.values)) for cell in cells],
        "condition-blind": [_or_uniform(condition_blind(*item)) for item in counts],
        "pooled": [pooled(item) for item, _ in counts],
        "majority": [_or_uniform(majority(*item)) for item in counts],
    }
    return [
        _predictor(
            name, cells, [np.tile(row, (len(c.human), 1)) for row, c in zip(rows, cells, strict=True)], seed
        )
        for name, rows in by_name.items()
    ]


def _or_uniform(shares: Floats) -> Floats:
    return shares if np.isfinite(shares).all() else uniform(len(shares))


def _predictor(name: str, cells: Sequence[EvaluatedCell], rows: Sequence[Floats], seed: int) -> Predictor:
    drawn = [
        draw_answers(shares, cell.values, seed=zlib.crc32(f"{seed}/{name}/{cell.key}".encode()))
        for shares, cell in zip(rows, cells, strict=True)
    ]
    return Predictor(name, "baseline", tuple(rows), tuple(drawn))


def _scaled(cell: EvaluatedCell) -> tuple[object, ...]:
    """The item and its scale. People of cells that share both can be pooled."""
    return (*cell.item, cell.scale)


def _counts_by_item(cells: Sequence[EvaluatedCell]) -> list[tuple[Floats, int]]:
    """For each cell the counts [c, k] of the conditions that asked its item on its scale, and its own row there."""
    pools: dict[tuple[object, ...], list[EvaluatedCell]] = {}
    for cell in cells:
        pools.setdefault(_scaled(cell), []).append(cell)
    counts = {key: np.array([cell.counts for cell in pool]) for key, pool in pools.items()}
    conditions = {key: [cell.condition_num for cell in pool] for key, pool in pools.items()}
    return [(counts[_scaled(cell)], conditions[_scaled(cell)].index(cell.condition_num)) for cell in cells]


def _pilot(people: pd.DataFrame, cells: Sequence[EvaluatedCell], seed: int) -> tuple[list[Floats], list[int]]:
    """The predictions of a regression fitted on PILOT people of each study, item by item, and the pilots' sizes.

    The people of a pilot are predicted from a second pilot of as many others, so that nobody is left out.
    """
    predictions: dict[int, Floats] = {}
    sizes = []
    by_study = dict(iter(people.groupby("study_id")))
    # groupby needs equal keys next to each other. Scales cannot be sorted, but their texts can.
    places = sorted(range(len(cells)), key=lambda place: (cells[place].study_id, str(_scaled(cells[place]))))
    for study, of_study in _grouped(places, lambda place: cells[place].study_id):
        everybody = np.unique(np.concatenate([cells[place].participants for place in of_study]))
        study_seed = zlib.crc32(f"{seed}/{study}".encode())
        size = min(PILOT, everybody.size // 2)
        sizes.append(size)
        both = draw_pilot(everybody, 2 * size, seed=study_seed)
        pilot = draw_pilot(both, size, seed=study_seed)
        second_pilot = np.setdiff1d(both, pilot)
        of_these = by_study[study].set_index("participant")
        rows_of_people = of_these.loc[of_these.index.isin(everybody)]
        profiles = {
            n: present(row)
            for n, row in zip(rows_of_people.index, rows_of_people.to_dict("records"), strict=True)
        }
        for _, item in _grouped(of_study, lambda place: str(_scaled(cells[place]))):
            of_item = [cells[place] for place in item]
            participants = np.concatenate([cell.participants for cell in of_item])
            conditions = [str(cell.condition_num) for cell in of_item for _ in cell.participants]
            from_first, from_second = (
                predict_from_pilot(
                    [profiles[number] for number in participants.tolist()],
                    conditions,
                    np.concatenate([cell.human for cell in of_item]),
                    in_pilot=np.isin(participants, chosen),
                    values=of_item[0].values,
                )
                for chosen in (pilot, second_pilot)
            )
            rows = np.where(np.isin(participants, pilot)[:, None], from_second, from_first)
            parts = np.split(rows, np.cumsum([len(cell.participants) for cell in of_item])[:-1])
            predictions |= dict(zip(item, parts, strict=True))
    return [predictions[place] for place in range(len(cells))], sizes


def _grouped(places: Sequence[int], key: Callable[[int], str]) -> list[tuple[str, list[int]]]:
    return [(name, list(group)) for name, group in groupby(places, key)]
