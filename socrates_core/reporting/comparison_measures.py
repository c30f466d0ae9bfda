"""What every measure of a comparison is called, what it means, and which of them may share a table."""

from dataclasses import dataclass
from typing import Literal

DRAWN = "one draw from each person's distribution, every response as observed"
WHOLE = "the exact distribution of those asked to everybody's answers on the scale"


@dataclass(frozen=True)
class Measured:
    """A measure's name, its meaning, and which end of it is better ("" for neither)."""

    label: str
    meaning: str
    better: Literal["low", "high", ""]


MEASURES = {
    "wasserstein_observed": Measured(
        "W, as published", f"W of {DRAWN}, in shares of people's observed range", "low"
    ),
    "accuracy_draw": Measured(
        "Accuracy, as published",
        f"1 minus the distance of {DRAWN}, in shares of people's observed range",
        "high",
    ),
    "accuracy_draw_clipped": Measured(
        "Accuracy drawn, clipped", "the same, with draws clipped to that range", "high"
    ),
    "corrected_distance": Measured(
        "Squared distance, noise-corrected",
        "squared difference of cumulative shares on the stated scale (of shares, where options have no order), minus "
        "what the luck of who answered adds: 0 on average for a perfect prediction, and it may fall below",
        "low",
    ),
    "wasserstein_exact_observed": Measured(
        "W exact, observed range", f"W of {WHOLE}, in shares of people's observed range", "low"
    ),
    "wasserstein_exact_stated": Measured(
        "W exact, stated scale", f"W of {WHOLE}, in shares of the stated scale", "low"
    ),
    "wasserstein_stated": Measured(
        "W drawn, stated scale", "W of one draw per person, in shares of the stated scale", "low"
    ),
    "log_score": Measured("Log score", "mean log probability, in nats, of the answer a person gave", "high"),
    "ranked_probability": Measured(
        "RPS",
        "ranked probability score: squared distance of cumulative probabilities from each answer",
        "low",
    ),
    "brier": Measured(
        "Brier score", "squared distance of the probabilities from each answer, from 0 to 2", "low"
    ),
    "accuracy_median": Measured(
        "Accuracy of medians", "1 minus the distance of each person's median answer", "high"
    ),
    "accuracy_median_clipped": Measured(
        "Accuracy of medians, clipped", "the same, clipped to the observed range", "high"
    ),
    "accuracy_expected": Measured(
        "Accuracy expected", "expected accuracy of a draw, without its luck", "high"
    ),
    "accuracy_expected_clipped": Measured("Accuracy expected, clipped", "the same, clipped", "high"),
    "sd_ratio": Measured(
        "SD ratio", "spread of the predicted answers over people's; 1 is as varied as people", ""
    ),
    "valid_mass": Measured("Valid mass", "probability that the model gave to valid answers", "high"),
}
TABLES = {  # conventions that must never be mixed, so each has its own table
    "Distance to everybody who answered": (
        "wasserstein_exact_stated",
        "wasserstein_exact_observed",
        "corrected_distance",
        "wasserstein_stated",
    ),
    "As published: one draw per person, people’s observed range": tuple(MEASURES)[:3],
    "Forecasts of each person’s answer": ("log_score", "ranked_probability", "brier"),
    "Accuracy without the luck of a draw": tuple(MEASURES)[10:14],
    "Spread and validity": ("sd_ratio", "valid_mass"),
}
PAIRED = (
    "wasserstein_exact_stated",
    "wasserstein_exact_observed",
    "corrected_distance",
    "log_score",
    "ranked_probability",
    "wasserstein_observed",
    "accuracy_draw",
    "valid_mass",
)
NAMES = {
    "uniform": "Uniform guess",
    "condition-blind": "Condition-blind: other conditions' people",
    "pooled": "All conditions pooled (published row)",
    "majority": "Most frequent answer",
    "half-sample": "Half of the people against the other half",
    "oracle": "Oracle: the true distribution",
}
