"""Published scores on SocSci210's 40 unseen studies, for comparisons that measure the same on the same studies."""

from pathlib import Path

import pandas as pd
import yaml

from socrates_core.corpus.splits_make import read_official
from socrates_core.errors import UserError
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.scores import PAPER
from socrates_core.exposure.status import is_socsci210


def read_published() -> tuple[pd.DataFrame, int]:
    """A row a published model with name, source and the measures of PAPER (NaN: not reported), and how many studies."""
    stored = yaml.safe_load(Path(__file__).with_name("published.yaml").read_text(encoding="utf-8"))
    rows = pd.DataFrame(stored["rows"], columns=["name", "source", *PAPER])
    return rows.assign(source=rows["source"].map(stored["sources"])), int(stored["n_studies"])


def published_beside(comparison: Comparison) -> pd.DataFrame:
    """The published rows, if every evaluation is of the authors' split by studies and all 40 are scored; else none.

    Only the measures of PAPER can be compared with them: all others follow another convention.
    """
    rows, n_studies = read_published()
    scored = {cell.study_id for cell in comparison.cells[0]}
    corpus = comparison.sources[0].corpus
    if len(comparison.sources) > 1 or not is_socsci210(corpus) or len(scored) != n_studies:
        return rows.iloc[:0]
    try:
        official = read_official(corpus, "studies", name="official")
    except UserError:  # the authors' list did not come along
        return rows.iloc[:0]
    same = all(evaluation.spec.split_digest == official.digest() for evaluation in comparison.evaluations)
    return rows if same and scored == set(official.held_out) else rows.iloc[:0]
