"""The field's ladder of measures: against scipy, statsmodels, the benchmark's definitions in base R, and simulation."""

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from socrates_core.analysis.ladder import distribution_fit, floors, ladder

RSCRIPT = shutil.which("Rscript")
FIXTURE = json.loads((Path(__file__).parent / "fixtures" / "ladder.json").read_text())


def made_up(seed: int = 3, n_outcomes: int = 4, n_conditions: int = 6) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    outcome = np.repeat([f"o{number}" for number in range(n_outcomes)], n_conditions)
    level = np.repeat(rng.normal(0, 0.05, n_outcomes), n_conditions)
    true = level + rng.normal(0, 0.04, outcome.size)
    se = rng.uniform(0.01, 0.03, outcome.size)
    return {
        "outcome": outcome,
        "human": true + se * rng.normal(size=outcome.size),
        "human_se": se,
        "predicted": 0.5 * true + rng.normal(0, 0.03, outcome.size),
    }


def test_every_rung_is_that_of_scipy_and_statsmodels() -> None:
    table = made_up()
    rungs = ladder("a model", **table)
    h, m, se = table["human"], table["predicted"], table["human_se"]
    assert rungs.spearman == pytest.approx(stats.spearmanr(h, m).statistic, abs=1e-12)
    assert rungs.pearson == pytest.approx(stats.pearsonr(h, m).statistic, abs=1e-12)
    line = sm.OLS(h, sm.add_constant(m)).fit()
    assert [rungs.intercept, rungs.slope] == pytest.approx(line.params.tolist(), abs=1e-12)
    dummies = (table["outcome"][:, None] == np.unique(table["outcome"])).astype(float)
    inside = [sm.OLS(side, dummies).fit().resid for side in (h, m)]
    assert rungs.r_within == pytest.approx(stats.pearsonr(*inside).statistic, abs=1e-12)
    assert rungs.rmse == pytest.approx(math.sqrt(np.mean((h - m) ** 2)))
    assert rungs.rmse_adjusted == pytest.approx(math.sqrt(np.mean((h - m) ** 2) - np.mean(se**2)))
    assert rungs.direction == np.mean(np.sign(h) == np.sign(m))


@pytest.mark.parametrize("made_up_table", FIXTURE["tables"], ids=lambda table: table["name"])
def test_every_rung_is_that_of_the_benchmarks_r_functions(made_up_table: dict[str, Any]) -> None:
    """The expected values came from the benchmark's functions, run in R; the fixture says how."""
    columns = {
        name: np.array(made_up_table[name], dtype=float) for name in ("human", "human_se", "predicted")
    }
    people, model = (np.array(made_up_table[name], dtype=float) for name in ("people", "model"))
    rungs = vars(ladder("m", outcome=np.array(made_up_table["outcome"]), **columns))
    fit = vars(distribution_fit(np.arange(11.0), model / model.sum(), people))
    # R's variance of drawn answers divides by n - 1; a distribution has no n.
    fit["variance_ratio"] *= model.sum() / (model.sum() - 1)
    theirs = made_up_table["by_r"]
    assert {name: (rungs | fit)[name] for name in theirs} == pytest.approx(theirs, abs=1e-9)


def test_the_adjusted_correlation_is_that_with_the_true_effects() -> None:
    """Simulated: people's noise lowers r, and the adjusted one is what the noiseless effects have."""
    rng = np.random.default_rng(4)
    n = 200_000
    true = rng.normal(0, 0.05, n)
    predicted = true + rng.normal(0, 0.05, n)
    se = np.full(n, 0.04)
    rungs = ladder("m", true + se * rng.normal(size=n), se, predicted, np.array(["o"] * n))
    assert rungs.r_adjusted == pytest.approx(np.corrcoef(true, predicted)[0, 1], abs=0.01)
    assert rungs.rmse_adjusted == pytest.approx(0.05, abs=0.001)
    assert rungs.pearson < rungs.r_adjusted - 0.1


def test_a_second_human_sample_scores_what_a_drawn_one_does() -> None:
    rng = np.random.default_rng(5)
    outcome = np.repeat([f"o{number}" for number in range(20)], 5)
    drawn = []
    expected = []
    for _ in range(300):
        true = rng.normal(0, 0.05, outcome.size)
        se = rng.uniform(0.02, 0.06, outcome.size)
        first, second = (true + se * rng.normal(size=outcome.size) for _ in range(2))
        drawn.append(ladder("drawn", first, se, second, outcome))
        expected.append(floors(first, se, outcome)[2])
    for rung in ("direction", "pearson", "r_within", "rmse", "rmse_adjusted", "slope"):
        ours = np.mean([getattr(row, rung) for row in expected])
        theirs = np.mean([getattr(row, rung) for row in drawn])
        assert ours == pytest.approx(theirs, rel=0.03), rung


def test_floors_know_nothing() -> None:
    table = made_up()
    none, positive, _ = floors(table["human"], table["human_se"], table["outcome"])
    assert none.direction == 0.5 and math.isnan(none.pearson) and math.isnan(none.slope)
    assert none.rmse == pytest.approx(math.sqrt(np.mean(table["human"] ** 2)))
    assert positive.direction == np.mean(table["human"] > 0) and math.isnan(positive.r_within)


def test_too_few_effects_have_no_ladder() -> None:
    table = {name: column[:2] for name, column in made_up().items()}
    assert math.isnan(ladder("m", **table).rmse) and ladder("m", **table).n_effects == 2


def test_shapes_of_distributions_are_those_of_drawn_answers() -> None:
    values = np.arange(1.0, 6)
    people, model = np.array([5, 10, 30, 40, 15]), np.array([20, 20, 20, 20, 20])
    ours = distribution_fit(values, model / model.sum(), people.astype(float))
    x, y = np.repeat(values, people), np.repeat(values, model)
    assert ours.ks == pytest.approx(stats.ks_2samp(x, y).statistic, abs=1e-12)
    assert ours.variance_ratio == pytest.approx(y.var() / x.var(ddof=1), abs=1e-12)
    assert ours.overlap == pytest.approx(1 - np.abs(people / 100 - model / 100).sum() / 2, abs=1e-12)


# The definitions of the benchmark's compare_estimates, run_calibration and compare_distributions, in base R.
IN_R = """
d <- read.csv(file.path(commandArgs(TRUE)[1], "effects.csv"))
people <- scan(file.path(commandArgs(TRUE)[1], "people.txt"), quiet = TRUE)
model <- scan(file.path(commandArgs(TRUE)[1], "model.txt"), quiet = TRUE)
line <- lm(human ~ predicted, data = d)
out <- c(
  spearman = cor(d$human, d$predicted, method = "spearman"), pearson = cor(d$human, d$predicted),
  rmse = sqrt(mean((d$human - d$predicted)^2)), direction = mean(sign(d$human) == sign(d$predicted)),
  intercept = unname(coef(line)[1]), slope = unname(coef(line)[2]),
  ks = unname(suppressWarnings(ks.test(people, model)$statistic)),
  variance_ratio = var(model) / var(people)
)
cat(sprintf('{%s}', paste(sprintf('"%s": %.17g', names(out), out), collapse = ", ")))
"""


@pytest.mark.r
@pytest.mark.skipif(RSCRIPT is None, reason="R is not on this machine")
def test_the_benchmarks_functions_give_the_same_in_r(tmp_path: Path) -> None:
    table = made_up(8)
    rows = zip(table["human"].tolist(), table["predicted"].tolist(), strict=True)
    (tmp_path / "effects.csv").write_text("human,predicted\n" + "".join(f"{h!r},{m!r}\n" for h, m in rows))
    values = np.arange(0.0, 11)
    people, model = np.arange(3, 14), np.array([9, 1, 4, 4, 8, 20, 3, 2, 2, 5, 6])
    (tmp_path / "people.txt").write_text(" ".join(map(str, np.repeat(values, people))))
    (tmp_path / "model.txt").write_text(" ".join(map(str, np.repeat(values, model))))
    (tmp_path / "ladder.R").write_text(IN_R)
    assert RSCRIPT is not None
    done = subprocess.run(
        [RSCRIPT, str(tmp_path / "ladder.R"), str(tmp_path)], capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout)
    rungs = ladder("m", **table)
    fit = distribution_fit(values, model / model.sum(), people.astype(float))
    n = model.sum()  # R's variance of drawn answers divides by n - 1; a distribution has no n
    ours = {
        **{
            name: getattr(rungs, name)
            for name in ("spearman", "pearson", "rmse", "direction", "intercept", "slope")
        },
        "ks": fit.ks,
        "variance_ratio": fit.variance_ratio * n / (n - 1),
    }
    assert ours == pytest.approx(theirs, abs=1e-9)
