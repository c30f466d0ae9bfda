"""Which conditions to field when only some can be: the expected regret of leaving the others out."""

import itertools
import math
from dataclasses import dataclass

import numpy as np

from socrates_core.records import Floats

DRAWS = 10_000
MAX_SUBSETS = 2_000


@dataclass(frozen=True)
class Fielding:
    """A choice of `arms` by their positions, and what it is expected to lose.

    `regret` is the expected best true effect of all arms minus the expected best of the chosen, never below 0;
    `regret_se` the error of simulating it. `holds_best` is the chance that the best arm is among the chosen,
    `by_chance` that of as many arms drawn by lot.
    """

    arms: tuple[int, ...]
    regret: float
    regret_se: float
    holds_best: float
    by_chance: float


def fieldings(mean: Floats, covariance: Floats, *, size: int, seed: int) -> tuple[Fielding, ...]:
    """The choices of `size` arms, least expected regret first.

    True effects are normal with `mean` [a] and `covariance` [a, a]. Higher ones are better; turn the signs where
    they are not. Every choice is listed up to MAX_SUBSETS of them, all judged on the same DRAWS draws. With
    more, one choice is built by adding arms one at a time, each the one that lowers regret most: the
    expected best of a set is submodular, so that this comes close to the best choice (Nemhauser, Wolsey & Fisher
    1978, Mathematical Programming 14). Raises ValueError for a `size` outside 1 to a.
    """
    if not 1 <= size <= len(mean):
        raise ValueError(f"{size} of {len(mean)} arms cannot be fielded")
    true = np.random.default_rng(seed).multivariate_normal(mean, covariance, size=DRAWS)
    if math.comb(len(mean), size) > MAX_SUBSETS:
        return (_judged(_one_by_one(true, size), true),)
    choices = [_judged(arms, true) for arms in itertools.combinations(range(len(mean)), size)]
    return tuple(sorted(choices, key=lambda choice: choice.regret))


def _one_by_one(true: Floats, size: int) -> tuple[int, ...]:
    chosen: list[int] = []
    best = np.full(len(true), -np.inf)
    for _ in range(size):
        gains = np.maximum(best[:, None], true).mean(axis=0)
        gains[chosen] = -np.inf
        chosen.append(int(np.argmax(gains)))
        best = np.maximum(best, true[:, chosen[-1]])
    return tuple(sorted(chosen))


def _judged(arms: tuple[int, ...], true: Floats) -> Fielding:
    lost = true.max(axis=1) - true[:, list(arms)].max(axis=1)
    return Fielding(
        arms=arms,
        regret=float(lost.mean()),
        regret_se=float(lost.std(ddof=1) / math.sqrt(len(lost))),
        holds_best=float((lost == 0).mean()),
        by_chance=len(arms) / true.shape[1],
    )
