"""Folders of records under SOCRATES_HOME: which records there are, which are damaged, and one bin with a way back.

A record is a folder of its own, or the files that share one name. Deleting moves it to `.deleted/<time>/` in the same
folder, so two deleted records of one name never meet. Earlier versions put drafts directly into `.deleted/`; these are
listed and restored too.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, TypeVar

from socrates_core import settings
from socrates_core.errors import EDITED, UserError, quoted, unknown

BIN = ".deleted"
Record = TypeVar("Record")


@dataclass(frozen=True)
class StoredRecord:
    """A record as files.

    `deleted_at` is its time stamp in the bin: empty outside the bin, "-" if an earlier version deleted it.
    """

    kind: str
    name: str
    paths: tuple[Path, ...]
    deleted_at: str = ""

    @property
    def n_bytes(self) -> int:
        return sum(file.lstat().st_size for file in self.files())

    @property
    def changed(self) -> str:
        """When a file of it changed last, as ISO 8601 in UTC."""
        latest = max((file.lstat().st_mtime for file in self.files()), default=0.0)
        return datetime.fromtimestamp(latest, UTC).isoformat(timespec="seconds")

    def files(self) -> Iterator[Path]:
        """Every file of the record. A link counts as a file: what it points to belongs to something else."""
        for path in self.paths:
            yield from files_in(path)

    def discard(self) -> None:
        """Deletes the record for good, which frees its space."""
        for path in self.paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self._remove_empty_place()

    def _remove_empty_place(self) -> None:
        place = self.paths[0].parent
        if self.deleted_at.isdigit() and not any(place.iterdir()):
            place.rmdir()


def files_in(path: Path) -> Iterator[Path]:
    """The files below a path, or the path itself if it is a file or a link."""
    if path.is_symlink() or path.is_file():
        yield path
    elif path.is_dir():
        for entry in sorted(path.iterdir()):
            yield from files_in(entry)


@dataclass(frozen=True, kw_only=True)
class BinnedFolder:
    """One folder under SOCRATES_HOME and its bin.

    `kind` is what error sentences call one record. With `endings`, a record is the files of one name that have these
    endings; without, it is a folder.
    """

    kind: str
    folder: str
    endings: tuple[str, ...] = ()

    @property
    def root(self) -> Path:
        """The folder, made if it is missing. Raises UserError if it cannot be made."""
        return settings.folder(self.folder)

    def stored(self) -> list[StoredRecord]:
        """Everything that the folder holds, in order of name, whole or not."""
        return self._stored_in(settings.home() / self.folder)

    def deleted(self) -> list[StoredRecord]:
        """What the bin holds, the last deleted first."""
        root = settings.home() / self.folder / BIN
        stamps = sorted((path.name for path in root.glob("*") if path.name.isdigit()), key=int, reverse=True)
        records = [record for stamp in stamps for record in self._stored_in(root / stamp, stamp)]
        by_old_versions = [record for record in self._stored_in(root, "-") if not record.name.isdigit()]
        return records + sorted(by_old_versions, key=lambda record: record.name, reverse=True)

    def last_deleted(self, name: str) -> StoredRecord:
        """The record of that name that was deleted last. Raises UserError if the bin has none."""
        records = self.deleted()
        for record in records:
            if record.name == name:
                return record
        raise unknown(f"deleted {self.kind}", name, sorted({record.name for record in records}))

    def delete(self, name: str) -> None:
        """Moves a record to the bin. Raises UserError if it is unknown."""
        records = {record.name: record for record in self.stored()}
        if name not in records:
            raise unknown(self.kind, name, records)
        place = settings.folder(self.folder, BIN, str(time.time_ns()))
        for path in records[name].paths:
            os.replace(path, place / path.name)

    def restore(self, name: str) -> None:
        """Brings a record back from the bin. Raises UserError if it is not there or its name is taken by now."""
        record = self.last_deleted(name)
        targets = [self.root / path.name for path in record.paths]
        if any(os.path.lexists(target) for target in targets):
            raise UserError(f"There is another {self.kind} {name!r} by now. Delete or rename that one first.")
        for path, target in zip(record.paths, targets, strict=True):
            os.replace(path, target)
        record._remove_empty_place()

    def _stored_in(self, root: Path, deleted_at: str = "") -> list[StoredRecord]:
        paths: dict[str, list[Path]] = {}
        # Names that begin with a dot are the bin and what is still being written.
        for path in sorted(root.glob("[!.]*")):
            if self.endings and path.is_file() and path.suffix in self.endings:
                paths.setdefault(path.stem, []).append(path)
            elif not self.endings and path.is_dir():
                paths[path.name] = [path]
        return [StoredRecord(self.kind, name, tuple(of_name), deleted_at) for name, of_name in paths.items()]


@dataclass(frozen=True, kw_only=True)
class RecordFolder(BinnedFolder, Generic[Record]):
    """A folder of records that `read` reads, each from the one file that makes it a record.

    That file is `marker` in the record's folder or, with `endings`, the file with the first ending. Ids that begin
    with a time are `dated` and listed with the newest first, other names in alphabetical order. `hint` ends the
    sentence about an unknown record.
    """

    read: Callable[[Path], Record]
    marker: str = ""
    dated: bool = True
    hint: str = ""

    def ids(self) -> list[str]:
        """The ids of all records, damaged ones included. Raises UserError if the folder cannot be made."""
        root = self.root
        if self.endings:
            ids = [path.stem for path in root.glob(f"[!.]*{self.endings[0]}")]
        else:
            ids = [path.parent.name for path in root.glob(f"[!.]*/{self.marker}")]
        return sorted(ids, reverse=self.dated)

    def file(self, record_id: str) -> Path:
        """The file that makes it a record. Raises UserError if there is no such record."""
        name = f"{record_id}{self.endings[0]}" if self.endings else f"{record_id}/{self.marker}"
        path = settings.home() / self.folder / name
        # An id may come from a link or a command: it must not lead out of the folder or into the bin.
        is_plain = bool(record_id) and not record_id.startswith(".") and Path(record_id).name == record_id
        if not is_plain or not os.path.exists(path):  # Path.exists raises for a name that is too long
            raise unknown(self.kind, record_id, self.ids(), self.hint)
        return path

    def path(self, record_id: str) -> Path:
        """The record's folder. Raises UserError if there is no such record."""
        return self.file(record_id).parent

    def load(self, record_id: str) -> Record:
        """The record. Raises UserError if it is unknown or damaged."""
        path = self.file(record_id)
        try:
            return self.read(path)
        except EDITED as error:
            raise UserError(
                f"The {self.kind} {record_id!r} cannot be read: {str(path)!r} was edited or damaged "
                f"({quoted(error)}). Restore that file, or delete the {self.kind}."
            ) from error

    def readable(self) -> Iterator[Record]:
        """Every record that can be read, in the order of `ids`."""
        for record_id in self.ids():
            try:
                yield self.load(record_id)
            except UserError:
                continue

    def rows(
        self,
        row: Callable[[str], Mapping[str, Any]],
        damaged_row: Callable[[str, str], Mapping[str, Any]],
    ) -> list[dict[str, Any]]:
        """A list's rows: `row` of each id or, if it raises UserError, `damaged_row` of the id and that sentence."""
        rows = []
        for record_id in self.ids():
            try:
                rows.append(dict(row(record_id)))
            except UserError as error:
                rows.append(dict(damaged_row(record_id, str(error))))
        return rows
