"""How many people an experiment needs, planned from a run's calibrated effect or from a person's own guess."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, stdtr

from socrates_core.analysis.arms import fieldings
from socrates_core.analysis.bootstrap import SEED
from socrates_core.analysis.layout import PLAIN, Layout
from socrates_core.analysis.power import (
    MAX_N,
    TARGET,
    DesignErrors,
    assurance,
    design_errors,
    minimum_detectable,
    sample_size,
)
from socrates_core.analysis.summary import moments
from socrates_core.calibrations import ModelCalibration
from socrates_core.errors import UserError, unknown
from socrates_core.projects.run_results import RunEffect, SimulationRun
from socrates_core.studies.answers import scale_range

AFFORDED = 200
POINTS = 80
MOST_ARMS = 20  # how many are chosen at most, where a choice among more takes long

UNITS = {
    "d": "standard deviations (Cohen's d)",
    "points": "scale points",
    "share": "shares of the scale",
}


@dataclass(frozen=True)
class Belief:
    """What is believed about a true effect before it is measured, and the `smallest` effect that would matter.

    The sample size starts from `smallest`. The effect is normal with `mean` and standard deviation `sd` or, with
    `freedom` degrees of freedom, Student's t with the scale `sd`; `mean` is None where no effect is expected in
    particular. All, and `spread`, the standard deviation of answers inside a condition, are in `unit`. `basis` says
    where the expected effect comes from. `doubted` says why it is not used for planning; empty where it is used.
    """

    mean: float | None
    sd: float
    spread: float
    smallest: float
    unit: str = UNITS["points"]
    doubted: str = ""
    freedom: float = math.inf
    basis: str = "your own guess"

    def __post_init__(self) -> None:
        """Raises UserError where a number makes no sense."""
        numbers = {
            "effect": self.mean or 0.0,
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

    @property
    def expected(self) -> float | None:
        """The expected effect that may be planned with; None if it is missing or doubted."""
        return None if self.doubted else self.mean

    def in_shares(self, span: float | None) -> "Belief":
        """A belief in scale points as one in shares of a scale with this range: for yes or no, shares of people."""
        if not span:
            raise UserError("This scale has no range to take shares of; plan with a standard deviation.")
        return replace(
            self,
            mean=None if self.mean is None else self.mean / span,
            sd=self.sd / span,
            spread=self.spread / span,
            smallest=self.smallest / span,
            unit=UNITS["share"],
        )


@dataclass(frozen=True)
class Spread:
    """The standard deviation of answers inside a condition, in scale points, and a sentence on where it is from."""

    value: float
    sentence: str


@dataclass(frozen=True)
class SamplePlan:
    """A condition against its reference with `n` people in the condition and the power to aim at, `target`.

    `needed_smallest` people in the condition reach it for the smallest effect that would matter, `needed` for the
    expected effect with its uncertainty (assurance); None where no number up to a million does. Only results in the
    expected direction count. `power` and `power_smallest` are the chances with `n`. `detectable` is the smallest effect
    that `n` finds with the target power, in the belief's unit. `errors` and `errors_smallest` are those of sign and
    size at `n`. `curve` has columns n, assurance and power_of_smallest. Without an effect to expect, `needed` and
    `errors` are None, `power` and assurance NaN.
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
    errors: DesignErrors | None
    errors_smallest: DesignErrors
    curve: pd.DataFrame

    def as_dict(self) -> dict[str, Any]:
        numbers = ("n", "target", "needed_smallest", "needed", "power", "power_smallest", "detectable")
        freedom = self.belief.freedom
        return {
            "belief": vars(self.belief) | {"freedom": freedom if math.isfinite(freedom) else None},
            "layout": dict(vars(self.layout)),
            "answer": self.answer(),
            **{name: getattr(self, name) for name in numbers},
            "needed_reference": self.in_reference(self.needed_smallest),
            "type_s": self.errors and self.errors.sign,
            "type_m": self.errors and self.errors.size,
            "type_s_smallest": self.errors_smallest.sign,
            "type_m_smallest": self.errors_smallest.size,
            "curve": self.curve.to_dict("records"),
        }

    def in_reference(self, n: int | None) -> int | None:
        """How many people the reference has next to `n` in the condition, in whole clusters."""
        if n is None:
            return None
        size = self.layout.cluster_size
        return math.ceil(n * self.layout.ratio / size - 1e-9) * size

    def answer(self) -> str:
        """The plan as one sentence."""
        n = self.needed_smallest
        smallest = f"{abs(self.belief.smallest):.3g} {self.belief.unit}"
        if n is None:
            return (
                f"No plan up to {MAX_N:,} people in each condition has a power of {self.target:.0%} for an effect of "
                f"{smallest}."
            )
        reference = self.in_reference(n)
        if self.layout.is_paired:
            people = f"{n:,} people, who are in both conditions"
        elif reference == n:
            people = f"{n:,} people in each condition"
        else:
            people = f"{n:,} people in the condition and {reference:,} in the reference"
        if self.layout.clustered:
            people += f" (groups of {self.layout.cluster_size:,})"
        return (
            f"Plan {people}: an effect of {smallest}, the smallest that would matter to you, is then found with a "
            f"power of {self.target:.0%}."
        )

    def sentences(self) -> dict[str, str]:
        """What the numbers say, a sentence for each, by topic. An effect that is doubted is left out."""
        unit = self.belief.unit
        smallest = abs(self.belief.smallest)
        errors = self.errors_smallest
        expected = self._expected_effect()
        sentences = {
            "Sample size": f"{self.answer()} {self.layout.sentence()}",
            "Power": f"With {self.n:,} in each condition the chance is {self.power_smallest:.0%}."
            + (f" For {expected}, it is {self.power:.0%}." if self.errors else ""),
            "Minimum detectable effect": f"The smallest effect that {self.n:,} in each condition find with a power of "
            f"{self.target:.0%} is {self.detectable:.3g} {unit}.",
            "Type S error": f"If the effect is {smallest:.3g}, {errors.sign:.1%} of the significant results of such an "
            "experiment would have the wrong sign."
            + (f" For {expected}, {self.errors.sign:.1%}." if self.errors else ""),
            "Type M error": f"If the effect is {smallest:.3g}, significant estimates would be {_times(errors.size)} "
            "as large as the true effect, on average: the exaggeration ratio."
            + (
                f" For {expected}, {_times(self.errors.size)}, the median over the true effects behind them."
                if self.errors
                else ""
            ),
        }
        if self.belief.doubted:
            return {"Not planned from the prediction": self.belief.doubted, **sentences}
        if self.errors:
            return sentences | {"Assurance": self._assurance()}
        return sentences

    def _expected_effect(self) -> str:
        return f"the expected effect of {self.belief.mean or 0.0:.3g}, give or take {self.belief.sd:.3g}"

    def _assurance(self) -> str:
        chance = (
            f"a chance of {self.target:.0%} that the difference is significant in the expected direction, averaged "
            "over all that the effect may be: this is called assurance."
        )
        basis = f" It rests on {self.belief.basis}."
        if self.needed is not None:
            return f"{_people(self.needed)} in each condition give {chance}{basis}"
        return (
            f"No number up to {MAX_N:,} people in each condition gives {chance} The chance that the effect has the "
            f"expected direction at all is {self.chance_of_direction:.0%}, and no sample can raise that.{basis}"
        )

    @property
    def chance_of_direction(self) -> float:
        """The chance that the true effect has the sign of the expected one."""
        mean = abs(self.belief.mean or 0.0)
        sd = self.belief.sd
        if sd > 0:
            finite = math.isfinite(self.belief.freedom)
            return float(stdtr(self.belief.freedom, mean / sd) if finite else ndtr(mean / sd))
        return 1.0 if mean else 0.5  # an effect of exactly 0 has either sign


def as_share(target: float) -> float:
    """A power to aim at: 0.8, and 80 for 80%."""
    return target / 100 if target > 1 else target


def plan(belief: Belief, *, n: int = AFFORDED, target: float = TARGET, layout: Layout = PLAIN) -> SamplePlan:
    """The plan for a belief. Raises UserError where `n` or `target` cannot be planned with."""
    if not 2 <= n <= MAX_N:
        raise UserError(f"{n!r} people in each condition cannot be planned with; give 2 to {MAX_N:,}.")
    if not 0.06 <= target <= 0.99:
        raise UserError(f"The target power is {target!r}; give a share from 0.06 to 0.99.")
    scaled = belief if layout.base_share is None else _on_arcsine_scale(belief, layout)
    spread = scaled.spread
    smallest = abs(scaled.smallest)
    needed = None
    power = math.nan
    errors = None
    needed_smallest = sample_size(mean=smallest, spread=spread, target=target, layout=layout)
    mean = scaled.expected
    sd = scaled.sd
    freedom = scaled.freedom
    if mean is not None:
        needed = sample_size(mean=mean, sd=sd, freedom=freedom, spread=spread, target=target, layout=layout)
        power = float(assurance(n, mean=mean, sd=sd, freedom=freedom, spread=spread, layout=layout))
        errors = design_errors(n, mean=mean, sd=sd, freedom=freedom, spread=spread, layout=layout)
    top = min(max(2 * n, 3 * (needed or 0), 3 * (needed_smallest or 0), 1000), MAX_N)
    people = np.unique(np.geomspace(5, top, POINTS).round())
    curve = pd.DataFrame(
        {
            "n": people.astype(int),
            "assurance": np.nan
            if mean is None
            else assurance(people, mean=mean, sd=sd, freedom=freedom, spread=spread, layout=layout),
            "power_of_smallest": assurance(people, mean=smallest, spread=spread, layout=layout),
        }
    )
    detectable = float(minimum_detectable(n, spread=spread, target=target, layout=layout))
    return SamplePlan(
        belief=belief,
        layout=layout,
        n=n,
        target=target,
        needed=needed,
        needed_smallest=needed_smallest,
        power=power,
        power_smallest=float(assurance(n, mean=smallest, spread=spread, layout=layout)),
        detectable=detectable
        if layout.base_share is None
        else abs(float(layout.share(math.copysign(detectable, scaled.smallest)))),
        errors=errors,
        errors_smallest=design_errors(n, mean=smallest, spread=spread, layout=layout),
        curve=curve,
    )


def _on_arcsine_scale(belief: Belief, layout: Layout) -> Belief:
    """A belief about a difference of shares on the scale where answers spread by 1.

    The smallest effect is taken on the side that needs more people, if both sides lie between 0 and 1. The uncertainty
    of the expected effect grows in proportion to the effect, so that more uncertainty never needs fewer people.
    """
    base = layout.base_share or 0.0
    sides = [side for side in (-abs(belief.smallest), abs(belief.smallest)) if 0 <= base + side <= 1]
    if not sides:
        raise UserError(
            f"A difference of {abs(belief.smallest):.3g} from a share of {base:.3g} is not a share; give a smaller "
            "effect."
        )
    smallest = min((float(layout.distance(side)) for side in sides), key=abs)
    if belief.mean is None:
        return replace(belief, spread=1.0, smallest=smallest)
    mean = float(layout.distance(belief.mean))
    slope = mean / belief.mean if belief.mean else 1 / math.sqrt(base * (1 - base))
    return replace(belief, mean=mean, sd=belief.sd * slope, spread=1.0, smallest=smallest)


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
    """Why a model's calibrated effects are not used for planning; empty where they are.

    They are used where the model's verdict says that it tells conditions apart: its calibrated effects are better than
    expecting no effect, by more than chance over studies that it has not seen.
    """
    if isinstance(run.calibration, str):
        return run.calibration
    return doubt(trusts_effects=run.verdict.tells_conditions_apart, reason=run.verdict.sentence)


def doubt(*, trusts_effects: bool, reason: str) -> str:
    """Why nothing is planned from a model's effects, with the `reason`; empty where it `trusts_effects`."""
    if trusts_effects:
        return ""
    return (
        "This model's prediction says nothing reliable about your effect, so the plan starts from the smallest effect "
        f"that would matter to you and from nothing else. {reason}"
    )


def calibrated_belief(
    run: SimulationRun, effect: RunEffect, *, spread: float, smallest: float
) -> Belief | None:
    """The belief that follows from a calibrated effect; None without one."""
    calibrated = effect.calibrated
    if calibrated is None or isinstance(run.calibration, str):
        return None
    return Belief(
        calibrated.difference,
        calibrated.scale,
        spread,
        smallest,
        doubted=why_doubted(run),
        freedom=calibrated.freedom,
        basis=_basis(run.calibration),
    )


def _basis(calibration: ModelCalibration) -> str:
    return (
        f"the model's calibrated effect, from {calibration.calibration.n_effects} effects of "
        f"{calibration.calibration.n_studies} studies that it has not seen"
    )


def uncalibrated_belief(run: SimulationRun, effect: RunEffect, *, spread: float, smallest: float) -> Belief:
    """The belief where a run's effect has no calibrated one: the smallest effect alone, and why."""
    verdict = run.verdict
    reason = why_uncalibrated(run, effect) if verdict.tells_conditions_apart else verdict.sentence
    return Belief(None, 0.0, spread, smallest, doubted=doubt(trusts_effects=False, reason=reason))


def in_points(value: float, unit: str, *, spread: float, span: float | None) -> float:
    """An effect in a unit (a key of UNITS) as scale points. Raises UserError for shares of a scale without a range."""
    if unit == "points":
        return value
    if unit == "d":
        return value * spread
    if not span:
        raise UserError("This scale has no range to take shares of; give the effect in scale points.")
    return value * span


def span_of(run: SimulationRun, outcome: str) -> float | None:
    """The range of an outcome's scale; None where it has none."""
    scales = {each.name: each.scale.scale() for each in run.spec.draft.outcomes}
    return scale_range(scales[outcome])


def arms_to_field(run: SimulationRun, outcome: str, *, higher_is_better: bool) -> pd.DataFrame:
    """Which conditions to field next to the reference, a row for each number of them, and what the others would add.

    `regret` is by how much, in scale points, the best true effect of all conditions is expected to exceed the best
    of the chosen, `regret_se` the error of simulating it. `holds_best` is the chance that the best is among them,
    `by_chance` that of as many conditions drawn by lot. Up to MOST_ARMS are chosen. Empty without calibrated effects of
    two conditions.
    """
    calibrated = [
        effect for effect in run.effects if effect.outcome == outcome and effect.calibrated is not None
    ]
    span = span_of(run, outcome)
    columns = ["n_conditions", "conditions", "regret", "regret_se", "holds_best", "by_chance"]
    if isinstance(run.calibration, str) or len(calibrated) < 2 or not span:
        return pd.DataFrame(columns=columns)
    sign = 1 if higher_is_better else -1
    shares = np.array([effect.predicted.difference / span for effect in calibrated])
    arms = run.calibration.arms(shares, span=span)
    rows = []
    for size in range(1, min(len(calibrated), MOST_ARMS) + 1):
        best = fieldings(sign * arms.mean, arms.scale, size=size, seed=SEED, freedom=arms.freedom)[0]
        names = [calibrated[place].condition for place in best.arms]
        rows.append((size, names, best.regret, best.regret_se, best.holds_best, best.by_chance))
    return pd.DataFrame(rows, columns=columns)


def _people(n: int | None) -> str:
    return f"More than {MAX_N:,} people" if n is None else f"{n:,} people"


def _times(ratio: float) -> str:
    if math.isnan(ratio):
        return "any number of times"
    return f"{ratio:.2f} times" if ratio < 100 else "over 100 times"
