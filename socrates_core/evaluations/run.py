"""Answers a frozen evaluation study by study and writes its folder."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from socrates_core.analysis.metrics import draw_answers
from socrates_core.asking.answer import AnswersSoFar, OpenModel, answer_missing, open_model
from socrates_core.asking.cache import answer_key
from socrates_core.asking.manifest import describe_answers
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.store import open_corpus
from socrates_core.evaluations.calibration_fit import keep_calibration
from socrates_core.evaluations.rows import asked_rows, questions_of
from socrates_core.evaluations.spec import EvaluationSpec, load_spec
from socrates_core.files import file_digest, write_json, write_parquet
from socrates_core.jobs.progress import Reporter
from socrates_core.models import is_stand_in
from socrates_core.records import Answer, Question


def run_evaluation(evaluation_id: str, reporter: Reporter) -> dict[str, Any]:
    """Answers every row of an evaluation and writes its folder; what is answered stays if it stops."""
    spec = load_spec(evaluation_id)
    corpus = open_corpus(spec.corpus)
    rows = asked_rows(spec)
    model = open_model(spec.model, reporter, folder=spec.path, limit_usd=spec.allowed_usd())
    reporter.begin("looking for known answers", len(rows))
    keys = _keys(corpus, rows, spec, model.responder.fingerprint)

    def questions_by_study() -> Iterator[Mapping[str, Question]]:
        # Prompts are written a second time rather than kept: those of a whole split do not fit into memory.
        for study, of_study in rows.assign(key=keys).groupby("study_id", sort=True):
            questions = questions_of(corpus, str(study), of_study, spec)
            yield {key: question for key, question in zip(of_study["key"], questions, strict=True) if key}

    def write(so_far: AnswersSoFar) -> dict[str, Any]:
        answers = [so_far.answers.get(key) for key in keys]
        table = answered_table(corpus, rows, answers, spec.seed)
        return _write(spec, table, model, so_far, n_asked=sum(map(bool, keys)))

    manifest = answer_missing(model, set(keys) - {""}, questions_by_study(), write, reporter)
    reporter.log.info("%s", keep_calibration(model.responder.fingerprint))
    return {name: manifest[name] for name in ("evaluation_id", "n_rows", "n_answered", "seconds")}


def _keys(corpus: Corpus, rows: pd.DataFrame, spec: EvaluationSpec, fingerprint: str) -> list[str]:
    """The cache key of every row; empty where a stand-in is asked for numbers that it would have to draw."""
    keys = []
    for study, of_study in rows.groupby("study_id", sort=True):
        for question in questions_of(corpus, str(study), of_study, spec):
            answerable = question.options or not is_stand_in(spec.model.name)
            keys.append(answer_key(fingerprint, question) if answerable else "")
    return keys


def _write(
    spec: EvaluationSpec, table: pa.Table, model: OpenModel, so_far: AnswersSoFar, *, n_asked: int
) -> dict[str, Any]:
    """Writes the rows, then the manifest, which it returns. An evaluation that stopped early is "partial"."""
    write_parquet(spec.path / "rows.parquet", table)
    masses = table["valid_mass"].drop_null().to_numpy()
    complete = len(masses) == n_asked
    manifest = {
        **describe_answers(model, masses, content=spec.content_digest(), complete=complete),
        "evaluation_id": spec.evaluation_id,
        "sample": spec.sample_digest(),
        "n_rows": len(table),
        "n_asked": n_asked,
        "n_answered": len(masses),
        "n_tokens": so_far.n_tokens,
        "seconds": round(so_far.seconds, 3),
        "files": {"rows.parquet": file_digest(spec.path / "rows.parquet")},
    }
    if model.account is not None:
        manifest["cost_usd"] = model.account.usd
    write_json(spec.path / "manifest.json", manifest)
    return manifest


def answered_table(
    corpus: Corpus, rows: pd.DataFrame, answers: Sequence[Answer | None], seed: int
) -> pa.Table:
    """The rows with each answer's probabilities, mean, valid mass and one seeded draw; null where unanswered."""
    listed = {
        (study, each.stimulus_id): np.array(each.scale.values, dtype=float)
        for study in rows["study_id"].unique()
        for each in corpus.stimuli(study)
    }
    parts: dict[str, list[Any]] = {
        name: [] for name in ("values", "probabilities", "mean", "valid_mass", "drawn")
    }
    places = zip(rows["study_id"], rows["stimulus_id"], rows["sample_id"], answers, strict=True)
    for study, stimulus, sample, answer in places:
        values = listed[study, stimulus] if answer is None or answer.values is None else answer.values
        is_valid = answer is not None and answer.valid_mass > 0
        shares = answer.probabilities if answer is not None and is_valid else None
        # A seed for each row, so a draw does not depend on what else is asked; crc32, since hash() changes by process.
        row_seed = zlib.crc32(f"{seed}/{study}/{sample}".encode())
        parts["values"].append(None if answer is None or answer.values is None else values.tolist())
        parts["probabilities"].append(None if shares is None else shares.tolist())
        parts["mean"].append(None if shares is None else float(shares @ values))
        parts["valid_mass"].append(None if answer is None else answer.valid_mass)
        drawn = None if shares is None else float(draw_answers(shares[None], values, seed=row_seed)[0])
        parts["drawn"].append(drawn)
    kinds = {"values": pa.list_(pa.float64()), "probabilities": pa.list_(pa.float64())}
    table = pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata()
    for name, column in parts.items():
        table = table.append_column(name, pa.array(column, type=kinds.get(name, pa.float64())))
    return table
