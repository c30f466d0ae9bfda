"""Queues evaluations, and says what one would send to another machine."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from socrates_core.asking.consent import Sending, permit, write_permission
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus.store import open_corpus
from socrates_core.evaluations.results import complete_specs
from socrates_core.evaluations.rows import asked_rows
from socrates_core.evaluations.spec import CAP, EVALUATIONS, EvaluationSpec, load_spec, plan_evaluation
from socrates_core.files import digest, whole_or_gone, write_json
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.store import Job, new_id
from socrates_core.models.served.account import Account
from socrates_core.models.served.prices import find_price
from socrates_core.models.served.server import served_model
from socrates_core.records import DEMOGRAPHICS


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
    """Freezes an evaluation, queues it and sees to a worker; joins an identical one that is still active.

    Raises UserError where the model, split, corpus or a study is unknown, nothing is asked, or the questions would
    leave this machine without `consent`.
    """
    spec = plan_evaluation(
        model, split=split, corpus=corpus, studies=studies, cap=cap, seed=seed, shots=shots
    )
    permission = permit(
        spec.evaluation_id,
        spec.content_digest(),
        model.service,
        sending(spec),
        consent=consent,
        limit_usd=limit_usd,
    )
    if limit_usd is not None and model.service is not None:
        Account(
            find_price(model.service, served_model(model.name)), limit_usd=limit_usd
        )  # refuses what has no price
    spec = replace(spec, permission=permission)
    _write(spec)
    job = store.submit(
        "evaluate",
        f"{spec.split or ', '.join(spec.studies)} · {model.name}",
        {"evaluation_id": spec.evaluation_id},
        key=spec.content_digest(),
        job_id=spec.evaluation_id,
    )
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
    """Queues the evaluation of a model of this machine that the job `before` will have made by then."""
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
    """Whether a model of this machine was asked all of a split's held-out side as it is now.

    Raises UserError where the model or the split is unknown.
    """
    key = plan_evaluation(ModelRequest(model), split=split, cap=cap).content_digest()
    return any(each.content_digest() == key for each in complete_specs())


def freeze_planned(evaluation_id: str, plan: Mapping[str, Any]) -> None:
    """Freezes an evaluation that was planned before its model was there; nothing where that was done before."""
    if (EVALUATIONS.root / evaluation_id / "spec.json").exists():
        return
    planned = plan_evaluation(ModelRequest(plan["model"]), split=plan["split"], cap=plan["cap"])
    _write(replace(planned, evaluation_id=evaluation_id))


def _write(spec: EvaluationSpec) -> None:
    told = {"evaluation_id": spec.evaluation_id, "created": spec.created}
    with whole_or_gone(spec.path):
        write_permission(spec.path, spec.permission)
        write_json(spec.path / "spec.json", {"format": 1, **told, **spec.content()})


def sending(spec: EvaluationSpec) -> Sending | None:
    """What an evaluation sends to another machine; None where everything stays on this one."""
    service = spec.model.service
    if service is None or service.is_loopback:
        return None
    rows = asked_rows(spec)
    people = rows[["study_id", "participant"]].drop_duplicates()
    told = open_corpus(spec.corpus).participants(sorted(rows["study_id"].unique()))
    fields = tuple(field for field in DEMOGRAPHICS if told[field].notna().any())
    n = len(people)
    return Sending(spec.model.name, service.host, len(rows), n, n, fields, texts="the studies' texts")
