"""How often designs find an effect, next to the power that they promise: simulated answers, the real test."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import stats

from benchmarks.numbers.result import Result
from socrates_core.analysis.layout import Layout
from socrates_core.analysis.power import assurance, design_errors, power
from socrates_core.records import Floats

EFFECT = 0.5
LEVEL = 0.05
Draw = Callable[[np.random.Generator, int], Floats]  # p values of that many simulated experiments


def simulate(n_simulations: int, generator: np.random.Generator) -> Iterator[Result]:
    """Power of every design covered, then assurance over a belief and type S and M of small samples."""
    designs: list[tuple[str, int, Layout, Draw]] = [
        ("two groups of 20", 20, Layout(), _two_groups(20, 20)),
        ("20 and 60 people", 20, Layout(ratio=3), _two_groups(20, 60)),
        ("paired, correlation .6, 20 people", 20, Layout(correlation=0.6), _paired),
        ("8 clusters of 15, ICC .1", 120, Layout(cluster_size=15, icc=0.1), _clusters(8)),
        ("4 clusters of 15, ICC .1", 60, Layout(cluster_size=15, icc=0.1), _clusters(4)),
        ("covariate, R2 .5, 30 a group", 30, Layout(r2=0.5), _covariate),
        ("three arms of 60, Holm (at least)", 60, Layout(n_comparisons=3), _holm),
    ]
    for name, n, layout, draw in designs:
        hits = np.mean(draw(generator, n_simulations) < LEVEL)
        promised = float(power(n, mean=EFFECT, layout=layout))
        yield Result(f"power: {name}", promised, float(hits), n_simulations)
    for base, reached in ((0.3, 0.45), (0.05, 0.12)):
        layout = Layout(base_share=base)
        promised = float(power(150, mean=float(layout.distance(reached - base)), layout=layout))
        hits = np.mean(_shares(base, reached, generator, n_simulations) < LEVEL)
        yield Result(
            f"power: shares {base} and {reached}, 150 a group (arcsine; tested by z)",
            promised,
            float(hits),
            n_simulations,
        )
    for freedom in (4.0, math.inf):
        n_beliefs = 20 * n_simulations  # two numbers say all of an experiment, so many cost little
        drawn = generator.normal(size=n_beliefs)
        if math.isfinite(freedom):
            drawn = generator.standard_t(freedom, size=n_beliefs)
        t = _statistics(0.3 + 0.2 * drawn, 60, generator)[1]
        promised = float(assurance(60, mean=0.3, sd=0.2, freedom=freedom))
        hits = np.mean(t > stats.t.ppf(1 - LEVEL / 2, 118))
        yield Result(
            f"assurance: .3 give or take .2, t with {freedom:g} degrees of freedom",
            promised,
            float(hits),
            n_beliefs,
        )
    for n in (8, 20):
        # Errors are among the significant results alone, which are few: twenty times as many experiments.
        estimate, t = _statistics(np.full(20 * n_simulations, EFFECT), n, generator)
        significant = estimate[np.abs(t) > stats.t.ppf(1 - LEVEL / 2, 2 * n - 2)]
        errors = design_errors(n, mean=EFFECT)
        yield Result(f"type S: {n} a group", errors.sign, float(np.mean(significant < 0)), significant.size)
        ratio = np.abs(significant) / EFFECT
        error = float(ratio.std() / math.sqrt(ratio.size))
        yield Result(f"type M: {n} a group", errors.size, float(ratio.mean()), significant.size, error)


def _statistics(true: Floats, n: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Estimates and t statistics of experiments with two groups of `n`: a mean and a variance say all of a sample."""
    estimate = true + math.sqrt(2 / n) * generator.normal(size=true.size)
    variance = generator.chisquare(2 * n - 2, size=true.size) / (2 * n - 2)
    return estimate, estimate / np.sqrt(variance * 2 / n)


def _two_groups(n: int, n_reference: int) -> Draw:
    def draw(generator: np.random.Generator, runs: int) -> Floats:
        answers = generator.normal(EFFECT, 1, size=(runs, n))
        return np.asarray(stats.ttest_ind(answers, generator.normal(size=(runs, n_reference)), axis=1).pvalue)

    return draw


def _paired(generator: np.random.Generator, runs: int) -> Floats:
    person = math.sqrt(0.6) * generator.normal(size=(runs, 20))
    answers = [person + math.sqrt(0.4) * generator.normal(size=(runs, 20)) for _ in range(2)]
    return np.asarray(stats.ttest_rel(answers[0] + EFFECT, answers[1], axis=1).pvalue)


def _clusters(k: int) -> Draw:
    def draw(generator: np.random.Generator, runs: int) -> Floats:
        cluster = math.sqrt(0.1) * generator.normal(size=(2, runs, k, 1))
        means = (cluster + math.sqrt(0.9) * generator.normal(size=(2, runs, k, 15))).mean(axis=3)
        return np.asarray(stats.ttest_ind(means[0] + EFFECT, means[1], axis=1).pvalue)

    return draw


def _covariate(generator: np.random.Generator, runs: int) -> Floats:
    n = 30
    group = np.repeat([0.0, 1.0], n)
    p = np.empty(runs)
    for run in range(runs):
        covariate = generator.normal(size=2 * n)
        answers = EFFECT * group + math.sqrt(0.5) * (covariate + generator.normal(size=2 * n))
        rows = np.column_stack([np.ones(2 * n), group, covariate])
        inverse = np.linalg.inv(rows.T @ rows)
        fitted = inverse @ rows.T @ answers
        variance = np.sum((answers - rows @ fitted) ** 2) / (2 * n - 3)
        p[run] = 2 * stats.t.sf(abs(fitted[1]) / math.sqrt(variance * inverse[1, 1]), 2 * n - 3)
    return p


def _holm(generator: np.random.Generator, runs: int) -> Floats:
    """Holm's p values of the first of three conditions, which share a reference."""
    reference = generator.normal(size=(runs, 60))
    p = np.stack(
        [stats.ttest_ind(generator.normal(EFFECT, 1, (runs, 60)), reference, axis=1).pvalue for _ in range(3)]
    )
    order = np.argsort(p, axis=0)
    stepped = np.maximum.accumulate(np.take_along_axis(p, order, axis=0) * np.array([[3], [2], [1]]), axis=0)
    corrected = np.empty_like(p)
    np.put_along_axis(corrected, order, stepped, axis=0)
    return np.asarray(corrected[0])


def _shares(base: float, reached: float, generator: np.random.Generator, runs: int) -> Floats:
    """p values of the z test of two shares with the pooled standard error."""
    counts = generator.binomial(150, [base, reached], size=(runs, 2)) / 150
    pooled = counts.mean(axis=1)
    z = (counts[:, 1] - counts[:, 0]) / np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * 2 / 150)
    return np.asarray(2 * stats.norm.sf(np.abs(z)))
