"""How many people an experiment needs, planned from a run's calibrated effect or from a person's own guess."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from socrates_core.analysis.arms import fieldings
from socrates_core.analysis.bootstrap import SEED
from socrates_core.analysis.power import (
    MAX_N,
    PLAIN,
    TARGET,
    DesignErrors,
    Layout,
    assurance,
    design_errors,
    minimum_detectable,
    sample_size,
)
from socrates_core.analysis.summary import moments
from socrates_core.errors import UserError, unknown
from socrates_core.projects.run_results import RunEffect, SimulationRun
from socrates_core.studies.answers import scale_range

AFFORDED = 200
POINTS = 80
MOST_ARMS = 20  # how many are chosen at most, where a choice among more takes long


@dataclass(frozen=True)
class Belief:
    """What is believed about a true effect before it is measured: normal with `mean` and standard deviation `sd`.

    `smallest` is the smallest effect that would matter; the sample size starts from it. These and `spread`, the
    standard deviation of answers inside a condition, are in `unit`. `doubted` says why a model's `mean` and `sd` are
    not used for planning; empty where they are used.
    """

    mean: float
    sd: float
    spread: float
    smallest: float
    unit: str = "scale points"
    doubted: str = ""

    def __post_init__(self) -> None:
        """Raises UserError where a number makes no sense."""
        numbers = {
            "effect": self.mean,
            "smallest effect": self.smallest,
            "uncertainty": self.sd,
            "spread": self.spread,
        }
        for name, value in numbers.items():
            if not math.isfinite(value):
                raise UserError(f"The {name} is {value!r}; give a number.")
        if not self.smallest:
            raise UserError("The smallest effect that would matter is 0; give one above 0.")
        if self.sd < 0:
            raise UserError(
                f"The uncertainty of the effect is {self.sd!r}; give a standard deviation of 0 or more."
            )
        if self.spread <= 0:
            raise UserError(f"The spread of answers is {self.spread!r}; give a standard deviation above 0.")


@dataclass(frozen=True)
class Spread:
    """The standard deviation of answers inside a condition, in scale points, and a sentence on where it is from."""

    value: float
    sentence: str


@dataclass(frozen=True)
class SamplePlan:
    """A comparison of two conditions in a `layout`, with `n` people in the treated one and the power to aim at.

    `needed_smallest` people in each condition reach it for the smallest effect that would matter, `needed` for the
    belief with its uncertainty (assurance), None where no number up to a million does or the belief is doubted; only
    results in the expected direction count. `power` and `power_smallest` are the chances with `n`. `detectable` is
    the smallest effect that `n` finds with the target power. `errors` [1] and `errors_smallest` [1] are those of sign
    and size at `n`. `curve` has columns n, assurance and power_of_smallest.
    """

    belief: Belief
    layout: Layout
    n: int
    target: float
    needed: int | None
    needed_smallest: int | None
    power: float
    power_smallest: float
    detectable: float
    errors: DesignErrors
    errors_smallest: DesignErrors
    curve: pd.DataFrame

    def as_dict(self) -> dict[str, Any]:
        numbers = ("n", "target", "needed_smallest", "needed", "power", "power_smallest", "detectable")
        errors = {"": self.errors, "_smallest": self.errors_smallest}
        return {
            "belief": dict(vars(self.belief)),
            "layout": dict(vars(self.layout)),
            **{name: getattr(self, name) for name in numbers},
            **{f"type_s{which}": float(error.sign[0]) for which, error in errors.items()},
            **{f"type_m{which}": float(error.size[0]) for which, error in errors.items()},
            "curve": self.curve.to_dict("records"),
        }

    def sentences(self) -> dict[str, str]:
        """What the numbers say, a sentence for each, by topic. A doubted belief is left out."""
        unit = self.belief.unit
        smallest = abs(self.belief.smallest)
        doubted = bool(self.belief.doubted)
        size, size_smallest = float(self.errors.size[0]), float(self.errors_smallest.size[0])
        expected = f" For the expected effect of {self.belief.mean:.3g}, give or take {self.belief.sd:.3g}"
        sentences = {
            "Sample size": f"{_people(self.needed_smallest, self.layout)} give a chance of {self.target:.0%} to "
            f"find the smallest effect that would matter to you, {smallest:.3g} {unit} ({_test(self.layout)}).",
            "Power": f"With {_people(self.n, self.layout)} the chance is {self.power_smallest:.0%}."
            + ("" if doubted else f"{expected}, it is {self.power:.0%}."),
            "Minimum detectable effect": f"The smallest effect that {_people(self.n, self.layout)} find with a power "
            f"of {self.target:.0%} is {self.detectable:.3g} {unit}.",
            "Type S error": f"If the effect is {smallest:.3g}, {float(self.errors_smallest.sign[0]):.1%} of the "
            "significant results of such an experiment would have the wrong sign."
            + ("" if doubted else f"{expected}, {float(self.errors.sign[0]):.1%}."),
            "Type M error": f"If the effect is {smallest:.3g}, significant estimates would be {_times(size_smallest)} "
            "as large as the true effect, on average: the exaggeration ratio."
            + ("" if doubted else f" If it is {self.belief.mean:.3g}, {_times(size)}."),
        }
        if doubted:
            return {"Not planned from the prediction": self.belief.doubted, **sentences}
        return sentences | {"Assurance": self._assurance()}

    def _assurance(self) -> str:
        chance = (
            f"a chance of {self.target:.0%} that the difference is significant in the expected direction, averaged "
            "over all that the effect may be: this is called assurance."
        )
        if self.needed is not None:
            return f"{_people(self.needed, self.layout)} give {chance}"
        return (
            f"No number of people up to {MAX_N:,} gives {chance} The chance that the effect has the "
            f"expected direction at all is {self.chance_of_direction:.0%}, and no sample can raise that."
        )

    @property
    def chance_of_direction(self) -> float:
        """The chance that the true effect has the sign of the expected one."""
        mean = abs(self.belief.mean)
        sd = self.belief.sd
        if sd > 0:
            return float(ndtr(mean / sd))
        return 1.0 if mean else 0.5  # an effect of exactly 0 has either sign


def plan(belief: Belief, *, n: int = AFFORDED, target: float = TARGET, layout: Layout = PLAIN) -> SamplePlan:
    """The plan for a belief. Raises UserError where `n`, `target`, or the layout cannot be planned with."""
    _check_layout(layout)
    if not 2 <= n <= MAX_N:
        raise UserError(f"{n!r} people in each condition cannot be planned with; give 2 to {MAX_N:,}.")
    if not 0.06 <= target <= 0.99:
        raise UserError(f"The target power is {target!r}; give a share from 0.06 to 0.99.")
    mean = belief.mean
    sd = belief.sd
    smallest = belief.smallest
    spread = belief.spread
    needed = (
        None if belief.doubted else sample_size(mean=mean, sd=sd, spread=spread, target=target, layout=layout)
    )
    needed_smallest = sample_size(mean=smallest, spread=spread, target=target, layout=layout)
    top = min(max(2 * n, 3 * (needed or 0), 3 * (needed_smallest or 0), 1000), MAX_N)
    people = np.unique(np.geomspace(5, top, POINTS).round())
    curve = pd.DataFrame(
        {
            "n": people.astype(int),
            "assurance": assurance(people, mean=mean, sd=sd, spread=spread, layout=layout),
            "power_of_smallest": assurance(people, mean=smallest, spread=spread, layout=layout),
        }
    )
    here = np.array([float(n)])
    return SamplePlan(
        belief=belief,
        layout=layout,
        n=n,
        target=target,
        needed=needed,
        needed_smallest=needed_smallest,
        power=float(assurance(n, mean=mean, sd=sd, spread=spread, layout=layout)),
        power_smallest=float(assurance(n, mean=smallest, spread=spread, layout=layout)),
        detectable=float(minimum_detectable(n, spread=spread, target=target, layout=layout)),
        errors=design_errors(here, mean=mean, sd=sd, spread=spread, layout=layout),
        errors_smallest=design_errors(here, mean=abs(smallest), spread=spread, layout=layout),
        curve=curve,
    )


def _check_layout(layout: Layout) -> None:
    """Raises UserError for a layout that makes no sense, with the values that do."""
    allowed = {
        "ratio of people in the reference condition to treated ones": (layout.ratio, 0.01, 100),
        "correlation of a person's two answers": (layout.correlation or 0.0, -0.99, 0.99),
        "number of people in a group": (layout.cluster_size, 1, 100_000),
        "intraclass correlation": (layout.icc, 0, 1),
        "share of variance that the covariate explains": (layout.r2, 0, 0.99),
        "number of comparisons": (layout.n_comparisons, 1, 10_000),
    }
    for name, (value, low, high) in allowed.items():
        if not low <= value <= high:
            raise UserError(f"The {name} is {value!r}; give a number from {low:g} to {high:,}.")
    if layout.correlation is not None and layout.ratio != 1:
        raise UserError(
            "With the same people in both conditions the two are equally many: leave the ratio at 1."
        )


def find_effect(run: SimulationRun, outcome: str, condition: str) -> RunEffect:
    """The run's effect on an outcome and condition, the first where a name is empty. Raises UserError if missing."""
    if not run.effects:
        raise UserError(f"The run {run.spec.run_id!r} has no effect: that takes two conditions with answers.")
    outcomes = list(dict.fromkeys(effect.outcome for effect in run.effects))
    if outcome and outcome not in outcomes:
        raise unknown("outcome", outcome, outcomes)
    of_outcome = [effect for effect in run.effects if effect.outcome == (outcome or outcomes[0])]
    matching = [effect for effect in of_outcome if condition in ("", effect.condition)]
    if not matching:
        raise unknown("condition with an effect", condition, [effect.condition for effect in of_outcome])
    return matching[0]


def spread_of(run: SimulationRun, outcome: str) -> Spread:
    """How far apart answers to an outcome are: people's where there are any, else the predicted ones.

    People's spread is pooled over conditions. The predicted spread is that of the whole panel, divided by the ratio
    of predicted to human spread in studies that the model has not seen, where that is known.
    """
    cells = [cell for cell in run.cells if cell.outcome_name == outcome]
    answered = [
        (cell.n_people, moments(cell.counts, cell.values).sd) for cell in cells if cell.counts is not None
    ]
    spreads = [(n, sd) for n, sd in answered if n > 1]
    if spreads:
        # `moments` divides by n, so n * sd**2 is a condition's sum of squares.
        squares = sum(n * sd**2 for n, sd in spreads)
        freedom = sum(n - 1 for n, _ in spreads)
        value = math.sqrt(squares / freedom)
        return Spread(value, f"{value:.3g} is people's own, over {len(spreads)} conditions of the study.")
    predicted = math.sqrt(float(np.mean([cell.sd**2 for cell in cells])))
    calibration = run.calibration
    if isinstance(calibration, str) or not calibration.sd_ratio > 0:
        return Spread(
            predicted,
            f"{predicted:.3g} is that of the predicted answers; whether people differ more is not known.",
        )
    value = predicted / calibration.sd_ratio
    return Spread(
        value,
        f"Predicted answers have {predicted:.3g}; on studies that it has not seen this model's answers spread "
        f"{calibration.sd_ratio:.2f} times as far as people's, so {value:.3g} is taken.",
    )


def why_uncalibrated(run: SimulationRun, effect: RunEffect) -> str:
    """Why an effect has no calibrated one; empty where it has."""
    if effect.calibrated is not None:
        return ""
    calibration = run.calibration
    return (
        calibration
        if isinstance(calibration, str)
        else "Effects on an open scale have no range to be calibrated in."
    )


def why_doubted(run: SimulationRun) -> str:
    """Why a model's calibrated effects are not used for planning; empty where they have beaten "no effect".

    That is what the model's verdict says: their squared errors on left-out studies are smaller than those of expecting
    no effect, by more than chance over studies.
    """
    if isinstance(run.calibration, str):
        return run.calibration
    if run.verdict.tells_conditions_apart:
        return ""
    held_out = run.calibration.held_out
    miss = {row.method: row.rmse for row in held_out.rows}
    return (
        f"{run.verdict.sentence} This model's prediction says nothing about your effect: on "
        f"{held_out.n_studies} studies that it has not seen, its calibrated effects miss people's by "
        f"{miss['calibrated']:.3f} of the scale and expecting no effect at all misses by {miss['zero']:.3f}, which is "
        "not reliably worse. So the plan starts from the smallest effect that would matter to you alone."
    )


def calibrated_belief(
    run: SimulationRun, effect: RunEffect, *, spread: float, smallest: float
) -> Belief | None:
    """The belief that follows from a calibrated effect; None without one."""
    calibrated = effect.calibrated
    if calibrated is None:
        return None
    return Belief(calibrated.difference, calibrated.sd, spread, smallest, doubted=why_doubted(run))


def arms_to_field(run: SimulationRun, outcome: str, *, higher_is_better: bool) -> pd.DataFrame:
    """Which conditions to field next to the reference, a row for each number of them, and what the others would add.

    `regret` is by how much, in scale points, the best true effect of all conditions is expected to exceed the best
    of the chosen, `regret_se` the error of simulating it, and `holds_best` the chance that the best is among them,
    next to `by_chance`, that of conditions drawn by lot. Up to MOST_ARMS are chosen. Empty without calibrated effects
    of two conditions.
    """
    calibrated = [
        effect for effect in run.effects if effect.outcome == outcome and effect.calibrated is not None
    ]
    scales = {effect.name: effect.scale.scale() for effect in run.spec.draft.outcomes}
    span = scale_range(scales[outcome])
    columns = ["n_conditions", "conditions", "regret", "regret_se", "holds_best", "by_chance"]
    if isinstance(run.calibration, str) or len(calibrated) < 2 or not span:
        return pd.DataFrame(columns=columns)
    sign = 1 if higher_is_better else -1
    shares = np.array([effect.predicted.difference / span for effect in calibrated])
    mean = sign * np.array([effect.calibrated.difference for effect in calibrated if effect.calibrated])
    covariance = run.calibration.covariance(shares) * span**2
    rows = []
    for size in range(1, min(len(calibrated), MOST_ARMS) + 1):
        best = fieldings(mean, covariance, size=size, seed=SEED)[0]
        names = [calibrated[place].condition for place in best.arms]
        rows.append((size, names, best.regret, best.regret_se, best.holds_best, size / len(calibrated)))
    return pd.DataFrame(rows, columns=columns)


def _people(n: int | None, layout: Layout) -> str:
    """As "120 people in each condition", as the layout has them."""
    if n is None:
        return f"More than {MAX_N:,} people"
    groups = ""
    if layout.cluster_size > 1:
        n_groups = math.ceil(n / layout.cluster_size)
        groups = f" ({n_groups:,} groups of {layout.cluster_size:g})"
    if layout.correlation is not None:
        return f"{n:,} people who are in both conditions{groups}"
    if layout.ratio != 1:
        return f"{n:,} people in the condition{groups} and {math.ceil(n * layout.ratio):,} in the reference"
    return f"{n:,} people in each condition{groups}"


def _test(layout: Layout) -> str:
    """The test that is planned for, and its level."""
    paired = "paired " if layout.correlation is not None else ""
    level = f"{layout.alpha():.2g}".replace("0.05", "5%")
    if layout.n_comparisons > 1:
        level = f"{layout.alpha():.2%}: 5% over {layout.n_comparisons} comparisons by Bonferroni; Holm needs no more"
    covariate = f", with a covariate that explains {layout.r2:.0%}" if layout.r2 else ""
    return f"two-sided {paired}t test, {level}{covariate}"


def _times(ratio: float) -> str:
    if math.isnan(ratio):
        return "any number of times"
    return f"{ratio:.2f} times" if ratio < 100 else "over 100 times"
