"""Import work that takes too long for a page: importing a large file, and letting a model propose texts."""

from collections.abc import Callable, Mapping
from typing import Any

from socrates_core.corpus.socsci210 import Progress
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.importing.build import import_study
from socrates_core.importing.mapping import Mapping as StudyMapping
from socrates_core.importing.mapping import load_mapping, parse_mapping, render_mapping
from socrates_core.importing.opening import open_files
from socrates_core.importing.propose import find_gaps, write_proposals
from socrates_core.importing.table import UNSAID, Pace
from socrates_core.importing.uploads import Upload, open_upload
from socrates_core.jobs import store, worker_process


def submit_own_import(upload: Upload, mapping: StudyMapping) -> store.Job:
    """Queues the import of an upload with its present mapping; joins the same import if it is still active."""
    args = {"upload_id": upload.upload_id, "mapping": render_mapping(mapping)}
    return _submit("import", f"Import of {upload.title}", args)


def submit_proposals(upload: Upload, model: str) -> store.Job:
    """Queues a model on this machine to propose the texts that the upload's mapping lacks."""
    return _submit("propose", f"Texts for {upload.title}", {"upload_id": upload.upload_id, "model": model})


def run_own_import(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Imports the whole upload; returns the corpus, the study and what was left out.

    Nothing is visible before everything is written. Raises UserError if the file or the mapping has a fault.
    """
    mapping = parse_mapping(args["mapping"], "The mapping")
    pace = Pace(tell=_telling(progress, "reading rows"))
    opened = open_files(open_upload(args["upload_id"]).paths, pace=pace, format_=mapping.format)
    corpus = open_corpus(import_study(opened.table, mapping, tell=_telling(progress, "working out outcomes")))
    notes = corpus.study(mapping.study.study_id).notes
    return {
        "corpus": corpus.name,
        "study_id": mapping.study.study_id,
        **corpus.manifest["rows"],
        "notes": list(notes),
    }


def run_proposals(args: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """The model's proposals, as `write_proposals` returns them. Raises UserError if no text is missing."""
    upload = open_upload(args["upload_id"])
    kept = load_mapping(upload.mapping_path) if upload.mapping_path.exists() else None
    opened = open_files(upload.paths, pace=upload.pace, format_=kept.format if kept else UNSAID)
    mapping = kept or opened.suggested
    gaps = find_gaps(mapping, opened.table.labels)
    if not gaps:
        raise UserError("No text is missing, so there is nothing to propose.")
    return write_proposals(args["model"], gaps, _telling(progress, "writing proposals"))


def _submit(kind: str, title: str, args: Mapping[str, str]) -> store.Job:
    job = store.submit(kind, title, args, key=digest(dict(args)))
    worker_process.ensure_worker()
    return job


def _telling(progress: Progress, phase: str) -> Callable[[int, int], None]:
    """A function that reports (done, total) as a job's progress; it raises if the job should stop."""
    begun = False

    def tell(done: int, total: int) -> None:
        nonlocal begun
        if not begun:
            progress.begin(phase, total)
        begun = True
        progress.advance(done)

    return tell
