"""Intervals for the true effects of a new study, and the slope, in a world with errors that effects really share.

Effects of four conditions share their reference; slopes differ between studies by .3 and effects by .03 of the scale.
Noise means that different people were asked in each condition: as large as the true predicted effects, .08.
"""

from collections.abc import Iterator

import numpy as np
from scipy.special import stdtrit

from benchmarks.numbers.result import Result
from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.calibration import LEVELS, Calibration, fit_calibration
from socrates_core.analysis.held_out import HeldOut, leave_one_study_out
from socrates_core.records import Floats

SLOPE, SLOPE_SD, ARM_SD, SIGNAL, NEW = 0.5, 0.3, 0.03, 0.08, 20
# A fit takes about 20 ms, so a fraction of the data sets keeps the table quick.
SHARE, SHARE_HELD_OUT = 0.02, 0.006


def simulate(n_simulations: int, generator: np.random.Generator) -> Iterator[Result]:
    """Coverage and slope by number of studies and of effects a study; then whether leaving a study out is honest."""
    n = max(round(n_simulations * SHARE), 10)
    for n_studies, n_effects in ((6, 4), (10, 4), (30, 4), (12, 1), (30, 1)):
        for noise, tails in ((0.0, 0), (SIGNAL, 0), (0.0, 3)):
            yield from _coverage((n_studies, n_effects, noise, tails), n, generator)
    n = max(round(n_simulations * SHARE_HELD_OUT), 5)
    for n_studies in (6, 10):
        inside = []
        for _ in range(n):
            pairs, _, _ = _world(n_studies, 4, 0.0, 0, generator)
            held_out = leave_one_study_out(pairs)
            if isinstance(held_out, HeldOut):
                inside.append(float(held_out.rows[0].coverage[-1]))
        yield _mean(f"calibration {n_studies} studies x 4: left-out effects in 90%", 0.9, np.array(inside))


def _coverage(world: tuple[int, int, float, int], n: int, generator: np.random.Generator) -> Iterator[Result]:
    n_studies, n_effects, noise, tails = world
    name = f"{n_studies} studies x {n_effects}" + (", noise = signal" if noise else "")
    name += ", t3 tails" if tails else ""
    slopes = []
    inside = []
    for _ in range(n):
        pairs, _, _ = _world(n_studies, n_effects, noise, tails, generator)
        fitted = fit_calibration(pairs)
        if not isinstance(fitted, Calibration):
            continue
        _, predicted, true = _world(NEW, n_effects, 0.0, tails, generator)
        scale = np.sqrt((fitted.slope_sd**2 + fitted.slope_se**2) * predicted**2 + fitted.arm_sd**2)
        reach = stdtrit(fitted.freedom, 0.5 + np.array(LEVELS) / 2)[:, None] * scale
        inside.append((np.abs(true - fitted.slope * predicted) <= reach).mean(axis=1))
        slopes.append(fitted.slope)
    for place, level in enumerate(LEVELS):
        yield _mean(f"calibration {name}: true effects in {level:.0%}", level, np.array(inside)[:, place])
    yield _mean(f"calibration {name}: slope", SLOPE, np.array(slopes))


def _mean(what: str, nominal: float, values: Floats) -> Result:
    return Result(
        what, nominal, float(values.mean()), values.size, float(values.std() / np.sqrt(values.size))
    )


def _world(
    n_studies: int, n_effects: int, noise: float, tails: int, generator: np.random.Generator
) -> tuple[EffectPairs, Floats, Floats]:
    """Pairs of `n_studies`, with the true predicted effects and people's true effects."""

    def discrepancy(size: int) -> Floats:
        if not tails:
            return generator.normal(size=size)
        return np.asarray(generator.standard_t(tails, size) / np.sqrt(tails / (tails - 2)))

    against = np.hstack([np.eye(n_effects), -np.ones((n_effects, 1))]) / np.sqrt(2)
    shared = against @ against.T
    columns: list[tuple[Floats, ...]] = []
    errors = {}
    for study in range(n_studies):
        se = generator.uniform(0.01, 0.06)
        x = SIGNAL * against @ generator.normal(size=n_effects + 1)
        true = (SLOPE + SLOPE_SD * discrepancy(1)) * x + ARM_SD * against @ discrepancy(n_effects + 1)
        human = true + se * against @ generator.normal(size=n_effects + 1)
        predicted = x + noise * against @ generator.normal(size=n_effects + 1)
        columns.append((human, np.full(n_effects, se), predicted, x, true))
        nothing = np.zeros_like(shared)
        errors[f"{study:03}"] = np.block([[se**2 * shared, nothing], [nothing, noise**2 * shared]])
    human, error, predicted, x, true = (np.concatenate(column) for column in zip(*columns, strict=True))
    names = np.repeat([f"{study:03}" for study in range(n_studies)], n_effects)
    return EffectPairs(names, human, error, predicted, np.full(names.size, "one"), errors), x, true
