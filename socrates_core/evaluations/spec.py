"""An evaluation as it was requested: which model answers for which held-out people, frozen before it starts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from socrates_core.asking.consent import check_permission, read_permission
from socrates_core.asking.request import ModelRequest
from socrates_core.asking.resources import with_precision
from socrates_core.corpus.splits import corpus_digest, load_split
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError, unknown
from socrates_core.files import digest, read_json
from socrates_core.jobs.store import new_id, now
from socrates_core.models import prompt_template
from socrates_core.record_folder import RecordFolder

NOT_READ = ("format", "consent", "limit_usd")  # the last two: of earlier versions, believed from nobody
CAP = 32  # people a cell: about what a published score needs to settle, at a fortieth of the cost of all
ALL_STUDIES = ("all",)  # what a person writes for every study of the corpus


@dataclass(frozen=True)
class EvaluationSpec:
    """Everything that decides an evaluation's result, except for the model's own weights.

    `split` is None where `studies` were chosen by hand; else `studies` narrows the split (all studies if empty). At
    most `cap` people a cell answer, drawn with `seed`; None means all. The two digests pin down what was split. Every
    prompt shows `shots` answers of people who are not evaluated. `permission` is what a person on this machine
    allowed a served model to be asked, for this evaluation alone.
    """

    evaluation_id: str
    created: str
    model: ModelRequest
    corpus: str
    corpus_digest: str
    split: str | None
    split_digest: str | None
    studies: tuple[str, ...]
    cap: int | None
    seed: int
    template: str
    shots: int = 0
    permission: Mapping[str, Any] | None = None

    @property
    def path(self) -> Path:
        return EVALUATIONS.root / self.evaluation_id

    def content(self) -> dict[str, Any]:
        """What two evaluations share if they ask the same."""
        # `shots` is left out where it is 0, so that digests of evaluations before there were shots stay the same.
        apart = ("evaluation_id", "created", "permission", *(() if self.shots else ("shots",)))
        decisive = {key: value for key, value in vars(self).items() if key not in apart}
        return {**decisive, "model": self.model.as_dict(), "studies": list(self.studies)}

    def content_digest(self) -> str:
        return digest(self.content())

    def allowed_usd(self) -> float | None:
        """The spending limit in dollars, None without one. Raises UserError if nobody on this machine allowed it."""
        return check_permission(
            self.permission, self.evaluation_id, self.content_digest(), self.model.service
        )

    def sample_digest(self) -> str:
        """What evaluations of different models share if they ask the same people the same questions."""
        names = ("corpus_digest", "split_digest", "studies", "cap", "seed")
        return digest([self.content()[name] for name in names])


def studies_by_corpus(names: Sequence[str], usual: str) -> dict[str, list[str]]:
    """The studies of each corpus; "corpus/study" names one of that corpus, a plain name one of the `usual` corpus."""
    by_corpus: dict[str, list[str]] = {}
    for name in names:
        corpus, slash, study = name.partition("/")
        by_corpus.setdefault(corpus if slash else usual, []).append(study if slash else name)
    return by_corpus


def plan_evaluation(
    model: ModelRequest,
    *,
    split: str | None = None,
    corpus: str | None = None,
    studies: Sequence[str] = (),
    cap: int | None = CAP,
    seed: int = 0,
    shots: int = 0,
) -> EvaluationSpec:
    """The evaluation that would be submitted.

    Raises UserError where the model, split, corpus or a study is unknown, or nothing is asked.
    """
    if cap is not None and cap < 2:
        raise UserError(f"The cap is {cap!r} people a cell. Give at least 2, or none to ask everybody.")
    chosen = load_split(split) if split else None
    opened = open_corpus(chosen.corpus if chosen else corpus or "starter")
    if chosen is None and not studies:
        raise UserError(
            "Nothing is asked: name a split with --split, or studies with --studies (all: every study of the corpus)."
        )
    known = chosen.held_out if chosen else opened.study_ids()
    named = opened.name if tuple(studies) == ALL_STUDIES else (studies or ("",))[0]
    if tuple(studies) == ALL_STUDIES:
        studies = tuple(known)
    for study in studies:
        if study not in known:
            raise unknown("held-out study" if chosen else "study", study, known)
    return EvaluationSpec(
        evaluation_id=new_id(f"{split or named} {model.name}"),
        created=now(),
        model=with_precision(model),
        corpus=opened.name,
        corpus_digest=corpus_digest(opened),
        split=split,
        split_digest=chosen.digest() if chosen else None,
        studies=tuple(sorted(set(studies))),
        cap=cap,
        seed=seed,
        template=prompt_template(model.name),
        shots=shots,
    )


def load_spec(evaluation_id: str) -> EvaluationSpec:
    """The spec of an evaluation. Raises UserError if it is unknown or its file was damaged."""
    return EVALUATIONS.load(evaluation_id)


def _read_spec(path: Path) -> EvaluationSpec:
    stored = {key: value for key, value in read_json(path).items() if key not in NOT_READ}
    model, studies = ModelRequest(**stored["model"]), tuple(stored["studies"])
    return EvaluationSpec(
        **{**stored, "model": model, "studies": studies}, permission=read_permission(path.parent)
    )


EVALUATIONS = RecordFolder(kind="evaluation", folder="evaluations", marker="spec.json", read=_read_spec)
