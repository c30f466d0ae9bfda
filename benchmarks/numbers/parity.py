"""How often the interval of the gap between groups holds the true gap, and how large a gap is shown where none is."""

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.numbers.result import Result
from socrates_core.analysis.cells import PeopleCell
from socrates_core.analysis.parity import parity
from socrates_core.records import Floats

N_STUDIES = 8
CELLS = 2
VALUES = np.arange(1.0, 8.0)
SLOW = 50  # each data set resamples people 400 times: this many times fewer of them
GROUPS: dict[str, Sequence[int]] = {
    "30 and 300 people": (30, 300),
    "five groups, 30 to 150": (30, 45, 60, 90, 150),
}
# How far predictions of the first group are off: the share of its people who are predicted the highest answer instead.
WRONG = {"no gap, perfect predictions": 0.0, "a gap of one group": 0.25}


def simulate(n_simulations: int, generator: np.random.Generator) -> Iterator[Result]:
    """Coverage of the gap's interval, for equal predictions of all groups and for one that is predicted worse."""
    n_sets = n_simulations // SLOW
    for sizes_name, sizes in GROUPS.items():
        for wrong_name, wrong in WRONG.items():
            held = 0
            shown = []
            for _ in range(n_sets):
                cells, true = _data_set(sizes, wrong, generator)
                gap = parity(cells, seed=0).difference
                held += gap.low <= true <= gap.high
                shown.append(gap.value - true)
            yield Result(f"parity interval: {sizes_name}, {wrong_name}", 0.95, held / n_sets, n_sets)
            yield Result(
                f"parity gap minus true: {sizes_name}, {wrong_name}",
                0.0,
                float(np.mean(shown)),
                n_sets,
                float(np.std(shown) / np.sqrt(n_sets)),
            )


def _data_set(
    sizes: Sequence[int], wrong: float, generator: np.random.Generator
) -> tuple[list[PeopleCell], float]:
    """Cells of studies whose people are in groups of these sizes, and the true gap."""
    cells = []
    distances = []
    names = tuple(f"g{number}" for number, size in enumerate(sizes) for _ in range(size))
    n = len(names)
    is_first = np.array([name == "g0" for name in names])
    for study in range(N_STUDIES):
        for _ in range(CELLS):
            shares: Floats = generator.dirichlet(np.full(VALUES.size, 2.0))
            off = (1 - wrong) * shares + wrong * np.eye(VALUES.size)[-1]
            human = generator.choice(VALUES, size=n, p=shares)
            predicted = np.where(is_first[:, None], off, shares)
            cells.append(
                PeopleCell(
                    study_id=f"s{study}",
                    values=VALUES,
                    participants=np.arange(n),
                    human=human,
                    probabilities=predicted,
                    groups=names,
                )
            )
            distances.append(float(((np.cumsum(off - shares)[:-1]) ** 2).mean()))
    return cells, float(np.mean(distances))
