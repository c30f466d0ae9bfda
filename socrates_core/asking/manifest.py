"""The manifest of answered work: what its folder says of the answers in it, and whether that is still true."""

import platform
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from socrates_core.asking.answer import OpenModel
from socrates_core.errors import UserError
from socrates_core.files import is_unchanged, read_json
from socrates_core.jobs.store import now, read_job
from socrates_core.records import Floats
from socrates_core.settings import library_versions

LIBRARIES = ("torch", "transformers", "bitsandbytes", "numpy", "pyarrow")
READS = 5  # of files that may be written at the same time, before they count as damaged


def describe_answers(
    model: OpenModel,
    valid_mass: Floats,
    *,
    content: str,
    complete: bool,
    weights: Floats | None = None,
) -> dict[str, Any]:
    """What every manifest says of its answers: who gave them, how, with which libraries, and how valid they were.

    `content` is the digest of what was asked, `valid_mass` [n] is of the answers that are there,
    `weights` [n] how much each counts; by default all count the same.
    """
    return {
        "format": 1,
        "written": now(),
        "state": "complete" if complete else "partial",
        "card": model.responder.card.as_dict(),
        "fingerprint": model.responder.fingerprint,
        "content": content,
        "valid_mass": float(np.average(valid_mass, weights=weights)) if len(valid_mass) else None,
        "python": platform.python_version(),
        "libraries": library_versions(LIBRARIES),
        **({} if model.account is None else {"api": model.account.as_dict()}),
    }


def load_manifest(
    folder: Path, what: str, work_id: str, *, content: str, facts: Collection[str], again: str
) -> dict[str, Any]:
    """The manifest in the folder of `what`, a run or an evaluation, that holds all of `facts`.

    `content` is the digest of what was asked. Raises UserError where there are no answers yet, or where the files
    were changed since they were written; that sentence ends with `again`, what to do then.
    """
    path = folder / "manifest.json"
    if not path.exists():
        raise UserError(f"The {what} {work_id!r} has no answers yet; {job_state(work_id)}.")
    for _ in range(READS):  # work that goes on may be writing its tables right now
        manifest = read_json(path)
        if is_unchanged(folder, manifest, content, facts):
            return dict(manifest)
        time.sleep(0.1)
    raise UserError(
        f"The files of {what} {work_id!r} were changed or damaged after it was written, so its numbers are not shown. "
        f"{again} Answers come from the cache."
    )


def job_state(work_id: str) -> str:
    """What became of the job behind some work, as the end of a sentence."""
    try:
        return f"its job is {read_job(work_id).state}"
    except UserError:
        return "its job is gone"
