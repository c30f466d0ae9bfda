"""Text in charts: study text made safe, as plotly would read HTML, LaTeX, templates and entities; and figures."""

import math
import textwrap
import unicodedata

from pages.view.charts.palette import PEOPLE, who_label
from socrates_core.populations.panel import profiles_text

LABEL_WIDTH = 46

_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;", "%": "&#37;"})


def plain_text(text: object) -> str:
    """`text` as plotly shows it character by character: no tags, no LaTeX, no `%{...}`, no hidden marks.

    Control characters, zero-width characters and direction overrides leave; line breaks become spaces.
    """
    return readable(text).translate(_ENTITIES)


def readable(text: object) -> str:
    """`text` on one line without characters that cannot be seen, for places that take text as it is."""
    spaced = "".join(" " if char.isspace() else char for char in str(text))
    seen = (char for char in spaced if not unicodedata.category(char).startswith("C"))
    return " ".join("".join(seen).split())


def wrapped(text: object, width: int, *, most: int = 3) -> str:
    """`text` in at most `most` lines of `width` characters for a chart label; a cut ends in an ellipsis."""
    lines = textwrap.wrap(readable(text), width)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])[: width - 1].rstrip() + "…"]
    return "<br>".join(plain_text(line) for line in lines)


def legend_name(who: str) -> str:
    return wrapped(who_label(who), 40, most=1)


def percent(share: float) -> str:
    return f"{_short(100 * share)}%"


def signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{_short(value)}"


def three_digits(value: float, low: float, high: float) -> str:
    """A score with three decimals and, if there is one, its interval."""
    return f"{value:.3f}".replace("-", "−") + interval(low, high)


def interval(low: float, high: float) -> str:
    """The interval in brackets after a space; empty without an interval."""
    return f" [{_short(low)}, {_short(high)}]" if math.isfinite(low) and math.isfinite(high) else ""


def _short(value: float) -> str:
    """Two decimals below ten, one above, with a true minus; more where they are needed to show anything."""
    digits = 1 if abs(value) >= 10 else 2
    text = f"{value:.{digits}f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"
    return text.replace("-", "−")


def people_text(who: str, n: float, n_profiles: float = math.nan) -> str:
    """How many answered; simulated people are not people. With `n_profiles`, also how many distinct profiles."""
    if who == PEOPLE:
        return f"n = {n:,.0f} people"
    if math.isnan(n_profiles):
        return f"n = {n:,.0f} simulated people"
    return f"n = {profiles_text(round(n), round(n_profiles))}"
