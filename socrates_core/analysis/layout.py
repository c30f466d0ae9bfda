"""How a condition is compared with its reference, as far as the sample size depends on it: one record for all designs.

Every design comes down to three numbers: the standard error of the estimated effect, the degrees of freedom of its t
test, and the level at which it is tested. Not covered: yes or no answers of the same people or with a covariate,
interactions, blocks, weights, ordinal models, and tests of equivalence.
"""

from dataclasses import dataclass

import numpy as np

from socrates_core.errors import UserError
from socrates_core.records import Floats

ALPHA = 0.05


@dataclass(frozen=True)
class Layout:
    """How a condition with n people is compared with its reference.

    The reference has `ratio` people for each person in the condition. With a `correlation` of their two answers, the
    same n people are in both. `cluster_size` people are assigned together, and their answers (in a paired layout their
    differences) have the intraclass correlation `icc`; a size of 1 is no clusters. A covariate that was measured before
    explains the share `r2` of the variance inside conditions. `n_comparisons` are tested at once. `base_share` is the
    share of people in the reference who answer yes, for answers that are yes or no; effects are then differences of
    shares. None for other answers.
    """

    ratio: float = 1.0
    correlation: float | None = None
    cluster_size: int = 1
    icc: float = 0.0
    r2: float = 0.0
    n_comparisons: int = 1
    base_share: float | None = None

    def __post_init__(self) -> None:
        """Raises UserError where a number makes no sense, and for combinations that are not covered."""
        allowed = {
            "ratio of people in the reference condition to treated ones": (self.ratio, 0.01, 100),
            "correlation of a person's two answers": (self.correlation or 0.0, -0.99, 0.99),
            "number of people in a group": (self.cluster_size, 1, 100_000),
            "intraclass correlation": (self.icc, 0, 1),
            "share of variance that the covariate explains": (self.r2, 0, 0.99),
            "number of comparisons": (self.n_comparisons, 1, 10_000),
        }
        for name, (value, low, high) in allowed.items():
            if not low <= value <= high:
                raise UserError(f"The {name} is {value!r}; give a number from {low:g} to {high:,}.")
        if self.base_share is not None and not 0 < self.base_share < 1:
            raise UserError(
                f"The share of yes in the reference is {self.base_share!r}; give a number between 0 and 1."
            )
        if self.is_paired and self.ratio != 1:
            raise UserError(
                "With the same people in both conditions the two are equally many: leave the ratio at 1."
            )
        if self.base_share is not None and (self.is_paired or self.r2):
            raise UserError(
                "Yes or no answers are planned for different people and without a covariate: leave out the correlation "
                "and the covariate."
            )

    @property
    def is_paired(self) -> bool:
        return self.correlation is not None

    @property
    def clustered(self) -> bool:
        return self.cluster_size > 1

    @property
    def alpha(self) -> float:
        """The level of one comparison: Bonferroni's, so that Holm's procedure has at least the power computed."""
        return ALPHA / self.n_comparisons

    def error(self, n: Floats | float, spread: float) -> Floats:
        """The standard error [n] of the effect with `n` people in the condition, in the unit of `spread`.

        Paired, spread * sqrt(2 * (1 - correlation) / n). Otherwise spread * sqrt(1 / n + 1 / (ratio * n)),
        times the root of the design effect 1 + (cluster_size - 1) * icc (Donner & Klar 2000, Design and Analysis of
        Cluster Randomization Trials, chapter 5). A covariate takes the share `r2` out of the
        variance (Borm, Fransen & Lemmens 2007, Journal of Clinical Epidemiology 60).
        """
        people = np.asarray(n, dtype=float)
        inverse = 1 + 1 / self.ratio if self.correlation is None else 2 * (1 - self.correlation)
        inflation = 1 + (self.cluster_size - 1) * self.icc
        return np.asarray(spread * np.sqrt(inverse * inflation * (1 - self.r2) / people))

    def freedom(self, n: Floats | float) -> Floats:
        """The degrees of freedom [n] of the test: of people, of clusters where there are any, infinite for shares."""
        people = np.asarray(n, dtype=float)
        if self.base_share is not None and not self.clustered:
            return np.full_like(people, np.inf)
        conditions = 1 if self.is_paired else 1 + self.ratio
        means = 1 if self.is_paired else 2
        return np.asarray(people * conditions / self.cluster_size - means - (1 if self.r2 else 0))

    def distance(self, share: Floats | float) -> Floats:
        """Effects, which are differences from `base_share`, on the arcsine scale, where answers spread by 1.

        Cohen's h (1988, chapter 6): 2 * asin(sqrt(p)) - 2 * asin(sqrt(base)).
        """
        base = self._base()
        reached = np.clip(base + np.asarray(share, dtype=float), 0, 1)
        return np.asarray(2 * np.arcsin(np.sqrt(reached)) - 2 * np.arcsin(np.sqrt(base)))

    def share(self, distance: Floats | float) -> Floats:
        """The difference of shares that lies `distance` from the reference on the arcsine scale; `distance` undone."""
        base = self._base()
        angle = np.clip(np.arcsin(np.sqrt(base)) + np.asarray(distance, dtype=float) / 2, 0, np.pi / 2)
        return np.asarray(np.sin(angle) ** 2 - base)

    def _base(self) -> float:
        if self.base_share is None:
            raise ValueError("only shares have an arcsine scale")
        return self.base_share

    def sentence(self) -> str:
        """What is compared, how it is tested, and by which formula."""
        if self.correlation is not None:
            test = f"Paired t test, two-sided: a person's two answers correlate by {self.correlation:.2g}"
        elif self.base_share is not None:
            test = f"Two shares, {self.base_share:.0%} yes in the reference: Cohen's h of arcsines, two-sided"
        else:
            test = "Two-sided t test"
        parts = [test]
        if self.ratio != 1:
            parts.append(f"{self.ratio:.3g} people in the reference for each in the condition")
        if self.clustered:
            parts.append(
                f"assigned in whole groups of {self.cluster_size:,} with an intraclass correlation of {self.icc:.2g} "
                "(design effect, degrees of freedom from groups)"
            )
        if self.r2:
            parts.append(f"a covariate explains {self.r2:.0%} of the variance")
        level = f"level {ALPHA:.0%}"
        if self.n_comparisons > 1:
            level += f" over {self.n_comparisons} comparisons (Bonferroni; Holm finds at least as much)"
        return "; ".join([*parts, level]) + "."


PLAIN = Layout()
