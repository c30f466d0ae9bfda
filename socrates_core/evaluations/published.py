"""Published scores next to a comparison that measures the same on the same studies."""

import pandas as pd

from socrates_core.corpus.splits_make import read_official
from socrates_core.errors import UserError
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.scores import PAPER
from socrates_core.exposure.status import is_socsci210
from socrates_core.verdicts.published import published_scores


def published_beside(comparison: Comparison) -> pd.DataFrame:
    """A row for each published model, with name, source and the measures of PAPER (NaN where it has none).

    Empty unless every evaluation is of the authors' split by studies and all 40 are scored: only then are they the
    same measures of the same studies.
    """
    published = published_scores()
    rows = pd.DataFrame([vars(row) for row in published])[["name", "source", *PAPER]]
    scored = {cell.study_id for cell in comparison.cells[0]}
    corpus = comparison.sources[0].corpus
    if len(comparison.sources) > 1 or not is_socsci210(corpus) or len(scored) != published[0].n_studies:
        return rows.iloc[:0]
    try:
        official = read_official(corpus, "studies", name="official")
    except UserError:  # the authors' list did not come along
        return rows.iloc[:0]
    same = all(evaluation.spec.split_digest == official.digest() for evaluation in comparison.evaluations)
    return rows if same and scored == set(official.held_out) else rows.iloc[:0]
