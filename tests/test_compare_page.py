"""The page Evidence: what it says before, during and after an evaluation, and that its numbers are the comparison's."""

import json
import re
from pathlib import Path

import pandas as pd
import pytest

from socrates_core.asking.request import ModelRequest
from socrates_core.asking.speed import record_speed
from socrates_core.corpus import open_corpus, write_corpus
from socrates_core.corpus.splits import save_split, split_rows
from socrates_core.corpus.splits_make import make_split
from socrates_core.evaluations.comparison import Comparison
from socrates_core.evaluations.results import Evaluation, load_evaluation
from socrates_core.evaluations.rows import asked_rows, questions_of
from socrates_core.evaluations.run import run_evaluation
from socrates_core.evaluations.spec import EVALUATIONS, load_spec, plan_evaluation
from socrates_core.evaluations.submission import estimate_cost, estimate_seconds, submit_evaluation
from socrates_core.exposure import seals
from socrates_core.files import write_json
from socrates_core.jobs import store
from socrates_core.jobs.progress import Cancelled, Reporter
from socrates_core.models import count_tokens
from socrates_core.models.seen import training_of
from socrates_core.models.served.prices import find_price, rough_tokens
from socrates_core.models.served.server import OFFICIAL, Service
from tests.support.evaluations import PAGE, STUDIES, evaluate, open_compare
from tests.support.pages import HOSTILE, fine, open_page
from tests.support.splits import made_up

pytestmark = pytest.mark.usefixtures("no_worker")

VIEWS = ("Scores", "Cells", "Studies", "Effects", "Subgroups", "Finetunes", "Downloads")


class Stopping(Reporter):
    """Cancels once ten answers were worked out."""

    def advance(self, computed: int) -> None:
        super().advance(computed)
        if computed >= 10:
            raise Cancelled


def test_without_a_study_the_page_says_how_to_get_some(home: Path) -> None:
    page = fine(open_page(PAGE))
    assert "compared here with people's own answers" in page and "make setup" in page


def test_the_empty_page_offers_the_form_which_says_what_it_will_ask_and_starts_it(starter_home: Path) -> None:
    app = open_page(PAGE)
    app.multiselect(key="evaluate_models").set_value(["echo", "uniform"])
    assert app.button(key="evaluate_start").disabled
    app.multiselect(key="evaluate_studies").set_value(["kakadu", "talor"])
    app.number_input(key="evaluate_cap").set_value(5).run()
    n = len(asked_rows(plan_evaluation(ModelRequest("echo"), studies=["kakadu", "talor"], cap=5)))
    assert f"**{n:,} questions** a model" in fine(app)
    app.button(key="evaluate_start").click().run()
    fine(app)
    assert {job.kind for job in store.list_jobs()} == {"evaluate"}
    assert {load_spec(each).model.name for each in EVALUATIONS.ids()} == {"echo", "uniform"}
    assert {load_spec(each).cap for each in EVALUATIONS.ids()} == {5}


def test_the_form_asks_the_held_out_side_of_a_split(starter_home: Path) -> None:
    save_split(make_split(open_corpus("starter"), "studies", name="held", share=0.2, seed=1))
    app = open_page(PAGE, new="1")
    app.multiselect(key="evaluate_models").set_value(["echo"])
    app.number_input(key="evaluate_cap").set_value(2)
    app.number_input(key="evaluate_shots").set_value(1).run()
    app.button(key="evaluate_start").click().run()
    assert [(load_spec(each).split, load_spec(each).shots) for each in EVALUATIONS.ids()] == [("held", 1)]


def test_nothing_is_sent_to_another_machine_before_a_person_has_seen_what(
    starter_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-SECRET")
    app = open_page(PAGE, new="1")
    app.multiselect(key="evaluate_studies").set_value(["kakadu"])
    app.number_input(key="evaluate_cap").set_value(3)
    app.multiselect(key="evaluate_models").set_value(["api:gpt-4o"]).run()
    priced = fine(app).replace("\\", "")
    assert "About $0.01, at a token for every 4 characters" in priced
    app.button(key="evaluate_start").click().run()
    told = fine(app).replace("\\", "")
    assert "6 questions leave this machine for api:gpt-4o" in told and "6 real participants" in told
    assert store.list_jobs() == []


def test_an_unknown_model_is_a_sentence_and_nothing_starts(starter_home: Path) -> None:
    app = open_page(PAGE, new="1")
    app.multiselect(key="evaluate_studies").set_value(["kakadu"])
    app.multiselect(key="evaluate_models").set_value(["no-such-model"]).run()
    assert ":red[" in fine(app) and app.button(key="evaluate_start").disabled


def test_the_time_is_that_of_the_questions_tokens_at_the_models_speed(starter_home: Path) -> None:
    model = ModelRequest("starter")
    spec = plan_evaluation(model, studies=["kakadu"], cap=3)
    rows = asked_rows(spec)
    before = estimate_seconds(spec, rows)  # by how fast the processor multiplies
    assert before is not None and before > 0
    record_speed(model, n_tokens=5_000, seconds=50)
    asked = questions_of(open_corpus("starter"), "kakadu", rows, spec)
    n_tokens = sum(count_tokens("starter", question.prompt) for question in asked)
    assert estimate_seconds(spec, rows) == pytest.approx(n_tokens / 100)


def test_the_price_is_that_of_the_questions_that_are_asked(starter_home: Path) -> None:
    service = Service(OFFICIAL, "", "logprobs", 10)
    model = ModelRequest("api:gpt-4o", service=service)
    spec = plan_evaluation(model, studies=["kakadu"], cap=9)
    rows = asked_rows(spec)
    questions = list(questions_of(open_corpus("starter"), "kakadu", rows, spec))
    price = find_price(service, "gpt-4o")
    assert price is not None
    asked = sum(price.usd(rough_tokens(question.prompt), 1) for question in questions)
    assert estimate_cost(spec, rows) == pytest.approx(asked) and asked > 0
    assert estimate_cost(plan_evaluation(ModelRequest("echo"), studies=["kakadu"], cap=9), rows) is None


def test_every_view_of_two_models_shows_and_the_link_keeps_them(starter_home: Path) -> None:
    both = [evaluate("echo"), evaluate("uniform")]
    app = open_compare(*both)
    for view in VIEWS:
        app.segmented_control(key="compare_view").set_value(view).run()
        told = fine(app)
        assert view != "Scores" or "No intervals" in told  # three studies
        assert view != "Cells" or "the worst first" in told
        assert view != "Subgroups" or "No group has 30 people" in told
    assert app.query_params["evaluations"] == ",".join(each.id for each in both)
    assert len(app.get("download_button")) == 3


def test_the_newest_complete_evaluation_is_shown_where_the_link_names_none(starter_home: Path) -> None:
    newest = evaluate()
    waiting = submit_evaluation(ModelRequest("uniform"), studies=["kakadu"])
    app = open_page(PAGE)
    fine(app)
    assert app.query_params["evaluations"] == newest.id != waiting.id


def test_evaluations_of_several_corpora_are_compared_as_one(starter_home: Path) -> None:
    made_up([(2, 1, 6, False)])
    ours, theirs = evaluate(studies=["kakadu"]), evaluate(studies=["s0"], corpus="made")
    app = open_compare(theirs, ours)
    assert app.multiselect(key="evaluations").value == [theirs.id, ours.id]
    assert "2 studies cannot say" in fine(app) and "asked different people" not in fine(app)
    app.segmented_control(key="compare_view").set_value("Studies").run()
    fine(app)
    titles = {open_corpus("starter").study("kakadu").title, open_corpus("made").study("s0").title}
    assert set(app.dataframe[0].value["Study"]) == titles


def test_an_evaluation_that_runs_shows_how_far_it_is(starter_home: Path) -> None:
    job = submit_evaluation(ModelRequest("echo"), studies=["kakadu"], cap=4)
    assert "Waiting" in fine(open_compare(job.id))
    claimed = store.claim_next()
    assert claimed is not None
    Reporter(claimed).begin("answering", 40, 10)
    app = open_compare(job.id)
    assert "Choose an evaluation that has answers" in fine(app)
    assert "10 of 40" in app.get("progress")[0].proto.text
    assert "Cancel" in [button.label for button in app.button]


def test_a_partial_evaluation_says_on_how_many_answers_its_scores_rest(starter_home: Path) -> None:
    job = submit_evaluation(ModelRequest("echo"), studies=STUDIES, cap=6)
    claimed = store.claim_next()
    assert claimed is not None
    with pytest.raises(Cancelled):
        run_evaluation(job.id, Stopping(claimed))
    store.finish(claimed, "cancelled")
    n_rows = load_evaluation(job.id).manifest["n_rows"]
    app = open_compare(job.id)
    assert f"10 of {n_rows:,} rows" in fine(app).replace("\\", "")
    assert "Resume" in [button.label for button in app.button]


def test_a_damaged_evaluation_is_a_sentence_and_hides_no_other(starter_home: Path) -> None:
    sound, edited, broken = evaluate("echo"), evaluate("uniform"), evaluate("echo", cap=4)
    spec = edited.spec.path / "spec.json"
    spec.write_text(spec.read_text().replace('"seed": 0', '"seed": 1'))
    (broken.spec.path / "spec.json").write_text("{")
    app = open_compare(sound, edited, broken, "gone")
    told = fine(app).replace("\\", "")
    for sentence in ("changed or damaged", "cannot be read as JSON", "no evaluation 'gone'"):
        assert sentence in told
    assert "echo (stand-in)" in app.dataframe[0].value["Who"].tolist()


def test_hostile_names_stay_text_in_every_view(home: Path) -> None:
    corpus = made_up([(3, 2, 60, False), (2, 1, 60, False)])
    names = [" ".join(text.split()) for text in HOSTILE]
    frames = {
        name: pd.read_parquet(corpus.path / f"{name}.parquet")
        for name in ("studies", "stimuli", "participants", "responses")
    }
    frames["studies"]["title"] = names[:2]
    for column in ("condition_name", "outcome_name"):
        frames["stimuli"][column] = [names[at % len(names)] for at in range(len(frames["stimuli"]))]
    people = frames["participants"].astype(object)
    people["gender"] = [names[at % 2] for at in range(len(people))]
    people["ideology"] = [names[at % len(names)] for at in range(len(people))]
    write_corpus(
        "made",
        title="Made up",
        source="",
        studies=frames["studies"],
        stimuli=frames["stimuli"],
        participants=people,
        responses=frames["responses"],
    )
    app = open_compare(evaluate(studies=["s0", "s1"], corpus="made", cap=None))
    for view in VIEWS:
        app.segmented_control(key="compare_view").set_value(view).run()
        fine(app)
        for kind in ("title", "markdown", "caption", "info", "warning"):
            for element in getattr(app, kind):
                assert not re.search(r"(?<!\\)<(script|img)", element.value)
        for chart in app.get("plotly_chart"):
            assert "<script" not in chart.proto.spec and "<img" not in chart.proto.spec


def evaluate_seen(starter_home: Path) -> Evaluation:
    """An evaluation of a model that was trained on all that it is asked."""
    found = evaluate()
    corpus = open_corpus("starter")
    split = make_split(corpus, "studies", name="held", share=0.1, seed=0)
    rows = split_rows(corpus, split, "train")
    assert set(STUDIES) <= set(rows["study_id"])
    folder = starter_home / "models" / "tuned"
    folder.mkdir()
    for file in (starter_home / "models" / "starter").iterdir():
        (folder / file.name).symlink_to(file.resolve())
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").unlink()
    trainings = [training_of(corpus, split, rows).model_dump(mode="json")]
    write_json(folder / "card.json", {**card, "saw": {"trainings": trainings}})
    path = found.spec.path
    spec = json.loads((path / "spec.json").read_text())
    write_json(path / "spec.json", {**spec, "model": {**spec["model"], "name": "tuned"}})
    write_json(path / "manifest.json", {**found.manifest, "content": load_spec(found.id).content_digest()})
    return found


def test_what_a_model_saw_in_training_gets_no_score(starter_home: Path) -> None:
    app = open_compare(evaluate_seen(starter_home))
    assert "nothing to score honestly" in fine(app) and not app.dataframe


def test_finetunes_are_shown_whatever_the_chosen_evaluations_can_tell(starter_home: Path) -> None:
    app = open_compare(evaluate_seen(starter_home))
    app.segmented_control(key="compare_view").set_value("Finetunes").run()
    told = fine(app)
    assert "once both were evaluated" in told and "nothing to score honestly" not in told


def test_finetunes_are_shown_where_no_evaluation_is_chosen(starter_home: Path) -> None:
    app = open_compare(evaluate(studies=["kakadu"]))
    app.multiselect(key="evaluations").set_value([]).run()
    assert "Choose an evaluation" in fine(app)
    app.segmented_control(key="compare_view").set_value("Finetunes").run()
    assert "once both were evaluated" in fine(app)


def test_a_frozen_study_is_left_out_of_a_comparison_and_alone_it_is_a_sentence(starter_home: Path) -> None:
    found, alone = evaluate(), evaluate(studies=["talor"])
    assert "talor" in set(Comparison([found]).rows[0]["study_id"])
    seals.freeze(open_corpus("starter"), "talor")
    assert set(Comparison([found]).rows[0]["study_id"]) == {"framing", "kakadu"}
    app = open_compare(alone)
    assert not app.exception and "hidden since" in app.error[0].value.replace("\\", "")


def test_a_job_leads_to_its_comparison(starter_home: Path) -> None:
    found = evaluate(studies=["kakadu"])
    links = open_page("pages/settings/jobs.py", job=found.id).get("page_link")
    assert [link.proto.query_string for link in links] == [f"evaluations={found.id}"]


def test_the_report_is_packed_with_its_scripts(starter_home: Path) -> None:
    found = evaluate("uniform")
    app = open_compare(found, compare_view="Downloads")
    app.button(key="comparison_prepare").click().run()
    assert not app.exception and len(app.get("download_button")) == 4
