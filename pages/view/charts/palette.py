"""The colors: people one neutral, every model its own from Okabe and Ito's set, baselines gray."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

PEOPLE = "people"
BASELINES = {
    "uniform": "Uniform guess",
    "condition-blind": "Condition-blind",
    "pooled": "All conditions pooled (published row)",
    "half-sample": "Half of the people against the other half",
    "oracle": "Oracle: the true distribution",
    "population": "The chosen population",
}
# Lines tell baselines apart, as all of them are grey.
DASHES = {
    "uniform": "dot",
    "condition-blind": "dash",
    "pooled": "dashdot",
    "half-sample": "longdash",
    "oracle": "longdashdot",
    "population": "solid",
}
# Okabe and Ito (2008) without yellow, which is lost on white, and black, which is people's.
_MODEL_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")


@dataclass(frozen=True)
class Ink:
    """The neutral colours of a theme: people's `fill`, their intervals' `line`, `faint` baselines, `text`."""

    fill: str
    line: str
    faint: str
    text: str


LIGHT = Ink(fill="#5A6170", line="#14171C", faint="#8A8F99", text="#1B1F24")
DARK = Ink(fill="#A9AFBA", line="#FFFFFF", faint="#7D8390", text="#E8EAED")
EITHER = Ink(fill="#8A909C", line="#5F6673", faint="#85898F", text="#767C88")
CLEAR = "rgba(0,0,0,0)"
GRID = "rgba(128,128,128,0.22)"
ZERO = "rgba(128,128,128,0.9)"


def ink(theme: str | None) -> Ink:
    """The neutrals of a "light" or "dark" page, or neutrals that can be seen on both."""
    return {"light": LIGHT, "dark": DARK}.get(theme or "", EITHER)


@dataclass(frozen=True)
class Legend:
    """Who is in a chart, in drawing order, each with a colour; people come first and baselines last.

    `visible` is False for a chart that names everybody at their own row.
    """

    who: tuple[str, ...]
    colours: dict[str, str]
    ink: Ink
    visible: bool = True


def legend_of(who: Iterable[str], theme: str | None) -> Legend:
    """The legend for `who` (people, models, and baselines, each as often as it comes)."""
    neutral = ink(theme)
    present = list(dict.fromkeys(who))
    people = [name for name in present if name == PEOPLE]
    models = [name for name in present if name != PEOPLE and name not in BASELINES]
    baselines = [name for name in BASELINES if name in present]
    colours = {PEOPLE: neutral.fill, **model_colours(models), **dict.fromkeys(baselines, neutral.faint)}
    return Legend((*people, *models, *baselines), colours, neutral)


def who_label(who: str) -> str:
    """How a legend names `who`; the text is not yet safe for plotly."""
    if who == PEOPLE:
        return "People’s answers"
    return BASELINES.get(who, f"Predicted by {who}")


def model_colours(models: Iterable[str]) -> dict[str, str]:
    """A colour for each model that depends on its name, so that it is the same on every page.

    Where two names want one colour, the later in the alphabet takes the next free one; beyond six
    models colours repeat.
    """
    colours: dict[str, str] = {}
    for model in sorted(set(models)):
        # Not hash(), which is another number in every process.
        wanted = int(sha256(model.encode("utf-8", "surrogatepass")).hexdigest(), 16)
        order = [_MODEL_COLOURS[(wanted + step) % len(_MODEL_COLOURS)] for step in range(len(_MODEL_COLOURS))]
        colours[model] = next((colour for colour in order if colour not in colours.values()), order[0])
    return colours
