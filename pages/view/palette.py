"""Who has which colour: people one neutral, every model its own from Okabe and Ito's set, baselines grey."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

Theme = Literal["light", "dark"]

PEOPLE = "people"
BASELINES = {
    "uniform": "Uniform guess",
    "condition-blind": "Condition-blind",
    "half-sample": "Half of the people",
}
# Okabe and Ito (2008) without yellow, which is lost on white, and black, which is people's.
_MODEL_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9")


@dataclass(frozen=True)
class Ink:
    """The neutral colours of a theme: people's `fill`, people's `line` upon it, and `faint` baselines."""

    fill: str
    line: str
    faint: str


INKS: dict[Theme, Ink] = {
    "light": Ink(fill="#5A6170", line="#14171C", faint="#8A8F99"),
    "dark": Ink(fill="#A9AFBA", line="#FFFFFF", faint="#7D8390"),
}
GRID = "rgba(128,128,128,0.22)"


def is_prediction(who: str) -> bool:
    """Whether `who` is a model, not people and not a baseline."""
    return who != PEOPLE and who not in BASELINES


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
        wanted = int(sha256(model.encode("utf-8", "surrogatepass")).hexdigest(), 16)
        order = [_MODEL_COLOURS[(wanted + step) % len(_MODEL_COLOURS)] for step in range(len(_MODEL_COLOURS))]
        colours[model] = next((colour for colour in order if colour not in colours.values()), order[0])
    return colours
