"""Drafts on disk: a working copy that follows every edit, and versions that are never overwritten.

Two windows that edit one draft never lose each other's words: before a save overwrites a copy that changed in the
meantime, it keeps that copy as a version and says so.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from socrates_core.errors import UserError, unknown
from socrates_core.files import read_json, write_json
from socrates_core.jobs.store import new_id, now
from socrates_core.settings import folder
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


def drafts_folder() -> Path:
    return folder("drafts")


def create(draft: Draft) -> str:
    """Stores a new draft and returns its id."""
    draft_id = new_id(draft.title)
    path = drafts_folder() / draft_id
    path.mkdir(mode=0o700)
    _write_working(path, draft)
    return draft_id


def list_drafts() -> list[dict[str, Any]]:
    """Every draft with its title, times and counts, the latest change first."""
    rows = []
    for path in drafts_folder().glob("[!.]*/working.json"):
        try:
            stored = read_json(path)
            draft = draft_from_dict(stored["draft"], str(path))
        except (UserError, KeyError, TypeError):
            continue
        rows.append(
            {
                "draft_id": path.parent.name,
                "title": draft.title,
                "changed": str(stored.get("changed", "")),
                "n_conditions": len(draft.conditions),
                "n_outcomes": len(draft.outcomes),
                "n_versions": len(_version_paths(path.parent)),
            }
        )
    return sorted(rows, key=lambda row: (row["changed"], row["draft_id"]), reverse=True)


def open_draft(draft_id: str) -> Draft:
    """The working copy. Raises UserError where the draft is unknown or damaged."""
    path = _path(draft_id) / "working.json"
    stored = read_json(path)
    return draft_from_dict(stored.get("draft") if isinstance(stored, dict) else None, repr(str(path)))


def save(draft_id: str, draft: Draft, *, based_on: str) -> Saved:
    """Writes the working copy. `based_on` is the digest of the copy that the edit started from."""
    path = _path(draft_id)
    with _lock(path):
        stored = open_draft(draft_id)
        notice = ""
        if stored.digest() not in (based_on, draft.digest()):
            number = _write_version(path, stored, "changed in another window")
            notice = f"This draft was changed in another window too; that copy is kept as version {number}."
        _write_working(path, draft)
    return Saved(draft_id, draft, notice)


def keep_version(draft_id: str, draft: Draft, note: str = "") -> int:
    """Keeps `draft` as the next version and returns its number."""
    path = _path(draft_id)
    with _lock(path):
        return _write_version(path, draft, note)


def versions(draft_id: str) -> list[Version]:
    """Every kept version, the newest first."""
    kept = []
    for path in sorted(_version_paths(_path(draft_id)), reverse=True):
        try:
            stored = read_json(path)
            draft = draft_from_dict(stored["draft"], repr(str(path)))
            kept.append(Version(int(path.stem[1:]), str(stored["saved"]), str(stored["note"]), draft))
        except (UserError, KeyError, TypeError):
            continue  # one damaged version hides neither the draft nor its other versions
    return kept


def delete(draft_id: str) -> None:
    """Moves a draft to the bin, from which `restore` brings it back."""
    path = _path(draft_id)
    folder("drafts", ".deleted")
    os.replace(path, drafts_folder() / ".deleted" / draft_id)


def deleted() -> dict[str, str]:
    """The titles of the drafts in the bin, by id, the newest first. A damaged draft has its id as title."""
    titles = {}
    for path in sorted((drafts_folder() / ".deleted").glob("*/working.json"), reverse=True):
        try:
            title = str(read_json(path)["draft"]["title"])
        except (UserError, LookupError, TypeError):
            title = ""
        titles[path.parent.name] = title or path.parent.name
    return titles


def restore(draft_id: str) -> None:
    """Brings a draft back from the bin."""
    if draft_id not in deleted():
        raise unknown("deleted draft", draft_id, deleted())
    os.replace(drafts_folder() / ".deleted" / draft_id, drafts_folder() / draft_id)


def _path(draft_id: str) -> Path:
    path = drafts_folder() / draft_id
    if not draft_id or draft_id.startswith(".") or Path(draft_id).name != draft_id or not os.path.isdir(path):
        raise unknown("draft", draft_id, [row["draft_id"] for row in list_drafts()])
    return path


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
    write_json(path / "working.json", {"format": 1, "changed": now(), "draft": draft.as_dict()})
