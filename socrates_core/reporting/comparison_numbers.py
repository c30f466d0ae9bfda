"""Every number that the report of a comparison shows, under one key each; the scripts compute all of them again.

A key is quantity/predictor/place. `place` is the position of a study, a cell, an effect, a group or, of two predictors
that are compared, the second: QUANTITIES says which.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import pandas as pd

from socrates_core.analysis.bootstrap import Measure
from socrates_core.analysis.parity import Parity
from socrates_core.corpus.hidden_answers import frozen_studies
from socrates_core.errors import UserError, unknown
from socrates_core.evaluations.comparison import ROW, Comparison
from socrates_core.evaluations.scores import EXACT, PAPER
from socrates_core.records import DEMOGRAPHICS
from socrates_core.reporting.comparison_measures import MEASURES

ENDS = {"": "", "_low": ", lower end of its 95% interval", "_high": ", upper end of its 95% interval"}
COUNTS = {
    "n_studies": "studies",
    "n_cells": "cells scored by the published measures (study, condition, outcome)",
    "n_skipped": "cells without a range, which cannot be scored",
    "n_rows": "rows in scored cells",
    "n_dropped": "rows without an answer or a prediction",
    "n_off_scale": "answers off the scale, which count in the published measures alone",
}
OF_CELL = {
    **{name: measured.told for name, measured in MEASURES.items()},
    "human_mean": "mean of people's answers",
    "predicted_mean": "mean of the predicted answers",
    "n_rows": "people with an answer and a prediction",
    "n_dropped": "people without",
}
AGREEMENT = {
    "sign": "share of effects with the sign of people's",
    "sign_clear": "the same among clear effects of people",
    "r": "correlation of people's with predicted effects",
    "slope": "slope of people's on predicted effects",
    "rmse": "root mean squared difference of the two, in shares of the scale",
}
N_EFFECTS = ("n_effects", "n_studies", "n_clear", "n_dropped")
N_WORTH = ("most", "n_studies", "n_cells", "n_skipped", "n_rows", "n_dropped")
N_PAIRED = ("n_first_better", "n_second_better", "n_studies", "n_dropped")
EFFECT = ["study_id", "task_num", "part", "condition_num"]
QUANTITIES = (
    {
        "rows": "rows that all evaluations share",
        "rows_left_out": "rows that a model saw in training, left out",
        "seconds": "seconds that the answers took",
        "cost_usd": "US dollars that the answers cost",
        **COUNTS,
        "human": "place is an effect: people's, in shares of the scale",
        "human_se": "its standard error",
        "n_human": "people behind it",
        "predicted": "place is an effect: the predicted one",
        "n_predicted": "people asked behind it",
        "parity_n_cells": "cells in which groups are compared",
        "parity_n_skipped": "cells where some group has too few people",
        "parity_n_unknown": "people of no known group",
        "group_n": "place is a group: people behind it",
        "group_human_mean": "mean answer, shares of the scale",
        "group_predicted_mean": "mean predicted answer, shares of the scale",
        "group_left_out": "people of a group that is too small",
    }
    | {f"{name}{end}": f"{m.told}{told}" for name, m in MEASURES.items() for end, told in ENDS.items()}
    | {f"study_{name}": f"place is a study: {measured.told}" for name, measured in MEASURES.items()}
    | {f"cell_{name}": f"place is a cell: {told}" for name, told in OF_CELL.items()}
    | {
        f"effects_{name}{end}": f"{about}{told}"
        for name, about in AGREEMENT.items()
        for end, told in ENDS.items()
    }
    | {f"effects_{name}": f"{name[2:]} behind the agreement" for name in N_EFFECTS}
    | {f"worth{end}": f"respondents a cell that the model is worth{told}" for end, told in ENDS.items()}
    | {f"worth_{name}": f"{name} behind the worth" for name in N_WORTH}
    | {
        f"paired_{name}{end}": f"place is the second predictor: mean difference of {m.label}{told}"
        for name, m in MEASURES.items()
        if m.better
        for end, told in ENDS.items()
    }
    | {
        f"paired_{name}_{n}": f"{n} of that comparison"
        for name, m in MEASURES.items()
        if m.better
        for n in N_PAIRED
    }
    | {
        f"parity{end}": f"highest group's W minus the lowest's, freed of noise{told}"
        for end, told in ENDS.items()
    }
    | {f"group_score{end}": f"W of a group, exact, stated scale{told}" for end, told in ENDS.items()}
)


class Key(NamedTuple):
    """What a number is, and the positions of what it belongs to."""

    quantity: str
    predictor: int | None = None
    place: int | None = None

    def __str__(self) -> str:
        return "/".join("" if part is None else str(part) for part in self).rstrip("/")


@dataclass(frozen=True)
class Reported:
    """A comparison with the order in which everything stands in its report.

    `studies` are all that the evaluations share, `left_out` how many rows of each a model saw; `effects` has a row an
    effect that any model predicts; `parities` are by model and, with `groups`, empty without a demographic `field`.
    """

    comparison: Comparison
    field: str | None
    studies: tuple[str, ...]
    left_out: Mapping[str, int]
    effects: pd.DataFrame
    parities: Mapping[str, Parity]
    groups: tuple[str, ...]

    @property
    def predictors(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.comparison.summaries)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every two models, and every model with the uniform guess."""
        names = self.comparison.names
        return [*combinations(names, 2), *((name, "uniform") for name in names)]


def prepare(comparison: Comparison, *, field: str | None) -> Reported:
    """Raises UserError where nothing may be scored or `field` is no demographic field."""
    if comparison.seen_only:
        raise UserError(
            "Every row here was in the training of one of these models, so there is nothing to report. "
            "Choose evaluations of studies that none of them has seen."
        )
    if field is not None and field not in DEMOGRAPHICS:
        raise unknown("demographic field", field, DEMOGRAPHICS)
    effects = comparison.effects.drop_duplicates(EFFECT).sort_values(EFFECT, ignore_index=True)
    parities = {name: comparison.parity(name, field) for name in comparison.names} if field else {}
    told = [
        [each.group for each in found.subgroups] + [name for name, _ in found.left_out]
        for found in parities.values()
    ]
    left_out = _left_out(comparison)
    studies = tuple(sorted({*comparison.rows[0]["study_id"], *left_out}))
    groups = tuple(sorted({name for names in told for name in names}))
    return Reported(comparison, field, studies, left_out, effects, parities, groups)


def _left_out(comparison: Comparison) -> Counter[str]:
    """How many rows of each study a model saw in training."""
    frozen = frozen_studies(comparison.corpus.path)
    rows = [set(each.rows[ROW].itertuples(index=False, name=None)) for each in comparison.evaluations]
    kept = set(comparison.rows[0][ROW].itertuples(index=False, name=None))
    return Counter(study for study, _ in set.intersection(*rows) - kept if study not in frozen)


@dataclass(frozen=True)
class ComparisonNumbers:
    """The numbers of a report by key; NaN where a number is asked for that the data do not give."""

    found: Mapping[Key, float]

    def get(self, quantity: str, predictor: int | None = None, place: int | None = None) -> float:
        """A number; NaN where there is none. Raises KeyError for an unknown quantity."""
        if quantity not in QUANTITIES:
            raise KeyError(quantity)
        return self.found.get(Key(quantity, predictor, place), math.nan)

    def table(self) -> pd.DataFrame:
        """A row a number: key, quantity, predictor, place, number."""
        keys = [str(key) for key in self.found]
        table = pd.DataFrame(list(self.found), columns=["quantity", "predictor", "place"])
        table = table.astype({"predictor": "Int64", "place": "Int64"})
        table.insert(0, "key", keys)
        return table.assign(number=list(self.found.values()))


def comparison_numbers(reported: Reported) -> ComparisonNumbers:
    """All that a report of a comparison shows."""
    comparison = reported.comparison
    found = {
        Key("rows"): float(comparison.n_rows),
        Key("rows_left_out"): float(comparison.n_left_out),
    }
    parts = (_summaries(reported), _cells(reported), _effects(reported), _paired(reported), _groups(reported))
    for part in parts:
        found |= {key: math.nan if number is None else float(number) for key, number in part}
    return ComparisonNumbers(found)


_Told = Iterator[tuple[Key, float | None]]


def _ends(quantity: str, measure: Measure, *places: int) -> _Told:
    for end, number in zip(ENDS, (measure.value, measure.low, measure.high), strict=True):
        yield Key(f"{quantity}{end}", *places), number


def _counted(prefix: str, names: Iterable[str], told: object, *places: int) -> _Told:
    for name in names:
        yield Key(f"{prefix}{name}", *places), getattr(told, name)


def _summaries(reported: Reported) -> _Told:
    comparison = reported.comparison
    for p, each in enumerate(comparison.summaries):
        for name, measure in each.measures.items():
            yield from _ends(name, measure, p)
            for study, score in each.by_study[name].items():
                yield Key(f"study_{name}", p, reported.studies.index(str(study))), score
        yield from _counted("", COUNTS, each, p)
    for p, evaluation in enumerate(comparison.evaluations):
        for name in ("seconds", "cost_usd"):
            yield Key(name, p), evaluation.manifest.get(name)


def _cells(reported: Reported) -> _Told:
    for name, scores in reported.comparison.scores.groupby("predictor", sort=False):
        p = reported.predictors.index(str(name))
        for quantity in OF_CELL:
            for cell, number in enumerate(scores[quantity].tolist()):
                yield Key(f"cell_{quantity}", p, cell), number


def _effects(reported: Reported) -> _Told:
    for name in ("human", "human_se", "n_human"):
        for place, number in enumerate(reported.effects[name].tolist()):
            yield Key(name, None, place), number
    places = {tuple(key): place for place, key in enumerate(reported.effects[EFFECT].to_numpy().tolist())}
    comparison = reported.comparison
    for p, name in enumerate(comparison.names):
        own = comparison.effects[comparison.effects["predictor"] == name]
        for row in own.to_dict("records"):
            place = places[tuple(row[part] for part in EFFECT)]
            yield from ((Key(told, p, place), row[told]) for told in ("predicted", "n_predicted"))
        found, worth = comparison.agreements[name], comparison.worths[name]
        for told in AGREEMENT:
            yield from _ends(f"effects_{told}", getattr(found, told), p)
        yield from _counted("effects_", N_EFFECTS, found, p)
        yield from _ends("worth", Measure(worth.respondents, worth.low, worth.high), p)
        yield from _counted("worth_", N_WORTH, worth, p)


def _paired(reported: Reported) -> _Told:
    for name in (*PAPER, *EXACT):
        better = MEASURES[name].better
        for pair in reported.pairs if better else ():
            first, second = (reported.predictors.index(each) for each in pair)
            found = reported.comparison.paired(name, *pair, lower_is_better=better == "low")
            yield from _ends(f"paired_{name}", found.difference, first, second)
            yield from _counted(f"paired_{name}_", N_PAIRED, found, first, second)


def _groups(reported: Reported) -> _Told:
    for p, found in enumerate(reported.parities.values()):
        yield from _ends("parity", found.difference, p)
        yield from _counted("parity_", ("n_cells", "n_skipped", "n_unknown"), found, p)
        for each in found.subgroups:
            place = reported.groups.index(each.group)
            yield from _ends("group_score", each.score, p, place)
            yield from _counted("group_", ("n", "human_mean", "predicted_mean"), each, p, place)
        for name, n in found.left_out:
            yield Key("group_left_out", p, reported.groups.index(name)), n
