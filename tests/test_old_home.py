"""A home that version 0.1 wrote still opens with the same contents: in the library, the commands and the pages."""

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from streamlit.testing.v1 import AppTest

from socrates_core.calibrations import ModelCalibration, calibration_for
from socrates_core.corpus.splits import load_split
from socrates_core.evaluations.calibration_fit import keep_calibration
from socrates_core.evaluations.results import load_evaluation
from socrates_core.finetuning.overview import load_finetune
from socrates_core.jobs import store as jobs
from socrates_core.keeping.verify import verify
from socrates_core.models.seen import seen_of
from socrates_core.populations.margins import margin_files, read_margins
from socrates_core.projects import drafts
from socrates_core.projects.run_results import load_run
from tests.support.commands import as_json, command
from tests.support.pages import fine, open_page, table_of
from tests.support.socsci210_rows import SEVEN

pytestmark = pytest.mark.usefixtures("no_worker")

OLD_HOME = Path(__file__).parent / "fixtures" / "home_0_1" / "home.zip"

DRAFT = "20261130-205701-a-small-town-s-library-with-and-761b"
RUN = "20261130-205701-a-library-with-stories-444c"
ECHO_RUN = "20261130-205741-a-library-with-stories-9526"
EXPERIMENT = "20261130-210044-a-library-with-stories-066a"
EXPERIMENT_RUNS = [
    f"20261130-210044-{end}" for end in ("001-a-library-with-stories-0eb2", "002-a-library-with-stories-9a0c")
]
TRAINING = "20261130-205751-tuned-4b00"
OF_TINY, OF_TUNED, OF_UNIFORM = EVALUATIONS = [
    "20261130-205753-held-tiny-e5d7",
    "20261130-205753-held-tuned-7921",
    "20261130-205915-held-uniform-f4a7",
]
CANCELLED = "20261130-210059-aaaaa-echo-87af"
BINNED = {
    "draft": "20261130-205701-an-idea-that-was-dropped-8c5b",
    "run": "20261130-205731-a-library-with-stories-f3d5",
    "finetune": "20261130-205956-second-409e",
    "adapter": "second",
}
LETTERS = [letter * 5 for letter in "abcdefgh"]

# What runs predicted, by condition and outcome: mean, valid mass, and W to people on the stated scale.
NUMBERS = {
    RUN: {
        ("Plain notice", "Visits"): (5.4579043, 0.0154419, 0.4374285),
        ("Plain notice", "Fee"): (0.2572669, 0.0026266, 0.0760664),
        ("Story", "Visits"): (4.9964258, 0.0140331, 0.0588276),
        ("Story", "Fee"): (0.3446378, 0.0025498, 0.3220289),
        ("Longer story", "Visits"): (4.9927649, 0.0201744, None),
        ("Longer story", "Fee"): (0.4087042, 0.0031119, None),
    },
    ECHO_RUN: {
        ("Plain notice", "Visits"): (3.9057370, 0.7581989, 0.1787339),
        ("Plain notice", "Fee"): (0.5583662, 0.7384864, 0.2250329),
        ("Story", "Visits"): (4.0236053, 0.6772781, 0.1627325),
        ("Story", "Fee"): (0.5985135, 0.7704611, 0.0681530),
        ("Longer story", "Visits"): (4.1530337, 0.7060815, None),
        ("Longer story", "Fee"): (0.4843167, 0.7540730, None),
    },
}
# What version 0.1 answered in fp32 as person 0 of study aaaaa on how often; 0.071, 0.094 ... 0.004 without the adapter.
ADAPTED = [0.087322, 0.117438, 0.037750, 0.004867, 0.165861, 0.581732, 0.005030]


@pytest.fixture(autouse=True)
def old_home(home: Path) -> Path:
    """The old home, unpacked in a place that it has never been in."""
    with zipfile.ZipFile(OLD_HOME) as packed:
        packed.extractall(home)
    return home


def shown(app: AppTest) -> str:
    """All that a page shows as text, without the marks that keep it from being Markdown."""
    return fine(app).replace("\\", "")


def run_jobs() -> None:
    """Runs what is queued, in this process, as the worker does."""
    command("worker", "--idle-seconds", "0")


def has_numbers(run: dict[str, Any], numbers: Mapping[tuple[str, str], Sequence[float | None]]) -> bool:
    found = {
        (cell["condition_name"], cell["outcome_name"]): (cell["mean"], cell["valid_mass"], cell["w_stated"])
        for cell in run["cells"]
    }
    return found.keys() == numbers.keys() and all(
        list(found[cell]) == pytest.approx(list(numbers[cell]), abs=1e-6) for cell in numbers
    )


def test_it_holds_no_path_of_the_machine_that_made_it(old_home: Path) -> None:
    for path in old_home.rglob("*"):
        if path.is_file():
            assert not [
                root
                for root in (b"/root/", b"/tmp/", b"/work/", b"site-packages")
                if root in path.read_bytes()
            ]


def test_studies_are_listed_with_their_answers_and_effects() -> None:
    listed = {study["study_id"]: study for study in as_json("studies")}
    assert list(listed) == [*LETTERS, "library"]
    assert {study["n_participants"] for name, study in listed.items() if name in LETTERS} == {18}
    study = as_json("study", "library")
    assert study["title"] == "A small town's library, with and without a story"
    assert [cell["counts"] for cell in study["cells"]] == [
        {"1": 1, "2": 2, "3": 1, "4": 1, "5": 1},
        {"0": 4, "1": 2},
        {"3": 1, "4": 1, "5": 2, "6": 1, "7": 1},
        {"0": 2, "1": 4},
    ]
    assert [round(effect["difference"], 6) for effect in study["effects"]] == [2.166667, 0.333333]


def test_a_persons_prompt_still_has_the_profile_and_the_text() -> None:
    system, user = as_json(
        "prompt", "--study", "library", "--condition", "1", "--task", "0", "--participant", "7"
    )
    assert system["role"] == "system"
    assert "27" in user["content"] and "Ada, aged nine" in user["content"]


def test_a_scale_set_by_hand_still_counts() -> None:
    (stars,) = (cell for cell in as_json("study", "hhhhh")["cells"] if cell["stimulus_id"] == 2)
    assert (stars["scale"]["kind"], stars["scale"]["low"], stars["scale"]["high"]) == ("range", 1, 5)


def test_a_split_and_a_population_still_open() -> None:
    split = load_split("held")
    assert sorted(split.held_out) == ["aaaaa", "bbbbb", "ccccc", "fffff", "ggggg", "hhhhh"]
    assert as_json("split", "show", "held")["sides"]["n_eval"] == 222
    assert read_margins(margin_files()["town"])["gender"] == {"Female": 0.52, "Male": 0.48}


def test_a_draft_opens_with_its_versions() -> None:
    assert [draft["draft_id"] for draft in drafts.list_drafts()] == [DRAFT]
    draft = drafts.open_draft(DRAFT)
    assert draft.title == "A library with stories" and draft.reference == "Plain notice"
    assert [condition.name for condition in draft.conditions] == ["Plain notice", "Story", "Longer story"]
    assert [outcome.scale.labels for outcome in draft.outcomes] == [
        {1: "Never", 7: "Every Saturday"},
        {0: "No", 1: "Yes"},
    ]
    notes = {version.note: len(version.draft.conditions) for version in drafts.versions(DRAFT)}
    assert notes == {"As the people were asked": 2, "With a longer story": 3}


def test_runs_show_the_numbers_that_were_stored() -> None:
    listed = {run["run_id"]: run for run in as_json("runs")}
    assert set(listed) == {RUN, ECHO_RUN, *EXPERIMENT_RUNS}
    assert {run["state"] for run in listed.values()} == {"complete"}
    assert {run["n_answered"] for run in listed.values()} == {72}
    assert listed[RUN]["draft_id"] == DRAFT
    for run_id, numbers in NUMBERS.items():
        run = as_json("run", run_id)
        assert has_numbers(run, numbers) and not run["outdated"]
        assert run["cells"][0]["human_counts"] == [1, 2, 1, 1, 1, 0, 0]
    effect = as_json("run", RUN)["effects"][0]
    assert (effect["condition"], round(effect["predicted"], 6)) == ("Story", -0.461479)
    assert round(effect["people"], 6) == 2.166667
    assert load_run(RUN).people["valid_mass"].notna().sum() == 72


def test_a_report_of_an_old_run_can_be_written(tmp_path: Path) -> None:
    command("report", RUN, "--output", str(tmp_path / "report"))
    page = "".join(path.read_text() for path in (tmp_path / "report").glob("*.html"))
    assert "A library with stories" in page and "Longer story" in page


def test_an_experiment_still_has_its_specifications() -> None:
    (listed,) = as_json("experiments")
    assert (listed["experiment_id"], listed["n_complete"]) == (EXPERIMENT, 2)
    shown = as_json("experiments", EXPERIMENT)
    assert [each["order"] for each in shown["specifications"]] == ["as written", "reversed"]
    assert shown["run_ids"] == EXPERIMENT_RUNS


def test_a_seal_is_still_proven() -> None:
    (seal,) = as_json("seals")
    assert (seal["run_id"], seal["problem"], seal["answers"]) == (RUN, "", "visible")


def test_evaluations_compare_to_the_same_scores() -> None:
    states = {each["evaluation_id"]: each["state"] for each in as_json("evaluations")}
    assert states == {**dict.fromkeys(EVALUATIONS, "complete"), CANCELLED: "its job is cancelled"}
    compared = as_json("compare", *EVALUATIONS)
    assert (compared["n_rows"], compared["n_left_out_as_seen"], compared["seen_unknown"]) == (222, 0, [])
    models = {row["name"]: row for row in compared["table"] if row["kind"] == "model"}
    w = {name: row["wasserstein_exact_stated"] for name, row in models.items()}
    expected = {"tiny (bf16)": 0.212374, "tuned (bf16)": 0.215427, "uniform (stand-in)": 0.213674}
    assert w == pytest.approx(expected, abs=1e-6)
    assert {effects["n_effects"] for effects in compared["effects"].values()} == {24}


def test_an_outdated_calibration_says_so_and_is_fitted_again_from_its_evaluation() -> None:
    for evaluation_id in (OF_TINY, OF_TUNED):
        fingerprint = load_evaluation(evaluation_id).manifest["fingerprint"]
        outdated = calibration_for(fingerprint)
        assert isinstance(outdated, str) and "an earlier version" in outdated
        keep_calibration(fingerprint)
        refitted = calibration_for(fingerprint)
        if isinstance(refitted, ModelCalibration):
            assert (refitted.calibration.n_studies, refitted.calibration.n_effects) == (6, 24)
            assert refitted.evaluations == (evaluation_id,)
        else:
            # Models with random weights: their effects may be those of who was asked alone.
            assert "noise of asking different people" in refitted


def test_models_are_listed_and_their_cards_read() -> None:
    listed = {model["name"]: model for model in as_json("models")}
    assert listed["tiny"]["seen"] == "Random weights: trained on nothing." and listed["tuned"]["installed"]
    card = as_json("models", "show", "tuned")
    assert card["lineage"] == ["tiny", "tuned"] and not card["problem"]
    assert card["training"]["id"] == TRAINING and card["training"]["spec"]["rank"] == 1
    (training,) = seen_of("tuned").trainings
    assert sorted(training.studies) == ["ddddd", "eeeee"]


def test_a_finetune_is_listed_with_its_history() -> None:
    (listed,) = as_json("trainings")
    assert (listed["training_id"], listed["state"], listed["base"]) == (TRAINING, "done", "tiny")
    shown = as_json("training", TRAINING)
    assert (shown["step"], shown["n_steps"], shown["model"]) == (4, 4, "tuned")
    assert round(shown["best_validation"]["w_stated"], 6) == 0.197880
    steps, validations = load_finetune(TRAINING).history
    assert steps["step"].tolist() == [1, 2, 3, 4] and validations["step"].tolist() == [0, 2, 4]
    assert round(float(steps["loss"].iloc[-1]), 6) == 6.730214


def test_an_adapter_answers_as_it_did(tmp_path: Path) -> None:
    place = ("--study", "aaaaa", "--condition", "0", "--task", "0", "--participant", "0")
    system, user = as_json("prompt", *place)
    line = {"id": 1, "system": system["content"], "prompt": user["content"], "instruction": SEVEN}
    asked, answered = tmp_path / "asked.jsonl", tmp_path / "answered.parquet"
    asked.write_text(json.dumps(line))
    files = ("--input", str(asked), "--output", str(answered))
    command("score", "--model", "tuned", "--precision", "fp32", *files)
    (answer,) = pq.read_table(answered).to_pylist()
    assert answer["probabilities"] == pytest.approx(ADAPTED, abs=1e-4)


def test_known_answers_are_not_worked_out_again() -> None:
    command("run", RUN, "--again")
    run_jobs()
    (run_id,) = {run["run_id"] for run in as_json("runs")} - {RUN, ECHO_RUN, *EXPERIMENT_RUNS}
    run = as_json("run", run_id)
    assert (run["manifest"]["n_cached"], run["manifest"]["n_tokens"]) == (72, 0)
    assert has_numbers(run, NUMBERS[RUN])


def test_jobs_are_listed_and_a_cancelled_one_can_be_resumed() -> None:
    listed = as_json("jobs")
    assert [job["number"] for job in listed] == list(range(1, 12))
    assert [job["state"] for job in listed] == ["done"] * 10 + ["cancelled"]
    job = as_json("job", TRAINING)
    assert (job["kind"], job["done"], job["total"]) == ("train", 4, 4)
    assert "step 4/4 loss 6.7302" in "\n".join(job["log"])
    jobs.resume(CANCELLED)
    run_jobs()
    assert jobs.read_job(CANCELLED).state == "done"
    assert load_evaluation(CANCELLED).manifest["n_answered"] == 12


def test_everything_in_it_is_whole() -> None:
    """All but the evaluation that was cancelled before it had answers, which is whole once it has them."""
    problems = {(verdict.kind, verdict.name): verdict.problem for verdict in verify()}
    assert len(problems) == 30
    assert [name for name, problem in problems.items() if problem] == [("evaluation", CANCELLED)]
    jobs.resume(CANCELLED)
    run_jobs()
    assert all(verdict["whole"] for verdict in as_json("verify"))


def test_what_is_in_the_bin_comes_back() -> None:
    assert {thing["kind"]: thing["name"] for thing in as_json("storage", "--bin")} == BINNED
    assert drafts.deleted_titles() == {BINNED["draft"]: "An idea that was dropped"}
    for kind in ("draft", "run", "finetune"):
        command("restore", kind, BINNED[kind])
    command("models", "restore", "second")
    assert as_json("storage", "--bin") == []
    assert drafts.open_draft(BINNED["draft"]).title == "An idea that was dropped"
    assert load_run(BINNED["run"]).spec.model.name == "uniform"
    assert as_json("training", BINNED["finetune"])["method"] == "distribution"
    assert as_json("models", "show", "second")["lineage"] == ["tiny", "second"]


def test_pages_of_studies_and_drafts_show_it() -> None:
    assert len(open_page("pages/library/library.py").dataframe[0].value) == 9
    page = shown(open_page("pages/library/study.py", corpus="library", study="library"))
    assert "A small town's library, with and without a story" in page
    assert "unseen by A tiny random model, tuned (SFT of tiny)" in page
    app = open_page("pages/project/draft.py", draft=DRAFT)
    shown(app)
    assert "Longer story" in [box.value for box in app.text_input]


def test_the_page_of_results_shows_it() -> None:
    app = open_page("pages/project/results.py", run=RUN, results_view="People")
    assert "unseen by tiny" in shown(app) and "Sealed 2026-11-30T21:00:53+00:00" in shown(app)
    table = app.dataframe[0].value
    assert len(table) == 72 and table["valid_mass"].mean() == pytest.approx(0.0096563, abs=1e-6)
    app = open_page("pages/project/experiment.py", experiment=EXPERIMENT)
    assert "n = 6 and 6" in shown(app)
    effects = table_of(app, "specifications_table")["effect"]
    assert effects.tolist() == pytest.approx([-0.0769131, -0.0689741], abs=1e-6)


def test_the_page_of_comparisons_shows_it() -> None:
    app = open_page("pages/evidence/evidence.py", evaluations=",".join(EVALUATIONS))
    shown(app)
    w = app.dataframe[0].value.set_index("Who")["W exact, stated scale"]
    assert w["tiny (bf16)"].startswith("0.212 [") and w["tuned (bf16)"].startswith("0.215 [")


def test_pages_of_models_and_finetunes_show_it() -> None:
    table = table_of(open_page("pages/models/models.py"), "models_table").set_index("model")
    assert table.loc["tuned (SFT of tiny)"]["saw"] == "2 studies"
    app = open_page("pages/models/models.py", model="tuned")
    assert "Finetuned on 16 of 36 examples" in shown(app)
    seen, measures = (table.value for table in app.dataframe[:2])
    assert seen["study_id"].tolist() == ["ddddd", "eeeee"]
    w = measures.iloc[0][["before", "after", "uniform"]].tolist()
    assert w == pytest.approx([0.1914171, 0.1978799, 0.1911737], abs=1e-6)
    app = open_page("pages/models/finetunes.py", trainings=TRAINING)
    assert "tiny · split held · lora · seed 0 · done" in shown(app)
    assert app.dataframe[0].value["Model"].tolist() == ["base", "best, step 2"]


def test_pages_of_jobs_and_storage_show_it() -> None:
    app = open_page("pages/settings/jobs.py", job=TRAINING)
    assert "step 4/4 loss 6.7302" in shown(app)
    assert app.dataframe[0].value["state"].tolist() == ["cancelled"] + ["done"] * 10
    page = shown(open_page("pages/settings/storage.py"))
    assert all(f"{kind} {name}" in page for kind, name in BINNED.items())
