"""Rationales of people's answers: those that came with the data, or written by a model that saw the true answer.

They are training targets only: never part of an input, never shown as a prediction.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from socrates_core.asking.answer import open_model
from socrates_core.asking.consent import Sending, check_permission, participants_sent, permit
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.hidden_answers import frozen_studies
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import corpus_digest
from socrates_core.errors import UserError, unknown
from socrates_core.files import digest, file_digest, read_json, read_parquet, write_json, write_parquet
from socrates_core.finetuning.rationale_writing import WORDING, read_rationale, render_request, write_texts
from socrates_core.finetuning.rows import TrainingRows, choose_rows
from socrates_core.finetuning.spec import TrainingSpec, spec_from_dict
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.progress import Reporter
from socrates_core.jobs.store import new_id
from socrates_core.models import Responder, is_stand_in, prompt_template
from socrates_core.models.served.asking import Unanswered
from socrates_core.populations.panel import present
from socrates_core.records import Prompt
from socrates_core.settings import folder

OWN = "corpus"  # the name of the rationales that came with the data
KEY = ["study_id", "sample_id"]
NOTE = (
    "Written by a model that was shown each person's true answer: a training target only, never an input and never a "
    "prediction."
)
SCHEMA = pa.schema(
    [
        ("study_id", pa.string()),
        ("sample_id", pa.int64()),
        ("reasoning", pa.string()),
        ("fault", pa.string()),
        ("raw", pa.string()),
    ]
)


def rationale_names() -> list[str]:
    """The names of the sets of rationales that were written on this machine, in alphabetical order."""
    return sorted(path.stem for path in folder("rationales").glob("[!.]*.parquet"))


def load_rationales(corpus: Corpus, name: str) -> pd.DataFrame:
    """The usable rationales of the set `name` for rows of `corpus`: study_id, sample_id, reasoning.

    OWN is the set that came with the data. Raises UserError if the set does not exist, was written for another corpus,
    or has changed since.
    """
    if name == OWN:
        path = corpus.path / "reasoning.parquet"
        if not path.exists():
            raise UserError(
                f"The corpus {corpus.name!r} came without rationales. Import SocSci210 with --reasoning, or let a "
                "model write some: python -m socrates_core rationales NAME --split SPLIT --model MODEL"
            )
    else:
        path = _written_for(corpus, name)
    rationales: pd.DataFrame = read_parquet(path, [*KEY, "reasoning"]).to_pandas()
    is_usable = rationales["reasoning"].fillna("").str.strip() != ""
    is_hidden = rationales["study_id"].isin(frozen_studies(corpus.path))  # a rationale gives its answer away
    return rationales[is_usable & ~is_hidden].reset_index(drop=True)


def rationales_origin(corpus: Corpus, name: str) -> dict[str, str]:
    """The writer of the rationales called `name`, a note on their use, and the SHA-256 of their file in hex.

    Raises UserError as `load_rationales` does.
    """
    if name == OWN:
        file = corpus.path / "reasoning.parquet"
        if not file.exists():
            load_rationales(corpus, name)
        return {"writer": f"came with the corpus {corpus.name!r}", "note": NOTE, "sha256": file_digest(file)}
    file, manifest = open_rationales(name)
    card = manifest.get("writer")
    writer = str(card.get("name", "")) if isinstance(card, dict) else ""
    return {"writer": writer, "note": NOTE, "sha256": str(manifest["sha256"])}


def submit_rationales(
    model: ModelRequest, spec: TrainingSpec, *, consent: bool = False, limit_usd: float | None = None
) -> store.Job:
    """Queues `model` to write a rationale for every row that `spec` trains on, under the name `spec.rationales`.

    Rationales that are already written under that name are kept. Raises UserError if the name, the model or the rows
    cannot be used, or if answers would leave this machine without `consent`.
    """
    _check_name(spec.rationales)
    if is_stand_in(model.name):
        raise UserError(f"{model.name!r} cannot write texts. Choose a language model.")
    prompt_template(model.name)  # raises if there is no such model
    job_id = new_id(f"rationales {spec.rationales}")
    model = replace(model, decoding="paper")
    rows = choose_rows(spec)
    content = _content(spec, model, rows.corpus)
    permission = permit(job_id, content, model, sending(model, rows), consent=consent, limit_usd=limit_usd)
    args = {"spec": spec.model_dump(mode="json"), "model": model.as_dict(), "permission": permission}
    title = f"Rationales {spec.rationales} · {model.name}"
    job = store.submit("rationales", title, args, key=content, job_id=job_id)
    worker_process.ensure_worker()
    return job


def sending(model: ModelRequest, rows: TrainingRows) -> Sending | None:
    """What writing rationales for these rows sends to another machine; None if everything stays on this one."""
    return participants_sent(
        model, rows.corpus, rows.train, "the studies' texts and each person's own answer"
    )


def run_rationales(args: Mapping[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Writes the missing rationales of a job; returns how many rows have one and what is wrong with the others.

    A text that cannot be used is kept with its fault. Raises UserError if another model wrote under that name.
    """
    spec = spec_from_dict(args["spec"], "The job")
    model = ModelRequest(**args["model"])
    chosen = choose_rows(spec)
    content = _content(spec, model, chosen.corpus)
    limit_usd = check_permission(args.get("permission"), reporter.job.id, content, model.service)
    writer = open_model(model, reporter, folder=reporter.job.path, limit_usd=limit_usd)
    responder = writer.responder
    path = _claim(spec.rationales, chosen.corpus, responder)
    _keep(path, {})  # takes up what a killed attempt left
    written = pd.MultiIndex.from_frame(_read(path)[KEY])
    missing = chosen.train[~pd.MultiIndex.from_frame(chosen.train[KEY]).isin(written)]
    reporter.begin("writing rationales", len(chosen.train), len(chosen.train) - len(missing))
    unanswered = None
    try:
        for study, rows in missing.groupby("study_id", sort=True):
            done = 0
            try:
                for lines in _write(responder, chosen.corpus, str(study), rows):
                    with _lines_path(path).open("a", encoding="utf-8") as opened:
                        opened.writelines(json.dumps(line) + "\n" for line in lines)
                    done += len(lines)
                    reporter.advance(done)
            except Unanswered as error:  # raised at the end: the other studies are asked all the same
                unanswered = error
            reporter.next_part()
    finally:
        spent = {"api": writer.account.as_dict()} if writer.account else {}
        manifest = _keep(path, spent)
    if unanswered is not None:
        raise unanswered
    return {name: manifest[name] for name in ("name", "n_rows", "n_usable", "faults")}


def _content(spec: TrainingSpec, model: ModelRequest, corpus: Corpus) -> str:
    """The digest of everything that decides what is asked."""
    return digest([spec.model_dump(mode="json"), model.as_dict(), corpus_digest(corpus)])


def _write(
    responder: Responder, corpus: Corpus, study: str, rows: pd.DataFrame
) -> Iterator[list[dict[str, Any]]]:
    """What the model writes for one study's `rows`, with the columns of SCHEMA, in batches as it arrives."""
    samples = rows["sample_id"].tolist()
    values = rows["value"].tolist()
    for batch in write_texts(responder, list(_requests(corpus, study, rows))):
        lines = []
        for place, text in batch.items():
            raw = text.encode("utf-8", "replace").decode()
            reasoning, fault = read_rationale(raw, values[place])
            lines.append(
                {
                    "study_id": study,
                    "sample_id": samples[place],
                    "reasoning": reasoning or None,
                    "fault": fault,
                    "raw": raw if fault else None,
                }
            )
        yield lines


def _requests(corpus: Corpus, study: str, rows: pd.DataFrame) -> Iterator[Prompt]:
    stimuli = {stimulus.stimulus_id: stimulus for stimulus in corpus.stimuli(study)}
    people = corpus.participants([study]).set_index("participant")
    people = people.loc[people.index.isin(rows["participant"])]
    profiles = {n: present(row) for n, row in zip(people.index, people.to_dict("records"), strict=True)}
    for person, stimulus_id, value in zip(
        rows["participant"], rows["stimulus_id"], rows["value"], strict=True
    ):
        stimulus = stimuli[stimulus_id]
        yield render_request(profiles[person], stimulus.stimulus, stimulus.scale, float(value))


def open_rationales(name: str) -> tuple[Path, dict[str, Any]]:
    """The table of the rationales called `name`, with its manifest. Raises UserError if it changed since."""
    if name not in rationale_names():
        hint = f"Or {OWN!r} for those that came with the data."
        raise unknown("set of rationales", name, rationale_names(), hint)
    path = folder("rationales") / f"{name}.parquet"
    manifest = _read_manifest(path)
    if manifest.get("sha256") != file_digest(path):
        raise UserError(f"{str(path)!r} changed since it was written. Run the command 'rationales' again.")
    return path, manifest


def _written_for(corpus: Corpus, name: str) -> Path:
    """The table of the rationales called `name`. Raises UserError if it was not written for `corpus`."""
    path, manifest = open_rationales(name)
    if manifest.get("corpus_digest") != corpus_digest(corpus):
        raise UserError(
            f"The rationales {name!r} were written for the corpus {manifest.get('corpus')!r} as it was then, not for "
            f"{corpus.name!r} as it is now. Have them written again under another name."
        )
    return path


def _check_name(name: str) -> None:
    if name == OWN or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,63}", name):
        raise UserError(
            f"Rationales cannot be called {name!r}. Use up to 64 lower-case letters, digits, '-' and '_', but not "
            f"{OWN!r}."
        )


def _claim(name: str, corpus: Corpus, responder: Responder) -> Path:
    """The path of the rationales called `name`. Raises UserError if they belong to another model or corpus."""
    path = folder("rationales") / f"{name}.parquet"
    identity = {
        "format": "socrates-rationales",
        "version": 1,
        "name": name,
        "note": NOTE,
        "wording": WORDING,
        "writer": responder.card.as_dict(),
        "corpus": corpus.name,
        "corpus_digest": corpus_digest(corpus),
    }
    manifest = path.with_suffix(".json")
    stored = _read_manifest(path) if manifest.exists() else identity
    different = [key for key in identity if stored.get(key) != identity[key]]
    if different:
        raise UserError(
            f"There are already rationales called {name!r}, with another {different[0].replace('_', ' ')}. "
            "Choose another name."
        )
    write_json(manifest, stored)
    return path


def _read_manifest(path: Path) -> dict[str, Any]:
    """The manifest of the rationales in `path`. Raises UserError if it is damaged."""
    stored = read_json(path.with_suffix(".json"))
    if not isinstance(stored, dict):
        raise UserError(
            f"The manifest of {str(path)!r} was edited or damaged. Have the rationales written again."
        )
    return stored


def _lines_path(path: Path) -> Path:
    return path.with_suffix(".jsonl")


def _read(path: Path) -> pd.DataFrame:
    """Everything written so far: the table, then the lines since; a line that a power cut tore is skipped."""
    lines: list[dict[str, Any]] = []
    if _lines_path(path).exists():
        for text in _lines_path(path).read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                lines.append(json.loads(text))
    table = read_parquet(path) if path.exists() else SCHEMA.empty_table()
    both: pd.DataFrame = pa.concat_tables([table, pa.Table.from_pylist(lines, SCHEMA)]).to_pandas()
    return both.drop_duplicates(KEY).sort_values(KEY, ignore_index=True)


def _keep(path: Path, spent: Mapping[str, Any]) -> dict[str, Any]:
    """Moves everything written so far into the table, and its counts into the manifest, which it returns."""
    rows = _read(path)
    write_parquet(path, pa.Table.from_pandas(rows, SCHEMA, preserve_index=False))
    faults = rows.loc[rows["fault"] != "", "fault"].value_counts().to_dict()
    manifest = {
        **_read_manifest(path),
        "written": store.now(),
        "n_rows": len(rows),
        "n_usable": int(rows["reasoning"].notna().sum()),
        "faults": faults,
        **spent,
        "sha256": file_digest(path),
    }
    write_json(path.with_suffix(".json"), manifest)
    # Last: after a kill before this line `_read` finds the same rows twice and drops the copies.
    _lines_path(path).unlink(missing_ok=True)
    return manifest
