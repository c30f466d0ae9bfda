"""Frozen answers are shown nowhere, sealed predictions cannot be changed unnoticed, and revealing is recorded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from socrates_core.__main__ import main
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.export import export_corpus, export_study
from socrates_core.corpus.store import find_study, open_corpus
from socrates_core.errors import UserError
from socrates_core.exposure import seals
from socrates_core.files import file_digest, write_json
from socrates_core.importing.build import import_study
from socrates_core.projects import drafts
from socrates_core.projects.run_export import cells_table, effects_table
from socrates_core.projects.run_results import SimulationRun, load_run
from socrates_core.projects.run_spec import RUNS
from socrates_core.reporting.run_report import write_report
from socrates_core.studies.answers import study_overview
from socrates_core.surveys.draft import ConditionSpec, Draft, OutcomeSpec
from tests.support.commands import command
from tests.support.drafts import kakadu, make_draft
from tests.support.jobs import run_now
from tests.support.pages import PAGES, fine, fine_words, open_page
from tests.support.tiny_models import make_tiny_model
from tests.support.uploads import SEVEN, small, table

pytestmark = pytest.mark.usefixtures("no_worker")


def people_shown(run_id: str) -> list[int | None]:
    return [None if cell.counts is None else cell.n_people for cell in load_run(run_id).cells]


def problems() -> list[str]:
    return [each.problem for each in seals.verify()]


def test_the_answers_of_a_frozen_study_are_nowhere_until_they_are_revealed(
    starter_home: Path, tmp_path: Path
) -> None:
    run_id, corpus = run_now(kakadu()).spec.run_id, find_study("kakadu")
    before = people_shown(run_id)
    assert set(before) == {909, 918}
    seals.freeze(corpus, "kakadu")
    assert people_shown(run_id) == [None, None]
    assert cells_table(load_run(run_id))["human_counts"].isna().all()
    assert effects_table(load_run(run_id))["people"].isna().all()
    for ask in (corpus.counts, corpus.responses, corpus.tallies, corpus.person_means, corpus.off_scale):
        with pytest.raises(UserError, match="'kakadu' are hidden since"):
            ask("kakadu")
    for refused in (
        lambda: study_overview(corpus, "kakadu"),
        lambda: export_study(corpus, "kakadu", "csv", tmp_path / "a.csv"),
        lambda: export_study(corpus, "kakadu", "sav", tmp_path / "a.sav"),
        lambda: export_corpus(corpus, "parquet", tmp_path / "a.parquet"),
    ):
        with pytest.raises(UserError, match="'kakadu' are hidden since"):
            refused()
    assert not any(tmp_path.glob("a.*"))
    everything = corpus.ask("SELECT DISTINCT study_id FROM read_parquet($responses)")["study_id"].tolist()
    assert sorted({*everything, "kakadu"}) == corpus.study_ids() and "kakadu" not in everything
    assert len(corpus.stimuli("kakadu")) == 2 and len(corpus.counts("abortion"))
    seals.reveal(corpus, "kakadu")
    assert people_shown(run_id) == before and len(corpus.responses("kakadu")) == sum(filter(None, before))


def test_a_seal_says_when_it_was_made_and_what_could_be_seen_before(starter_home: Path) -> None:
    first, corpus = run_now(kakadu()).spec.run_id, find_study("kakadu")
    seen = seals.seal(first)
    assert "could be seen here before" in seals.describe(seen, seals.verify())
    frozen = seals.freeze(corpus, "kakadu")
    second = seals.seal(run_now(kakadu(4)).spec.run_id)
    told = seals.describe(second, seals.verify())
    assert f"hidden here from {frozen.time} on" in told and "revealed" not in told
    assert corpus.manifest["created"] in told
    revealed = seals.reveal_for(second.run_id)
    assert f"They were revealed {revealed.time}." in seals.describe(second, seals.verify())
    assert problems() == ["", "", "", ""]


def own_draft() -> Draft:
    """The experiment that `small` maps, before anybody was asked."""
    outcome = OutcomeSpec.model_validate({"name": "How much", "question": "How much?", "scale": SEVEN})
    conditions = (ConditionSpec(name="First", text="Text a."), ConditionSpec(name="Second", text="Text b."))
    return make_draft(conditions=conditions, outcomes=(outcome,))


def test_a_study_fielded_after_its_prediction_was_sealed_is_picked_up_by_its_texts(home: Path) -> None:
    run_id = run_now(own_draft()).spec.run_id
    record = seals.seal(run_id)
    assert record.study is None and people_shown(run_id) == [None, None]
    import_study(
        table(id=["1", "2", "3", "4", "5"], arm=["a", "a", "b", "b", "b"], q=["7", "6", "1", "2", "3"]),
        small(),
    )
    run = load_run(run_id)
    assert [cell.counts.tolist() for cell in run.cells if cell.counts is not None] == [
        [0, 0, 0, 0, 0, 1, 1],
        [1, 1, 1, 0, 0, 0, 0],
    ]
    (effect,) = run.effects
    assert effect.people is not None and effect.people.difference == pytest.approx(2 - 6.5)
    told = seals.describe(record, seals.verify())
    assert "This home had never held a study with these texts." in told and problems() == [""]


def test_answers_in_the_bin_or_deleted_for_good_are_not_called_absent(starter_home: Path) -> None:
    created = find_study("kakadu").manifest["created"]
    first, second, third = (run_now(kakadu(n)).spec.run_id for n in (2, 3, 4))
    command("delete", "corpus", "starter", "--yes")
    record = json.loads(command("seal", first, "--json"))
    assert record["answers"] == "held" and "never held" not in record["told"]
    command("restore", "corpus", "starter")
    told = json.loads(command("seals", "--json"))[0]["told"]
    assert f"This home had held people's answers since {record['imported']}" in told
    assert record["imported"] >= created
    # The home remembers by content: neither a bin that was emptied nor another name makes it forget.
    (starter_home / "corpora" / "starter").rename(starter_home / "corpora" / "renamed")
    assert seals.seal(second).answers == "visible"
    command("delete", "corpus", "renamed", "--yes")
    command("empty-bin", "--yes")
    assert seals.seal(third).answers == "held" and problems() == ["", "", ""]


def test_a_corpus_that_nobody_opened_is_remembered_from_the_bin(starter_home: Path) -> None:
    run_id = run_now(kakadu(2)).spec.run_id
    shutil.rmtree(starter_home / "held")  # as of an earlier version, which kept no notes
    binned = starter_home / "corpora" / ".deleted" / "1"
    binned.mkdir(parents=True)
    (starter_home / "corpora" / "starter").rename(binned / "starter")
    assert seals.seal(run_id).answers == "held"


def test_a_seal_that_calls_answers_absent_is_checked_again(
    starter_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, corpus = run_now(kakadu(2)).spec.run_id, starter_home / "corpora" / "starter"
    aside = corpus.rename(starter_home / "starter")
    shutil.rmtree(starter_home / "held")
    record = seals.seal(run_id)
    assert record.answers == "absent" and problems() == [""]
    aside.rename(corpus)
    told = seals.describe(record, seals.verify())
    assert "never held a study with these texts." in told  # nothing has looked at the corpus yet
    created = find_study("kakadu").manifest["created"]
    told = seals.describe(record, seals.verify())
    assert f"'kakadu', which came later, was written {created}, before the seal" in told
    assert problems() == [""]
    (note,) = (starter_home / "held").glob("*.json")
    write_json(note, json.loads(note.read_text()) | {"first": "2026-01-01T00:00:00+00:00"})
    assert problems() == [
        "says that this home had never held such a study, but 'kakadu' in 'starter' has these texts and was here by "
        "2026-01-01T00:00:00+00:00"
    ]
    assert "had never held such a study" in command("seals", code=2)


def test_a_clock_set_back_against_what_came_in_is_refused(
    starter_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_now(kakadu(2)).spec.run_id
    find_study("kakadu")
    monkeypatch.setattr(seals, "now", lambda: "2020-01-01T00:00:00+00:00")
    with pytest.raises(UserError, match=r"a study came into this home at .*Set the clock right"):
        seals.seal(run_id)


def test_a_copy_of_a_frozen_study_under_another_name_is_frozen_too(
    starter_home: Path, tmp_path: Path
) -> None:
    corpora = starter_home / "corpora"
    command("freeze", "kakadu")
    shutil.copytree(corpora / "starter", corpora / "astarter")
    target = str(tmp_path / "out.csv")
    assert "are hidden since" in command("export", target, "--corpus", "astarter", code=2)
    assert "are hidden since" in command("study", "kakadu", "--corpus", "astarter", code=2)
    assert not (tmp_path / "out.csv").exists()
    assert command("study", "abortion", "--corpus", "astarter")
    assert "already" in command("freeze", "kakadu", "--corpus", "astarter", code=2)
    command("reveal", "kakadu", "--corpus", "astarter")  # what is shown once is shown everywhere
    assert command("study", "kakadu") and command("study", "kakadu", "--corpus", "astarter")


def test_a_part_of_a_frozen_study_under_another_id_is_frozen_too(home: Path) -> None:
    rows = table(id=["1", "2", "3"], arm=["a", "b", "b"], q=["7", "6", "1"])
    import_study(rows, small())
    seals.freeze(open_corpus("small"), "small")
    fewer, study = table(id=["2", "3"], arm=["b", "b"], q=["6", "1"]), {"study_id": "part", "title": "Part"}
    condition = {"name": "Other name", "text": "Text b.", "when": {"arm": "b"}}
    import_study(fewer, small(study=study, conditions=[condition]))
    with pytest.raises(UserError, match="'part' are hidden since"):
        open_corpus("part").responses("part")
    import_study(fewer, small(study=study, conditions=[condition | {"text": "Another text."}]))
    assert len(open_corpus("part").responses("part")) == 2


def test_peoples_answers_of_another_study_are_never_shown_without_its_name(home: Path) -> None:
    run_id = run_now(own_draft()).spec.run_id  # a draft of no study
    assert load_run(run_id).people_sentence == ""
    import_study(table(id=["1", "2"], arm=["a", "b"], q=["7", "6"]), small())
    sentence = load_run(run_id).people_sentence
    assert (
        "another study that asked the same words" in sentence and "“Small” (small, corpus small)" in sentence
    )
    assert sentence in command("run", run_id) and sentence in fine(open_page(PAGES[3], run=run_id)).replace(
        "\\", ""
    )
    assert json.loads(command("run", run_id, "--json"))["people_from"] == sentence
    write_report(load_run(run_id), home / "report")
    assert "another study that asked the same words" in (home / "report" / "report.html").read_text()


def test_other_words_are_other_questions(home: Path) -> None:
    import_study(table(id=["1", "2"], arm=["a", "b"], q=["7", "6"]), small())
    draft = own_draft()
    changed = draft.conditions[1].model_copy(update={"text": "Text b!"})
    run_id = run_now(draft.model_copy(update={"conditions": (draft.conditions[0], changed)})).spec.run_id
    assert people_shown(run_id) == [1, None]


def change_table(home: Path, run: SimulationRun) -> None:
    """Better predictions afterwards, with a manifest that fits them, so that the run itself looks whole."""
    cells = pd.read_parquet(run.spec.path / "cells.parquet")
    cells.assign(mean=0.0).to_parquet(run.spec.path / "cells.parquet")
    files = {name: file_digest(run.spec.path / name) for name in run.manifest["files"]}
    write_json(run.spec.path / "manifest.json", {**run.manifest, "files": files})
    load_run(run.spec.run_id)


def edit(at: int, *, honest: bool = False, **changes: Any) -> Callable[[Path, SimulationRun], None]:
    """Changes a record; `honest` leaves its digest, else it is computed anew."""

    def change(home: Path, run: SimulationRun) -> None:
        path = home / "seals" / f"{at:06d}.json"
        stored = json.loads(path.read_text()) | changes
        told = {key: value for key, value in stored.items() if key not in ("format", "version", "digest")}
        if not honest:
            stored["digest"] = seals.SealRecord(**told).digest()
        path.write_text(json.dumps(stored))

    return change


def remove(name: str) -> Callable[[Path, SimulationRun], None]:
    return lambda home, run: (home / "seals" / name).unlink()


@pytest.mark.parametrize(
    ("tamper", "at", "problem"),
    [
        (change_table, 1, "manifest.json was changed after it was sealed"),
        (lambda home, run: (run.spec.path / "people.parquet").unlink(), 1, "people.parquet is gone"),
        (lambda home, run: shutil.rmtree(run.spec.path), 1, "spec.json is gone"),
        (edit(1, honest=True, time="2020-01-01T00:00:00+00:00"), 1, "was changed after it was written"),
        (edit(1, time="2020-01-01T00:00:00+00:00"), 2, "does not follow the one before"),
        (edit(3, time="2020-01-01T00:00:00+00:00"), 3, "does not follow the one before"),
        (edit(3, time="2999-01-01T00:00:00+00:00"), 3, "is not the one that head.json names"),
        (edit(2, honest=True, number=7), 2, "was changed after it was written"),
        (lambda home, run: (home / "seals/000002.json").write_text("{"), 2, "cannot be read"),
        (remove("000001.json"), 1, "was removed"),
        (remove("000002.json"), 2, "was removed"),
        (remove("000003.json"), 3, "was removed"),
        (remove("head.json"), 1, "head.json"),
    ],
)
def test_whatever_is_changed_after_sealing_shows(
    starter_home: Path, tamper: Callable[[Path, SimulationRun], None], at: int, problem: str
) -> None:
    run, corpus = run_now(kakadu(2)), find_study("kakadu")
    seals.seal(run.spec.run_id)
    seals.freeze(corpus, "kakadu")
    seals.reveal(corpus, "kakadu")
    assert problems() == ["", "", ""]
    tamper(starter_home, run)
    assert problem in problems()[at - 1]
    assert all("changed" not in each for each in problems()[: at - 1])


def test_nothing_is_added_to_a_chain_that_was_cut(starter_home: Path) -> None:
    seals.freeze(find_study("kakadu"), "kakadu")
    seals.freeze(find_study("abortion"), "abortion")
    remove("000002.json")(starter_home, run_now(make_draft()))
    with pytest.raises(UserError, match=r"Record 2 of the chain of seals was removed.*Move the folder"):
        seals.freeze(find_study("abortion"), "abortion")
    (starter_home / "seals" / "head.json").write_text('{"n": "many"}')
    with pytest.raises(UserError, match="cannot be verified"):
        seals.verify()


def test_a_clock_that_runs_behind_the_last_seal_is_refused(
    starter_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seals.freeze(find_study("kakadu"), "kakadu")
    monkeypatch.setattr(seals, "now", lambda: "2020-01-01T00:00:00+00:00")
    with pytest.raises(UserError, match="Set the clock right"):
        seals.reveal(find_study("kakadu"), "kakadu")


def test_what_makes_no_sense_is_refused_in_a_sentence(starter_home: Path) -> None:
    run_id, corpus = run_now(kakadu(2)).spec.run_id, find_study("kakadu")
    with pytest.raises(UserError, match="is not sealed"):
        seals.reveal_for(run_id)
    with pytest.raises(UserError, match="nothing to reveal"):
        seals.reveal(corpus, "kakadu")
    seals.freeze(corpus, "kakadu")
    with pytest.raises(UserError, match="already"):
        seals.freeze(corpus, "kakadu")
    seals.seal(run_id)
    with pytest.raises(UserError, match="is sealed since"):
        seals.seal(run_id)
    nobody = seals.seal(run_now(make_draft()).spec.run_id).run_id
    with pytest.raises(UserError, match="Import them first"):
        seals.reveal_for(nobody)
    partial = run_now(make_draft(title="Another")).spec.run_id
    path = RUNS.root / partial / "manifest.json"
    write_json(path, json.loads(path.read_text()) | {"state": "partial"})
    with pytest.raises(UserError, match="not finished"):
        seals.seal(partial)


def test_the_command_line_freezes_seals_lists_and_reveals(
    starter_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(*words: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["socrates_core", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code in ((None, 0) if code == 0 else (code,))
        told = capsys.readouterr()
        return told.err if code else told.out

    run_id = run_now(kakadu(2)).spec.run_id
    assert "are hidden from now on" in say("freeze", "kakadu")
    assert "are hidden since" in say("study", "kakadu", code=2)
    assert json.loads(say("seal", run_id, "--json"))["answers"] == "hidden"
    frozen, sealed = json.loads(say("seals", "--json"))
    assert (frozen["kind"], frozen["study_id"]) == ("freeze", "kakadu")
    assert (sealed["run_id"], sealed["problem"], sealed["n_cells"], sealed["w_observed"]) == (
        run_id,
        "",
        0,
        None,
    )
    assert "are shown again" in say("reveal", run_id)
    told = json.loads(say("seals", "--json"))[1]
    distances = [cell["w_observed"] for cell in json.loads(say("run", run_id, "--json"))["cells"]]
    assert told["n_cells"] == 2 and told["w_observed"] == pytest.approx(sum(distances) / 2)
    assert "were revealed" in told["told"]
    (starter_home / "seals" / "000001.json").unlink()
    assert "Record 1 was removed." in say("seals", code=2)


def test_the_pages_hide_seal_and_reveal(starter_home: Path) -> None:
    run_id = run_now(kakadu(2)).spec.run_id
    study = open_page(PAGES[1], corpus="starter", study="kakadu", study_view="Answers")
    assert "answers, " in fine(study)  # how many answers the charts rest on, from the page's cache
    study.button(key="freeze").click().run()
    assert "are hidden since" in fine(study) and not study.get("plotly_chart")
    study.segmented_control(key="study_view").set_value("Conditions").run()
    assert "reference" in fine(study)
    study.segmented_control(key="study_view").set_value("About").run()
    assert not study.get("download_button")
    results = open_page(PAGES[3], run=run_id)
    assert "hidden" in fine(results) and "Predicted: 2 simulated people" not in fine_words(results)
    results.button(key="seal").click().run()
    assert "Sealed 2" in fine(results)
    results.button(key="reveal").click().run()
    revealed = fine_words(results)
    assert (
        "Predicted: 2 simulated people, 2 distinct profiles" in revealed and "They were revealed" in revealed
    )
    change_table(starter_home, load_run(run_id))
    assert "manifest" in open_page(PAGES[3], run=run_id).error[0].value


def test_the_pages_say_what_the_models_saw_and_score_without_it(starter_home: Path) -> None:
    mine = make_tiny_model(starter_home / "models" / "mine", "single-digit")
    write_json(mine / "card.json", {"title": "Mine", "saw": {"note": "One study.", "studies": ["kakadu"]}})
    study = fine(open_page(PAGES[1], corpus="starter", study="kakadu"))
    assert "seen in training by Mine" in study and "unseen by SmolLM2" in study
    draft = open_page(PAGES[2], draft=drafts.create(kakadu(2)))
    draft.multiselect(key="draft_models").set_value(["mine", "starter"]).run()
    assert "seen in training by Mine" in fine(draft) and "unseen by SmolLM2" in fine(draft)
    (near,) = (table.value for table in draft.dataframe if "likeness" in table.value)
    assert set(near["likeness"].round(6)) == {1.0}
    results = open_page(PAGES[3], run=run_now(kakadu(2), ModelRequest("mine")).spec.run_id)
    results.segmented_control(key="results_view").set_value("Scores").run()
    assert "2 cells that the model saw in training are left out" in fine(results)
    assert "mean over" not in fine(results)
