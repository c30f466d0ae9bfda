"""What a model saw: cards say it, every row of a corpus gets the right status, and a draft's texts are compared."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from socrates_core.corpus import Corpus, open_corpus
from socrates_core.corpus.socsci210 import Request, run_import
from socrates_core.corpus.splits import KINDS, Kind, split_rows
from socrates_core.corpus.splits_make import make_split
from socrates_core.errors import UserError
from socrates_core.exposure.status import status, statuses
from socrates_core.exposure.texts import cells_seen, draft_status, near_seen
from socrates_core.models.catalog import HUB_MODELS
from socrates_core.models.seen import SOCRATES, Seen, seen_from_dict, seen_of, training_of
from socrates_core.surveys.draft import ConditionSpec, OutcomeSpec
from socrates_core.surveys.start import draft_from_study
from tests.support.drafts import make_draft
from tests.support.socsci210_rows import Quiet, asked, plain, study, write_rows
from tests.support.splits import USUAL, made_up

VIGNETTE = "The city council plans to close the old harbour road to cars from spring on, for one year."

TRAINING: dict[str, Any] = {
    "corpus": "a",
    "corpus_digest": "",
    "split": "s",
    "split_digest": "",
    "kind": "studies",
    "studies": {},
}


@pytest.fixture(autouse=True)
def own_home(home: Path) -> Path:
    return home


def official(folder: Path, mapping: dict[str, list[str]] | None) -> Corpus:
    """SocSci210 as imported from a folder, with the authors' list or without it."""
    ids = ["aaaaa", "bbbbb", "ccccc"]
    write_rows(folder / "set/train.parquet", [row for each in ids for row in plain(each)])
    if mapping is not None:
        (folder / "set/metadata").mkdir()
        (folder / "set/metadata/participant_mapping.json").write_text(json.dumps(mapping))
    return open_corpus(run_import(Request(str(folder / "set")), Quiet())["corpus"])


def card(path: Path, saw: Any, **settings: str) -> Path:
    """A model folder as far as its card goes; an adapter's where it names a base."""
    path.mkdir(parents=True)
    (path / "card.json").write_text(json.dumps({"saw": saw}))
    if settings:
        (path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", **settings}))
        (path / "adapter_model.safetensors").touch()
    return path


def rows_of(corpus: Corpus) -> pd.DataFrame:
    return corpus.ask(
        "SELECT study_id, sample_id, condition_num, task_num, participant FROM read_parquet($responses) r "
        "JOIN read_parquet($stimuli) s USING (study_id, stimulus_id)"
    )


def trained(corpus: Corpus, kind: Kind) -> Seen:
    split = make_split(corpus, kind, name="mine", seed=3)
    return Seen(trainings=(training_of(corpus, split, split_rows(corpus, split, "train")),))


def test_the_published_models_saw_what_the_authors_list_calls_seen(tmp_path: Path) -> None:
    assert {model.hub_id for model in HUB_MODELS} == SOCRATES
    corpus = official(tmp_path, {"seen": ["aaaaa"], "unseen": ["bbbbb"]})
    for name in SOCRATES:
        told = statuses(seen_of(name), corpus, pd.DataFrame({"study_id": ["aaaaa", "bbbbb", "ccccc"]}))
        assert told["status"].tolist() == ["seen", "unseen", "unknown"]
    assert "170" in status(seen_of(name), corpus, "aaaaa", condition_num=0).reason


def test_without_the_authors_list_nobody_guesses(tmp_path: Path) -> None:
    corpus = official(tmp_path, None)
    assert status(seen_of("socratesft/socrates-qwen2.5-14b-sft"), corpus, "aaaaa").status == "unknown"
    assert status(seen_of("Qwen/Qwen2.5-14B-Instruct"), corpus, "aaaaa").status == "unseen"


def test_an_untuned_model_is_said_to_have_read_nobody_knows_what(prepared: Path, home: Path) -> None:
    (home / "models").mkdir(parents=True)
    (home / "models" / "starter").symlink_to(prepared / "models" / "starter")
    told = status(seen_of("starter"), made_up(USUAL), "s0")
    assert told.status == "unseen" and "pretrained on is not known" in told.reason


@pytest.mark.parametrize("name", ["api:gpt-4o", "some/model", "bare"])
def test_a_model_that_says_nothing_is_unknown(home: Path, name: str) -> None:
    (home / "models" / "bare").mkdir(parents=True)
    assert status(seen_of(name), made_up(USUAL), "s0").status == "unknown"


@pytest.mark.parametrize("kind", KINDS)
def test_every_row_that_was_trained_on_is_seen_and_no_other(kind: Kind) -> None:
    corpus = made_up(USUAL)
    seen, split = trained(corpus, kind), make_split(corpus, kind, name="mine", seed=3)
    rows = rows_of(corpus)
    told = statuses(seen, corpus, rows)
    inside = rows.merge(
        split_rows(corpus, split, "train"), on=["study_id", "sample_id"], how="left", indicator=True
    )
    assert set(told["status"]) == {"seen", "unseen"}
    assert ((told["status"] == "seen").to_numpy() == (inside["_merge"] == "both").to_numpy()).all()


def test_what_a_question_does_not_tell_apart_is_seen_in_part() -> None:
    corpus = made_up(USUAL)
    seen = trained(corpus, "conditions")
    part = seen.trainings[0].studies["s2"].conditions
    assert part is not None
    held = next(number for number in range(4) if number not in part)
    assert status(seen, corpus, "s2").status == "partly"
    assert status(seen, corpus, "s2", condition_num=part[0]).status == "seen"
    told = status(seen, corpus, "s2", condition_num=held, task_num=0)
    assert told.status == "unseen" and "other conditions of the study were trained on" in told.reason
    people = trained(corpus, "participants")
    assert status(people, corpus, "s0", condition_num=0, task_num=0).status == "partly"


def test_the_highest_of_several_trainings_counts_and_an_adapter_has_its_bases(home: Path) -> None:
    corpus = made_up(USUAL)
    split = make_split(corpus, "studies", name="mine", seed=1)
    training = training_of(corpus, split, split_rows(corpus, split, "train"))
    base = card(home / "models" / "base", Seen(note="Base.", trainings=(training,)).as_dict())
    (base / "config.json").write_text("{}")
    card(
        home / "adapters" / "mine",
        {"note": "One more.", "studies": list(split.held_out)},
        base_model_name_or_path=str(base),
    )
    cells = pd.DataFrame({"study_id": ["s0", "s1", "s2", "s3"]})
    assert set(statuses(seen_of("mine"), corpus, cells)["status"]) == {"seen"}
    told = statuses(seen_of("base"), corpus, cells)["status"]
    assert [study for study, each in zip(cells["study_id"], told, strict=True) if each == "unseen"] == list(
        split.held_out
    )


def test_a_base_without_a_card_leaves_the_adapter_unknown_where_it_was_not_trained(home: Path) -> None:
    (home / "models" / "bare").mkdir(parents=True)
    card(home / "adapters" / "mine", {"studies": ["s1"]}, base_model_name_or_path="bare")
    cells = pd.DataFrame({"study_id": ["s0", "s1"]})
    assert statuses(seen_of("mine"), made_up(USUAL), cells)["status"].tolist() == ["unknown", "seen"]


def test_a_corpus_written_anew_is_not_taken_for_the_one_trained_on() -> None:
    seen = trained(made_up(USUAL), "studies")
    (kept,) = set(trained(made_up(USUAL), "studies").trainings[0].studies) & {"s0"} or {"s1"}
    anew = made_up([*USUAL, (2, 1, 4, False)])
    assert status(seen, anew, kept).status == "seen"
    assert status(seen, anew, "s4").status == "unknown"


@pytest.mark.parametrize(
    "saw",
    [
        "nothing",
        {"study": []},
        {"trainings": [{"corpus": "a"}]},
        {"trainings": [{**TRAINING, "kind": "rows"}]},
        {"trainings": [{**TRAINING, "studies": {"x": {"tasks": ["first"]}}}]},
    ],
)
def test_a_card_in_another_format_is_refused_in_a_sentence(home: Path, saw: Any) -> None:
    card(home / "models" / "mine", saw)
    with pytest.raises(UserError, match=r"card.json' does not say what the model was trained on"):
        seen_of("mine")


def test_a_card_is_read_back_as_it_was_written() -> None:
    seen = trained(made_up(USUAL), "participants")
    assert seen_from_dict(json.loads(json.dumps(seen.as_dict())), "the card") == seen


def vignettes(tmp_path: Path) -> Corpus:
    """Two studies in the official columns: "aaaaa" with the vignette, "bbbbb" about something else."""
    rows = study(
        "aaaaa",
        [
            (
                who,
                who % 2,
                0,
                asked("Do you support the plan of the council?", read=[VIGNETTE, "No news."][who % 2]),
                4,
            )
            for who in range(6)
        ],
    )
    write_rows(tmp_path / "set/train.parquet", [*rows, *plain("bbbbb")])
    (tmp_path / "set/metadata").mkdir()
    mapping = {"seen": ["aaaaa"], "unseen": ["bbbbb"]}
    (tmp_path / "set/metadata/participant_mapping.json").write_text(json.dumps(mapping))
    return open_corpus(run_import(Request(str(tmp_path / "set")), Quiet())["corpus"])


def test_a_drafts_texts_are_found_among_those_trained_on(tmp_path: Path) -> None:
    corpus = vignettes(tmp_path)
    draft = make_draft(
        conditions=(
            ConditionSpec(name="Close", text=VIGNETTE.replace("plans", "plan")),
            ConditionSpec(name="New", text="A text about bees that nobody has read before."),
        ),
        outcomes=(OutcomeSpec(name="Support", question="How likely is it that you would keep a hive?"),),
    )
    seen = Seen(studies=("aaaaa",))
    (near,) = near_seen(draft, seen)
    assert (near.what, near.corpus, near.study_id) == ("condition 'Close'", corpus.name, "aaaaa")
    assert 0.9 <= near.likeness < 1
    assert near_seen(draft, Seen(studies=("bbbbb",))) == [] and near_seen(draft, seen, least=0.99) == []
    assert draft_status(draft, seen).status == "partly"
    assert draft_status(draft, Seen(studies=("bbbbb",))).status == "unseen"
    assert draft_status(draft, Seen()).status == "unseen"


def test_a_draft_left_as_the_study_is_seen_and_texts_that_are_not_here_leave_it_unknown(
    tmp_path: Path,
) -> None:
    corpus = vignettes(tmp_path)
    socrates = seen_of("socratesft/socrates-qwen2.5-14b-dpo")
    told = draft_status(draft_from_study(corpus, "aaaaa"), socrates)
    assert told.status == "seen" and [near.likeness for near in told.near] == pytest.approx([1, 1, 1])
    other = draft_status(draft_from_study(corpus, "bbbbb"), socrates)
    assert other.status == "unknown" and "169 studies" in other.reason


def test_the_cells_that_people_were_asked_word_for_word_have_a_status(tmp_path: Path) -> None:
    corpus = vignettes(tmp_path)
    for study_id, expected in (("aaaaa", "seen"), ("bbbbb", "unseen")):
        draft = draft_from_study(corpus, study_id)
        texts = {(s.condition_num, 0): s.stimulus for s in corpus.stimuli(study_id)}
        told = cells_seen(draft, texts, seen_of("socratesft/socrates-llama3-8b-sft"))
        assert told == {(0, 0): expected, (1, 0): expected}
