"""Drafts on disk: a working copy that follows every edit, and versions that are never overwritten.

Two windows that edit one draft never lose each other's words: before a save overwrites a copy that changed in the
meantime, it keeps that copy as a version and says so.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.jobs.store import new_id, now
from socrates_core.record_folder import RecordFolder
from socrates_core.surveys.draft import Draft, draft_from_dict


@dataclass(frozen=True)
class Version:
    """One kept version of a draft; `note` says why it was kept."""

    number: int
    saved: str
    note: str
    draft: Draft


@dataclass(frozen=True)
class Saved:
    """A draft's working copy after a save; `notice` says if changes of another window were kept as a version."""

    draft_id: str
    draft: Draft
    notice: str = ""


@dataclass(frozen=True)
class WorkingCopy:
    """A draft as it was last saved; `changed` is ISO 8601, UTC."""

    draft_id: str
    changed: str
    draft: Draft


def _read_working_copy(path: Path) -> WorkingCopy:
    stored = read_json(path)
    draft = draft_from_dict(stored["draft"], repr(str(path)))
    return WorkingCopy(path.parent.name, str(stored.get("changed", "")), draft)


DRAFTS = RecordFolder(kind="draft", folder="drafts", marker="working.json", read=_read_working_copy)


def create(draft: Draft) -> str:
    """Stores a new draft and returns its id."""
    draft_id = new_id(draft.title)
    path = DRAFTS.root / draft_id
    path.mkdir(mode=0o700)
    _write_working(path, draft)
    return draft_id


def list_drafts() -> list[dict[str, Any]]:
    """Every draft with its title, times and counts, the latest change first; damaged drafts are left out."""
    rows = [
        {
            "draft_id": copy.draft_id,
            "title": copy.draft.title,
            "changed": copy.changed,
            "n_conditions": len(copy.draft.conditions),
            "n_outcomes": len(copy.draft.outcomes),
            "n_versions": len(_version_paths(DRAFTS.path(copy.draft_id))),
        }
        for copy in DRAFTS.readable()
    ]
    return sorted(rows, key=lambda row: (row["changed"], row["draft_id"]), reverse=True)


def open_draft(draft_id: str) -> Draft:
    """The working copy. Raises UserError if the draft is unknown or damaged."""
    return DRAFTS.load(draft_id).draft


def save(draft_id: str, draft: Draft, *, based_on: str) -> Saved:
    """Writes the working copy. `based_on` is the digest of the copy that the edit started from."""
    path = DRAFTS.path(draft_id)
    with _lock(path):
        stored = open_draft(draft_id)
        notice = ""
        # The same words written in the other window are no conflict.
        if stored.digest() not in (based_on, draft.digest()):
            number = _write_version(path, stored, "changed in another window")
            notice = f"This draft was changed in another window too; that copy is kept as version {number}."
        _write_working(path, draft)
    return Saved(draft_id, draft, notice)


def keep_version(draft_id: str, draft: Draft, note: str = "") -> int:
    """Keeps `draft` as the next version and returns its number."""
    path = DRAFTS.path(draft_id)
    with _lock(path):
        return _write_version(path, draft, note)


def versions(draft_id: str) -> list[Version]:
    """Every kept version, the newest first."""
    kept = []
    for path in sorted(_version_paths(DRAFTS.path(draft_id)), reverse=True):
        try:
            stored = read_json(path)
            draft = draft_from_dict(stored["draft"], repr(str(path)))
            kept.append(Version(int(path.stem[1:]), str(stored["saved"]), str(stored["note"]), draft))
        except (UserError, KeyError, TypeError):
            continue  # one damaged version hides neither the draft nor its other versions
    return kept


def deleted_titles() -> dict[str, str]:
    """The drafts in the bin: titles by id, the last deleted first; a damaged draft goes by its id."""
    titles: dict[str, str] = {}
    for record in DRAFTS.deleted():
        try:
            title = str(read_json(record.paths[0] / DRAFTS.marker)["draft"]["title"])
        except (UserError, LookupError, TypeError):
            title = ""
        titles.setdefault(record.name, title or record.name)
    return titles


def _lock(path: Path) -> FileLock:
    return FileLock(path / ".lock", timeout=10)


def _version_paths(path: Path) -> list[Path]:
    return list(path.glob("v[0-9][0-9][0-9][0-9].json"))


def _write_version(path: Path, draft: Draft, note: str) -> int:
    number = 1 + max((int(p.stem[1:]) for p in _version_paths(path)), default=0)
    write_json(
        path / f"v{number:04d}.json", {"format": 1, "saved": now(), "note": note, "draft": draft.as_dict()}
    )
    return number


def _write_working(path: Path, draft: Draft) -> None:
    write_json(path / DRAFTS.marker, {"format": 1, "changed": now(), "draft": draft.as_dict()})
