"""Published scores on SocSci210's 40 unseen studies."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

UNIFORM = "Uniform guess"


@dataclass(frozen=True)
class PublishedScores:
    """What `source` reports about `name`, over `n_studies` studies; None where it reports nothing.

    `wasserstein_observed` is W of one draw a person in shares of people's observed range, lower is better; the
    accuracies are of the same draws. `model` is the name under which this program asks the model, else empty.
    """

    name: str
    model: str
    source: str
    n_studies: int
    wasserstein_observed: float | None = None
    accuracy_draw: float | None = None
    accuracy_draw_clipped: float | None = None


@cache
def published_scores() -> tuple[PublishedScores, ...]:
    """All published rows, in the order of the file."""
    stored: dict[str, Any] = yaml.safe_load(Path(__file__).with_name("published.yaml").read_text("utf-8"))
    return tuple(
        PublishedScores(
            **{
                "model": "",
                **row,
                "source": stored["sources"][row["source"]],
                "n_studies": stored["n_studies"],
            }
        )
        for row in stored["rows"]
    )


def published_of(model: str) -> PublishedScores | None:
    """The published scores of the model that this program calls `model`."""
    return next((row for row in published_scores() if row.model and row.model == model), None)


def published_words(model: str) -> tuple[str, str] | None:
    """The published scores of a model in a sentence, and where they are from; None for a model without any."""
    row = published_of(model)
    if row is None:
        return None
    guess = next(row for row in published_scores() if row.name == UNIFORM)
    parts = []
    if row.wasserstein_observed is not None and guess.wasserstein_observed is not None:
        parts.append(
            f"distance to people {row.wasserstein_observed:.3f}, {guess.wasserstein_observed:.3f} by guessing"
        )
    if row.accuracy_draw is not None and guess.accuracy_draw is not None:
        parts.append(
            f"accuracy of one draw per person {row.accuracy_draw:.1%}, {guess.accuracy_draw:.1%} by guessing"
        )
    authors = "its authors" if row.name.startswith("Socrates") else "the authors of SocSci210"
    return (
        f"Published by {authors}, not measured here: {'; '.join(parts)}.",
        f"On the {row.n_studies} unseen studies of SocSci210 ({row.source}); a smaller distance is better.",
    )
