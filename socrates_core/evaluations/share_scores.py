"""How far a model's predicted shares are from everybody's, study by study: what its verdict rests on."""

import numpy as np
import pandas as pd

from socrates_core.analysis.corrected import corrected_distance
from socrates_core.analysis.metrics import exact_wasserstein
from socrates_core.analysis.verdict import kind_of
from socrates_core.corpus.queries import Corpus
from socrates_core.evaluations.cells import EvaluatedCell, cells_of

COLUMNS = ["study", "kind", "n_cells", "n_asked", "model", "uniform", "w_model", "w_uniform"]


def share_scores(corpus: Corpus, rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each study and kind of question of an evaluation's `rows`, with the columns COLUMNS.

    `model` and `uniform` are the means over cells of `corrected_distance`, `w_model` and `w_uniform` of W on the
    observed range (NaN for options without an order), `n_asked` the most people asked in one cell. Cells whose
    answers were drawn have no uniform guess and do not count.
    """
    scored = [row for cell in cells_of(corpus, rows) if (row := _scored(corpus.name, cell)) is not None]
    cells = pd.DataFrame(scored, columns=[name for name in COLUMNS if name != "n_cells"])
    by_kind = cells.groupby(["study", "kind"], sort=True)
    means = by_kind[["model", "uniform", "w_model", "w_uniform"]].mean()
    counts = by_kind.agg(n_cells=("model", "size"), n_asked=("n_asked", "max"))
    return counts.join(means).reset_index()[COLUMNS]


def _scored(corpus: str, cell: EvaluatedCell) -> tuple[str, str, int, float, float, float, float] | None:
    """The cell's row without its count; None where it cannot be scored."""
    n_asked = int(cell.has_prediction.sum())
    if cell.is_drawn or len(cell.values) < 2 or not n_asked:
        return None
    guess = np.full(len(cell.values), 1 / len(cell.values))
    ours, guessed = (
        corrected_distance(cell.values, shares, cell.everybody, cell.people, is_ordered=cell.is_ordered)
        for shares in (cell.predicted, guess)
    )
    if not np.isfinite([ours, guessed]).all():
        return None
    w_ours, w_guessed = (
        exact_wasserstein(cell.values, shares, cell.counts, convention="observed")
        if cell.is_ordered
        else np.nan
        for shares in (cell.predicted, guess)
    )
    kind = kind_of(len(cell.values), is_ordered=cell.is_ordered)
    return f"{corpus}/{cell.study_id}", kind, n_asked, ours, guessed, w_ours, w_guessed
