"""What the true distribution scores, and distances without the luck of who answered.

Cells of 8 to 100 people on scales of several shapes. The oracle's W is compared with the W that the true distribution
has to such samples, as a ratio. Corrected distances are compared with the true squared distance, of a perfect
prediction and of one that is off. The last lines show why W has no such correction: W minus the oracle's W is far too
low for a prediction that is a little off.
"""

import math
from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.numbers.result import Result
from socrates_core.analysis.baselines import expected_oracle, half_sample_of_people
from socrates_core.analysis.corrected import corrected_distance
from socrates_core.analysis.metrics import exact_wasserstein
from socrates_core.records import Floats

VALUES = np.arange(1.0, 8)
SHAPES = {
    "spread answers": np.array([0.05, 0.1, 0.15, 0.25, 0.2, 0.15, 0.1]),
    "skewed answers": np.array([0.7, 0.15, 0.08, 0.04, 0.02, 0.007, 0.003]),
}
SIZES = (8, 15, 32, 100)
OFF = 0.2  # of the mass is moved to the highest value


def simulate(n_simulations: int, generator: np.random.Generator) -> Iterator[Result]:
    """Yields ratios to the truth, which should be 1."""
    for name, truth in SHAPES.items():
        off: Floats = np.asarray((1 - OFF) * truth + OFF * np.eye(len(truth))[-1])
        squared = _squared(off, truth)
        for n in SIZES:
            samples = generator.multinomial(n, truth, n_simulations).astype(float)
            of_truth, of_off = (_scores(samples, _w(shares)) for shares in (truth, off))
            oracle = _scores(samples, lambda counts: expected_oracle(counts, VALUES, scale_range=6.0))
            true_w = exact_wasserstein(VALUES, off, np.asarray(truth * 1e9), convention="stated")
            what = f"{n} people, {name}"
            yield _ratio(f"{what}: oracle's W over the truth's", oracle, float(of_truth.mean()))
            yield _ratio(
                f"{what}: corrected distance over the true one", _scores(samples, _corrected(off)), squared
            )
            perfect = 1 + _scores(samples, _corrected(truth)) / squared
            yield _ratio(f"{what}: 1 + a perfect prediction's", perfect, 1.0)
            yield _ratio(f"{what}: W - oracle over the true W (not used)", of_off - oracle, true_w)
    yield from _persons(n_simulations, generator)


def _persons(n_simulations: int, generator: np.random.Generator) -> Iterator[Result]:
    """20 people who each answer 10 times alike: halves of people against drawn ones."""
    people = np.repeat(np.arange(20), 10)
    drawn, computed = [], []
    for _ in range(n_simulations):
        answers = generator.integers(1, 8, 20).astype(float)
        order = generator.permutation(20)
        first, second = (
            np.bincount(answers[side].astype(int), minlength=8)[1:].astype(float)
            for side in (order[:10], order[10:])
        )
        drawn.append(exact_wasserstein(VALUES, first, second, convention="stated"))
        computed.append(half_sample_of_people(answers[people], people, VALUES, scale_range=6.0))
    yield _ratio("20 people, 10 equal answers each: half of them", np.array(drawn), float(np.mean(computed)))


def _w(shares: Floats) -> Callable[[Floats], float]:
    return lambda counts: exact_wasserstein(VALUES, shares, counts, convention="stated")


def _corrected(shares: Floats) -> Callable[[Floats], float]:
    def distance(counts: Floats) -> float:
        answers = np.repeat(VALUES, counts.astype(int))
        return corrected_distance(VALUES, shares, answers, np.arange(answers.size), is_ordered=True)

    return distance


def _scores(samples: Floats, score: Callable[[Floats], float]) -> Floats:
    return np.array([score(counts) for counts in samples])


def _squared(shares: Floats, truth: Floats) -> float:
    return float(((np.cumsum(shares - truth)[:-1]) ** 2).sum() / 6)


def _ratio(what: str, numbers: Floats, truth: float) -> Result:
    given = numbers[np.isfinite(numbers)] / truth
    error = float(given.std(ddof=1)) / math.sqrt(given.size)
    return Result(what, 1, float(given.mean()), given.size, error)
