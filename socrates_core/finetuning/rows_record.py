"""What a finetune's folder keeps of its rows: proof that every process chooses the same ones, and facts for the card.

Rows are chosen twice on the way of a finetune: once when it is started, to check it, and once by the process that
trains. The model's card is written from this record.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.finetuning.leaks import Leak, find_leaks
from socrates_core.finetuning.rows import TrainingRows, choose_rows
from socrates_core.finetuning.spec import TrainingSpec, load_training, training_path
from socrates_core.models.seen import Training, training_of

FILE = "rows.json"


class RowsRecord(BaseModel):
    """The rows of a finetune as they were when it was started.

    `digest` is that of `TrainingRows`. `n_answers` answers of `n_people` people in `n_studies` studies influence the
    model (`TrainingRows.learned_from`); `training` lists them for its card. `leaks` are the leaks that were accepted, a
    sentence each.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    digest: str
    n_rows: int
    n_validation_rows: int
    n_answers: int
    n_people: int
    n_studies: int
    training: Training
    leaks: tuple[str, ...] = ()


def describe_rows(spec: TrainingSpec, rows: TrainingRows, leaks: Sequence[Leak]) -> RowsRecord:
    """The record of the rows that were chosen for `spec`."""
    learned_from = rows.learned_from(spec.method)
    return RowsRecord(
        digest=rows.digest,
        n_rows=len(rows.train),
        n_validation_rows=len(rows.validation),
        n_answers=len(learned_from),
        n_people=len(learned_from[["study_id", "participant"]].drop_duplicates()),
        n_studies=learned_from["study_id"].nunique(),
        training=training_of(rows.corpus, rows.split, learned_from),
        leaks=tuple(leak.sentence for leak in leaks),
    )


def write_record(path: Path, record: RowsRecord) -> None:
    """Keeps the record in the finetune's folder `path`."""
    write_json(path / FILE, record.model_dump(mode="json", exclude_none=True))


def load_record(training_id: str) -> RowsRecord:
    """The record of a finetune's rows.

    If the finetune has none, or a damaged one, its rows are chosen again; finetunes of earlier versions have none.
    """
    record = _read_record(training_id)
    if record is not None:
        return record
    spec = load_training(training_id)
    rows = choose_rows(spec)
    return describe_rows(spec, rows, find_leaks(spec, rows) if spec.accept_leaks else ())


def load_rows(training_id: str) -> TrainingRows:
    """The rows of a finetune that was started before.

    Raises UserError if they are no longer the rows that were checked then, because the corpus or the split changed.
    """
    rows = choose_rows(load_training(training_id))
    record = _read_record(training_id)
    if record is not None and record.digest != rows.digest:
        raise UserError(
            f"The rows of the finetune {training_id!r} are not those that were checked when it was started: the "
            f"corpus {rows.corpus.name!r} or the split {rows.split.name!r} changed since. Start a new finetune."
        )
    return rows


def _read_record(training_id: str) -> RowsRecord | None:
    try:
        return RowsRecord.model_validate(read_json(training_path(training_id) / FILE))
    except (UserError, ValidationError):
        return None
