"""The report of a comparison of evaluations: what its page shows, and what else lies in its folder."""

import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from socrates_core.analysis.bootstrap import MIN_STUDIES_FOR_INTERVAL
from socrates_core.analysis.parity import MINIMUM
from socrates_core.analysis.respondent_equivalent import LEAST
from socrates_core.evaluations.cells import EvaluatedCell
from socrates_core.evaluations.comparison import ROW, Comparison
from socrates_core.evaluations.published import published_beside
from socrates_core.evaluations.rows import questions_of
from socrates_core.evaluations.scores import DRAWS
from socrates_core.personas import label
from socrates_core.records import LOW_MASS
from socrates_core.reporting.comparison_data import comparison_tables
from socrates_core.reporting.comparison_measures import MEASURES, NAMES, PAIRED, TABLES
from socrates_core.reporting.comparison_numbers import (
    AGREEMENT,
    LADDER,
    Reported,
    comparison_numbers,
    prepare,
)
from socrates_core.reporting.document import Document
from socrates_core.reporting.drawings import draw_measure, draw_scatter, round_reach
from socrates_core.reporting.folder import check_empty, write_document
from socrates_core.reporting.numbers import Numbers
from socrates_core.reporting.sources import citations, study_source

SCRIPTS = (
    "shared.py",
    "comparison_cells.py",
    "comparison_studies.py",
    "comparison_groups.py",
    "comparison_ladder.py",
    "comparison.py",
    "shared.R",
    "comparison_people.R",
    "comparison_ladder.R",
    "comparison.R",
)
GAVE = "texts, people's answers and profiles"
WORST = 10  # cells a model; the rest is in numbers.csv
OPEN_EFFECTS = 40  # a longer table of effects is folded
BY_STUDY = ("wasserstein_observed", "wasserstein_exact_stated")
BETTER = {"low": "lower is better", "high": "higher is better", "": "neither end is better"}


def write_comparison_report(comparison: Comparison, target: Path, *, field: str | None = None) -> Path:
    """Writes a comparison's report and replication folder into `target`, which must be new or empty.

    With a demographic `field`, groups of people are compared too. The same comparison gives the same files, byte for
    byte. Raises UserError if the folder cannot be written, `field` is unknown, or some model saw every row in training.
    """
    # Checked again when it is written; here, before the work.
    check_empty(target)
    return write_document(_document(prepare(comparison, field=field)), target)


def _document(reported: Reported) -> Document:
    comparison = reported.comparison
    numbers = comparison_numbers(reported)
    files: dict[str, Mapping[str, Any]] = {}
    for evaluation in comparison.evaluations:
        folder = f"evaluations/{evaluation.id}"
        files[f"{folder}/spec.json"] = evaluation.spec.content()
        files[f"{folder}/manifest.json"] = evaluation.manifest
    ids = [evaluation.id for evaluation in comparison.evaluations]
    field_option = ["--field", reported.field] if reported.field else []
    return Document(
        kind="comparison",
        title=f"{', '.join(comparison.names)} compared with people",
        sections=_sections(reported, numbers),
        numbers=numbers,
        tables=comparison_tables(reported),
        scripts=SCRIPTS,
        prompts=list(_prompts(comparison)),
        sources=[
            study_source(source.corpus.name, study_id, GAVE)
            for source, study_id in map(comparison.find, reported.studies)
        ],
        citations=citations(*(evaluation.manifest["card"] for evaluation in comparison.evaluations)),
        stored={evaluation.id: evaluation.manifest["content"] for evaluation in comparison.evaluations},
        command=shlex.join(
            ["python", "-m", "socrates_core", "report", *ids, *field_option, "--output", "FOLDER"]
        ),
        files=files,
    )


def _prompts(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """The exact prompt of the first person of every cell, for each evaluation."""
    place = ["study_id", "condition_num", "task_num", "part"]
    asked = [
        (source, evaluation, rows)
        for source in comparison.sources
        for evaluation, rows in zip(source.evaluations, source.rows, strict=True)
    ]
    for source, evaluation, kept in asked:
        first = set(kept.drop_duplicates(place)[ROW].itertuples(index=False, name=None))
        in_studies = evaluation.rows[evaluation.rows["study_id"].isin(kept["study_id"])]
        for study, rows in in_studies.groupby("study_id"):
            questions = questions_of(source.corpus, str(study), rows, evaluation.spec)
            records = rows[[*place, "sample_id", "participant"]].to_dict("records")
            for row, question in zip(records, questions, strict=True):
                if (row["study_id"], row.pop("sample_id")) in first:
                    yield {
                        "evaluation": evaluation.id,
                        **{str(name): value for name, value in row.items()},
                        "messages": question.prompt.messages(),
                        "options": question.options,
                    }


def _sections(reported: Reported, numbers: Numbers) -> dict[str, Any]:
    """What the sections of comparison.html show."""
    comparison = reported.comparison
    predictors = [(p, NAMES.get(name, name)) for p, name in enumerate(reported.predictors)]
    return {
        "comparison": comparison,
        "corpus": comparison.corpus_names,
        "given": numbers.has,
        "predictors": predictors,
        "models": predictors[: len(comparison.names)],
        "tables": [_table(reported, title) for title in TABLES],
        "measures": MEASURES,
        "better": BETTER,
        "paired": [(name, _pairs(reported, name, numbers)) for name in PAIRED],
        "winners": {
            (duel.measure, *map(reported.predictors.index, (duel.first, duel.second))): NAMES.get(
                duel.winner, duel.winner
            )
            for duel in comparison.duels
        },
        "low_mass": [p for p, _ in predictors if numbers.get("valid_mass", p) < LOW_MASS],
        "by_study": BY_STUDY,
        "studies": reported.studies,
        "titles": comparison.titles,
        "worst": [_worst(reported, p, numbers) for p in range(len(comparison.names))],
        "agreement": AGREEMENT,
        "ladder": LADDER,
        "floors": [row.name for row in comparison.ladder[len(comparison.names) :]],
        "effects": reported.effects.to_dict("records"),
        "scatters": _scatters(reported),
        "open_effects": OPEN_EFFECTS,
        "field": label(reported.field) if reported.field else "",
        "parities": list(reported.parities.values()),
        "groups": list(enumerate(reported.groups)),
        "minimum": MINIMUM,
        "least": LEAST,
        "n_draws": DRAWS,
        "min_studies": MIN_STUDIES_FOR_INTERVAL,
        "published": published_beside(comparison).to_dict("records"),
    }


def _table(reported: Reported, title: str) -> dict[str, Any]:
    """The measures of one convention: the predictors that have one of them, and a drawing of the first measure."""
    names = TABLES[title]
    first = names[0]
    rows, drawn = [], {}
    for p, summary in enumerate(reported.comparison.summaries):
        measures = {name: summary.measures[name] for name in names if name in summary.measures}
        if any(math.isfinite(measure.value) for measure in measures.values()):
            rows.append(p)
            if first in measures:
                drawn[p] = (summary.kind, measures[first])
    ends = [
        end
        for _, measure in drawn.values()
        for end in (measure.value, measure.low, measure.high)
        if math.isfinite(end)
    ]
    high = round_reach([max(ends)]) if max(ends, default=0) > 0 else 0.0
    low = -round_reach([-min(ends)]) if min(ends, default=0) < 0 else 0.0
    axis = (low, high) if low < high else (0.0, 1.0)
    return {
        "title": title,
        "names": names,
        "rows": rows,
        "drawings": {
            p: draw_measure(MEASURES[first].label, measure, axis=axis, kind=kind)
            for p, (kind, measure) in drawn.items()
            if math.isfinite(measure.value)
        },
        "axis": [f"{end:g}".replace("-", "−") for end in axis],
    }


def _pairs(reported: Reported, name: str, numbers: Numbers) -> list[tuple[int, int]]:
    """Positions of every two predictors that are compared by a measure."""
    pairs = [
        (reported.predictors.index(first), reported.predictors.index(second))
        for first, second in reported.pairs
    ]
    return [pair for pair in pairs if numbers.has(f"paired_{name}", *pair)]


def _worst(reported: Reported, p: int, numbers: Numbers) -> list[tuple[int, EvaluatedCell]]:
    """The cells of a model that are furthest from people, with their positions."""
    cells = reported.comparison.cells[p]
    far = np.array([numbers.get("cell_wasserstein_exact_observed", p, place) for place in range(len(cells))])
    order = np.argsort(np.where(np.isfinite(far), -far, np.inf), kind="stable")[: np.isfinite(far).sum()]
    return [(place, cells[place]) for place in order[:WORST].tolist()]


def _scatters(reported: Reported) -> dict[str, tuple[Markup, str]]:
    """For each model, a drawing of people's effects over predicted ones, and how far its axes reach: all alike."""
    comparison = reported.comparison
    pairs = {name: comparison.pairs(name) for name in comparison.names}
    reach = round_reach(
        [abs(end) for model in pairs.values() for end in (*model.human.tolist(), *model.predicted.tolist())]
    )
    return {
        name: (draw_scatter(f"Effects of people over those that {name} predicts", model, reach), f"{reach:g}")
        for name, model in pairs.items()
        if len(model.human)
    }
