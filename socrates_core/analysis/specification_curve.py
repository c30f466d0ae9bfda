"""A specification curve in numbers: one effect under every reasonable way to ask.

After Simonsohn, Simmons and Nelson (2020), Specification curve analysis, Nature Human Behaviour 4. This is only their
description: their joint test resamples people, and predicted effects have no such noise.
"""

import math
from dataclasses import dataclass

import numpy as np

from socrates_core.analysis.effects import ZERO
from socrates_core.records import Floats


@dataclass(frozen=True)
class Curve:
    """Effects of `n` specifications, in the unit that came in; `n_dropped` had none.

    `chosen` is that of the chosen specification, NaN while it has none. `n_like_chosen` of the `n_others` have its
    sign, `n_like_people` of the `n` that of people's effect; None where there is no such effect or it is zero.
    """

    n: int
    n_dropped: int
    median: float
    low: float
    high: float
    chosen: float
    n_others: int
    n_like_chosen: int | None
    n_like_people: int | None


def describe_curve(effects: Floats, *, chosen: int, people: float = math.nan) -> Curve:
    """The curve of `effects` [s], NaN where a specification has none; `chosen` is a position in it.

    An effect of zero has the sign of none.
    """
    every = np.asarray(effects, dtype=float)
    given = every[np.isfinite(every)]
    of_chosen = float(every[chosen])
    others = np.delete(every, chosen)
    others = others[np.isfinite(others)]
    return Curve(
        n=given.size,
        n_dropped=every.size - given.size,
        median=float(np.median(given)) if given.size else math.nan,
        low=float(given.min()) if given.size else math.nan,
        high=float(given.max()) if given.size else math.nan,
        chosen=of_chosen,
        n_others=others.size,
        n_like_chosen=_n_like(others, of_chosen),
        n_like_people=_n_like(given, people),
    )


def _n_like(effects: Floats, other: float) -> int | None:
    """How many have the sign of `other`; None where `other` has no sign."""
    if math.isnan(other) or abs(other) < ZERO:
        return None
    return int(((np.abs(effects) >= ZERO) & (np.sign(effects) == np.sign(other))).sum())
