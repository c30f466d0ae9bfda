"""Corpora on disk: four Parquet files and a manifest, written all or nothing and checked when opened."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from socrates_core import settings
from socrates_core.corpus.arrivals import note_arrival
from socrates_core.corpus.queries import ASSIGNED, Corpus, damaged
from socrates_core.corpus.tables import SCHEMAS, assignment_table, build_tables
from socrates_core.errors import UserError, quoted, unknown
from socrates_core.files import file_digest, read_json, write_json, write_text
from socrates_core.records import Design

__all__ = ["Corpus", "corpora", "find_study", "open_corpus", "write_corpus", "writing_corpus"]

FORMAT = "socrates-corpus"
VERSION = 2
ROWS_IN_GROUP = 60_000  # a study's answers fill one or two row groups, so a query reads few


def corpora() -> list[str]:
    """The names of the corpora on this machine, in alphabetical order."""
    root = settings.home() / "corpora"
    return sorted(path.parent.name for path in root.glob("[!.]*/manifest.json"))


def open_corpus(name: str) -> Corpus:
    """The corpus called `name`, after checking that its files are those that were written.

    Raises UserError if there is no such corpus, a file is missing or changed, or the format is another.
    """
    if name not in corpora():
        raise unknown(
            "corpus", name, corpora(), "Run 'python -m socrates_core setup' to get the starter corpus."
        )
    path = settings.home() / "corpora" / name
    manifest = _read_manifest(path)
    for table, digest in manifest["sha256"].items():
        file = path / f"{table}.parquet"
        if not file.is_file():
            raise damaged(name, f"the file {file.name!r} is missing")
        state = file.stat()
        if _digest(file, state.st_size, state.st_mtime_ns, state.st_ino) != digest:
            raise damaged(name, f"the file {file.name!r} is not the one that was written")
    note_arrival(path, manifest)
    return Corpus(path, manifest)


def find_study(study_id: str, corpus: str | None = None) -> Corpus:
    """The first corpus that has the study; if `corpus` is given, only that one is searched.

    A damaged corpus is skipped if another one has the study. Raises UserError that names the known studies.
    """
    known: list[str] = []
    broken: UserError | None = None
    for name in corpora() if corpus is None else [corpus]:
        try:
            opened = open_corpus(name)
            studies = opened.study_ids()
        except UserError as error:
            broken = broken or error
            continue
        if study_id in studies:
            return opened
        known += studies
    raise broken or unknown("study", study_id, known, "" if known else "Run 'python -m socrates_core setup'.")


def write_corpus(
    name: str,
    *,
    title: str,
    source: str,
    studies: pd.DataFrame,
    stimuli: pd.DataFrame,
    participants: pd.DataFrame,
    responses: pd.DataFrame,
    assignment: pd.DataFrame | None = None,
    designs: Mapping[str, Design] | None = None,
    recipe: str = "",
    texts: Mapping[str, str] | None = None,
) -> Path:
    """Writes a corpus, all or nothing, in place of one of that name; returns its folder.

    `assignment` has people's clusters, blocks, and weights in the studies whose `designs` name them. `texts` (file name
    -> content) are kept next to the tables. `writing_corpus` writes a large corpus study by study.
    """
    with writing_corpus(name, title=title, source=source, recipe=recipe) as corpus:
        corpus.add(
            {"studies": studies, "stimuli": stimuli, "participants": participants, "responses": responses}
        )
        corpus.designs |= designs or {}
        if assignment is not None and len(assignment):
            corpus.assign(assignment)
        for file, text in (texts or {}).items():
            write_text(corpus.folder / file, text)
    return settings.home() / "corpora" / name


class GrowingCorpus:
    """A corpus that is being written. Files put into its `folder` are kept next to the tables.

    `designs` are those of studies whose people were assigned in groups or blocks or are weighted, or whose conditions
    are crossed; the others need not be named.
    """

    def __init__(self, folder: Path, tables: Mapping[str, "_GrowingTable"]) -> None:
        self.folder = folder
        self._tables = tables
        self.designs: dict[str, Design] = {}

    def assign(self, people: pd.DataFrame) -> None:
        """Keeps people's clusters, blocks, and weights. Once for a corpus."""
        pq.write_table(assignment_table(people), self.folder / f"{ASSIGNED}.parquet", compression="zstd")

    def add(self, frames: dict[str, pd.DataFrame]) -> None:
        """Adds the four tables of some whole studies. Raises UserError if they do not fit."""
        for table, content in build_tables(frames).items():
            self._tables[table].add(content)


@contextmanager
def writing_corpus(name: str, *, title: str, source: str, recipe: str = "") -> Iterator[GrowingCorpus]:
    """Yields a corpus to add whole studies to, in order of study_id; it is put in place when the block ends.

    Nothing changes on an error. Memory holds about ROWS_IN_GROUP rows at a time. The counts and flags of `studies` and
    the `value` of `responses` are computed here: `value` is the response as an answer on its stimulus' scale, missing
    if it is off the scale or an optional column `refused` says so. `recipe` says how the corpus was made, so a later
    import can see whether it is up to date.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise UserError(
            f"{name!r} cannot name a corpus. Use up to 64 lower-case letters, digits, '-' and '_'."
        )
    root = settings.folder("corpora")
    # Next to its place, so that it only has to be renamed; `corpora` does not list names that begin with a dot.
    aside = Path(tempfile.mkdtemp(dir=root, prefix=f".{name}."))
    try:
        with ExitStack() as opened:
            tables = {table: opened.enter_context(_GrowingTable(aside, table)) for table in SCHEMAS}
            growing = GrowingCorpus(aside, tables)
            yield growing
        manifest = _manifest(title, source, recipe, tables, aside)
        if designs := {
            study: asdict(design)
            for study, design in growing.designs.items()
            if design.factors or not design.is_plain
        }:
            manifest["designs"] = designs
        if (assigned := aside / f"{ASSIGNED}.parquet").exists():
            manifest["sha256"][ASSIGNED] = file_digest(assigned)
        write_json(aside / "manifest.json", manifest)
        _replace(root / name, aside)
        note_arrival(root / name, manifest)
    except OSError as error:
        raise UserError(
            f"The corpus {name!r} could not be written to {str(root)!r} ({error.strerror or error}). "
            "Free some space or set SOCRATES_HOME to a folder that you can write to."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


class _GrowingTable:
    """One table's Parquet file. Whole studies are buffered until they fill a row group of about ROWS_IN_GROUP rows."""

    def __init__(self, folder: Path, table: str) -> None:
        schema = SCHEMAS[table]
        # These numbers rarely repeat: a dictionary would be as long as the column, differences between them are short.
        packed = {name for name in ("sample_id", "participant") if name in schema.names}
        self._file = pq.ParquetWriter(
            folder / f"{table}.parquet",
            schema,
            compression="zstd",
            compression_level=9,
            use_dictionary=[name for name in schema.names if name not in packed],
            column_encoding=dict.fromkeys(packed, "DELTA_BINARY_PACKED"),
        )
        self._buffered: list[pa.Table] = []
        self._n_buffered = self.num_rows = 0

    def add(self, content: pa.Table) -> None:
        self._buffered.append(content)
        self._n_buffered += content.num_rows
        self.num_rows += content.num_rows
        if self._n_buffered >= ROWS_IN_GROUP:
            self._write()

    def _write(self) -> None:
        if self._buffered:
            self._file.write_table(pa.concat_tables(self._buffered), row_group_size=2 * ROWS_IN_GROUP)
        self._buffered = []
        self._n_buffered = 0

    def __enter__(self) -> "_GrowingTable":
        return self

    def __exit__(self, *_ending: object) -> None:
        self._write()
        self._file.close()


def _manifest(title: str, source: str, recipe: str, tables: dict[str, Any], path: Path) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "title": title,
        "source": source,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "recipe": recipe,
        "rows": {table: content.num_rows for table, content in tables.items()},
        "sha256": {table: file_digest(path / f"{table}.parquet") for table in tables},
    }


def _replace(path: Path, aside: Path) -> None:
    """Puts `aside` in place of `path`; the old folder comes back if that fails."""
    with FileLock(path.parent / ".lock"):
        old = path.parent / f".{path.name}.old"
        # A folder that holds files cannot be replaced in one step, so the old one moves away first.
        if path.exists():
            shutil.rmtree(old, ignore_errors=True)
            os.replace(path, old)
        try:
            os.replace(aside, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _read_manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = read_json(path / "manifest.json")
    except UserError as error:
        raise damaged(path.name, str(error)) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise damaged(path.name, "its manifest is not one of this program's")
    if manifest.get("version") != VERSION:
        raise UserError(
            f"The corpus {path.name!r} has format version {quoted(manifest.get('version'))}, not {VERSION}. "
            "Update the program, or import the corpus again with this one."
        )
    if not isinstance(manifest.get("sha256"), dict) or set(manifest["sha256"]) - {ASSIGNED} != set(SCHEMAS):
        raise damaged(path.name, "its manifest does not list the four tables")
    return manifest


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int, inode: int) -> str:
    """The file's digest, computed once for each state of the file."""
    return file_digest(path)
