"""How charts are laid out: a wrapped title over the legend over the panels, labelled rows, guides. Sizes in pixels."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import plotly.graph_objects as go

from pages.view.charts.palette import ZERO, Legend, who_label
from pages.view.charts.plotly_text import plain_text, readable, wrapped
from pages.view.charts.template import SMALL, template

NARROW = 390
TITLE_WIDTH = 42  # characters
ZERO_LINE = {"color": ZERO, "width": 1.5}


def finish(
    figure: go.Figure,
    legend: Legend,
    *,
    title: str,
    height: int,
    margin: dict[str, int],
    theme: str | None,
    note: str = "",
    annotations: Iterable[dict[str, Any]] = (),
    shapes: Iterable[dict[str, Any]] = (),
    above: int = 0,
) -> go.Figure:
    """Gives the figure its look, and puts title, note and legend over the panels, which are `height` pixels high.

    The title is an annotation, because plotly places those to the pixel for any number of lines. The figure's `meta`
    has its words, as a text alternative. `above` is room for the first panel's heading.
    """
    lines = wrapped(title, TITLE_WIDTH)
    title_height = 10 + 21 * (lines.count("<br>") + 1)
    note_height = 20 if note else 0
    legend_height = 20 * _legend_rows(legend, NARROW - margin["l"] - margin["r"]) + 14
    top = title_height + note_height + legend_height + above
    heads = [_in_corner(lines, 16, top - 2, -margin["l"])]
    if note:
        heads.append(_in_corner(plain_text(note), 12, top - title_height, -margin["l"]))
    whole = top + height + margin["b"]
    return figure.update_layout(
        template=template(theme),
        # All at once: plotly checks every annotation again for each that is added.
        annotations=[*annotations, *heads],
        shapes=list(shapes),
        height=whole,
        margin={"t": top, **margin},
        meta=readable(f"{title} {note}"),
        showlegend=legend.visible,
        legend={
            "xref": "container",
            "y": 1 - (title_height + note_height) / whole,
            "yref": "container",
        },
    )


def _in_corner(text: str, size: int, up: int, right: int) -> dict[str, Any]:
    """A text that begins `up` and `right` pixels off the plot's top left corner."""
    corner = {"xref": "paper", "yref": "paper", "x": 0, "y": 1, "yanchor": "top"}
    return {**corner, "text": text, "font": {"size": size}, "xshift": right + 2, "yshift": up}


def _legend_rows(legend: Legend, room: int) -> int:
    """How many rows plotly breaks the legend into, all its columns being as wide as the widest name."""
    who = legend.who if legend.visible else ()
    widest = max((42 + 5.3 * len(readable(who_label(name))[:40]) for name in who), default=0)
    return -(-len(who) // max(int(room // max(widest, 1)), 1))


def label(text: str, depth: float, *, yref: str = "y") -> dict[str, Any]:
    """A text at the left edge, under `depth`."""
    return {"text": text, "xref": "paper", "x": 0, "y": depth, "yref": yref, "yanchor": "top"}


def at_right(text: str, y: float) -> dict[str, Any]:
    """The figures of the row at `y`, in the column on the right."""
    column = {"xref": "paper", "x": 1, "xshift": 8, "y": y, "yanchor": "middle"}
    return {**column, "text": plain_text(text), "font": SMALL}


def across(y: float, line: Mapping[str, Any] | None = None, *, yref: str = "y") -> dict[str, Any]:
    """A line across the whole chart, by default faint."""
    return {"xref": "paper", "x0": 0, "x1": 1, "y0": y, "y1": y, "yref": yref, **_styled(line)}


def upright(
    x: float, low: float, high: float, line: Mapping[str, Any] | None = None, *, yref: str = "y"
) -> dict[str, Any]:
    """A line at `x` from `low` to `high`, by default faint."""
    return {"x0": x, "x1": x, "y0": low, "y1": high, "yref": yref, **_styled(line)}


def _styled(line: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"line": dict(line)} if line else {}


def depth_axis(depth: float) -> dict[str, Any]:
    """A vertical axis in pixels from the top, which is not drawn: rows are labelled by texts."""
    return {"range": [depth, 0], "visible": False}


def span(values: npt.ArrayLike, *, room: float = 0.08) -> list[float]:
    """The range of an axis that holds all `values` but NaN, with a share of `room` at both ends."""
    known = np.asarray(values, dtype=float)
    low, high = float(np.nanmin(known)), float(np.nanmax(known))
    reach = room * ((high - low) or 1.0)
    return [low - reach, high + reach]


def error_bars(
    value: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, *, colour: str, thickness: float
) -> dict[str, Any]:
    """Intervals as lines through their bars or points; none where low and high are NaN."""
    middle = np.asarray(value, dtype=float)
    return {
        "array": np.nan_to_num(np.asarray(high, dtype=float) - middle),
        "arrayminus": np.nan_to_num(middle - np.asarray(low, dtype=float)),
        "symmetric": False,
        "color": colour,
        "thickness": thickness,
        "width": 0,
    }


def hovered(texts: Sequence[str]) -> dict[str, Any]:
    """What a trace says under the cursor, a text a point; the texts are safe already."""
    return {"customdata": list(texts), "hovertemplate": "%{customdata}<extra></extra>"}
