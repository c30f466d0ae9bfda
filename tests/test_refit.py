"""The scripts of a report fit a calibration again: they agree with the product on effects with errors of every kind."""

import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import refit
from socrates_core.analysis.agreement import EffectPairs
from socrates_core.analysis.calibration import Calibration, calibrate
from socrates_core.analysis.held_out import HeldOut, leave_one_study_out
from socrates_core.records import Floats
from socrates_core.reporting.run_data import pair_tables
from socrates_core.reporting.tables import write_tables
from tests.support.processes import ROOT
from tests.support.reports import RSCRIPT
from tests.support.waiting import PATIENCE

SCRIPTS = ROOT / "socrates_core" / "reporting" / "scripts"


def simulated(*, noise: float, slope_sd: float, n_studies: int = 7) -> EffectPairs:
    """Effects with correlated errors on both sides; `noise` scales those of predicted ones. One effect has no error."""
    generator = np.random.default_rng(3)
    rows, errors = [], dict[str, Floats]()
    for s in range(n_studies):
        e = int(generator.integers(2, 5))
        of_outcome = generator.integers(0, 2, e)
        factor = generator.normal(size=(2 * e, 2 * e + 3)) / np.sqrt(2 * e)
        factor[e:] *= noise
        covariance = 0.03**2 * factor @ factor.T
        miss = 0.03 * factor @ generator.normal(size=2 * e + 3)
        true = generator.normal(0, 0.08, e)
        human = (0.6 + generator.normal(0, slope_sd)) * true + generator.normal(0, 0.03, e) + miss[:e]
        se = np.sqrt(np.diagonal(covariance)[:e])
        if s == 2:
            se[0] = covariance[0] = covariance[:, 0] = np.nan
        name = f"made/s{s}"
        errors[name] = covariance
        rows.append(
            pd.DataFrame(
                {
                    "study": name,
                    "item": of_outcome.astype(str),
                    "human": human,
                    "se": se,
                    "predicted": true + miss[e:],
                }
            )
        )
    table = pd.concat(rows, ignore_index=True)
    human, se, predicted = (table[name].to_numpy(dtype=float) for name in ("human", "se", "predicted"))
    study, item = (table[name].to_numpy(dtype=str) for name in ("study", "item"))
    return EffectPairs(study, human, se, predicted, item, errors)


CASES = pytest.mark.parametrize(
    ("noise", "slope_sd"), [(0.0, 0.6), (1.0, 0.0), (1.0, 0.6)], ids=["exact", "noisy", "both"]
)


def expected(pairs: EffectPairs) -> dict[str, float]:
    """The numbers of a report's calibration, as the product fits them."""
    fitted, left_out = calibrate(pairs), leave_one_study_out(pairs)
    assert isinstance(fitted, Calibration) and isinstance(left_out, HeldOut)
    names = ("slope", "slope_se", "slope_sd", "arm_sd", "n_studies", "n_effects")
    rows = {row.method: row for row in left_out.rows}
    numbers = {name: float(getattr(fitted, name)) for name in names} | {
        "rmse": rows["calibrated"].rmse,
        "rmse_raw": rows["raw"].rmse,
        "rmse_zero": rows["zero"].rmse,
        "coverage_90": float(rows["calibrated"].coverage[-1]),
    }
    return {f"calibration_{name}": number for name, number in numbers.items()}


@CASES
def test_python_fits_again_what_the_product_fitted(tmp_path: Path, noise: float, slope_sd: float) -> None:
    pairs = simulated(noise=noise, slope_sd=slope_sd)
    write_tables(tmp_path / "data", pair_tables(pairs))
    assert refit.refit(tmp_path) == pytest.approx(expected(pairs), abs=1e-6)


@pytest.mark.r
@pytest.mark.skipif(RSCRIPT is None, reason="R is not on this machine")
@CASES
def test_r_fits_again_what_the_product_fitted(tmp_path: Path, noise: float, slope_sd: float) -> None:
    pairs = simulated(noise=noise, slope_sd=slope_sd)
    write_tables(tmp_path / "data", pair_tables(pairs))
    program = f"""
        folder <- {str(tmp_path)!r}
        source({str(SCRIPTS / "shared.R")!r}); source({str(SCRIPTS / "refit.R")!r})
        put_refit(); fitted <- computed()
        cat(sprintf("%s %.17g\\n", fitted$key, fitted$number), sep = "")
    """
    done = subprocess.run(
        [str(RSCRIPT), "-e", program], capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    found = {key: float(number) for key, number in (line.split() for line in done.stdout.splitlines())}
    assert found == pytest.approx(expected(pairs), abs=1e-6)


def test_the_slopes_of_the_likelihood_are_those_of_small_steps() -> None:
    generator = np.random.default_rng(1)
    x, y = generator.normal(size=(2, 12))
    effects = refit.Effects(np.array([0, 4, 7]), y, generator.uniform(0.1, 1, 12), x)
    at, step = np.array([0.3, 0.7]), 1e-6
    slopes = [
        (effects.deviance(at + way)[0] - effects.deviance(at - way)[0]) / (2 * step)
        for way in step * np.eye(2)
    ]
    assert effects.deviance(at)[1] == pytest.approx(slopes, abs=1e-7)
