"""How the errors of one study's effects go together: they share people and their reference."""

import numpy as np

from socrates_core.records import Floats


def error_covariance(influence: Floats, se: Floats) -> Floats:
    """The covariance [m, m] of the errors of m estimates with standard errors `se` [m], 0 for one that is exact.

    `influence` [n, m] is how far each person moves each estimate (0 where the person is not in it); the correlations
    are those of its columns. They are shrunk toward 0 by as much as they are uncertain, the more the fewer people there
    are (Schäfer & Strimmer 2005, Stat Appl Genet Mol Biol 4, target D), so that the matrix has an inverse.
    """
    products = influence.T @ influence
    length = np.sqrt(np.diagonal(products))
    present = length > 0
    scale = np.where(present, length, 1.0)
    correlation = products / np.outer(scale, scale)
    off_diagonal = ~np.eye(len(se), dtype=bool) & np.outer(present, present)
    squares = correlation[off_diagonal] ** 2
    n_people = int(influence.any(axis=1).sum())
    uncertain = float(((1 - squares) ** 2).sum()) / max(n_people - 1, 1)
    total = float(squares.sum())
    # Outcomes that are sums of one another correlate perfectly, so at least a hundredth is always taken off.
    shrunk = min(max(uncertain / total if total > 0 else 1.0, 0.01), 1.0)
    kept = np.where(off_diagonal, (1 - shrunk) * correlation, 0.0) + np.eye(len(se))
    return np.asarray(kept * np.outer(se, se))
