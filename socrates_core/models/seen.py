"""What a model was trained on: the part `saw` of its card.json, and what is known of models that others released."""

from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel, ConfigDict

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import UNITS, Kind, Split, corpus_digest
from socrates_core.errors import UserError
from socrates_core.models import is_stand_in
from socrates_core.models.adapter_settings import read_adapter
from socrates_core.models.model_folder import ModelFolder, find_model, installed_names, is_folder
from socrates_core.models.served.server import PREFIX
from socrates_core.yaml_files import validated

N_OFFICIAL = 170  # studies of SocSci210 that its authors trained their published models on
SAW_170 = (
    f"Saw all participants of the {N_OFFICIAL} seen studies of SocSci210; "
    "only its 40 unseen studies are new to it."
)
UNTUNED_NOTE = "Finetuned on no study; whether one was in the text it was pretrained on is not known."
SOCRATES = frozenset(
    f"socratesft/socrates-{base}-{kind}" for base in ("llama3-8b", "qwen2.5-14b") for kind in ("sft", "dpo")
)
UNTUNED = frozenset(
    {  # as released: the bases of the Socrates models, and others
        "meta-llama/Meta-Llama-3-8B-Instruct",
        "Qwen/Qwen2.5-14B-Instruct",
        "Qwen/Qwen3-8B-Base",
        "HuggingFaceTB/SmolLM2-135M-Instruct",
    }
)
_PARTS = {"conditions": "conditions", "outcomes": "tasks", "participants": "participants"}  # by kind of split


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class StudyPart(_Record):
    """The part of one study that was trained on; None means all of its conditions, outcomes or participants."""

    conditions: tuple[int, ...] | None = None
    tasks: tuple[int, ...] | None = None
    participants: tuple[int, ...] | None = None


class Training(_Record):
    """One finetuning: the split whose training side it used, and which part of each study.

    A row was seen if its condition, outcome and participant are all in its study's part.
    """

    corpus: str
    corpus_digest: str
    split: str
    split_digest: str
    kind: Kind
    studies: dict[str, StudyPart]


class Seen(_Record):
    """Everything that a model was trained on, its base model included, as far as it is `known`.

    `note` is a sentence for people. `official` means all of the studies that the authors of SocSci210 call seen.
    `studies` are whole studies that a card names without their corpus.
    """

    note: str = ""
    trainings: tuple[Training, ...] = ()
    official: bool = False
    known: bool = True
    studies: tuple[str, ...] = ()

    @property
    def trained(self) -> bool:
        """Whether any training is known."""
        return bool(self.trainings or self.studies or self.official)

    def as_dict(self) -> dict[str, Any]:
        """The part `saw` of a card.json."""
        return self.model_dump(mode="json", exclude_none=True)

    def over(self, base: "Seen") -> "Seen":
        """The exposure of a model that was trained on top of `base`."""
        before = tuple(training for training in base.trainings if training not in self.trainings)
        return Seen(
            note=self.note,
            trainings=(*before, *self.trainings),
            official=self.official or base.official,
            known=self.known and base.known,
            studies=tuple(sorted({*base.studies, *self.studies})),
        )


def seen_from_dict(stored: object, where: str) -> Seen:
    """The exposure in the part `saw` of a card. Raises UserError that names the field and `where` it is."""
    return validated(
        Seen, stored, f"{where} does not say what the model was trained on as this program writes it"
    )


def seen_of(name: str, over: tuple[Path, ...] = ()) -> Seen:
    """What the model called `name` was trained on, by its card and its base model's card; nothing is fetched.

    A served model is believed to be what its name says. `over` are the adapters that led to this base. Raises UserError
    if a card is damaged, or an adapter is its own base.
    """
    if is_stand_in(name):
        return Seen(note="Nothing.")
    released = name.removeprefix(PREFIX)
    if released in SOCRATES:
        return Seen(note=SAW_170, official=True)
    if released in UNTUNED:
        return Seen(note=UNTUNED_NOTE)
    if name not in installed_names() and not is_folder(name):
        return Seen(note="Nothing is known here of what the model was trained on.", known=False)
    folder = find_model(name)
    stored = ModelFolder(folder).card.get("saw")
    if stored is None:
        seen = Seen(note="The model's folder has no card that says what it was trained on.", known=False)
    else:
        seen = seen_from_dict(stored, repr(str(folder / "card.json")))
    settings = folder / "adapter_config.json"
    if not settings.exists() or (folder / "config.json").exists():
        return seen
    if folder in over:
        raise UserError(
            f"The adapter in {str(folder)!r} names itself as its base model. Give the model it was trained on."
        )
    return seen.over(seen_of(read_adapter(folder)["base_model_name_or_path"], (*over, folder)))


def training_of(corpus: Corpus, split: Split, rows: pd.DataFrame) -> Training:
    """What a finetuning on `rows` of a split's training side is recorded as having seen.

    `rows` has study_id, stimulus_id and participant, as `split_rows` gives them. If whole studies are split, a study
    counts as seen whole, however few of its rows were used. Otherwise the conditions, outcomes or participants that
    occur in the rows count as seen.
    """
    seen = rows[["study_id", "stimulus_id", "participant"]].drop_duplicates()
    column = UNITS[split.kind]
    if split.kind in ("conditions", "outcomes"):
        places = corpus.ask(f"SELECT study_id, stimulus_id, {column} FROM read_parquet($stimuli)")
        seen = seen.merge(places, on=["study_id", "stimulus_id"])
    studies = {}
    for study, study_rows in seen.groupby("study_id"):
        ids = () if split.kind == "studies" else tuple(sorted(map(int, study_rows[column].unique())))
        studies[str(study)] = StudyPart(**({_PARTS[split.kind]: ids} if ids else {}))
    return Training(
        corpus=corpus.name,
        corpus_digest=corpus_digest(corpus),
        split=split.name,
        split_digest=split.digest(),
        kind=split.kind,
        studies=studies,
    )
