"""Predictions sealed before people's answers are seen: a chain of records in SOCRATES_HOME/seals.

Each record (a study frozen, a run sealed, a study revealed) holds the digest of the record before it, and head.json
counts them, so a change, a removal or another date shows. The owner of the machine could still rewrite the whole
chain: only a digest that was given away (to a colleague, in a preregistration) proves to others when it was sealed.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from socrates_core.corpus.arrivals import (
    Arrival,
    digest_of_text,
    first_arrival,
    last_arrival,
    note_all_arrivals,
    texts_of_studies,
)
from socrates_core.corpus.hidden_answers import frozen_studies
from socrates_core.corpus.queries import Corpus
from socrates_core.errors import EDITED, UserError, quoted
from socrates_core.files import digest, file_digest, read_json, write_json
from socrates_core.jobs.store import now
from socrates_core.projects.run_results import load_run
from socrates_core.projects.run_spec import RUNS, load_spec
from socrates_core.settings import folder, home
from socrates_core.surveys.human_answers import StudyBehind, study_behind

FORMAT = "socrates-seal"
VERSION = 1
FILES = ("spec.json", "manifest.json", "people.parquet", "cells.parquet")
Answers = Literal["absent", "held", "hidden", "visible"]


@dataclass(frozen=True)
class SealRecord:
    """One link of the chain. `study` is (corpus, study_id); times are UTC; `previous` is the digest of the link before.

    A sealed run has the SHA-256 of its `files`, and says where people's `answers` were at the time: never in this
    home ("absent"), in the bin or deleted ("held"), hidden since `hidden_since`, or visible. `imported` is when this
    home first held them. A frozen or revealed study has the digests of its `texts`.
    """

    number: int
    kind: Literal["freeze", "seal", "reveal"]
    time: str
    previous: str
    study: tuple[str, str] | None = None
    run_id: str = ""
    title: str = ""
    model: str = ""
    files: dict[str, str] = field(default_factory=dict)
    answers: Answers = "absent"
    hidden_since: str = ""
    imported: str = ""
    texts: tuple[str, ...] = ()

    def digest(self) -> str:
        """SHA-256 in hex of all that the record says; records of earlier versions had no texts."""
        return digest({name: value for name, value in asdict(self).items() if name != "texts" or value})


@dataclass(frozen=True)
class Checked:
    """A link of the chain with its problem, "" without one; `record` is None where it is gone or cannot be read."""

    number: int
    record: SealRecord | None
    problem: str


def freeze(corpus: Corpus, study_id: str) -> SealRecord:
    """Hides people's answers to a study until it is revealed. Raises UserError if they are hidden already."""
    since = frozen_studies(corpus.path).get(corpus.study(study_id).study_id)
    if since:
        raise UserError(f"People's answers to {study_id!r} are hidden since {since} already.")
    return _append(kind="freeze", study=(corpus.name, study_id), texts=_texts_of(corpus, study_id))


def reveal(corpus: Corpus, study_id: str) -> SealRecord:
    """Shows a frozen study's answers from now on. Raises UserError if they are not hidden."""
    if study_id not in frozen_studies(corpus.path):
        raise UserError(f"People's answers to {study_id!r} are not hidden, so there is nothing to reveal.")
    return _append(kind="reveal", study=(corpus.name, study_id), texts=_texts_of(corpus, study_id))


def reveal_for(run_id: str) -> SealRecord:
    """Shows the answers of people who were asked what a sealed run asks.

    Raises UserError where the run is not sealed, or where no such answers are hidden.
    """
    if seal_of(run_id) is None:
        raise UserError(
            f"The run {run_id!r} is not sealed. Seal it first, to show that it was made before the answers were seen."
        )
    behind = _behind(run_id)
    if behind is None:
        raise UserError(
            f"Nobody's answers to what the run {run_id!r} asks are on this machine. Import them first."
        )
    return reveal(behind.corpus, behind.study_id)


def seal(run_id: str) -> SealRecord:
    """Seals a finished run as it is now. Raises UserError if it is unfinished, damaged or sealed already."""
    run = load_run(run_id)
    earlier = seal_of(run_id)
    if earlier is not None and earlier.record is not None:
        raise UserError(f"The run {run_id!r} is sealed since {earlier.record.time} already.")
    if run.manifest["state"] != "complete":
        raise UserError(f"The run {run_id!r} is not finished. Resume its job, then seal it.")
    # A corpus in the bin, or one that nobody opened, has no note yet, and its answers are not absent.
    note_all_arrivals()
    behind = _behind(run_id)
    held = first_arrival(_texts_shown(run_id))
    since = frozen_studies(behind.corpus.path).get(behind.study_id, "") if behind else ""
    imported = [held.first] if held else []
    if behind:
        imported.append(str(behind.corpus.manifest.get("created", "")))
    return _append(
        kind="seal",
        run_id=run_id,
        title=run.title,
        model=run.model,
        study=(behind.corpus.name, behind.study_id) if behind else None,
        files={name: file_digest(run.spec.path / name) for name in FILES},
        answers=_answers(behind, since, held),
        hidden_since=since,
        imported=min(imported, default=""),
    )


def _answers(behind: StudyBehind | None, hidden_since: str, held: Arrival | None) -> Answers:
    if behind is None:
        return "absent" if held is None else "held"
    return "hidden" if hidden_since else "visible"


def seal_of(run_id: str) -> Checked | None:
    """The seal of a run with its problem, if any; None where the run is not sealed."""
    sealed = [link for link in verify() if link.record and link.record.kind == "seal"]
    return next((link for link in sealed if link.record and link.record.run_id == run_id), None)


def verify() -> list[Checked]:
    """Every record in order, checked to be as it was written, and the files of each sealed run to be the sealed ones.

    What a seal says about people's answers is compared with what this home is known to have held. Raises UserError if
    head.json is damaged.
    """
    return [
        Checked(link.number, link.record, link.problem or (_problem_of(link.record) if link.record else ""))
        for link in read_chain()
    ]


def _problem_of(record: SealRecord) -> str:
    return _changed_files(record) or (_contradiction(record) if record.answers == "absent" else "")


def _contradiction(record: SealRecord) -> str:
    """Why a seal that calls people's answers absent is wrong; "" where nothing contradicts it."""
    held = first_arrival(_texts_shown(record.run_id)) if record.kind == "seal" else None
    if held is None or held.first >= record.time:
        return ""
    return (
        f"says that this home had never held such a study, but {held.study_id!r} in {held.corpus!r} has these texts "
        f"and was here by {held.first}"
    )


def describe(seal: SealRecord, chain: Sequence[Checked]) -> str:
    """When a run was sealed, whether people's answers could be seen here before, and when they were revealed."""
    by_answers = {
        "absent": f"This home had never held a study with these texts{_written_before(seal)}",
        "held": f"This home had held people's answers since {seal.imported}; they were in the bin or deleted when the "
        "run was sealed",
        "hidden": f"People's answers were hidden here from {seal.hidden_since} on; between their import "
        f"({seal.imported}) and then they could be seen",
        "visible": f"People's answers could be seen here before, since their import ({seal.imported})",
    }
    reveals = [link.record for link in chain[seal.number :] if link.record and link.record.kind == "reveal"]
    revealed = [record.time for record in reveals if record.study == seal.study]
    revealed_since = f" They were revealed {revealed[0]}." if revealed else ""
    return f"Sealed {seal.time}. {by_answers[seal.answers]}.{revealed_since}"


def _written_before(seal: SealRecord) -> str:
    """A warning if a study with the sealed texts came into this home later, but was written before the seal."""
    held = first_arrival(_texts_shown(seal.run_id)) if seal.answers == "absent" else None
    if held is None or not held.created or held.created >= seal.time:
        return ""
    return (
        f"; {held.study_id!r}, which came later, was written {held.created}, before the seal, so its answers could be "
        "known elsewhere"
    )


def _texts_shown(run_id: str) -> list[str]:
    """The digests of what a run's cells showed; empty where its files are gone."""
    try:
        return [digest_of_text(text) for text in load_spec(run_id).shown.values()]
    except UserError:
        return []


def _texts_of(corpus: Corpus, study_id: str) -> tuple[str, ...]:
    return tuple(sorted(texts_of_studies(corpus.path)[study_id]))


def read_chain() -> list[Checked]:
    """Every record in order, checked against itself, its neighbors and the head, but not against its run."""
    root = home() / "seals"
    paths = {int(path.stem): path for path in root.glob("[0-9]*.json") if path.stem.isdigit()}
    n, last = _read_head(root / "head.json")
    chain: list[Checked] = []
    previous: tuple[str, str] | None = ("", "")  # digest and time of the one before; None where it is gone
    for number in range(1, max([n, *paths], default=0) + 1):
        record, stored = _read(paths.get(number))
        problem = ""
        if record is None:
            problem = "was changed so that it cannot be read" if number in paths else "was removed"
        elif record.digest() != stored or record.number != number:
            problem = "was changed after it was written"
        elif previous is not None and (record.previous != previous[0] or str(record.time) < previous[1]):
            problem = "does not follow the one before, which was rewritten"
        elif number > n or (number == n and stored != last):
            problem = "is not the one that head.json names"
        chain.append(Checked(number, record, problem))
        # One break is reported once: nothing can be said to follow a record that was changed.
        previous = None if record is None or problem else (stored, record.time)
    return chain


def _read(path: Path | None) -> tuple[SealRecord | None, str]:
    """A record and the digest that is stored with it; None without a readable record."""
    if path is None:
        return None, ""
    try:
        stored = read_json(path)
        if (stored.pop("format"), stored.pop("version")) != (FORMAT, VERSION):
            return None, ""
        written_digest = str(stored.pop("digest"))
        study = stored["study"]
        texts = stored.get("texts", ())
        return SealRecord(
            **{**stored, "study": tuple(study) if study else None, "texts": tuple(texts)}
        ), written_digest
    except (UserError, *EDITED):
        return None, ""


def _read_head(path: Path) -> tuple[int, str]:
    """How many records there are, and the digest of the last. Raises UserError where the file is damaged."""
    if not path.exists():
        return 0, ""
    try:
        stored = read_json(path)
        return int(stored["n"]), str(stored["digest"])
    except EDITED as error:
        raise UserError(
            f"{str(path)!r} was changed, so the seals cannot be verified ({quoted(error)})."
        ) from error


def _append(**facts: Any) -> SealRecord:
    """Adds a record. Raises UserError if the chain was changed, or the clock is behind its last record."""
    root = folder("seals")
    with FileLock(root / ".lock"):
        chain = read_chain()
        broken = [link for link in chain if link.problem]
        if broken:
            raise UserError(
                f"Record {broken[0].number} of the chain of seals {broken[0].problem}, so nothing can be added to it. "
                f"Move the folder {str(root)!r} away to start a new chain."
            )
        last = chain[-1].record if chain else None
        # Times must rise along the chain, or a clock that was set back could date a seal before an import.
        record = SealRecord(len(chain) + 1, time=now(), previous=last.digest() if last else "", **facts)
        if last is not None and record.time < last.time:
            raise UserError(
                f"The clock says {record.time}, but the last seal is of {last.time}. Set the clock right."
            )
        if record.time < (noted := last_arrival()):
            raise UserError(
                f"The clock says {record.time}, but a study came into this home at {noted}. Set the clock right."
            )
        stored = {"format": FORMAT, "version": VERSION, **asdict(record), "digest": record.digest()}
        write_json(root / f"{record.number:06d}.json", stored)
        write_json(root / "head.json", {"n": record.number, "digest": record.digest()})
    return record


def _changed_files(record: SealRecord) -> str:
    """What is wrong with a sealed run's files, "" where nothing is."""
    path = RUNS.root / record.run_id
    for name, known in record.files.items():
        if not (path / name).exists():
            return f"is of a run whose {name} is gone"
        if file_digest(path / name) != known:
            return f"is of a run whose {name} was changed after it was sealed"
    return ""


def _behind(run_id: str) -> StudyBehind | None:
    spec = load_spec(run_id)
    return study_behind(spec.draft, spec.shown)
