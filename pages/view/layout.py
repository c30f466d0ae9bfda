"""What every chart shares: a wrapped title, a legend below it, quiet axes, sizes in pixels."""

import math
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from pages.view.palette import BASELINES, GRID, INKS, PEOPLE, Ink, model_colours, who_label
from pages.view.plain import plain_text, wrapped

MOST_CONDITIONS = 12
NARROW = 390
TITLE_WIDTH = 42
LABEL_WIDTH = 46
LABEL = {"size": 13}
SMALL = {"size": 12}


@dataclass(frozen=True)
class Cast:
    """Who is in a chart, in drawing order, each with a colour; people first and baselines last."""

    who: tuple[str, ...]
    colours: dict[str, str]
    ink: Ink


def cast(who: list[str], theme: str | None) -> Cast:
    ink = INKS["dark" if theme == "dark" else "light"]
    models = [name for name in dict.fromkeys(who) if name != PEOPLE and name not in BASELINES]
    baselines = [name for name in BASELINES if name in who]
    colours = {PEOPLE: ink.fill, **model_colours(models), **dict.fromkeys(baselines, ink.faint)}
    return Cast((*([PEOPLE] if PEOPLE in who else []), *models, *baselines), colours, ink)


@dataclass(frozen=True)
class Head:
    """The part above the panels: its layout entries, and in pixels where its legend begins and it ends."""

    layout: dict[str, Any]
    legend_at: int
    height: int


def head(title: str, note: str, players: Cast) -> Head:
    """Title, note and legend, stacked so that they fit a narrow screen whatever the texts."""
    lines = wrapped(title, TITLE_WIDTH)
    title_height = 14 + 21 * (lines.count("<br>") + 1) + (18 if note else 0)
    widths = [40 + 7 * min(len(who_label(who)), 40) for who in players.who]
    rows = max(1, -(-sum(widths) // (NARROW - 20)))
    layout = {
        "title": {
            "text": lines, "x": 0, "xref": "container", "xanchor": "left",
            "y": 1, "yref": "container", "yanchor": "top", "pad": {"t": 8, "l": 4},
            "font": {"size": 16}, "automargin": False,
            **({"subtitle": {"text": plain_text(note), "font": SMALL}} if note else {}),
        },
        "legend": {
            "orientation": "h", "x": 0, "xref": "container", "xanchor": "left",
            "yref": "container", "yanchor": "top", "font": SMALL,
            "itemsizing": "constant", "title": {"text": ""}, "traceorder": "normal",
        },
    }  # fmt: skip
    return Head(layout, title_height, title_height + 22 * rows + 6)


def finish(figure: go.Figure, top: Head, *, height: int, margin: dict[str, int]) -> go.Figure:
    """Sets the sizes and everything that all charts share."""
    return figure.update_layout(
        **top.layout, legend_y=1 - top.legend_at / height,
        height=height, margin={"t": top.height, "pad": 0, **margin},
        paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)",
        dragmode=False, hovermode="closest", hoverlabel={"align": "left"},
        barmode="group", bargap=0.22, bargroupgap=0.06,
    )  # fmt: skip


def legend_name(who: str) -> str:
    return wrapped(who_label(who), 40, most=1)


def percent(share: float) -> str:
    return f"{_short(100 * share)}%"


def signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{_short(value)}"


def interval(low: float, high: float) -> str:
    """The interval in brackets with a leading space, or nothing where there is none."""
    return f" [{_short(low)}, {_short(high)}]" if math.isfinite(low) and math.isfinite(high) else ""


def _short(value: float) -> str:
    """Two decimals below ten, one above, with a true minus; more where they are needed to show anything."""
    digits = 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"
    return text.replace("-", "−")


def people_text(who: str, n: float) -> str:
    """How many stand behind a figure; personas are not people."""
    return f"n = {n:,.0f} {'people' if who == PEOPLE else 'personas'}"


QUIET_AXIS: dict[str, Any] = {
    "showline": False, "zeroline": False, "gridcolor": GRID, "ticks": "", "fixedrange": True, "tickfont": SMALL,
    "title": {"font": SMALL, "standoff": 8},
}  # fmt: skip
