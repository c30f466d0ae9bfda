"""Every number that the report of a comparison shows. Its key is quantity/predictor/place.

`place` is the position of a study, a cell, an effect, a group or, of two predictors that are compared, the second:
`QUANTITIES` says which.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pandas as pd

from socrates_core.analysis.bootstrap import Measure
from socrates_core.analysis.parity import Parity
from socrates_core.errors import UserError, unknown
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.scores import DRAWS, EXACT, JUDGED, PAPER
from socrates_core.records import DEMOGRAPHICS
from socrates_core.reporting.comparison_measures import MEASURES
from socrates_core.reporting.numbers import Key, Numbers
from socrates_core.reporting.tables import Column

ENDS = {"": "", "_low": ", lower end of its 95% interval", "_high": ", upper end of its 95% interval"}
COUNTS = {
    "n_studies": "studies",
    "n_cells": "cells scored by the published measures (study, condition, outcome)",
    "n_skipped": "cells without a range, which cannot be scored",
    "n_rows": "people asked, with an answer and a prediction, in scored cells",
    "n_people": "answers of everybody in the cells, asked or not",
    "n_dropped": "rows without an answer or a prediction",
    "n_off_scale": "answers off the scale, which count only in the published measures",
}
OF_CELL = {
    **{name: measure.meaning for name, measure in MEASURES.items()},
    "human_mean": "mean of people's answers",
    "predicted_mean": "mean of the predicted answers",
    "n_people": "everybody who answered",
    "n_rows": "people asked, with an answer and a prediction",
    "n_dropped": "people asked, without",
}
AGREEMENT = {
    "sign": "share of effects with the sign of people's",
    "sign_clear": "the same among clear effects of people",
    "r": "correlation of people's with predicted effects",
    "slope": "slope of people's on predicted effects",
    "rmse": "root mean squared difference of the two, in shares of the scale",
}
LADDER = {
    "direction": "share of effects with people's sign",
    "spearman": "rank correlation",
    "pearson": "correlation",
    "r_within": "correlation of differences from each outcome's mean",
    "r_adjusted": "correlation without people's sampling error",
    "rmse": "root mean squared difference, in shares of the scale",
    "rmse_adjusted": "the same without people's sampling error",
    "intercept": "intercept of the line of people's on predicted effects, in shares of the scale",
    "slope": "slope of that line",
}
N_LADDER = ("n_effects", "n_outcomes")
SHAPES = {
    "variance_ratio": "variance of predicted over people's answers",
    "overlap": "sum of the smaller share of every answer",
    "ks": "largest difference of cumulative shares",
}
N_EFFECTS = ("n_effects", "n_studies", "n_clear", "n_dropped")
N_WORTH = ("most", "n_studies", "n_cells", "n_skipped", "n_rows", "n_dropped")
N_PAIRED = ("p", "n_first_better", "n_second_better", "n_studies", "n_dropped")
EFFECT = ["study_id", "task_num", "part", "condition_num"]
QUANTITIES = (
    {
        "rows": "rows that all evaluations share",
        "rows_left_out": "rows that a model saw in training, left out",
        "rows_unanswered": "rows of cells that a model did not answer at all, left out",
        "seconds": "seconds that the answers took",
        "cost_usd": "US dollars that the answers cost",
        **COUNTS,
        "human": "place is an effect: people's, in shares of the scale",
        "human_se": "its standard error",
        "n_human": "people behind it",
        "predicted": "place is an effect: the predicted one",
        "n_predicted": "people asked behind it",
        "parity_n_cells": "cells in which groups are compared",
        "parity_n_skipped": "cells in which a group has too few people",
        "parity_n_unknown": "people whose group is unknown",
        "group_n": "place is a group: people behind it",
        "group_human_mean": "mean answer, shares of the scale",
        "group_predicted_mean": "mean predicted answer, shares of the scale",
        "group_left_out": "people of a group that is too small",
    }
    | {f"{name}{end}": f"{m.meaning}{bounds}" for name, m in MEASURES.items() for end, bounds in ENDS.items()}
    | {f"{name}_n_studies": f"studies that have a score: {m.label}" for name, m in MEASURES.items()}
    | {
        f"{name}_of_draws{end}": f"{MEASURES[name].label}, {about}"
        for name in PAPER
        for end, about in {"": f"mean of {DRAWS} draws", "_sd": "standard deviation of one draw"}.items()
    }
    | {f"study_{name}": f"place is a study: {measure.meaning}" for name, measure in MEASURES.items()}
    | {f"cell_{name}": f"place is a cell: {meaning}" for name, meaning in OF_CELL.items()}
    | {
        f"effects_{name}{end}": f"{about}{bounds}"
        for name, about in AGREEMENT.items()
        for end, bounds in ENDS.items()
    }
    | {f"effects_{name}": f"{name[2:]} behind the agreement" for name in N_EFFECTS}
    | {
        f"ladder_{name}": f"{about}; without a predictor, place is the floor: 0 = no effect, 1 = all positive, "
        "2 = a second human sample"
        for name, about in LADDER.items()
    }
    | {f"ladder_{name}": f"{name[2:]} behind it" for name in N_LADDER}
    | {f"ladder_{name}": f"{about}; mean over cells, then studies" for name, about in SHAPES.items()}
    | {f"worth{end}": f"respondents per cell that the model is worth{bounds}" for end, bounds in ENDS.items()}
    | {f"worth_{name}": f"{name} behind the worth" for name in N_WORTH}
    | {
        f"paired_{name}{end}": f"place is the second predictor: mean difference of {m.label}{bounds}"
        for name, m in MEASURES.items()
        if m.better
        for end, bounds in ENDS.items()
    }
    | {
        f"paired_{name}_{n}": f"{n} of that comparison"
        for name, m in MEASURES.items()
        if m.better
        for n in N_PAIRED
    }
    | {
        f"paired_{name}_p_holm": "its p, corrected by Holm over all pairs and all measures that have this number"
        for name in JUDGED
    }
    | {
        f"parity{end}": f"highest group's squared distance minus the lowest's{bounds}"
        for end, bounds in ENDS.items()
    }
    | {
        f"group_score{end}": f"squared distance of a group on the stated scale, without sampling noise{bounds}"
        for end, bounds in ENDS.items()
    }
)


PLACES = {
    "predictor": Column("position of the model or baseline", "", "see predictors"),
    "place": Column("position of what the quantity names"),
}


@dataclass(frozen=True)
class Reported:
    """A comparison, and the order of everything in its report.

    `studies` are all that the evaluations share, `left_out` counts the rows of each study that a model saw and
    `unanswered` those of cells that one did not answer, `effects` has a row for each effect that a model predicts.
    `parities` by model and `groups` are empty without a demographic `field`.
    """

    comparison: Comparison
    field: str | None
    studies: tuple[str, ...]
    left_out: Mapping[str, int]
    unanswered: Mapping[str, int]
    effects: pd.DataFrame
    parities: Mapping[str, Parity]
    groups: tuple[str, ...]

    @property
    def predictors(self) -> tuple[str, ...]:
        return tuple(summary.name for summary in self.comparison.summaries)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        return self.comparison.pairs_of_predictors


def prepare(comparison: Comparison, *, field: str | None) -> Reported:
    """Puts a comparison in order. Raises UserError if nothing may be scored or `field` is no demographic field."""
    if comparison.seen_only:
        raise UserError(
            "Every row here was in the training of one of these models, so there is nothing to report. "
            "Choose evaluations of studies that none of them has seen."
        )
    if field is not None and field not in DEMOGRAPHICS:
        raise unknown("demographic field", field, DEMOGRAPHICS)
    effects = comparison.effects.drop_duplicates(EFFECT).sort_values(EFFECT, ignore_index=True)
    parities = {name: comparison.parity(name, field) for name in comparison.names} if field else {}
    names = set[str]()
    for parity in parities.values():
        names |= {subgroup.group for subgroup in parity.subgroups} | {name for name, _ in parity.left_out}
    seen, unanswered = (_by_study(comparison, count) for count in ("n_seen", "n_unanswered"))
    studies = tuple(sorted({*comparison.rows[0]["study_id"], *seen, *unanswered}))
    return Reported(comparison, field, studies, seen, unanswered, effects, parities, tuple(sorted(names)))


def _by_study(comparison: Comparison, count: str) -> dict[str, int]:
    """How many shared rows of each study are left out, as one of the counts of a source says."""
    return {
        comparison.study_name(source, study): n
        for source in comparison.sources
        for study, n in getattr(source, count).items()
    }


def comparison_numbers(reported: Reported) -> Numbers:
    """All numbers that the report of a comparison shows."""
    comparison = reported.comparison
    numbers = {
        Key.at("rows"): float(comparison.n_rows),
        Key.at("rows_left_out"): float(comparison.n_left_out),
        Key.at("rows_unanswered"): float(comparison.n_unanswered),
    }
    for part in (_summaries, _cells, _effects, _ladder, _paired, _groups):
        for key, number in part(reported):
            numbers[key] = math.nan if number is None else float(number)
    return Numbers(numbers, QUANTITIES, PLACES)


_Keyed = Iterator[tuple[Key, float | None]]


def _ends(quantity: str, measure: Measure, *places: int) -> _Keyed:
    for end, number in zip(ENDS, (measure.value, measure.low, measure.high), strict=True):
        yield Key.at(f"{quantity}{end}", *places), number


def _attributes(prefix: str, names: Iterable[str], result: object, *places: int) -> _Keyed:
    """The numbers of these names in a result."""
    for name in names:
        yield Key.at(f"{prefix}{name}", *places), getattr(result, name)


def _summaries(reported: Reported) -> _Keyed:
    comparison = reported.comparison
    for p, summary in enumerate(comparison.summaries):
        for name, measure in summary.measures.items():
            yield from _ends(name, measure, p)
            for study, score in summary.by_study[name].items():
                yield Key.at(f"study_{name}", p, reported.studies.index(str(study))), score
        yield from _attributes("", COUNTS, summary, p)
        for name, n in summary.n_scored.items():
            yield Key.at(f"{name}_n_studies", p), n
        for name, spread in summary.draws.items():
            yield Key.at(f"{name}_of_draws", p), spread.mean
            yield Key.at(f"{name}_of_draws_sd", p), spread.sd
    for p, row in enumerate(comparison.table().head(len(comparison.names)).to_dict("records")):
        for name in ("seconds", "cost_usd"):
            yield Key.at(name, p), row[name]


def _cells(reported: Reported) -> _Keyed:
    for name, scores in reported.comparison.scores.groupby("predictor", sort=False):
        p = reported.predictors.index(str(name))
        for quantity in OF_CELL:
            for cell, number in enumerate(scores[quantity].tolist()):
                yield Key.at(f"cell_{quantity}", p, cell), number


def _effects(reported: Reported) -> _Keyed:
    for name in ("human", "human_se", "n_human"):
        for place, number in enumerate(reported.effects[name].tolist()):
            yield Key.at(name, None, place), number
    position = {tuple(key): place for place, key in enumerate(reported.effects[EFFECT].to_numpy().tolist())}
    comparison = reported.comparison
    for p, name in enumerate(comparison.names):
        effects = comparison.effects[comparison.effects["predictor"] == name]
        for effect in effects.to_dict("records"):
            place = position[tuple(effect[part] for part in EFFECT)]
            for quantity in ("predicted", "n_predicted"):
                yield Key.at(quantity, p, place), effect[quantity]
        agreement, worth = comparison.agreements[name], comparison.worths[name]
        for quantity in AGREEMENT:
            yield from _ends(f"effects_{quantity}", getattr(agreement, quantity), p)
        yield from _attributes("effects_", N_EFFECTS, agreement, p)
        yield from _ends("worth", Measure(worth.respondents, worth.low, worth.high), p)
        yield from _attributes("worth_", N_WORTH, worth, p)


def _ladder(reported: Reported) -> _Keyed:
    """The ladder of effects of the models, then of the floors; none without an effect."""
    comparison = reported.comparison
    n_models = len(comparison.names)
    for row, rungs in enumerate(comparison.ladder if len(reported.effects) else ()):
        place = (row, None) if row < n_models else (None, row - n_models)
        for quantity in (*LADDER, *N_LADDER):
            yield Key.at(f"ladder_{quantity}", *place), getattr(rungs, quantity)
        if row < n_models:
            for quantity in SHAPES:
                yield Key.at(f"ladder_{quantity}", row), comparison.shapes[rungs.name][quantity]


def _paired(reported: Reported) -> _Keyed:
    for name in (*PAPER, *EXACT):
        better = MEASURES[name].better
        for pair in reported.pairs if better else ():
            first, second = (reported.predictors.index(predictor) for predictor in pair)
            paired = reported.comparison.paired(name, *pair, lower_is_better=better == "low")
            yield from _ends(f"paired_{name}", paired.difference, first, second)
            yield from _attributes(f"paired_{name}_", N_PAIRED, paired, first, second)
    for duel in reported.comparison.duels:
        first, second = (reported.predictors.index(name) for name in (duel.first, duel.second))
        yield Key.at(f"paired_{duel.measure}_p_holm", first, second), duel.p_holm


def _groups(reported: Reported) -> _Keyed:
    for p, parity in enumerate(reported.parities.values()):
        yield from _ends("parity", parity.difference, p)
        yield from _attributes("parity_", ("n_cells", "n_skipped", "n_unknown"), parity, p)
        for subgroup in parity.subgroups:
            place = reported.groups.index(subgroup.group)
            yield from _ends("group_score", subgroup.score, p, place)
            yield from _attributes("group_", ("n", "human_mean", "predicted_mean"), subgroup, p, place)
        for name, n in parity.left_out:
            yield Key.at("group_left_out", p, reported.groups.index(name)), n
