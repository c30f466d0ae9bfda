"""What stands beside a model on the same rows: guesses that know nothing, or no treatment, or a small pilot."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np

from socrates_core.analysis.baselines import condition_blind, majority, pooled, uniform
from socrates_core.analysis.metrics import draw_answers
from socrates_core.analysis.pilot import draw_pilot, predict_from_pilot
from socrates_core.corpus.queries import Corpus
from socrates_core.evaluations.cells import EvaluatedCell
from socrates_core.populations.panel import present
from socrates_core.records import Floats

PILOT = 30  # people a study, at most half of those there
Kind = Literal["model", "baseline"]


@dataclass(frozen=True)
class Predictor:
    """One way of predicting every cell: `probabilities` [n, k] and one draw a person, `drawn` [n], by cell."""

    name: str
    kind: Kind
    probabilities: tuple[Floats, ...]
    drawn: tuple[Floats, ...]


def model_predictor(name: str, cells: Sequence[EvaluatedCell]) -> Predictor:
    """What a model predicted."""
    return Predictor(name, "model", tuple(c.probabilities for c in cells), tuple(c.drawn for c in cells))


def baselines(corpus: Corpus, cells: Sequence[EvaluatedCell], *, seed: int) -> list[Predictor]:
    """The `guesses`, then a pilot's regression, from the people of these cells alone."""
    return [
        *guesses(cells, seed=seed),
        _predictor(f"pilot of {PILOT}", cells, _pilot(corpus, cells, seed), seed),
    ]


def guesses(cells: Sequence[EvaluatedCell], *, seed: int) -> list[Predictor]:
    """Uniform, condition-blind, pooled and majority, one distribution a cell.

    Condition-blind and majority know the other conditions that asked the same question on the same scale, and nothing
    where there are none. Pooled is the published condition-blind row, which knows the cell's own people too.
    """
    counts = _counts_by_item(cells)
    alike = {
        "uniform": [uniform(len(cell.values)) for cell in cells],
        "condition-blind": [condition_blind(*told) for told in counts],
        "pooled": [pooled(told) for told, _ in counts],
        "majority": [majority(*told) for told in counts],
    }
    return [
        _predictor(
            name, cells, [np.tile(row, (len(c.human), 1)) for row, c in zip(rows, cells, strict=True)], seed
        )
        for name, rows in alike.items()
    ]


def _predictor(name: str, cells: Sequence[EvaluatedCell], rows: Sequence[Floats], seed: int) -> Predictor:
    drawn = [
        draw_answers(each, cell.values, seed=zlib.crc32(f"{seed}/{name}/{cell.key}".encode()))
        for each, cell in zip(rows, cells, strict=True)
    ]
    return Predictor(name, "baseline", tuple(rows), tuple(drawn))


def _scaled(cell: EvaluatedCell) -> tuple[object, ...]:
    """What cells share whose people can be pooled: the item and its scale."""
    return (*cell.item, cell.scale)


def _counts_by_item(cells: Sequence[EvaluatedCell]) -> list[tuple[Floats, int]]:
    """For each cell the counts [c, k] of the conditions that asked its item on its scale, and its own row there."""
    pools: dict[tuple[object, ...], list[EvaluatedCell]] = {}
    for cell in cells:
        pools.setdefault(_scaled(cell), []).append(cell)
    counts = {key: np.array([cell.counts for cell in own]) for key, own in pools.items()}
    conditions = {key: [cell.condition_num for cell in own] for key, own in pools.items()}
    return [(counts[_scaled(cell)], conditions[_scaled(cell)].index(cell.condition_num)) for cell in cells]


def _pilot(corpus: Corpus, cells: Sequence[EvaluatedCell], seed: int) -> list[Floats]:
    """The predictions of a regression fitted on PILOT people of each study, item by item; NaN for the pilot itself."""
    found: dict[int, Floats] = {}
    places = sorted(range(len(cells)), key=lambda place: (cells[place].study_id, str(_scaled(cells[place]))))
    for study, own in _grouped(places, lambda place: cells[place].study_id):
        everybody = np.unique(np.concatenate([cells[place].participants for place in own]))
        study_seed = zlib.crc32(f"{seed}/{study}".encode())
        pilot = draw_pilot(everybody, min(PILOT, everybody.size // 2), seed=study_seed)
        people = corpus.participants([study]).set_index("participant")
        told = people.loc[people.index.isin(everybody)]
        profiles = {n: present(row) for n, row in zip(told.index, told.to_dict("records"), strict=True)}
        for _, item in _grouped(own, lambda place: str(_scaled(cells[place]))):
            asked = [cells[place] for place in item]
            participants = np.concatenate([cell.participants for cell in asked])
            conditions = [str(cell.condition_num) for cell in asked for _ in cell.participants]
            rows = predict_from_pilot(
                [profiles[number] for number in participants.tolist()],
                conditions,
                np.concatenate([cell.human for cell in asked]),
                in_pilot=np.isin(participants, pilot),
                values=asked[0].values,
            )
            parts = np.split(rows, np.cumsum([len(cell.participants) for cell in asked])[:-1])
            found |= dict(zip(item, parts, strict=True))
    return [found[place] for place in range(len(cells))]


def _grouped(places: Sequence[int], key: Callable[[int], str]) -> list[tuple[str, list[int]]]:
    return [(name, list(group)) for name, group in groupby(places, key)]
