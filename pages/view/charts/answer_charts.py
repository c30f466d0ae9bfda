"""Charts of answers and effects: a DataFrame in, a figure out that reads well from 390 pixels up.

People are filled and neutral, predictions hollow and coloured, baselines thin and grey. Backgrounds are
transparent, so that the page shows through; every text of a study is escaped.
"""

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from pages.view.charts import bars, dots
from pages.view.charts.plotly_text import readable
from socrates_core.records import Number, Scale

MOST_CONDITIONS = 12
MOST_ROWS = 36


def distribution(
    frame: pd.DataFrame,
    *,
    scale: Scale,
    title: str,
    conditions: Sequence[str] | None = None,
    answer: Number | None = None,
    theme: str | None = None,
) -> go.Figure:
    """The answers of one outcome, a panel a condition on shared axes.

    Columns of `frame`: condition, who ("people", a model's or a baseline's name), value, share in [0, 1],
    low and high (NaN without an interval), n. A scale of two options shows one share a condition, that of
    `answer` (by default the option called yes, else the higher one); one of more than 21 values is binned.
    The first 12 conditions are shown, or those in `conditions`. If some are left out, a note under the title says so.
    `theme` is the page's, "light" or "dark" (for files: "light"); without one, the neutrals can be seen on both.
    """
    names = list(dict.fromkeys(frame["condition"]))
    note = ""
    if conditions is None and len(names) > MOST_CONDITIONS:
        note = f"The first {MOST_CONDITIONS} of {len(names)} conditions"
    drawn = names[:MOST_CONDITIONS] if conditions is None else conditions
    rows = frame[frame["condition"].isin(drawn)]
    if len(scale.values) == 2:
        value = _answer(scale) if answer is None else answer
        name = readable(scale.label(value)) or f"{value:g}"
        return dots.figure(
            dots.share_rows(rows[rows["value"] == value]),
            title=title,
            note=note,
            theme=theme,
            axis=f"Share answering “{name}”",
            share=True,
        )
    return bars.figure(rows, scale=scale, title=title, note=note, theme=theme)


def effects_forest(
    frame: pd.DataFrame, *, title: str, unit: str = "scale points", theme: str | None = None
) -> go.Figure:
    """Differences of conditions against their reference, a line a condition, around a zero line.

    Columns of `frame`: outcome, condition, who, difference, low and high (NaN where no interval is earned),
    n; all in `unit`. At most 36 rows are shown; if some are left out, the chart says so under its title.
    """
    pairs = frame[["outcome", "condition"]].drop_duplicates()
    drawn = frame.merge(pairs.head(MOST_ROWS), on=["outcome", "condition"])
    note = f"The first {MOST_ROWS} of {len(pairs)} differences" if len(pairs) > MOST_ROWS else ""
    return dots.figure(
        dots.effect_rows(drawn), title=title, note=note, theme=theme, axis=f"Difference in means, {unit}"
    )


def _answer(scale: Scale) -> Number:
    """The option of two whose share is shown."""
    yes = [value for value in scale.values if scale.label(value).casefold().startswith("yes")]
    return yes[0] if yes else scale.values[-1]
