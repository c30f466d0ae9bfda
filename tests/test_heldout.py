"""How the benchmark of held-out studies scores: on the starter corpus, against numbers worked out another way."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wasserstein_distance

from benchmarks.heldout import (
    LEAST,
    OUTCOME,
    Asked,
    answers_of,
    baselines,
    choose,
    counted,
    paired,
    scored,
    table,
)
from socrates_core.corpus import open_corpus

STUDIES = ["framing", "kakadu", "talor"]
pytestmark = pytest.mark.usefixtures("starter_home")


@pytest.fixture
def asked(starter_home: object) -> Iterator[Asked]:
    yield choose(open_corpus("starter"), STUDIES, 0)


def perfect(asked: Asked) -> list[np.ndarray]:
    """Everybody's answers to the outcome of each row that is asked."""
    told = {key: own["value"] for key, own in asked.everybody.groupby(OUTCOME, sort=False)}
    keys = asked.rows[OUTCOME].itertuples(index=False, name=None)
    shares = [counted(told[key], key[-1]) for key in keys]
    return [each / each.sum() for each in shares]


def test_who_knows_every_outcome_has_no_distance_to_it(asked: Asked) -> None:
    found = scored(asked, 0, "knows", perfect(asked), np.ones(len(asked.rows)))
    assert found["w_stated"].abs().max() < 1e-12 and found["w_observed"].abs().max() < 1e-12
    assert (found["cell_w_stated"] > 0).all() and (found["valid_mass"] == 1).all()
    blind = next(
        each for each in baselines(asked, asked.everybody, 0) if each["model"].iloc[0] == "condition-blind"
    )
    assert found["cell_w_stated"].tolist() == pytest.approx(blind["cell_w_stated"].tolist())


def test_the_uniform_rows_distance_is_that_of_scipy(asked: Asked) -> None:
    uniform = baselines(asked, asked.everybody, 0)[0].set_index("study_id")
    own = asked.everybody[asked.everybody["study_id"] == "kakadu"]
    scale = own["scale"].iloc[0]
    values = np.array(scale.values, dtype=float)
    expected = wasserstein_distance(own["value"], values) / np.ptp(values)
    assert uniform.loc["kakadu", "w_stated"] == pytest.approx(expected)


def test_a_mean_shape_of_even_answers_is_uniform(asked: Asked) -> None:
    even = pd.concat(
        [
            pd.DataFrame(
                {
                    "study_id": "even",
                    "task_num": place,
                    "part": "",
                    "scale": [scale] * (LEAST * len(scale.values)),
                    "value": [float(value) for value in scale.values] * LEAST,
                }
            )
            for place, scale in enumerate(dict.fromkeys(asked.rows["scale"]))
        ]
    )
    uniform, typical, *_ = baselines(asked, even, 0)
    assert typical["w_stated"].tolist() == pytest.approx(uniform["w_stated"].tolist(), abs=1e-9)


def test_fewer_people_are_the_first_of_more_and_come_from_several_conditions(asked: Asked) -> None:
    few = choose(open_corpus("starter"), STUDIES, 0, most=1).rows
    keys = ["study_id", "sample_id"]
    assert len(few) == few.groupby(OUTCOME, sort=False).ngroups < len(asked.rows)
    assert len(few.merge(asked.rows, on=keys)) == len(few)
    conditions = asked.rows.groupby(OUTCOME, sort=False)["condition_num"].nunique()
    assert (conditions >= 2).all()


def test_small_outcomes_are_left_out() -> None:
    corpus = open_corpus("starter")
    everybody = answers_of(corpus, STUDIES)
    assert everybody.groupby(OUTCOME, sort=False)["value"].size().min() >= LEAST
    assert all(len(each.values) > 1 for each in everybody["scale"])


def test_differences_are_paired_by_study_and_few_studies_earn_no_interval(asked: Asked) -> None:
    flat = baselines(asked, asked.everybody, 0)[0]
    better = flat.assign(model="better", w_stated=0.75 * flat["w_stated"])
    both = pd.concat([flat, better])
    wide = {"w_stated": both.pivot_table(index="study_id", columns="model", values="w_stated")}
    told = paired(wide, "better", "uniform")
    mean = flat["w_stated"].mean()
    assert told["w_stated"] == {
        "difference": [pytest.approx(-mean / 4, abs=1e-4), None, None],
        "n_studies": 3,
    }
    assert told["w_stated_smaller_by"] == [0.25, None, None]
    assert table(both).loc["better", "n_studies"] == 3
