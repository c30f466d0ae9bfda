"""Intervals over studies: how often they hold the true number, and how often two equally good models differ.

Each data set has 5 to 40 studies. Scores of studies are normal, or skewed (lognormal, sd .6 on the log scale). Effects
are those of studies with 1 to 7 comparisons: people's are half of the predicted ones plus what a study and a
comparison add, with sampling errors that share the reference condition.
"""

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.numbers.result import Result
from socrates_core.analysis.agreement import Agreement, EffectPairs, agreement, compare_by_study
from socrates_core.analysis.bootstrap import Measure, mean_over_studies, over_studies, ratio
from socrates_core.analysis.effects import CONFIDENCE, holm
from socrates_core.records import Floats

SIZES = (5, 6, 10, 13, 20, 40)
MEASURES = ("sign", "r", "slope", "rmse")
N_TRUE = 50_000  # studies whose agreement is taken for the truth
N_PAIRS = 12  # comparisons on one page


def simulate(n_simulations: int, generator: np.random.Generator) -> Iterator[Result]:
    """Yields coverage and false differences for each number of studies."""
    truth = agreement(_effects(N_TRUE, generator))
    for n_studies in SIZES:
        yield _covered("mean of normal scores", n_studies, n_simulations, 0.15, _normal(generator))
        true_mean = float(np.exp(-2 + 0.6**2 / 2))
        yield _covered("mean of skewed scores", n_studies, n_simulations, true_mean, _skewed(generator))
        yield _covered("ratio of two means", n_studies, n_simulations, 0.3, _ratio(generator))
        yield from _agreements(n_studies, n_simulations // 4, truth, generator)
        yield from _false_differences(n_studies, n_simulations, generator)


def _covered(
    what: str, n_studies: int, n_simulations: int, truth: float, draw: Callable[[int], Measure]
) -> Result:
    measures = [draw(n_studies) for _ in range(n_simulations)]
    held = np.mean([measure.low <= truth <= measure.high for measure in measures])
    return Result(f"{n_studies} studies: {what} in its interval", CONFIDENCE, float(held), n_simulations)


def _normal(generator: np.random.Generator) -> Callable[[int], Measure]:
    return lambda n: mean_over_studies(generator.normal(0.15, 0.05, n))


def _skewed(generator: np.random.Generator) -> Callable[[int], Measure]:
    return lambda n: mean_over_studies(generator.lognormal(-2, 0.6, n))


def _ratio(generator: np.random.Generator) -> Callable[[int], Measure]:
    """How much smaller one model's W is, as a share: by 30% on average, and by more or less in each study."""

    def draw(n: int) -> Measure:
        before = generator.lognormal(-2, 0.4, n)
        after = before * 0.7 * generator.lognormal(-(0.2**2) / 2, 0.2, n)
        return over_studies(np.stack([before, after], axis=1), lambda totals: 1 - ratio(totals))

    return draw


def _agreements(
    n_studies: int, n_simulations: int, truth: Agreement, generator: np.random.Generator
) -> Iterator[Result]:
    drawn = [agreement(_effects(n_studies, generator)) for _ in range(n_simulations)]
    for name in MEASURES:
        measures: list[Measure] = [getattr(result, name) for result in drawn]
        true_value = getattr(truth, name).value
        held = np.mean([measure.low <= true_value <= measure.high for measure in measures])
        what = f"{n_studies} studies: {name} of effects in its interval"
        yield Result(what, CONFIDENCE, float(held), n_simulations)


def _effects(n_studies: int, generator: np.random.Generator) -> EffectPairs:
    position = np.repeat(np.arange(n_studies), generator.integers(1, 8, n_studies))

    def normal(sd: float, *, by_study: bool = False) -> Floats:
        drawn = generator.normal(0, sd, n_studies if by_study else position.size)
        return drawn[position] if by_study else drawn

    predicted = normal(0.08)
    error = generator.uniform(0.01, 0.06, n_studies)[position]
    sampling = error * (normal(1) + normal(1, by_study=True)) / np.sqrt(2)
    human = 0.5 * predicted + normal(0.03, by_study=True) + normal(0.03) + sampling
    return EffectPairs(np.char.mod("s%05d", position), human, error, predicted)


def _false_differences(
    n_studies: int, n_simulations: int, generator: np.random.Generator
) -> Iterator[Result]:
    """Two equally good models called different: one pair alone, and any of N_PAIRS corrected by Holm."""
    names = [f"s{place:02}" for place in range(n_studies)]

    def p_of_a_pair() -> float:
        first = generator.normal(0.15, 0.05, n_studies)
        second = first + generator.normal(0, 0.02, n_studies)
        scores = [dict(zip(names, values.tolist(), strict=True)) for values in (first, second)]
        return compare_by_study(*scores, lower_is_better=True).p

    alone = float(np.mean([p_of_a_pair() < 1 - CONFIDENCE for _ in range(n_simulations)]))
    yield Result(
        f"{n_studies} studies: equally good models called different", 1 - CONFIDENCE, alone, n_simulations
    )
    n_pages = n_simulations // 5
    pages = [holm(np.array([p_of_a_pair() for _ in range(N_PAIRS)])) for _ in range(n_pages)]
    any_winner = float(np.mean([(page < 1 - CONFIDENCE).any() for page in pages]))
    yield Result(
        f"{n_studies} studies: any of {N_PAIRS} such pairs on a page", 1 - CONFIDENCE, any_winner, n_pages
    )
