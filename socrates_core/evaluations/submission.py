"""Queues evaluations, and says before what one sends to another machine, how long it takes and what it costs."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from socrates_core.asking.consent import Sending, participants_sent, permit, write_permission
from socrates_core.asking.request import ModelRequest
from socrates_core.asking.resources import resources
from socrates_core.asking.speed import SAMPLED, read_speed
from socrates_core.corpus.store import open_corpus
from socrates_core.evaluations.results import complete_specs
from socrates_core.evaluations.rows import asked_rows, questions_of
from socrates_core.evaluations.spec import CAP, EVALUATIONS, EvaluationSpec, load_spec, plan_evaluation
from socrates_core.files import digest, whole_or_gone, write_json
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.store import Job, new_id
from socrates_core.models import count_tokens
from socrates_core.models.served.elicit import estimate_usd
from socrates_core.records import Question


def submit_evaluation(
    model: ModelRequest,
    *,
    split: str | None = None,
    corpus: str | None = None,
    studies: Sequence[str] = (),
    cap: int | None = CAP,
    seed: int = 0,
    shots: int = 0,
    consent: bool = False,
    limit_usd: float | None = None,
) -> Job:
    """Freezes the evaluation, queues it, and starts a worker if none is running. Joins an identical active one.

    Raises UserError where the model, split, corpus or a study is unknown, nothing is asked, or the questions would
    leave this machine without `consent`.
    """
    spec = plan_evaluation(
        model, split=split, corpus=corpus, studies=studies, cap=cap, seed=seed, shots=shots
    )
    permission = permit(
        spec.evaluation_id,
        spec.content_digest(),
        model,
        sending(spec),
        consent=consent,
        limit_usd=limit_usd,
    )
    spec = replace(spec, permission=permission)
    _write(spec)
    job = store.submit(
        "evaluate",
        f"{spec.split or ', '.join(spec.studies)} · {model.name}",
        {"evaluation_id": spec.evaluation_id},
        key=spec.content_digest(),
        job_id=spec.evaluation_id,
    )
    # An identical evaluation is still active: the caller joins it, and this folder is not needed.
    if job.id != spec.evaluation_id:
        shutil.rmtree(spec.path)
    worker_process.ensure_worker()
    return job


def evaluate_again(evaluation_id: str, *, consent: bool = False) -> Job:
    """Queues the same evaluation again, with the same spending limit.

    Raises UserError as `submit_evaluation` does, and where its server was never named on this machine.
    """
    spec = load_spec(evaluation_id)
    return submit_evaluation(
        spec.model,
        split=spec.split,
        corpus=spec.corpus,
        studies=spec.studies,
        cap=spec.cap,
        seed=spec.seed,
        shots=spec.shots,
        consent=consent,
        limit_usd=spec.allowed_usd(),
    )


def submit_evaluation_after(before: Job, model: str, split: str, *, cap: int | None = CAP) -> Job:
    """Queues the evaluation of a model that the job `before` will have made on this machine."""
    evaluation_id = new_id(f"{split} {model}")
    args = {"evaluation_id": evaluation_id, "plan": {"model": model, "split": split, "cap": cap}}
    return store.submit(
        "evaluate",
        f"{split} · {model}",
        args,
        key=digest([before.id, args["plan"]]),
        job_id=evaluation_id,
        after=[before.id],
    )


def is_evaluated(model: str, split: str, *, cap: int | None = CAP) -> bool:
    """Whether a model on this machine has a complete evaluation on a split as it is now.

    Raises UserError where the model or the split is unknown.
    """
    key = plan_evaluation(ModelRequest(model), split=split, cap=cap).content_digest()
    return any(spec.content_digest() == key for spec in complete_specs())


def freeze_planned(evaluation_id: str, plan: Mapping[str, Any]) -> None:
    """Freezes an evaluation that was planned before its model existed. Does nothing the second time."""
    if (EVALUATIONS.root / evaluation_id / "spec.json").exists():
        return
    planned = plan_evaluation(ModelRequest(plan["model"]), split=plan["split"], cap=plan["cap"])
    _write(replace(planned, evaluation_id=evaluation_id))


def _write(spec: EvaluationSpec) -> None:
    header = {"evaluation_id": spec.evaluation_id, "created": spec.created}
    with whole_or_gone(spec.path):
        write_permission(spec.path, spec.permission)
        write_json(spec.path / "spec.json", {"format": 1, **header, **spec.content()})


def sending(spec: EvaluationSpec) -> Sending | None:
    """What an evaluation sends to another machine; None where everything stays on this one."""
    if spec.model.service is None or spec.model.service.is_loopback:
        return None  # without reading the rows
    return participants_sent(spec.model, open_corpus(spec.corpus), asked_rows(spec))


def estimate_seconds(spec: EvaluationSpec, rows: pd.DataFrame) -> float | None:
    """At most how long the `rows` of `asked_rows` take, judged by the length of some; None if no speed is known.

    Equal questions are asked once and known answers not again, so it may take less. May probe the model's speed for
    some seconds. Raises UserError where the model is unknown or cannot fit here.
    """
    needed = resources(spec.model)
    speed = needed.tokens_per_second if needed else read_speed(spec.model)
    if speed is None:
        return None  # without measuring any prompt
    lengths = [count_tokens(spec.model.name, question.prompt) for question in _sample(spec, rows)]
    return len(rows) * sum(lengths) / len(lengths) / speed


def estimate_cost(spec: EvaluationSpec, rows: pd.DataFrame) -> float | None:
    """Roughly how many US dollars the `rows` of `asked_rows` cost at most, judged by the length of some of them.

    None without a known price or a served model. Raises UserError if the service cannot be asked such a question.
    """
    if spec.model.service is None:
        return None
    sample = _sample(spec, rows)
    usd = estimate_usd(spec.model.name, spec.model.service, spec.model.decoding, sample)
    return None if usd is None else len(rows) * usd / len(sample)


def _sample(spec: EvaluationSpec, rows: pd.DataFrame) -> list[Question]:
    """About SAMPLED of the questions that `rows` ask, spread evenly over them."""
    corpus = open_corpus(spec.corpus)
    sample = rows.iloc[:: max(1, len(rows) // SAMPLED)]
    return [
        question
        for study, of_study in sample.groupby("study_id")
        for question in questions_of(corpus, str(study), of_study, spec)
    ]
