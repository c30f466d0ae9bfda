"""Imports that are work for a job: large files, read in part by the page; texts proposed by a model, never unmarked."""

import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyreadstat
import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from socrates_core.__main__ import app
from socrates_core.corpus import corpora, open_corpus
from socrates_core.errors import UserError
from socrates_core.importing import delimited, uploads
from socrates_core.importing.build import import_study, preview
from socrates_core.importing.jobs import run_own_import, run_proposals, submit_own_import, submit_proposals
from socrates_core.importing.mapping import Mapping as StudyMapping
from socrates_core.importing.mapping import load_mapping, parse_mapping, render_mapping, save_mapping
from socrates_core.importing.opening import open_files
from socrates_core.importing.propose import find_gaps, settled, with_proposals, write_proposals
from socrates_core.importing.read_table import read_table
from socrates_core.importing.table import Pace
from socrates_core.importing.uploads import Upload, keep_files
from socrates_core.jobs import store
from socrates_core.jobs.progress import Cancelled, Reporter, read_progress
from tests.support.import_page import kept, said, shown
from tests.support.jobs import finish_jobs
from tests.support.qualtrics_files import Files, block, choice, descriptive, randomiser, step, survey
from tests.support.qualtrics_surveys import SHOWN
from tests.support.uploads import small, table

FOUND = {"model": "made", "outcomes": {"q": "How much?"}, "conditions": {"A": "Read a."}}


def textless(**changed: Any) -> StudyMapping:
    """The small mapping without the question of its outcome and the text of its first condition."""
    conditions = [{"name": "A", "when": {"arm": "a"}}, {"name": "B", "text": "Text b.", "when": {"arm": "b"}}]
    outcome = {"name": "q", "scale": "Only return an integer from 1 to 7, nothing else.", "column": "q"}
    return small(conditions=conditions, outcomes=[outcome], **changed)


def labelled(frame: pd.DataFrame, path: Path) -> Path:
    match path.suffix:
        case ".csv":
            frame.to_csv(path, index=False)
        case ".xlsx":
            frame.to_excel(path, index=False)
        case ".sav":
            pyreadstat.write_sav(frame, path)
        case _:
            pyreadstat.write_dta(frame, path)
    return path


# reading in part


@pytest.mark.parametrize("kind", ["csv", "xlsx", "sav"])
def test_the_beginning_of_a_file_is_its_first_rows(kind: str, tmp_path: Path) -> None:
    path = labelled(pd.DataFrame({"a": range(50), "b": ["x", "y"] * 25}), tmp_path / f"data.{kind}")
    whole, first = read_table(path), read_table(path, Pace(rows=7))
    pd.testing.assert_frame_equal(first.frame, whole.frame.head(7))


def test_reading_tells_how_far_it_is_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delimited, "_ROWS", 10)
    path = labelled(pd.DataFrame({"a": range(25)}), tmp_path / "data.csv")
    heard: list[tuple[int, int]] = []
    read_table(path, Pace(tell=lambda done, total: heard.append((done, total))))
    assert [done for done, _ in heard] == [0, 10, 20] and heard[0][1] >= 26

    def stop(done: int, total: int) -> None:
        raise Cancelled

    for kind in ("csv", "sav"):
        with pytest.raises(Cancelled):
            read_table(labelled(pd.DataFrame({"a": range(9)}), tmp_path / f"again.{kind}"), Pace(tell=stop))


# large imports


@pytest.fixture
def large(home: Path, monkeypatch: pytest.MonkeyPatch, no_worker: None) -> Upload:
    """An upload of 40 people that counts as large; a page reads ten of them."""
    monkeypatch.setattr(uploads, "LARGE", 10)
    monkeypatch.setattr(uploads, "FIRST_ROWS", 10)
    monkeypatch.setattr("pages.library.import_preview.FIRST_ROWS", 10)
    upload = kept()
    suggested = open_files(upload.paths).suggested
    outcomes = tuple(each.model_copy(update={"question": "How warm?"}) for each in suggested.outcomes)
    save_mapping(suggested.model_copy(update={"outcomes": outcomes}), upload.mapping_path)
    return upload


def press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def test_a_large_file_is_shown_in_part_and_imported_whole_by_a_job(large: Upload) -> None:
    page = shown(large.upload_id)
    assert "its first 10 rows" in said(page) and "would become 10 people" in said(page)
    page = press(page, "Import study")
    (job,) = store.list_jobs()
    assert (job.kind, job.state) == ("import", "queued") and page.query_params["job"] == job.id
    assert corpora() == []
    assert next(button for button in page.button if button.label == "Import study").disabled
    finish_jobs()
    assert store.read_job(job.id).state == "done"
    assert open_corpus("warm").study("warm").n_participants == 40
    page.run()
    assert not page.exception and page.query_params["study"] == "warm"


class Stopping(Reporter):
    """Stops the job in the phase that is named."""

    def __init__(self, job: store.Job, phase: str) -> None:
        super().__init__(job)
        self.where = phase

    def advance(self, computed: int) -> None:
        super().advance(computed)
        progress = read_progress(self.job)
        if progress and progress.phase == self.where:
            raise Cancelled


@pytest.mark.parametrize("phase", ["reading rows", "working out outcomes"])
def test_a_cancelled_import_leaves_nothing_behind(large: Upload, phase: str, home: Path) -> None:
    job = submit_own_import(large, load_mapping(large.mapping_path))
    with pytest.raises(Cancelled):
        run_own_import(job.args, Stopping(job, phase))
    assert corpora() == [] and not (home / "corpora").exists()
    told = run_own_import(job.args, Reporter(job))
    assert (told["corpus"], told["responses"]) == ("warm", 40)


def test_a_large_import_whose_mapping_has_a_fault_fails_with_a_sentence(large: Upload) -> None:
    mapping = load_mapping(large.mapping_path).model_copy(update={"participant": "nobody"})
    job = submit_own_import(large, mapping)
    assert submit_own_import(large, mapping).id == job.id
    finish_jobs()
    assert "no column 'nobody'" in store.read_job(job.id).message and corpora() == []


# proposals


def test_a_model_is_told_names_labels_and_scales_alone() -> None:
    gaps = find_gaps(textless(), {"q": "warmth (t1)"})
    assert [(gap.part, gap.name) for gap in gaps] == [("outcomes", "q"), ("conditions", "A")]
    assert "warmth (t1)" in gaps[0].prompt.user and "integer from 1 to 7" in gaps[0].prompt.user
    assert "A, B" in gaps[1].prompt.user
    assert find_gaps(small(), {}) == []
    assert len(find_gaps(textless().model_copy(update={"conditions": textless().conditions[:1]}), {})) == 1


def test_a_proposal_is_marked_and_cannot_be_imported_until_it_is_accepted(home: Path) -> None:
    found = table(id=["1", "2"], arm=["a", "b"], q=["1", "2"])
    proposed = with_proposals(textless(), FOUND)
    assert proposed.outcomes[0].question == "How much?" and proposed.conditions[0].text == "Read a."
    (problem,) = preview(found, proposed).problems
    assert "'A', 'q' are a model's proposals" in problem
    with pytest.raises(UserError, match="model's proposals"):
        import_study(found, proposed)
    text = render_mapping(proposed)
    assert text.count("proposed: true") == 2 and parse_mapping(text, "it") == proposed
    accepted = parse_mapping(text.replace("proposed: true", "proposed: false"), "it")
    import_study(found, accepted)
    study = open_corpus("small").study("small")
    assert study.wording == "rebuilt" and any("proposals of the model made" in note for note in study.notes)


def test_a_proposal_that_a_person_rewrites_is_their_own() -> None:
    proposed = with_proposals(textless(), FOUND)
    rewritten = proposed.outcomes[0].model_copy(update={"question": "How warm?"})
    after = settled(proposed.model_copy(update={"outcomes": (rewritten,)}), proposed)
    assert not after.outcomes[0].proposed and after.conditions[0].proposed
    assert with_proposals(after, FOUND).outcomes[0].question == "How warm?"


def test_no_other_model_than_one_on_this_machine_may_propose(home: Path) -> None:
    for name in ("echo", "org/name", "../../etc", "gpt-4o"):
        with pytest.raises(UserError, match="no model on this machine"):
            write_proposals(name, find_gaps(textless(), {}), lambda done, total: None)


@pytest.mark.model
def test_the_starter_model_proposes_the_same_in_a_job_and_on_the_command_line(
    starter_home: Path, no_worker: None
) -> None:
    upload = kept()
    suggested = open_files(upload.paths).suggested
    conditions = tuple(each.model_copy(update={"text": each.name}) for each in suggested.conditions)
    save_mapping(suggested.model_copy(update={"conditions": conditions}), upload.mapping_path)
    job = submit_proposals(upload, "starter")
    found = run_proposals(job.args, Reporter(job))
    assert found["model"] == "starter" and not found["conditions"]
    assert found == run_proposals(job.args, Reporter(job))
    progress = read_progress(job)
    assert progress is not None and (progress.done, progress.total) == (1, 1)
    asked = ("import", str(upload.paths[0]), "--mapping", str(upload.mapping_path), "--propose", "starter")
    done = CliRunner().invoke(app, asked, catch_exceptions=False)
    printed = parse_mapping(done.stdout, "it")
    assert printed == with_proposals(load_mapping(upload.mapping_path), found)
    assert printed.outcomes[0].proposed == bool(found["outcomes"]) and corpora() == ["starter"]


def test_proposals_are_taken_up_on_the_page_and_accepted_there(home: Path, no_worker: None) -> None:
    upload = kept()
    page = shown(upload.upload_id)
    job = store.submit("propose", "Texts", {"upload_id": upload.upload_id, "model": "made"}, key="a")
    store.finish(
        job, "done", result={**FOUND, "outcomes": {"How warm?": "How warm is it?"}, "conditions": {}}
    )
    page.query_params["job"] = job.id
    page.run()
    assert not page.exception and "'How warm?' are a model's proposals" in said(page)
    assert load_mapping(upload.mapping_path).outcomes[0].proposed and "job" not in page.query_params
    mapping = load_mapping(upload.mapping_path)
    accepted = mapping.outcomes[0].model_copy(update={"proposed": False})
    save_mapping(mapping.model_copy(update={"outcomes": (accepted,)}), upload.mapping_path)
    assert "would become 40 people" in said(shown(upload.upload_id))


def test_the_page_asks_for_consent_before_a_model_reads_anything(starter_home: Path, no_worker: None) -> None:
    page = shown(kept().upload_id)
    assert next(button for button in page.button if button.label == "Propose").disabled
    agree = next(box for box in page.checkbox if "nothing is sent anywhere" in box.label)
    page = press(agree.set_value(True).run(), "Propose")
    (job,) = store.list_jobs()
    assert (job.kind, job.args["model"]) == ("propose", "starter") and page.query_params["job"] == job.id


# the randomiser of a survey


def test_another_randomiser_is_chosen_on_the_page(home: Path, tmp_path: Path) -> None:
    inner = {"Type": "Group", "FlowID": "FL_8", "Flow": [randomiser("FL_5", step("Long"), step("Short"))]}
    texts = [descriptive(n, f"Text {n}.") for n in (1, 2, 3, 4)]
    blocks = [block(name, n) for n, name in enumerate(("Control", "Treated", "Long", "Short"), start=1)]
    flow = [randomiser("FL_2", step("Control"), step("Treated")), inner, step("Main")]
    files = Files(
        tmp_path,
        survey([*texts, choice(5, "Cats?", "Yes", "No")], [*blocks, block("Main", 5)], flow),
        {
            **SHOWN,
            "FL_5_DO_Long": ("FL_5_DO|Long", [1, "", 1, ""]),
            "FL_5_DO_Short": ("FL_5_DO|Short", ["", 1, "", 1]),
            "Q5": ("QID5", [1, 2, 1, 2]),
        },
    )
    upload = keep_files([(path.name, io.BytesIO(path.read_bytes())) for path in (files.qsf, files.csv)])
    page = shown(upload.upload_id)
    box = next(each for each in page.multiselect if each.label == "Arms of the randomiser")
    assert box.value == ["FL_2"] and box.options == ["FL_2: Control / Treated", "FL_5: Long / Short"]
    page = box.set_value(["FL_5"]).run()
    assert not page.exception and page.query_params["randomisers"] == "FL_5"
    assert [each.text for each in load_mapping(upload.mapping_path).conditions] == ["Text 3.", "Text 4."]
