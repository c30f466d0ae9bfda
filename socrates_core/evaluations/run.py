"""Runs a frozen evaluation study by study: cached answers first, then the model, then the evaluation's tables."""

import platform
import time
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from socrates_core.analysis.metrics import draw_answers
from socrates_core.asking.answers import answer_missing, open_warm
from socrates_core.asking.cache import AnswerCache, answer_key, open_cache
from socrates_core.asking.speed import record_speed
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.store import open_corpus
from socrates_core.evaluations.calibration_fit import keep_calibration
from socrates_core.evaluations.rows import asked_rows, questions_of
from socrates_core.evaluations.spec import EvaluationSpec, load_spec
from socrates_core.files import file_digest, write_json, write_parquet
from socrates_core.jobs.progress import Reporter
from socrates_core.jobs.store import now
from socrates_core.models import Responder, model_revision
from socrates_core.models.served.asking import Unanswered
from socrates_core.models.served.responder import keep_account
from socrates_core.projects.run_tables import LIBRARIES
from socrates_core.records import Answer
from socrates_core.settings import library_versions

STAND_INS = ("echo", "uniform")  # which have nothing to draw from


def run_evaluation(evaluation_id: str, reporter: Reporter) -> dict[str, Any]:
    """Answers every row of an evaluation and writes its folder; what was finished stays finished if it stops."""
    spec = load_spec(evaluation_id)
    corpus, rows = open_corpus(spec.corpus), asked_rows(spec)
    reporter.begin("opening the model", 1)
    limit_usd = spec.allowed_usd()
    responder = open_warm(spec.model, model_revision(spec.model.name), allowed=True)
    account = keep_account(responder, spec.path, limit_usd)
    reporter.log.info("model %s", ", ".join(f"{k} {v}" for k, v in responder.card.as_dict().items()))
    reporter.begin("looking for known answers", len(rows))
    begun = time.monotonic()
    with open_cache() as cache:
        cache.introduce(responder)
        keys = _keys(corpus, rows, spec, responder)
        distinct = set(keys) - {""}
        known = cache.known(distinct)
        reporter.begin("answering", len(distinct), len(known))
        n_tokens, unanswered = 0, None
        try:
            for study, own in rows.assign(key=keys).groupby("study_id", sort=True):
                questions = questions_of(corpus, str(study), own, spec)
                asked = {key: each for key, each in zip(own["key"], questions, strict=True) if key}
                missing = {key: each for key, each in asked.items() if key not in known}
                try:
                    n_tokens += answer_missing(responder, missing, {}, cache, reporter)
                except Unanswered as error:  # what one study lacks must not keep the others from being asked
                    unanswered = error
                reporter.next_part()
            record_speed(spec.model, n_tokens=n_tokens, seconds=time.monotonic() - begun)
        finally:
            told = answered_table(corpus, rows, _read(cache, keys), spec.seed)
            worked: dict[str, Any] = {"n_tokens": n_tokens, "seconds": round(time.monotonic() - begun, 3)}
            if account is not None:
                worked |= {"api": account.as_dict(), "cost_usd": account.usd}
            manifest = _write(spec, told, responder, n_asked=sum(map(bool, keys)), worked=worked)
    if unanswered is not None:
        raise unanswered
    reporter.log.info("%s", keep_calibration(responder.fingerprint))
    return {name: manifest[name] for name in ("evaluation_id", "n_rows", "n_answered", "seconds")}


def _keys(corpus: Corpus, rows: pd.DataFrame, spec: EvaluationSpec, responder: Responder) -> list[str]:
    """The cache key of every row; empty where a stand-in is asked for numbers that it would have to draw."""
    keys = []
    for study, own in rows.groupby("study_id", sort=True):
        for question in questions_of(corpus, str(study), own, spec):
            answerable = question.options or spec.model.name not in STAND_INS
            keys.append(answer_key(responder.fingerprint, question) if answerable else "")
    return keys


def _write(
    spec: EvaluationSpec, told: pa.Table, responder: Responder, *, n_asked: int, worked: Mapping[str, Any]
) -> dict[str, Any]:
    """Writes the rows, then the manifest, which it returns. An evaluation that stopped early is "partial"."""
    write_parquet(spec.path / "rows.parquet", told)
    n_answered = len(told) - told["valid_mass"].null_count
    masses = told["valid_mass"].drop_null().to_numpy()
    manifest = {
        "format": 1,
        "evaluation_id": spec.evaluation_id,
        "written": now(),
        "state": "complete" if n_answered == n_asked else "partial",
        "card": responder.card.as_dict(),
        "fingerprint": responder.fingerprint,
        "content": spec.content_digest(),
        "sample": spec.sample_digest(),
        "n_rows": len(told),
        "n_asked": n_asked,
        "n_answered": n_answered,
        "valid_mass": float(masses.mean()) if masses.size else None,
        **worked,
        "python": platform.python_version(),
        "libraries": library_versions(LIBRARIES),
        "files": {"rows.parquet": file_digest(spec.path / "rows.parquet")},
    }
    write_json(spec.path / "manifest.json", manifest)
    return manifest


def _read(cache: AnswerCache, keys: Sequence[str]) -> list[Answer | None]:
    found = cache.read({key for key in keys if key})
    return [found.get(key) for key in keys]


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
        said = answer is not None and answer.valid_mass > 0
        shares = answer.probabilities if answer is not None and said else None
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
