"""A project as one zip file: drafts, runs, evaluations, finetunes and adapters, each file with its SHA-256.

An archive may come from anybody. No job and no permission to use a model's server is imported from it, so it starts
nothing and sends nothing.
"""

import hashlib
import json
import math
import os
import re
import shutil
import stat
import tempfile
import time
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from socrates_core.asking.consent import PERMISSION
from socrates_core.errors import EDITED, UserError, quoted
from socrates_core.files import file_digest, replacing
from socrates_core.imported import note_imported
from socrates_core.jobs.store import now, store_lock
from socrates_core.keeping.kinds import KINDS, records_of, users
from socrates_core.record_folder import StoredRecord
from socrates_core.settings import folder, home

MANIFEST = "project.json"
FORMAT = 1
MADE_HERE = (("model", "starter"), ("corpus", "starter"))  # by setup, which checks their sources
NEVER_ARCHIVED = ("job",)  # a job acts for the person who submitted it, on the machine where they did
NOT_OWN = ("upload", "corpus", "model", *NEVER_ARCHIVED)  # no work of this person: archived only if chosen
ASIDE = ".importing-"  # how the name of a folder starts into which an archive is unpacked
DAY = 24 * 3600.0
_CHUNK = 1 << 20
_LARGEST_MANIFEST = 50 << 20
_COMPRESSED = (".parquet", ".safetensors", ".zip", ".xlsx", ".sav")  # compressing them again gains nothing
# Neither separator, and no ":", which names a drive or a stream on Windows.
_SEGMENT = re.compile(r"[^/\\\x00-\x1f:]{1,255}")
_OF_TRAINING = ("checkpoint-", "best-")  # large states of a training; its result is the adapter


@dataclass
class ImportResult:
    """What happened to each record of an archive, as (kind, name).

    `same` were here already, `taken` have a name that another record here has, `refused` are never imported.
    """

    added: list[tuple[str, str]] = field(default_factory=list)
    same: list[tuple[str, str]] = field(default_factory=list)
    taken: list[tuple[str, str]] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def cautions(self) -> list[str]:
        """Sentences for the person who imported it: what was left out, and what changes how data are read."""
        jobs = sum(kind == "job" for kind, _ in self.refused)
        sentences = []
        if jobs:
            sentences.append(f"Left out: {jobs} of its jobs. An archive starts nothing on this machine.")
        sentences += [
            f"Left out: its {kind} {name!r}, which setup makes on this machine."
            for kind, name in self.refused
            if kind != "job"
        ]
        sentences += [
            f"Scales set by hand for {name!r} were imported and now decide how its answers are read. To undo that: "
            f"python -m socrates_core delete scales {name}"
            for kind, name in self.added
            if kind == "scales"
        ]
        evaluations = sum(kind == "evaluation" for kind, _ in self.added)
        if evaluations:
            sentences.append(
                f"{evaluations} evaluations were imported. They count when a model is calibrated here, and the "
                "calibration says so."
            )
        return sentences


def export_project(path: Path, kinds: Sequence[str], *, only: Sequence[str] = ()) -> list[StoredRecord]:
    """Writes the records of some kinds, or of these `only` the named ones, to the zip file `path`; returns them.

    Raises UserError if there is nothing to write, a name is unknown, a job still works on one of them, or a kind is
    never archived.
    """
    for kind in kinds:
        if kind in NEVER_ARCHIVED:
            raise UserError(f"An archive cannot hold things of the kind {kind!r}. Leave that kind out.")
    chosen = [
        record for kind in kinds for record in records_of(kind).stored() if not only or record.name in only
    ]
    missing = set(only) - {record.name for record in chosen}
    if missing:
        raise UserError(f"Nothing is called {quoted(min(missing))} among {', '.join(kinds)}.")
    if not chosen:
        raise UserError("There is nothing to archive yet: no draft, run, evaluation or finetune.")
    for record in chosen:
        if record.kind in ("run", "evaluation", "finetune") and users(record.kind, record.name):
            raise UserError(
                f"A job still works on the {record.kind} {record.name!r}. Wait for it, or cancel it."
            )
    with replacing(path) as aside:
        _write(aside, chosen)
    return chosen


def _write(path: Path, chosen: Sequence[StoredRecord]) -> None:
    listed: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, name in _named(chosen):
            info = zipfile.ZipInfo.from_file(file, name)
            info.compress_type = zipfile.ZIP_STORED if file.suffix in _COMPRESSED else zipfile.ZIP_DEFLATED
            with file.open("rb") as source, archive.open(info, "w", force_zip64=True) as packed:
                n_bytes, sha256 = _copy(source, packed)
            listed[name] = {"sha256": sha256, "n_bytes": n_bytes}
        named = [{"kind": record.kind, "name": record.name} for record in chosen]
        manifest = {"format": FORMAT, "made": now(), "things": named, "files": listed}
        archive.writestr(MANIFEST, json.dumps(manifest, ensure_ascii=False, indent=1))


def _named(chosen: Sequence[StoredRecord]) -> Iterator[tuple[Path, str]]:
    """Each file with its name in the archive, which is its path below SOCRATES_HOME."""
    for record in chosen:
        for file in record.files():
            below = file.relative_to(home())
            states = record.kind == "finetune" and below.parts[2].startswith(_OF_TRAINING)
            if states or file.name == PERMISSION or file.name.endswith((".lock", ".part")):
                continue
            if file.is_symlink():
                raise UserError(
                    f"{str(file)!r} is a link, so its content is elsewhere. Leave {record.name!r} out."
                )
            yield file, below.as_posix()


def import_project(path: Path) -> ImportResult:
    """Imports the records of an archive. A record that is here under the same name stays as it is.

    Raises UserError, and changes nothing, if the file is not an archive of a project, contains anything that its list
    does not name, or has a file that was changed.
    """
    folder()
    _clear_abandoned()
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = _manifest(archive)
            _check_members(archive, manifest)
            # In the home: files are renamed from here into place, and a rename cannot cross file systems.
            with tempfile.TemporaryDirectory(dir=home(), prefix=ASIDE) as aside:
                named = [(str(entry["kind"]), entry["name"]) for entry in manifest["things"]]
                accepted = [
                    (kind, name)
                    for kind, name in named
                    if kind not in NEVER_ARCHIVED and (kind, name) not in MADE_HERE
                ]
                for name, listed in manifest["files"].items():
                    if _belongs(name, accepted):
                        _extract(archive, name, listed, Path(aside) / name)
                result = _move_in(Path(aside), accepted)
                result.refused += [entry for entry in named if entry not in accepted]
                note_imported(result.added)
                return result
    # zipfile raises RuntimeError for encrypted files and NotImplementedError for unknown compression.
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(
            f"{str(path)!r} is not an archive of a project that can be read ({error})."
        ) from error
    except OSError as error:
        raise UserError(
            f"{str(path)!r} could not be imported ({error.strerror or error}). Check the file, and check that "
            f"{str(home())!r} is writable and has free space."
        ) from error


def _clear_abandoned() -> None:
    """Removes what killed imports left behind more than a day ago. A younger folder may belong to a running import."""
    for path in home().glob(f"{ASIDE}*"):
        if time.time() - path.lstat().st_mtime > DAY:
            shutil.rmtree(path, ignore_errors=True)


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    """The archive's list. Raises UserError if it is missing, damaged, or of a later version."""
    try:
        info = archive.getinfo(MANIFEST)
        if info.file_size > _LARGEST_MANIFEST:
            raise ValueError("too large")
        manifest = json.loads(archive.read(info))
        if manifest["format"] > FORMAT:
            raise UserError(
                f"The archive has format {quoted(manifest['format'])}; this version knows {FORMAT}. Update the program."
            )
        for listed in manifest["files"].values():
            if not (isinstance(listed["n_bytes"], int) and re.fullmatch("[0-9a-f]{64}", listed["sha256"])):
                raise ValueError("a file without its size or digest")
        # An unknown kind is a LookupError, which is among EDITED.
        named = [(KINDS[entry["kind"]].kind, entry["name"]) for entry in manifest["things"]]
        stray = [name for name in manifest["files"] if not _belongs(name, named)]
    except (*EDITED, zipfile.BadZipFile) as error:
        raise UserError(
            f"The archive's list {MANIFEST!r} is missing or damaged ({quoted(str(error))})."
        ) from error
    permission = next((name for name in manifest["files"] if PurePosixPath(name).name == PERMISSION), None)
    if permission:
        raise UserError(
            f"The archive holds {quoted(permission)}, a permission to send questions to a server. Only you can "
            "give that. Nothing was imported."
        )
    if stray:
        raise UserError(
            f"The archive holds {quoted(stray[0])}, which is outside the records in its list. Nothing was imported."
        )
    return dict(manifest)


def _belongs(name: str, listed: Sequence[tuple[str, str]]) -> bool:
    """Whether a file's path is plain and inside a record that the archive lists."""
    parts = name.split("/")
    # Names that begin with a dot are the bin and what is still being written.
    if len(parts) < 2 or not all(_SEGMENT.fullmatch(part) and not part.startswith(".") for part in parts):
        return False
    kinds = [(KINDS[kind], name) for kind, name in listed if KINDS[kind].folder == parts[0]]
    if len(parts) > 2:
        return any(name == parts[1] for kind, name in kinds if not kind.endings)
    file = PurePosixPath(parts[1])
    return any(file.stem == name and file.suffix in kind.endings for kind, name in kinds)


def _check_members(archive: zipfile.ZipFile, manifest: dict[str, Any]) -> None:
    members = archive.infolist()
    names = [member.filename for member in members]
    # Lists, not sets: a zip file can hold one name twice.
    if sorted(names) != sorted([MANIFEST, *manifest["files"]]):
        raise UserError(
            f"The archive does not hold exactly the files that {MANIFEST!r} lists. Nothing was imported."
        )
    # macOS and Windows would write two such names into one file.
    if len({unicodedata.normalize("NFKC", name).casefold() for name in names}) != len(names):
        raise UserError(
            "Two names in the archive differ only in case or in how their letters are encoded. Nothing was imported."
        )
    for member in members:
        # The upper half of a member's attributes is its mode under Unix.
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UserError(f"{quoted(member.filename)} in the archive is a link. Nothing was imported.")
        if member.filename != MANIFEST and member.file_size != manifest["files"][member.filename]["n_bytes"]:
            raise UserError(
                f"{quoted(member.filename)} in the archive has another size than its list says. Nothing was imported."
            )
    needed = sum(listed["n_bytes"] for listed in manifest["files"].values())
    free = shutil.disk_usage(home()).free
    if needed > free:
        raise UserError(
            f"The archive needs {needed / 1e6:,.0f} MB and {free / 1e6:,.0f} MB are free. Free some space."
        )


def _extract(archive: zipfile.ZipFile, name: str, listed: dict[str, Any], target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with archive.open(name) as packed, target.open("xb") as file:
        # One byte beyond the stated size is enough to fail the digest, and stops what unpacks without end.
        _, digest = _copy(packed, file, listed["n_bytes"] + 1)
    target.chmod(0o600)
    if digest != listed["sha256"]:
        raise UserError(f"{quoted(name)} in the archive is not as it was written. Nothing was imported.")


def _copy(source: IO[bytes], target: IO[bytes], most: float = math.inf) -> tuple[int, str]:
    """Copies at most `most` bytes. Returns their number and their SHA-256."""
    sha256 = hashlib.sha256()
    n_bytes = 0
    while n_bytes < most and (part := source.read(int(min(_CHUNK, most - n_bytes)))):
        sha256.update(part)
        target.write(part)
        n_bytes += len(part)
    return n_bytes, sha256.hexdigest()


def _move_in(aside: Path, named: Sequence[tuple[str, str]]) -> ImportResult:
    result = ImportResult()
    # No job may start to use or write a record of that name between the look and the rename.
    with store_lock():
        for kind, name in named:
            records = KINDS[kind]
            here = {record.name: record for record in records.stored()}.get(name)
            if here is not None:
                (result.same if _same(here, aside) else result.taken).append((kind, name))
                continue
            for path in sorted((aside / records.folder).glob("*")):
                if path.name == name or (records.endings and path.stem == name):
                    os.replace(path, records.root / path.name)
            result.added.append((kind, name))
    return result


def _same(here: StoredRecord, aside: Path) -> bool:
    return all(
        (aside / name).is_file() and file_digest(aside / name) == file_digest(file)
        for file, name in _named([here])
    )


def own_kinds() -> list[str]:
    """The kinds that an archive holds unless others are chosen."""
    return [kind for kind in KINDS if kind not in NOT_OWN]
