"""Imports SocSci210, or any data in its columns, from the hub, a folder or one Parquet file.

Shards are taken apart one by one into a staging folder; then the studies are described and written one by one. An
import that was stopped loses nothing: the next import of the same source continues after the last whole shard.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from socrates_core.corpus import hub
from socrates_core.corpus.describe import Provenance, describe_study, known_problems
from socrates_core.corpus.queries import MOST_TEXTS
from socrates_core.corpus.staging import COLUMNS, VERSION, Staging
from socrates_core.corpus.store import GrowingCorpus, corpora, open_corpus, writing_corpus
from socrates_core.corpus.topics import name_topics
from socrates_core.errors import UserError
from socrates_core.files import digest, file_digest, read_json, write_json
from socrates_core.jobs import store, worker_process
from socrates_core.settings import folder

NAME = "socsci210"
HUB = "socsci210"  # what a person types for the data set on the hub
_OFFICIAL = re.compile(r"[2-9a-hjkmnp-z]{5}")  # an identifier of the Open Science Framework


class Progress(Protocol):
    """Receives the progress of an import: a job's reporter, or a command line."""

    def begin(self, phase: str, total: int, cached: int = 0) -> None: ...

    def advance(self, computed: int) -> None:
        """May raise to stop the import."""


@dataclass(frozen=True)
class Request:
    """What to import: `source` is HUB or a path; no `studies` means all; `name` is the corpus to write."""

    source: str
    studies: tuple[str, ...] = ()
    reasoning: bool = False
    name: str = ""
    replace: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {**vars(self), "studies": list(self.studies)}

    @staticmethod
    def from_dict(stored: Mapping[str, Any]) -> "Request":
        return Request(**{**stored, "studies": tuple(stored["studies"])})


@dataclass(frozen=True)
class _Source:
    """One file of the source; `opened` returns its path, for the hub after fetching it."""

    name: str
    size: int
    checksum: str
    opened: Callable[[], Path] = field(compare=False)
    fetched: bool = False


def has_columns(path: Path) -> bool:
    """Whether a Parquet file, or the first one in a folder, has the columns of SocSci210."""
    files = _parquet(path) if path.is_dir() else [path]
    try:
        return bool(files) and set(COLUMNS) <= set(pq.read_schema(files[0]).names)
    except (OSError, ValueError):
        return False


def submit_import(request: Request) -> store.Job:
    """Queues an import; joins the same import if it is still active. Raises UserError if there is no such source."""
    # An empty path would be the working folder.
    if request.source != HUB and not (request.source and Path(request.source).expanduser().exists()):
        raise UserError(
            f"{request.source!r} is neither a file nor a folder. Give a Parquet file, a folder of them, or the word "
            f"{HUB!r} for the data set on the hub."
        )
    title = "SocSci210 from the hub" if request.source == HUB else f"Import of {Path(request.source).name}"
    job = store.submit("import", title, request.as_dict(), key=digest(request.as_dict()))
    worker_process.ensure_worker()
    return job


def run_import(request: Request, progress: Progress) -> dict[str, Any]:
    """Writes the corpus; returns its name and counts. A corpus made from the same source is left as it is.

    Raises UserError if the source cannot be read, lacks a named study, or would replace a corpus with studies that it
    does not bring.
    """
    staging_root = folder("cache", "imports")
    downloads = staging_root / (request.name or NAME)
    files = _files(request, downloads / "raw")
    shards = [file for file in files if not file.name.endswith(".json")]
    contents = [[(file.name, file.checksum) for file in files], request.studies, request.reasoning, VERSION]
    recipe = digest([contents, _code()])
    with _staging(downloads, digest(contents)) as staging:
        _take(shards, request, staging, progress)
        studies = staging.studies()
        missing = [study for study in request.studies if study not in studies]
        if missing:
            raise UserError(f"{request.source!r} has no study {missing[0]!r}. Check --studies.")
        if not studies:
            raise UserError(f"{request.source!r} holds no rows.")
        official = all(_OFFICIAL.fullmatch(study) for study in studies)
        name = request.name or (NAME if official else _slug(request.source))
        if _is_current(name, recipe):
            return _summary(name)
        if not request.replace:
            _refuse_loss(name, studies)
        provenance = _provenance(request, official)
        title = "SocSci210" if official else Path(request.source).stem
        with writing_corpus(name, title=title, source=provenance.source, recipe=recipe) as corpus:
            _write(corpus, staging, provenance, progress, reasoning=request.reasoning)
            for mapping in [file for file in files if file not in shards]:
                (corpus.folder / "metadata").mkdir(exist_ok=True)
                shutil.copy(mapping.opened(), corpus.folder / "metadata")
    shutil.rmtree(downloads, ignore_errors=True)
    return _summary(name)


def _files(request: Request, downloads: Path) -> list[_Source]:
    """The shards of the source and the split mappings in its folder `metadata`, if it has any."""
    if request.source == HUB:
        files = [
            _Source(file.name, file.size, file.checksum, partial(hub.fetch, file, downloads), fetched=True)
            for file in hub.list_files()
        ]
    else:
        path = Path(request.source).expanduser()
        if not path.exists():
            raise UserError(
                f"{request.source!r} is neither a file nor a folder. Give a Parquet file, a folder of them, or the "
                f"word {HUB!r} for the data set on the hub."
            )
        here = [*_parquet(path), *sorted(path.glob("metadata/*_mapping.json"))] if path.is_dir() else [path]
        files = [
            _Source(str(file), file.stat().st_size, file_digest(file), partial(Path, file)) for file in here
        ]
    if all(file.name.endswith(".json") for file in files):
        raise UserError(f"{request.source!r} holds no Parquet files.")
    return files


def _parquet(path: Path) -> list[Path]:
    return sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))


@contextmanager
def _staging(path: Path, contents: str) -> Iterator[Staging]:
    """The staging folder of one import, emptied if another import left it; refused to a second process."""
    lock = FileLock(path.with_suffix(".lock"), timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UserError(
            f"{path.name!r} is already being imported. Wait for that job or cancel it."
        ) from error
    try:
        note = path / "asked.json"
        if path.exists() and not (note.exists() and read_json(note) == contents):
            shutil.rmtree(path)
        write_json(note, contents)
        staging = Staging(path)
        try:
            yield staging
        finally:
            staging.close()
    finally:
        lock.release()


def _take(shards: Sequence[_Source], request: Request, staging: Staging, progress: Progress) -> None:
    taken = staging.taken()
    sizes = {shard.name: max(1, shard.size // 1_000_000) for shard in shards}
    progress.begin("reading (MB)", sum(sizes.values()), sum(sizes[name] for name in taken if name in sizes))
    done = 0
    for shard in shards:
        if shard.name not in taken:
            progress.advance(done)
            path = shard.opened()
            staging.take(shard.name, path, studies=request.studies, reasoning=request.reasoning)
            # Deleted only after its rows are committed, so that a killed import goes on after its last whole shard.
            if shard.fetched:
                path.unlink()
            done += sizes[shard.name]
    progress.advance(done)


def _write(
    corpus: GrowingCorpus, staging: Staging, provenance: Provenance, progress: Progress, *, reasoning: bool
) -> None:
    studies = staging.studies()
    topics = name_topics(
        {study: " ".join(staging.texts(study)["stimulus"][:MOST_TEXTS]) for study in studies}
    )
    progress.begin("writing studies", len(studies))
    reasons: pq.ParquetWriter | None = None
    try:
        for done, study in enumerate(studies):
            progress.advance(done)
            texts = staging.texts(study)
            answers = staging.answers(study)
            rows = answers.merge(texts[["text_id", "stimulus_id"]], on="text_id")
            corpus.add(
                describe_study(
                    study, texts, staging.people(study), rows, provenance, topic=topics.get(study, "")
                )
            )
            if reasoning:
                table = staging.reasons(study)
                reasons = reasons or pq.ParquetWriter(
                    corpus.folder / "reasoning.parquet", table.schema, compression="zstd"
                )
                reasons.write_table(table)
    finally:
        if reasons is not None:
            reasons.close()
    progress.advance(len(studies))


def _provenance(request: Request, official: bool) -> Provenance:
    if official:
        return Provenance(
            "SocSci210 (Kolluri, Wu, Park and Bernstein 2025), from Time-sharing Experiments for the Social Sciences",
            f"https://huggingface.co/datasets/{hub.REPOSITORY}",
            "The data set's card declares no licence.",
            "partly",
            known_problems(),
        )
    return Provenance(f"The file {Path(request.source).name}", "", "Not stated.", "partly")


def _code() -> list[str]:
    """Digests of all code that decides what is written, so an import after an update writes the corpus again."""
    here = Path(__file__).parent
    names = (
        "describe.py",
        "flags.py",
        "known_problems.yaml",
        "staging.py",
        "store.py",
        "tables.py",
        "text_vectors.py",
        "topics.py",
    )
    read = [
        *(here / name for name in names),
        here.parent / "prompts.py",
        *sorted(here.parent.glob("scales/*.py")),
    ]
    return [file_digest(path) for path in read]


def _is_current(name: str, recipe: str) -> bool:
    try:
        return name in corpora() and open_corpus(name).manifest.get("recipe") == recipe
    except UserError:
        return False


def _refuse_loss(name: str, studies: Sequence[str]) -> None:
    """Raises UserError if the corpus of that name has studies that this import does not bring."""
    try:
        lost = sorted(set(open_corpus(name).study_ids()) - set(studies)) if name in corpora() else []
    except UserError:
        return  # a damaged corpus has nothing to lose
    if lost:
        raise UserError(
            f"The corpus {name!r} has {len(lost)} studies that this import does not bring, such as {lost[0]!r}. "
            "Keep both with --name, or drop those studies with --replace."
        )


def _summary(name: str) -> dict[str, Any]:
    corpus = open_corpus(name)
    return {"corpus": name, "path": str(corpus.path), **corpus.manifest["rows"]}


def _slug(source: str) -> str:
    return "-".join(re.findall(r"[a-z0-9_]+", Path(source).stem.lower()))[:64].strip("-_") or "imported"
