"""Whether a model has seen a study, or a condition, outcome or participant of it, in training."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import corpus_digest
from socrates_core.corpus.splits_make import OFFICIAL
from socrates_core.errors import EDITED, UserError, quoted
from socrates_core.files import read_json
from socrates_core.models.seen import N_OFFICIAL, Seen, Training

Status = Literal["unseen", "unknown", "partly", "seen"]
STATUSES: tuple[Status, ...] = (
    "unseen",
    "unknown",
    "partly",
    "seen",
)  # what several trainings say: the highest
UNSEEN, UNKNOWN, PARTLY, SEEN = range(4)
HEADLINE: tuple[Status, ...] = ("unseen", "unknown")  # the cells that may enter a headline score
NOT_TRAINED = "It was not trained on."
PRETRAINED = "Whether it was in the text that the model was pretrained on is not known."
_ASKED = {"condition_num": "conditions", "task_num": "tasks", "participant": "participants"}

_Rated = tuple[NDArray[np.int64], dict[int, str]]  # the status of each row, and the reason for each status


@dataclass(frozen=True)
class ExposureVerdict:
    """A status with its reason, a sentence."""

    status: Status
    reason: str


def status(
    seen: Seen,
    corpus: Corpus,
    study_id: str,
    *,
    condition_num: int | None = None,
    task_num: int | None = None,
    participant: int | None = None,
) -> ExposureVerdict:
    """Whether a model saw a study, or the part of it that the other arguments name."""
    parts = {"condition_num": condition_num, "task_num": task_num, "participant": participant}
    row = {"study_id": study_id, **{name: value for name, value in parts.items() if value is not None}}
    rated = statuses(seen, corpus, pd.DataFrame([row])).iloc[0]
    return ExposureVerdict(rated["status"], rated["reason"])


def statuses(seen: Seen, corpus: Corpus, cells: pd.DataFrame) -> pd.DataFrame:
    """Columns status and reason for every row of `cells`, which has study_id and may have condition_num, task_num,
    participant.

    "seen": everything that the row names was trained on; "partly": a part of it, but the columns at hand cannot say
    which; "unseen": no training row is among it. A participant who was held out is "unseen", even where others'
    answers to the same cell were trained on; without the column participant that cell is "partly".
    """
    codes, reasons = (
        np.full(len(cells), UNSEEN),
        np.full(len(cells), f"{NOT_TRAINED} {PRETRAINED}", dtype=object),
    )
    for study, rows in cells.groupby("study_id").indices.items():
        of_study = cells.iloc[rows]
        rated = [_rate(training, corpus, str(study), of_study) for training in seen.trainings]
        rated += [_rate_named(seen, corpus, str(study), len(of_study))]
        for code, reason_by_code in rated:
            higher = code > codes[rows]
            codes[rows[higher]] = code[higher]
            reasons[rows[higher]] = [reason_by_code[training] for training in code[higher]]
            held = (code == UNSEEN) & (codes[rows] == UNSEEN) & (UNSEEN in reason_by_code)
            reasons[rows[held]] = reason_by_code.get(UNSEEN, "")
    names = np.array(STATUSES, dtype=object)[codes]
    return pd.DataFrame({"status": names, "reason": reasons}, index=cells.index)


def _rate(training: Training, corpus: Corpus, study: str, rows: pd.DataFrame) -> _Rated:
    """What one training says about the rows of a study."""
    part = training.studies.get(study)
    source = f"{training.corpus}, split {training.split}"
    same = training.corpus_digest == corpus_digest(corpus)
    if not same and training.corpus != corpus.name:
        same_name = (
            f"A study of this name in the corpus {training.corpus} was trained on; it may be the same."
        )
        return np.full(len(rows), UNSEEN if part is None else UNKNOWN), {UNKNOWN: same_name}
    renewed = f"The corpus {corpus.name} was written again since the model was trained; its numbers may have changed."
    # SocSci210's numbers come with its rows and stay the same after an import; other corpora may be numbered anew.
    out = UNSEEN if same or is_socsci210(corpus) else UNKNOWN
    if part is None:
        return np.full(len(rows), out), {UNKNOWN: renewed}
    inside = np.ones(len(rows), dtype=bool)
    whole = True
    for column, name in _ASKED.items():
        ids = getattr(part, name)
        if ids is not None and column in rows:
            inside &= rows[column].isin(ids).to_numpy()
        elif ids is not None:
            whole = False
    code = np.where(inside, SEEN if whole else PARTLY, out)
    return code, {
        SEEN: f"It was trained on ({source}).",
        UNKNOWN: renewed,
        PARTLY: f"A part of it was trained on ({source}); other {training.kind} were held out.",
        UNSEEN: f"It was held out ({source}), while other {training.kind} of the study were trained on.",
    }


def _rate_named(seen: Seen, corpus: Corpus, study: str, n: int) -> _Rated:
    """What is known about a whole study: by its name, by the split of SocSci210's authors, or nothing."""
    code, reason = UNSEEN if seen.known else UNKNOWN, seen.note or "The model's card does not say."
    if study in seen.studies:
        code, reason = SEEN, "The model's card names it among the studies that it was trained on."
    elif seen.official and is_socsci210(corpus):
        sides = official_sides(corpus)
        if sides is None or study not in sides["seen"] | sides["unseen"]:
            code, reason = UNKNOWN, "The corpus does not say which studies its authors trained on."
        elif study in sides["seen"]:
            code, reason = (
                SEEN,
                f"It is one of the {N_OFFICIAL} studies of SocSci210 that the model was trained on.",
            )
    return np.full(n, code), {code: reason} if code != UNSEEN else {}


def is_socsci210(corpus: Corpus) -> bool:
    """Whether a corpus holds studies of SocSci210, by the ids they were imported with."""
    return bool(corpus.manifest.get("title") == "SocSci210")


def official_sides(corpus: Corpus) -> dict[str, set[str]] | None:
    """The studies that SocSci210's authors call "seen" and "unseen"; None where their list did not come along."""
    path = corpus.path / "metadata" / OFFICIAL["studies"]
    if not path.exists():
        return None
    stored: Any = read_json(path)
    try:
        return {side: set(map(str, stored[side])) for side in ("seen", "unseen")}
    except EDITED as error:
        raise UserError(f"{str(path)!r} does not list seen and unseen studies ({quoted(error)}).") from error
