"""Differences in means where people were assigned in groups, within blocks, or stand for more people than themselves.

A weighted regression of the answer on the condition, with a constant for each block. Its standard error allows for
clusters by the bias-reduced linearization CR2 with Satterthwaite's degrees of freedom (Bell & McCaffrey 2002, Survey
Methodology 28; Pustejovsky & Tipton 2018, Journal of Business & Economic Statistics 36), which hold their level with
few clusters. Where everybody is a cluster of their own, CR2 is HC2; without weights and blocks, its standard error is
then Welch's.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

from socrates_core.records import Floats

Codes = NDArray[np.int64]
_NOTHING = (
    1e-9  # an eigenvalue below this is 0: the cluster is fitted exactly and says nothing about the error
)
MOST_BLOCKS = 1_000


@dataclass(frozen=True)
class Answers:
    """Answers [n] of one comparison with what the design knows of each.

    `treated` [n] is true in the condition, false in its reference. Answers with the same `cluster` [n] were assigned
    together or are of one person, those with the same `block` [n] were randomized among each other. `weight` [n] is
    above 0; only its ratios count.
    """

    value: Floats
    treated: NDArray[np.bool_]
    cluster: Codes
    block: Codes
    weight: Floats


@dataclass(frozen=True)
class ClusteredDifference:
    """A difference with its 95% interval, two-sided p, and standard error; NaN where the design does not earn them.

    `freedom` are Satterthwaite's degrees of freedom. `n_clusters` and `n_clusters_reference` count the clusters of
    each side. `reason` says why there is no interval; empty where there is one.
    """

    difference: float
    low: float
    high: float
    p: float
    se: float
    freedom: float
    n_clusters: int
    n_clusters_reference: int
    reason: str = ""


def clustered_difference(answers: Answers, *, confidence: float = 0.95) -> ClusteredDifference:
    """The difference of the condition from its reference.

    With blocks, it is the mean of the differences within blocks, weighted as least squares does: by n times the
    shares of the two sides (Angrist 1998, Econometrica 66). No interval with fewer than two clusters on a side.
    """
    ours, theirs = (int(np.unique(answers.cluster[answers.treated == side]).size) for side in (True, False))
    n_clusters = ours, theirs
    if not answers.treated.any() or answers.treated.all():
        return _without_interval(math.nan, n_clusters, "one side has no answers")
    blocks, block = np.unique(answers.block, return_inverse=True)
    if blocks.size > MOST_BLOCKS:
        return _without_interval(math.nan, n_clusters, f"there are more than {MOST_BLOCKS:,} blocks")
    # The condition comes first, then a constant for each block.
    columns = np.column_stack([answers.treated.astype(float), np.eye(blocks.size)[block]])
    weight = answers.weight / answers.weight.mean()
    fit = _fit(columns, answers.value, weight)
    if fit is None:
        return _without_interval(math.nan, n_clusters, "no block has answers on both sides")
    inverse, coefficients = fit
    difference = float(coefficients[0])
    if min(n_clusters) < 2:
        return _without_interval(difference, n_clusters, "one side has a single cluster")
    residuals = answers.value - columns @ coefficients
    variance, freedom = _cr2(columns, weight, residuals, answers.cluster, inverse)
    if not (variance > 0 and freedom > 0):
        return _without_interval(difference, n_clusters, "the clusters do not differ")
    se = math.sqrt(variance)
    reach = float(stdtrit(freedom, (1 + confidence) / 2)) * se
    p = 2 * float(stdtr(freedom, -abs(difference) / se))
    return ClusteredDifference(
        difference, difference - reach, difference + reach, p, se, freedom, *n_clusters
    )


def effective_n(shares: Floats, weight: Floats, cluster: Codes) -> float:
    """The number of people asked one by one whose shares would be as certain as those of these people.

    `shares` [n, k] are the shares of each person's answers that were each option, `weight` [n] of a person, `cluster`
    [n] who was drawn together. It is the number of people over Kish's design effect, generalized to k options (Rao &
    Scott 1981, JASA 76): the variance of the shares between clusters (linearized, with the factor G / (G - 1)), over
    that of as many independent answers. It is smaller by (z / t)^2, with t of G - 1 degrees of freedom, so that an
    interval with z allows for few clusters (Korn & Graubard 1998, Survey Methodology 24). NaN with fewer than two
    clusters.
    """
    total = weight.sum()
    overall = weight @ shares / total
    _, place = np.unique(cluster, return_inverse=True)
    n_clusters = int(place.max()) + 1 if place.size else 0
    if n_clusters < 2:
        return math.nan
    sums = np.zeros((n_clusters, shares.shape[1]))
    np.add.at(sums, place, weight[:, None] * (shares - overall) / total)
    variance = float((sums**2).sum()) * n_clusters / (n_clusters - 1)
    one = float((overall * (1 - overall)).sum())
    if variance <= 0 or one <= 0:  # everybody gave the same answer: as certain as the clusters are many
        return float(n_clusters)
    few = float(ndtri(0.975) / stdtrit(n_clusters - 1, 0.975)) ** 2
    return few * one / variance


def _without_interval(difference: float, n_clusters: tuple[int, int], reason: str) -> ClusteredDifference:
    nothing = math.nan
    return ClusteredDifference(
        difference, nothing, nothing, nothing, nothing, nothing, n_clusters[0], n_clusters[1], reason
    )


def _fit(columns: Floats, value: Floats, weight: Floats) -> tuple[Floats, Floats] | None:
    """The inverse [k, k] of the weighted cross product of `columns` [n, k], and the coefficients [k]."""
    cross = columns.T @ (weight[:, None] * columns)
    # The condition's own variation inside blocks; without any, it cannot be told from them.
    inside = cross[0, 0] - float((cross[0, 1:] ** 2 / np.diagonal(cross)[1:]).sum())
    if inside <= _NOTHING * cross[0, 0]:
        return None
    inverse: Floats = np.asarray(np.linalg.inv(cross), dtype=float)
    coefficients: Floats = inverse @ (columns.T @ (weight * value))
    return inverse, coefficients


def _cr2(
    columns: Floats, weight: Floats, residuals: Floats, cluster: Codes, inverse: Floats
) -> tuple[float, float]:
    """The variance of the first coefficient, and its degrees of freedom.

    With M the inverse of X'WX, H = XMX'W, and equal variances as the working model, (I - H)(I - H)' = I + Z K Z' for
    Z = [X, WX]. A cluster's adjustment is the inverse root of its block of that matrix. Only 2k of its dimensions
    differ from the identity, so that large clusters cost no more than small ones.
    """
    k = columns.shape[1]
    weighted = weight[:, None] * columns
    square = inverse @ (weighted.T @ weighted) @ inverse
    kernel = np.block([[square, -inverse], [-inverse, np.zeros((k, k))]])
    both = np.column_stack([columns, weighted])
    # What each answer adds to the coefficient: w x'M c for the first unit vector c.
    pull = weighted @ inverse[:, 0]
    scores = []
    squares = []
    projected = []
    for rows in _by_size(cluster):  # clusters of one size together: [g, m] places
        z = both[rows]
        q, r = np.linalg.qr(z)
        inner = np.eye(r.shape[1]) + r @ kernel @ np.swapaxes(r, 1, 2)
        values, vectors = np.linalg.eigh((inner + np.swapaxes(inner, 1, 2)) / 2)
        root = np.where(values > _NOTHING, 1 / np.sqrt(np.maximum(values, _NOTHING)), 0.0)
        change = vectors @ ((root - 1)[:, :, None] * np.swapaxes(vectors, 1, 2))
        adjusted = pull[rows] + (q @ (change @ (np.swapaxes(q, 1, 2) @ pull[rows][:, :, None])))[:, :, 0]
        scores.append((adjusted * residuals[rows]).sum(axis=1))
        squares.append((adjusted**2).sum(axis=1))
        projected.append((np.swapaxes(z, 1, 2) @ adjusted[:, :, None])[:, :, 0])
    variance = float((np.concatenate(scores) ** 2).sum())
    # Satterthwaite: the variance is a quadratic form whose matrix has the entries d_gh a_g'a_g + z_g' K z_h.
    own = np.concatenate(squares)
    z = np.concatenate(projected)
    through = ((z @ kernel) * z).sum(axis=1)
    turned = kernel @ (z.T @ z)
    total = float(((own + through) ** 2 - through**2).sum()) + float(np.trace(turned @ turned))
    freedom = float((own + through).sum()) ** 2 / total if total > 0 else math.nan
    return variance, freedom


def _by_size(cluster: Codes) -> list[Codes]:
    """The places [g, m] of the answers of all clusters of each size m."""
    order = np.argsort(cluster, kind="stable")
    _, starts, sizes = np.unique(cluster[order], return_index=True, return_counts=True)
    return [
        order[starts[sizes == size][:, None] + np.arange(size)].astype(np.int64) for size in np.unique(sizes)
    ]
