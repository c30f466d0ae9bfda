"""Verdicts: what the measurements of studies say about a model, in which words, and which records count."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from socrates_core.analysis.verdict import (
    EffectErrors,
    SharesOfStudies,
    find,
    judge,
    kind_of,
)
from socrates_core.calibrations import VERSION, calibration_path
from socrates_core.corpus.store import open_corpus
from socrates_core.evaluations.share_scores import share_scores
from socrates_core.files import digest, write_json
from socrates_core.models.model_folder import open_folder, revision
from socrates_core.verdicts.published import published_scores, published_words
from socrates_core.verdicts.verdict import (
    find_in,
    sentence,
    starter_record,
    verdict_for,
    verdict_of,
)
from tests.support.jobs import evaluate_now


@pytest.mark.parametrize("n_judged", [1, 2])
def test_the_interval_is_students_and_holds_for_all_that_is_judged(n_judged: int) -> None:
    differences = np.array([-0.1, 0.02, -0.05, -0.2, np.nan, 0.01, -0.08])
    judged = judge(differences, n_judged=n_judged)
    interval = stats.ttest_1samp(differences, 0, nan_policy="omit").confidence_interval(1 - 0.05 / n_judged)
    assert (judged.difference.low, judged.difference.high) == pytest.approx(tuple(interval), abs=1e-12)
    assert (judged.n_better, judged.n_studies) == (4, 6)


def shares(differences: list[float]) -> SharesOfStudies:
    """A study for each difference of the model from a uniform guess, with one cell of a rating scale."""
    n = len(differences)
    return SharesOfStudies(
        np.array([f"s{at}" for at in range(n)]),
        np.array(["scale"] * n),
        np.ones(n, dtype=np.int64),
        0.1 + np.array(differences),
        np.full(n, 0.1),
    )


CLEARLY_BETTER = [-0.05, -0.04, -0.06, -0.05, -0.03, -0.05, 0.001]
CLEARLY_WORSE = [-difference for difference in CLEARLY_BETTER]
UNCLEAR = [-0.05, 0.05, -0.04, 0.04, -0.01, 0.01, 0.0]


def effects(differences: list[float], slope: float) -> EffectErrors:
    return EffectErrors(0.1 + np.array(differences), np.full(len(differences), 0.1), slope)


@pytest.mark.parametrize(
    ("of_shares", "of_effects", "level", "words"),
    [
        (
            CLEARLY_BETTER[:5],
            None,
            "not measured",
            "Not measured enough: 5 unseen studies; a verdict needs 6.",
        ),
        (CLEARLY_WORSE, None, "worse", "Worse than guessing on 6 of 7 studies. Do not use these numbers."),
        (
            UNCLEAR,
            None,
            "guessing",
            "Cannot be told from guessing: closer to people than a uniform guess on 3 of 7",
        ),
        (
            CLEARLY_BETTER,
            None,
            "shares",
            "better than guessing on 6 of 7 unseen studies, but whether it tells",
        ),
        (
            CLEARLY_BETTER,
            effects(UNCLEAR, 0.9),
            "shares",
            "no better than expecting no effect (3 of 7 studies)",
        ),
        (UNCLEAR, effects(CLEARLY_BETTER, 0.4), "conditions", "but its effects are 2.5 times too large."),
        (
            UNCLEAR,
            effects(CLEARLY_BETTER, 2.0),
            "conditions",
            "but its effects are only 50% as large as people's.",
        ),
        (UNCLEAR, effects(CLEARLY_BETTER, -0.4), "conditions", "in the wrong direction on average"),
        (
            CLEARLY_BETTER,
            effects(CLEARLY_BETTER, 0.8),
            "sizes",
            "Tells conditions apart and gets sizes right on 6 of 7 unseen studies.",
        ),
        (
            CLEARLY_WORSE,
            effects(CLEARLY_BETTER, 0.8),
            "worse",
            "Do not use its shares; its calibrated effects",
        ),
    ],
)
def test_every_rung_has_its_sentence(
    of_shares: list[float], of_effects: EffectErrors | None, level: str, words: str
) -> None:
    finding = find(shares(of_shares), of_effects)
    assert finding.level == level
    assert words in sentence(finding)


def test_kinds_of_question_count_where_six_studies_have_them() -> None:
    table = shares(CLEARLY_BETTER)
    assert [kind for kind, _ in find(table, None).kinds] == ["scale"]
    mixed = replace(table, kind=np.array(["scale"] * 5 + ["yes or no"] * 2))
    assert find(mixed, None).kinds == ()
    assert [kind_of(2, is_ordered=False), kind_of(7, is_ordered=True)] == ["yes or no", "scale"]
    assert [kind_of(101, is_ordered=True), kind_of(4, is_ordered=False)] == ["long scale", "unordered"]


def test_the_starters_record_ships_and_is_tied_to_its_digest(starter_home: Path) -> None:
    shipped = starter_record()
    assert shipped is not None
    assert shipped["card"]["revision"] == revision(open_folder("starter"))
    verdict = verdict_of("starter")
    assert verdict.source == "shipped" and verdict.level == "worse"
    assert verdict.sentence == "Worse than guessing on 12 of 13 studies. Do not use these numbers."
    assert (
        verdict_for({**shipped["card"], "precision": "nf4"}).detail.count("Measured in bf16, not in nf4.")
        == 1
    )
    other = verdict_for({**shipped["card"], "revision": "another"})
    assert other.level == "not measured" and "socrates evaluate --model starter" in other.remedy


def test_the_shipped_record_holds_no_answer_of_a_person() -> None:
    shipped = starter_record()
    assert shipped is not None
    assert set(shipped["shares"]) == {
        *("study", "kind", "n_cells", "n_asked", "model", "uniform", "w_model", "w_uniform")
    }
    assert all(name.startswith("starter/") for name in shipped["shares"]["study"])


def test_studies_that_are_left_out_do_not_count() -> None:
    shipped = starter_record()
    assert shipped is not None
    studies = sorted(set(shipped["shares"]["study"]))
    assert find_in(shipped).shares.n_studies == len(studies) == 13
    assert find_in(shipped, studies[:3]).shares.n_studies == 10
    left = verdict_for(shipped["card"], excluding=studies[:8])
    assert left.level == "not measured" and "5 unseen studies; a verdict needs 6" in left.sentence


def test_published_models_say_who_measured_and_others_say_how_to_measure(home: Path) -> None:
    verdict = verdict_of("socratesft/socrates-qwen2.5-14b-sft")
    assert verdict.source == "published" and verdict.level == "not measured"
    assert verdict.sentence.startswith(
        "Published by its authors, not measured here: distance to people 0.151"
    )
    assert "arXiv 2509.05830" in verdict.detail and "--studies all" in verdict.remedy
    assert {row.model for row in published_scores() if row.model.startswith("socratesft/")} == {
        f"socratesft/socrates-{base}-{kind}"
        for base in ("llama3-8b", "qwen2.5-14b")
        for kind in ("sft", "dpo")
    }
    assert published_words("api:gpt-4o") is not None and published_words("echo") is None


def test_a_stand_in_says_that_it_is_none(home: Path) -> None:
    for verdict in (verdict_of("uniform"), verdict_for({"name": "uniform", "precision": "none"})):
        assert verdict.sentence.startswith("This is a stand-in") and not verdict.remedy


def written(record: dict[str, Any], **changes: Any) -> Path:
    """The record kept in this home, as an evaluation of another model."""
    changed = {**record, "version": VERSION, **changes}
    path = calibration_path(changed["fingerprint"])
    write_json(path, {**changed, "digest": digest(changed)})
    return path


def test_a_record_of_this_home_counts_until_it_is_edited(home: Path) -> None:
    shipped = starter_record()
    assert shipped is not None
    card = {**shipped["card"], "name": "mine", "model": "mine"}
    path = written(shipped, card=card, fingerprint="f" * 64)
    assert verdict_for(card).source == "here" and verdict_of("mine").level == "worse"
    stored = json.loads(path.read_text())
    stored["shares"]["model"] = [0.0] * len(stored["shares"]["model"])
    path.write_text(json.dumps(stored))
    assert verdict_for(card).level == "not measured"


def test_scores_by_study_equal_those_of_scipy_on_the_rows(starter_home: Path, no_worker: None) -> None:
    evaluation = evaluate_now("echo", studies=["talor", "healthcare"], cap=6)
    scores = share_scores(open_corpus("starter"), evaluation.rows)
    of_talor = [cell for cell in evaluation.cells if cell.study_id == "talor"]
    distances = []
    for cell in of_talor:
        given = cell.values[cell.counts > 0]  # an answer between two values counts for both
        clipped = np.clip(cell.values, given.min(), given.max())
        distance = stats.wasserstein_distance(cell.values, clipped, cell.counts, cell.predicted)
        distances.append(distance / np.ptp(given))
    row = scores[scores["study"] == "starter/talor"].iloc[0]
    assert row["n_cells"] == len(of_talor) and row["kind"] == "scale"
    assert row["w_model"] == pytest.approx(np.mean(distances), abs=1e-12)
    assert row["n_asked"] == 6
    unordered = scores[scores["study"] == "starter/healthcare"]
    assert unordered["kind"].tolist() == ["unordered"] and unordered["w_model"].isna().all()
    assert np.isfinite(unordered["model"]).all()
