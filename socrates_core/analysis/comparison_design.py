"""How a condition is compared with its reference, as far as the sample size depends on it: one record for all designs.

Every design comes down to three numbers: the standard error of the estimated effect, the degrees of freedom of its t
test, and the level at which it is tested. Not covered: repeated measures in clusters, binary answers within people,
covariates of binary answers, interactions, and blocks.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from socrates_core.errors import UserError
from socrates_core.records import Floats

ALPHA = 0.05
Assignment = Literal["between", "within"]


@dataclass(frozen=True)
class ComparisonDesign:
    """A condition with n people against a reference.

    `assignment` is "between" (different people) or "within" (the same people in both, whose two answers correlate by
    `correlation`). The reference has `ratio` people for each person in the condition. People are assigned in whole
    clusters of `cluster_size` whose answers have the intraclass correlation `icc`; a size of 1 is no clusters.
    `n_comparisons` is how many conditions are tested against the reference on how many outcomes. A covariate that was
    measured before explains `r_squared` of the variance. `base_share` is the share of people in the reference who
    answer yes, for answers that are yes or no; effects are then differences of shares. None for other answers.
    """

    assignment: Assignment = "between"
    correlation: float = 0.0
    ratio: float = 1.0
    cluster_size: int = 1
    icc: float = 0.0
    n_comparisons: int = 1
    r_squared: float = 0.0
    base_share: float | None = None

    def __post_init__(self) -> None:
        """Raises UserError where a number makes no sense, and for combinations that are not covered."""
        if not -1 < self.correlation < 1:
            raise UserError(
                f"The within-person correlation is {self.correlation!r}; give a number between -1 and 1."
            )
        if not 0.01 <= self.ratio <= 100:
            raise UserError(f"The allocation ratio is {self.ratio!r}; give a number from 0.01 to 100.")
        if self.cluster_size < 1:
            raise UserError(f"The cluster size is {self.cluster_size!r}; give 1 (no clusters) or more.")
        if not 0 <= self.icc <= 1:
            raise UserError(f"The intraclass correlation is {self.icc!r}; give a share from 0 to 1.")
        if self.n_comparisons < 1:
            raise UserError(f"The number of comparisons is {self.n_comparisons!r}; give 1 or more.")
        if not 0 <= self.r_squared < 1:
            raise UserError(f"The covariate's R2 is {self.r_squared!r}; give a share from 0 to below 1.")
        if self.base_share is not None and not 0 < self.base_share < 1:
            raise UserError(
                f"The share of the reference is {self.base_share!r}; give a share between 0 and 1."
            )
        if self.is_within and (self.clustered or self.ratio != 1):
            raise UserError(
                "The same people in all conditions cannot be planned in clusters or in unequal numbers here; "
                "set the cluster size and the allocation ratio to 1."
            )
        if self.base_share is not None and (self.is_within or self.r_squared):
            raise UserError(
                "Yes or no answers are covered between people and without a covariate; leave out the share of the "
                "reference to plan with a standard deviation."
            )

    @property
    def is_within(self) -> bool:
        return self.assignment == "within"

    @property
    def clustered(self) -> bool:
        return self.cluster_size > 1

    @property
    def alpha(self) -> float:
        """The level of one comparison: Bonferroni's, so that Holm's procedure has at least the power computed."""
        return ALPHA / self.n_comparisons

    def error(self, n: Floats | float, spread: float) -> Floats:
        """The standard error [n] of the effect with `n` people in the condition, in the unit of `spread`.

        Within people, spread * sqrt(2 * (1 - correlation) / n). Between people, spread * sqrt(1 / n + 1 / (ratio * n)),
        times the root of the design effect 1 + (cluster_size - 1) * icc (Donner & Klar 2000, Design and Analysis of
        Cluster Randomization Trials, chapter 5). A covariate takes the share `r_squared` out of the variance.
        """
        people = np.asarray(n, dtype=float)
        inverse = 2 * (1 - self.correlation) if self.is_within else 1 + 1 / self.ratio
        inflation = 1 + (self.cluster_size - 1) * self.icc
        return np.asarray(spread * np.sqrt(inverse * inflation * (1 - self.r_squared) / people))

    def freedom(self, n: Floats | float) -> Floats:
        """The degrees of freedom [n] of the test: of people, of clusters where there are any, infinite for shares."""
        people = np.asarray(n, dtype=float)
        if self.base_share is not None and not self.clustered:
            return np.full_like(people, np.inf)
        units = people if self.is_within else people * (1 + self.ratio) / self.cluster_size
        return np.asarray(units - (1 if self.is_within else 2) - (1 if self.r_squared else 0))

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
        parts = [
            "The same people answer in both conditions"
            if self.is_within
            else "Different people answer in each condition"
        ]
        if self.is_within:
            parts.append(f"their two answers correlate by {self.correlation:.2g} (paired t test)")
        elif self.base_share is not None:
            parts.append(
                f"{self.base_share:.0%} of the reference answer yes (arcsine approximation for two shares, Cohen's h)"
            )
        else:
            parts.append("two-sided t test")
        if self.ratio != 1:
            parts.append(f"{self.ratio:.3g} people in the reference for each in the condition")
        if self.clustered:
            parts.append(
                f"assigned in whole clusters of {self.cluster_size:,} with an intraclass correlation of {self.icc:.2g} "
                "(design effect, degrees of freedom from clusters)"
            )
        if self.r_squared:
            parts.append(f"a covariate explains {self.r_squared:.0%} of the variance")
        level = f"level {ALPHA:.0%}"
        if self.n_comparisons > 1:
            level += f" over {self.n_comparisons} comparisons (Bonferroni; Holm finds at least as much)"
        return "; ".join([*parts, level]) + "."


TWO_GROUPS = ComparisonDesign()
