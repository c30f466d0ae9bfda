"""Intervals and p of people's effects under designs that are not one person, one answer, assigned alone.

Clusters of 20 people with an intraclass correlation of .2, half of them treated; blocks of clusters; people who were
in one or both of two conditions; weights as skewed as those of surveys; shares where one person answers ten times or
whole clusters do; and studies of eight arms without any effect. Lines that begin with "ignored:" show an analysis that
takes every answer for another person's.
"""

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.numbers.result import Result
from socrates_core.analysis.clustered import Answers, clustered_difference, effective_n
from socrates_core.analysis.effects import CONFIDENCE, holm, mean_difference
from socrates_core.analysis.intervals import SampleSize, shares_with_intervals
from socrates_core.records import Floats

CLUSTERS = (8, 12, 20, 30)
SIZE = 20  # people in a cluster
ICC = 0.2
EFFECT = 0.3
N_ARMS = 8


def simulate(n_simulations: int, generator: np.random.Generator) -> Iterator[Result]:
    """Yields the coverage of effects and shares, and the errors of families of tests."""
    n_fits = n_simulations // 4
    for n_clusters in CLUSTERS:
        name = f"{n_clusters} clusters"
        yield _effect(f"{name}: effect in its interval", n_fits, _clustered(n_clusters, generator))
        sizes = f"{name} of 2 to 60 people: effect in its interval"
        yield _effect(sizes, n_fits, _clustered(n_clusters, generator, uneven=True))
        blocks = f"{name} in pairs (blocks): effect in its interval"
        yield _effect(blocks, n_fits, _clustered(n_clusters, generator, paired=True))
    drawn = [_clustered(12, generator)(0.0) for _ in range(n_simulations)]
    plain = [mean_difference(each.value[each.treated], each.value[~each.treated]) for each in drawn]
    held = [effect.low <= 0 <= effect.high for effect in plain]
    yield Result("ignored: 12 clusters, Welch's t", CONFIDENCE, float(np.mean(held)), n_simulations)
    for n_people in (10, 40, 200):
        for correlation in (0.7, -0.5):
            what = (
                f"{n_people} people, half of them in both conditions, r {correlation}: effect in its interval"
            )
            yield _effect(what, n_fits, _mixed(n_people, correlation, generator))
    for n_people in (40, 400):
        what = f"{n_people} people with weights: effect in its interval"
        yield _effect(what, n_fits, _weighted(n_people, generator))
    yield from _shares(n_simulations, generator)
    yield from _families(n_simulations, generator)


def _effect(what: str, n_simulations: int, draw: Callable[[float], Answers]) -> Result:
    fitted = [clustered_difference(draw(EFFECT)) for _ in range(n_simulations)]
    return Result(
        what, CONFIDENCE, float(np.mean([each.low <= EFFECT <= each.high for each in fitted])), n_simulations
    )


def _clustered(
    n_clusters: int, generator: np.random.Generator, *, uneven: bool = False, paired: bool = False
) -> Callable[[float], Answers]:
    """Clusters, every other one treated. With `paired`, two neighbours are a block and have something in common."""

    def draw(effect: float) -> Answers:
        sizes = generator.integers(2, 61, n_clusters) if uneven else np.full(n_clusters, SIZE)
        cluster = np.repeat(np.arange(n_clusters), sizes)
        treated = cluster % 2 == 0
        block = cluster // 2 if paired else np.zeros_like(cluster)
        shared = np.sqrt(ICC) * generator.normal(size=n_clusters)[cluster]
        shared = shared + (generator.normal(size=n_clusters)[block] if paired else 0.0)
        value = effect * treated + shared + np.sqrt(1 - ICC) * generator.normal(size=cluster.size)
        return Answers(value, treated, cluster, block, np.ones(cluster.size))

    return draw


def _mixed(n_people: int, correlation: float, generator: np.random.Generator) -> Callable[[float], Answers]:
    """A quarter of the people in each condition alone, half of them in both."""

    def draw(effect: float) -> Answers:
        both = generator.multivariate_normal([effect, 0], [[1, correlation], [correlation, 1]], n_people)
        person = np.arange(n_people)
        ours, theirs = person[person % 4 != 0], person[person % 4 != 1]
        people = np.concatenate([ours, theirs])
        value = np.concatenate([both[ours, 0], both[theirs, 1]])
        treated = np.arange(people.size) < ours.size
        return Answers(value, treated, people, np.zeros_like(people), np.ones(people.size))

    return draw


def _weighted(n_people: int, generator: np.random.Generator) -> Callable[[float], Answers]:
    """Lognormal weights that correlate with the answers, as where a group was sampled too rarely."""

    def draw(effect: float) -> Answers:
        weight = generator.lognormal(0, 0.7, n_people)
        treated = np.arange(n_people) % 2 == 0
        value = effect * treated + 0.4 * np.log(weight) + generator.normal(size=n_people)
        return Answers(value, treated, np.arange(n_people), np.zeros(n_people, dtype=np.int64), weight)

    return draw


def _shares(n_simulations: int, generator: np.random.Generator) -> Iterator[Result]:
    """A share of .5 or .1 of answers, ten of each person (alike, ICC about .5) or one of each in clusters."""
    for share in (0.5, 0.1):
        for n_groups, size, icc in ((10, 10, 0.5), (40, 10, 0.5), (8, SIZE, ICC), (20, SIZE, ICC)):
            spread = 1 / icc - 1  # of the beta distribution, of which the groups' shares are drawn
            held, ignored = [], []
            for _ in range(n_simulations):
                chance = generator.beta(share * spread, (1 - share) * spread, n_groups)
                yes = generator.binomial(size, chance) / size
                each = np.stack([1 - yes, yes], axis=1)
                held.append(_holds(share, each, size, n_groups))
                plain = shares_with_intervals(size * each.sum(axis=0))
                ignored.append(plain.low[1] <= share <= plain.high[1])
            of = f"{n_groups} people, 10 answers each" if icc == 0.5 else f"{n_groups} clusters"
            yield Result(
                f"{of}: share of {share:g} in its interval", CONFIDENCE, float(np.mean(held)), n_simulations
            )
            if n_groups == 40:
                yield Result(
                    f"ignored: {of}, share of {share:g}", CONFIDENCE, float(np.mean(ignored)), n_simulations
                )


def _holds(share: float, each: Floats, size: int, n_groups: int) -> bool:
    effective = effective_n(each, np.full(n_groups, float(size)), np.arange(n_groups))
    shares = shares_with_intervals(
        size * each.sum(axis=0), SampleSize(n_groups, min(effective, size * n_groups))
    )
    return bool(shares.low[1] <= share <= shares.high[1])


def _families(n_simulations: int, generator: np.random.Generator) -> Iterator[Result]:
    """Seven arms against one reference on one and on three outcomes, no effect anywhere."""
    for n_outcomes in (1, 3):
        over_all, by_condition = [], []
        for _ in range(n_simulations // 4):
            answers = generator.normal(size=(n_outcomes, N_ARMS, 50))
            p = np.array([[mean_difference(arm, arms[0]).p for arm in arms[1:]] for arms in answers])
            over_all.append(holm(p.ravel()).min() < 1 - CONFIDENCE)
            by_condition.append(min(holm(column).min() for column in p.T) < 1 - CONFIDENCE)
        what = f"{N_ARMS} arms, {n_outcomes} outcome(s), no effect: any p below .05"
        n = n_simulations // 4
        yield Result(f"{what} after Holm", 1 - CONFIDENCE, float(np.mean(over_all)), n)
        yield Result(f"ignored: {what}, Holm by condition", 1 - CONFIDENCE, float(np.mean(by_condition)), n)
