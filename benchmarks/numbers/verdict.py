"""How often a verdict is wrong: a model that only guesses, and one that knows shares but no effects."""

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.numbers.result import Result
from socrates_core.analysis.verdict import Judged, Sign, judge
from socrates_core.records import Floats

STUDIES = (6, 13, 40)
# Differences over studies: as even as a normal distribution, and as skewed as squared errors of a few large effects.
SHAPES: dict[str, Callable[[np.random.Generator, tuple[int, int]], Floats]] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "skewed": lambda generator, shape: generator.gamma(2, size=shape) - 2,
    "skewed the other way": lambda generator, shape: 2 - generator.gamma(2, size=shape),
}


def simulate(n_simulations: int, generator: np.random.Generator) -> Iterator[Result]:
    """The share of models without any difference from their rival that get a sign, of two that are judged at once."""
    for name, draw in SHAPES.items():
        for n_studies in STUDIES:
            wrong: dict[Sign, int] = {"better": 0, "worse": 0, "same": 0}
            for differences in draw(generator, (n_simulations, n_studies)):
                judged: Judged = judge(differences, n_judged=2)
                wrong[judged.sign] += 1
            for sign in ("better", "worse"):
                yield Result(
                    f"called {sign} without a difference, {n_studies} studies, {name}",
                    0.0125,
                    wrong[sign] / n_simulations,
                    n_simulations,
                )
