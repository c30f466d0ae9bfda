"""The look of every chart, as a plotly template for each theme: fonts, quiet axes, legend, hover, and gaps.

A chart sets only what is its own. Backgrounds are transparent, so that the page shows through.
"""

from typing import Any

import plotly.graph_objects as go
import plotly.io

from pages.view.charts.palette import CLEAR, GRID, Ink, ink

FONT = '"Source Sans", "Source Sans 3", "Open Sans", Arial, sans-serif'
LABEL = {"size": 13}
SMALL = {"size": 12}
_AXIS: dict[str, Any] = {
    "showline": False,
    "zeroline": False,
    "gridcolor": GRID,
    "ticks": "",
    "fixedrange": True,
    "nticks": 6,
    "tickfont": SMALL,
    "title": {"font": SMALL, "standoff": 8},
}


def template(theme: str | None) -> str:
    """The name of the template for a "light" or "dark" page, or of the one that can be seen on either."""
    return f"socrates {theme if theme in ('light', 'dark') else 'either'}"


def _look(neutral: Ink) -> go.layout.Template:
    return go.layout.Template(
        layout={
            "font": {"color": neutral.text, "family": FONT},
            "paper_bgcolor": CLEAR,
            "plot_bgcolor": CLEAR,
            "xaxis": _AXIS,
            "yaxis": _AXIS,
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "yanchor": "top",
                "font": SMALL,
                "itemsizing": "constant",
                "traceorder": "normal",
            },
            "annotationdefaults": {"showarrow": False, "align": "left", "xanchor": "left", "font": LABEL},
            "shapedefaults": {"type": "line", "layer": "below", "line": {"color": GRID, "width": 1}},
            "margin": {"pad": 0, "autoexpand": False},
            "hovermode": "closest",
            "hoverlabel": {"align": "left"},
            "dragmode": False,
            "modebar": {"bgcolor": CLEAR, "color": neutral.faint},
            "barmode": "group",
            "bargap": 0.22,
            "bargroupgap": 0.06,
        }
    )


for _theme in ("light", "dark", None):
    plotly.io.templates[template(_theme)] = _look(ink(_theme))
