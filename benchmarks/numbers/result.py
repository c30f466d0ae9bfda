"""What a simulation shows: a number that was promised next to the number that came out."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """One line of the table.

    `actual` is a share of `n_simulations` simulated data sets, or their mean where `error` is given; `nominal` is
    what it should be. `error` is the standard error of `actual` over the simulations, by default that of a share.
    """

    what: str
    nominal: float
    actual: float
    n_simulations: int
    error: float = math.nan

    @property
    def standard_error(self) -> float:
        """The standard error of `actual`."""
        if math.isfinite(self.error):
            return self.error
        return math.sqrt(max(self.actual * (1 - self.actual), 0) / self.n_simulations)
