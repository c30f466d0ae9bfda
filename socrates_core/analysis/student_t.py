"""What is believed about the true effects of one study: a t distribution of several effects at once."""

from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

from socrates_core.records import Floats


@dataclass(frozen=True)
class StudentT:
    """Effects [e] that follow a multivariate t distribution with `mean` [e], `scale` [e, e] and `freedom` degrees.

    `scale` is the covariance of the normal distribution behind it; the effects' own covariance is larger, by
    freedom / (freedom - 2).
    """

    mean: Floats
    scale: Floats
    freedom: float

    @property
    def spread(self) -> Floats:
        """The scale [e] of each effect alone: half-widths of intervals are quantiles of t times this."""
        return np.asarray(np.sqrt(np.diagonal(self.scale)))

    def quantile(self, share: float) -> Floats:
        """The values [e] below which each effect lies with probability `share`."""
        return self.mean + float(stdtrit(self.freedom, share)) * self.spread

    def probability_above(self, limit: Floats | float) -> Floats:
        """The chance [e] that each effect is above `limit` (one or [e]); one half counts where it equals it."""
        distance = np.asarray(self.mean - np.asarray(limit, dtype=float), dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            standardized = np.where(distance == 0, 0.0, distance / self.spread)
        return np.asarray(stdtr(self.freedom, standardized))

    def draws(self, n: int, generator: np.random.Generator) -> Floats:
        """`n` draws [n, e] of the effects. One draw's effects share the doubt about the variance."""
        normal = generator.multivariate_normal(np.zeros(self.mean.size), self.scale, size=n, method="eigh")
        widening = np.sqrt(self.freedom / generator.chisquare(self.freedom, size=n))
        return self.mean + normal * widening[:, None]
