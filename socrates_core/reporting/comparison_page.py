"""The report of a comparison as one page of HTML that loads nothing: its style, drawings and numbers are in it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from socrates_core.analysis.bootstrap import MIN_STUDIES_FOR_INTERVAL
from socrates_core.analysis.parity import MINIMUM
from socrates_core.analysis.respondent_equivalent import LEAST
from socrates_core.evaluations.published import published_beside
from socrates_core.personas import label
from socrates_core.records import LOW_MASS
from socrates_core.reporting.comparison_measures import MEASURES, NAMES, PAIRED, TABLES
from socrates_core.reporting.comparison_numbers import AGREEMENT, ComparisonNumbers, Key, Reported
from socrates_core.reporting.drawings import draw_measure, draw_scatter, round_reach
from socrates_core.reporting.page import number_label, page_template, render_number
from socrates_core.reporting.sources import Source

WORST = 10  # cells a model, the rest is in numbers.csv
OPEN_EFFECTS = 40  # a longer table of effects is folded
BY_STUDY = ("wasserstein_observed", "wasserstein_exact_stated")
BETTER = {"low": "lower is better", "high": "higher is better", "": "neither end is better"}


def render_comparison(
    reported: Reported,
    numbers: ComparisonNumbers,
    *,
    sources: Sequence[Source],
    named: Mapping[str, str],
    digests: Mapping[str, str],
    command: str,
) -> str:
    """The report of a comparison; `named` says what to cite and `command` what writes the report again."""
    comparison = reported.comparison

    def number(style: str, quantity: str, *places: int | None) -> Markup:
        return render_number(Key(quantity, *places), numbers.get(quantity, *places), style)

    def given(quantity: str, *places: int | None) -> bool:
        return not math.isnan(numbers.get(quantity, *places))

    predictors = [(p, NAMES.get(name, name)) for p, name in enumerate(reported.predictors)]
    studies = comparison.corpus.studies()
    return page_template("comparison.html").render(
        comparison=comparison,
        corpus=comparison.corpus.name,
        number=number,
        given=given,
        predictors=predictors,
        models=predictors[: len(comparison.names)],
        tables=[_table(reported, title) for title in TABLES],
        measures=MEASURES,
        better=BETTER,
        paired=[(name, _pairs(reported, name, given)) for name in PAIRED],
        low_mass=[p for p, _ in predictors if numbers.get("valid_mass", p) < LOW_MASS],
        by_study=BY_STUDY,
        studies=reported.studies,
        titles=dict(zip(studies["study_id"], studies["title"], strict=True)),
        worst=[_worst(reported, p, numbers) for p in range(len(comparison.names))],
        agreement=AGREEMENT,
        effects=reported.effects.to_dict("records"),
        scatters=_scatters(reported),
        open_effects=OPEN_EFFECTS,
        field=label(reported.field) if reported.field else "",
        parities=list(reported.parities.values()),
        groups=list(enumerate(reported.groups)),
        minimum=MINIMUM,
        least=LEAST,
        min_studies=MIN_STUDIES_FOR_INTERVAL,
        published=published_beside(comparison).to_dict("records"),
        number_label=number_label,
        sources=sources,
        citations=named,
        digests=digests,
        command=command,
    )


def _table(reported: Reported, title: str) -> dict[str, Any]:
    """One convention's measures: who has one of them, and a drawing of each one's first measure."""
    names = TABLES[title]
    rows = [
        (p, each.kind, {name: each.measures[name] for name in names if name in each.measures})
        for p, each in enumerate(reported.comparison.summaries)
    ]
    shown = [row for row in rows if any(math.isfinite(found.value) for found in row[2].values())]
    first = [found[names[0]] for _, _, found in shown if names[0] in found]
    ends = [end for each in first for end in (each.value, each.low, each.high) if math.isfinite(end)]
    high = round_reach([max([*ends, 0.0])]) if max(ends, default=0) > 0 else 0.0
    low = -round_reach([-min(ends)]) if min(ends, default=0) < 0 else 0.0
    axis = (low, high) if low < high else (0.0, 1.0)
    drawings = {
        p: draw_measure(MEASURES[names[0]].label, found[names[0]], axis=axis, kind=kind)
        for p, kind, found in shown
        if names[0] in found and math.isfinite(found[names[0]].value)
    }
    return {
        "title": title,
        "names": names,
        "rows": [p for p, *_ in shown],
        "drawings": drawings,
        "axis": [f"{end:g}".replace("-", "−") for end in axis],
    }


def _pairs(reported: Reported, name: str, given: Any) -> list[tuple[int, int]]:
    places = [tuple(reported.predictors.index(each) for each in pair) for pair in reported.pairs]
    return [(first, second) for first, second in places if given(f"paired_{name}", first, second)]


def _worst(reported: Reported, p: int, numbers: ComparisonNumbers) -> list[tuple[int, Any]]:
    """The cells of a model that are furthest from people, with their positions."""
    cells = reported.comparison.cells[p]
    far = np.array([numbers.get("cell_wasserstein_exact_observed", p, place) for place in range(len(cells))])
    order = np.argsort(np.where(np.isfinite(far), -far, np.inf), kind="stable")[: np.isfinite(far).sum()]
    return [(place, cells[place]) for place in order[:WORST].tolist()]


def _scatters(reported: Reported) -> dict[str, tuple[Markup, str]]:
    """Each model's effects over people's, all on one axis, with how far that goes."""
    pairs = {name: reported.comparison.pairs(name) for name in reported.comparison.names}
    ends = [abs(x) for each in pairs.values() for x in (*each.human.tolist(), *each.predicted.tolist())]
    reach = round_reach(ends)
    return {
        name: (draw_scatter(f"Effects of people over those that {name} predicts", each, reach), f"{reach:g}")
        for name, each in pairs.items()
        if len(each.human)
    }
