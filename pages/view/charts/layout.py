"""What every chart shares: who is in it, a wrapped title, a legend below it, quiet axes, sizes in pixels."""

import math
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from pages.view.charts.palette import BASELINES, GRID, PEOPLE, Ink, ink, model_colours, who_label
from pages.view.charts.plotly_text import plain_text, readable, wrapped

MOST_CONDITIONS = 12
NARROW = 390
TITLE_WIDTH = 42
LABEL_WIDTH = 46
FONT = '"Source Sans", "Source Sans 3", "Open Sans", Arial, sans-serif'
LABEL = {"size": 13}
SMALL = {"size": 12}


@dataclass(frozen=True)
class Cast:
    """Who is in a chart, in drawing order, each with a colour; people first and baselines last."""

    who: tuple[str, ...]
    colours: dict[str, str]
    ink: Ink


def cast(who: list[str], theme: str | None) -> Cast:
    neutral = ink(theme)
    models = [name for name in dict.fromkeys(who) if name != PEOPLE and name not in BASELINES]
    baselines = [name for name in BASELINES if name in who]
    colours = {PEOPLE: neutral.fill, **model_colours(models), **dict.fromkeys(baselines, neutral.faint)}
    return Cast((*([PEOPLE] if PEOPLE in who else []), *models, *baselines), colours, neutral)


def finish(
    figure: go.Figure,
    players: Cast,
    *,
    title: str,
    note: str,
    height: int,
    margin: dict[str, int],
    annotations: list[dict[str, Any]],
    shapes: list[dict[str, Any]] | None = None,
    above: int = 0,
) -> go.Figure:
    """Puts title, note and legend over the panels, whose `height` in pixels grows by what they need.

    The title is an annotation, because those are placed to the pixel whatever the number of lines; its
    words are in the figure's `meta` for a text alternative. `above` is room for the first panel's heading.
    `annotations` and `shapes` are set once, since plotly checks all of them anew for each that is added.
    """
    lines = wrapped(title, TITLE_WIDTH)
    title_height = 10 + 21 * (lines.count("<br>") + 1)
    note_height = 20 if note else 0
    legend_height = 20 * _legend_rows(players, NARROW - margin["l"] - margin["r"]) + 10
    top = title_height + note_height + legend_height + above
    head = [(lines, 16, top - 2), (plain_text(note), 12, top - title_height)]
    texts = [*annotations, *(_in_corner(*each, 2 - margin["l"]) for each in head if each[0])]
    plain = {"tickfont.color": None}
    told = {"tickfont_color": players.ink.text, "title_font_color": players.ink.text}
    figure.update_xaxes(selector=plain, **told).update_yaxes(selector=plain, **told)
    inked = [{**each, "font": {**each["font"], "color": players.ink.text}} for each in texts]
    whole = height + top
    return figure.update_layout(
        annotations=inked,
        shapes=shapes or [],
        font={"color": players.ink.text, "family": FONT},
        height=whole,
        margin={"t": top, "pad": 0, "autoexpand": False, **margin},
        meta=readable(f"{title} {note}"),
        legend={
            "orientation": "h",
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1 - (title_height + note_height) / whole,
            "yref": "container",
            "yanchor": "top",
            "font": SMALL,
            "itemsizing": "constant",
            "traceorder": "normal",
            "title": {"text": ""},
        },
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        dragmode=False,
        hovermode="closest",
        showlegend=True,
        hoverlabel={"align": "left"},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": players.ink.faint},
        barmode="group",
        bargap=0.22,
        bargroupgap=0.06,
    )


def _in_corner(text: str, size: int, up: int, right: int) -> dict[str, Any]:
    """An annotation that begins `up` and `right` pixels off the plot's top left corner."""
    return {
        "text": text,
        "font": {"size": size},
        "xshift": right,
        "yshift": up,
        "showarrow": False,
        "align": "left",
        "xref": "paper",
        "yref": "paper",
        "x": 0,
        "y": 1,
        "xanchor": "left",
        "yanchor": "top",
    }


def _legend_rows(players: Cast, room: int) -> int:
    """How many rows plotly breaks the legend into, all its columns being as wide as the widest name."""
    widest = max((42 + 5.3 * len(readable(who_label(who))[:40]) for who in players.who), default=0)
    return -(-len(players.who) // max(int(room // max(widest, 1)), 1))


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
    "showline": False,
    "zeroline": False,
    "gridcolor": GRID,
    "ticks": "",
    "fixedrange": True,
    "tickfont": SMALL,
    "title": {"font": SMALL, "standoff": 8},
}


def coloured(axis: dict[str, Any], ink: Ink) -> dict[str, Any]:
    """An axis like QUIET_AXIS with its texts in the page's ink."""
    title = axis["title"]
    return {
        **axis,
        "tickfont": {**axis["tickfont"], "color": ink.text},
        "title": {**title, "font": {**title["font"], "color": ink.text}},
    }
