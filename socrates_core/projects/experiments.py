"""One panel asked in many ways: the same people across models, number formats, decodings, orders and wordings.

Each specification is a run like any other, with cached answers used again; the experiment lists them and says which
one was chosen before anything was answered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError, unknown
from socrates_core.files import read_json, write_json
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.store import RESUMABLE, new_id, now
from socrates_core.models import is_served, is_stand_in
from socrates_core.models.served.server import Service
from socrates_core.personas import Person
from socrates_core.populations.panel import draw_panel
from socrates_core.projects.answer_orders import Order, reverse_order, reversed_texts
from socrates_core.projects.paraphrases import AS_WRITTEN, Paraphrase, paraphrased
from socrates_core.projects.run_estimate import estimate
from socrates_core.projects.run_spec import RunSpec, freeze_run, queue_run
from socrates_core.record_folder import RecordFolder
from socrates_core.records import Decoding, Precision
from socrates_core.surveys.draft import Draft, draft_from_dict
from socrates_core.surveys.originals import texts_of

MOST = 200


@dataclass(frozen=True)
class Specification:
    """One way to ask the panel: who answers and how, in which order and in which words."""

    model: ModelRequest
    order: Order = "as written"
    wording: str = AS_WRITTEN

    def as_dict(self) -> dict[str, Any]:
        return {"model": self.model.as_dict(), "order": self.order, "wording": self.wording}

    @property
    def levels(self) -> dict[str, str]:
        """Its level in every dimension."""
        answering = {
            "model": self.model.name,
            "precision": self.model.precision,
            "decoding": self.model.decoding,
        }
        return {**answering, "order": self.order, "wording": self.wording}

    @property
    def label(self) -> str:
        """All levels in one line."""
        named = {**self.levels, "order": f"{self.order} order", "wording": f"worded {self.wording}"}
        return " · ".join(named.values())


@dataclass(frozen=True)
class Experiment:
    """An experiment as it was frozen; `chosen` is the position of the specification that was named in advance.

    `run_ids` are the runs of the `specifications`, in order; each holds the same people.
    """

    experiment_id: str
    created: str
    draft: Draft
    draft_id: str | None
    paraphrases: tuple[Paraphrase, ...]
    specifications: tuple[Specification, ...]
    chosen: int
    run_ids: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "experiment_id": self.experiment_id,
            "created": self.created,
            "draft": self.draft.as_dict(),
            "draft_id": self.draft_id,
            "paraphrases": [paraphrase.model_dump() for paraphrase in self.paraphrases],
            "specifications": [specification.as_dict() for specification in self.specifications],
            "chosen": self.chosen,
            "run_ids": list(self.run_ids),
        }


@dataclass(frozen=True)
class Cost:
    """What an experiment takes without cached answers. `seconds` is None until every model has been timed here.

    `usd` is roughly what served models bill, None where a price is not known.
    """

    n_runs: int
    n_answers: int
    seconds: float | None
    usd: float | None


def one_order(draft: Draft) -> list[str]:
    """The names of the outcomes whose answers cannot be listed in reverse order in any condition."""
    turned = {
        o for (_, o), text in texts_of(draft).items() if reverse_order(text, draft.outcomes[o].scale.scale())
    }
    return [outcome.name for o, outcome in enumerate(draft.outcomes) if o not in turned]


def cross(
    models: Sequence[str],
    *,
    precisions: Sequence[Precision] = ("auto",),
    decodings: Sequence[Decoding] = ("exact",),
    orders: Sequence[Order] = ("as written",),
    paraphrases: Sequence[Paraphrase] = (),
    service: Service | None = None,
) -> list[Specification]:
    """Every combination of the levels, starting with the first level of each dimension.

    Number formats vary only for models whose weights are on this machine, and decodings only for real models: a
    stand-in has neither. `service` says how served models are asked.
    """
    wordings = [AS_WRITTEN, *(paraphrase.name for paraphrase in paraphrases)]
    specifications = [
        Specification(ModelRequest(model, precision, decoding, service=service), order, wording)
        for model in models
        for precision, decoding, wording, order in product(
            ("auto",) if is_served(model) or is_stand_in(model) else precisions,
            ("exact",) if is_stand_in(model) else decodings,
            wordings,
            orders,
        )
    ]
    return list(dict.fromkeys(specifications))


def estimate_cost(draft: Draft, people: Sequence[Person], specifications: Sequence[Specification]) -> Cost:
    """What all specifications take together, as if every wording were as long as the draft's. Raises UserError."""
    costs = {
        request: estimate(draft, people, request)
        for request in dict.fromkeys(s.model for s in specifications)
    }
    by_run = [costs[specification.model] for specification in specifications]
    # A stand-in reads no tokens, so it has no speed; its time is 0 and not unknown.
    seconds = [0.0 if cost.mean_tokens == 0 else cost.seconds for cost in by_run]
    dollars = [
        cost.usd if s.model.service and not s.model.service.is_loopback else 0.0
        for s, cost in zip(specifications, by_run, strict=True)
    ]
    return Cost(len(by_run), sum(cost.n_cells for cost in by_run), _sum(seconds), _sum(dollars))


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def submit_experiment(
    draft: Draft,
    specifications: Sequence[Specification],
    *,
    chosen: int = 0,
    paraphrases: Sequence[Paraphrase] = (),
    draft_id: str | None = None,
    consent: bool = False,
    limit_usd: float | None = None,
) -> Experiment:
    """Freezes the panel and every specification, queues a run for each, and records which one was `chosen`.

    `limit_usd` holds for each run. Nothing is queued unless every run can be queued. Raises UserError as
    `submit_simulation` does, and where there are too many specifications or an order or wording cannot be shown.
    """
    if not 1 <= len(specifications) <= MOST:
        raise UserError(f"{len(specifications)} specifications cannot be run. Choose 1 to {MOST}.")
    if not 0 <= chosen < len(specifications):
        raise unknown("specification", chosen + 1, range(1, len(specifications) + 1))
    worded = _worded(draft, paraphrases)
    people = tuple(draw_panel(draft.panel))
    frozen = [
        _freeze(
            specification, worded, people, number, draft_id=draft_id, consent=consent, limit_usd=limit_usd
        )
        for number, specification in enumerate(specifications, start=1)
    ]
    # All are frozen by now, so none is queued unless all can be. An identical active run is joined: its id counts.
    run_ids = tuple(queue_run(spec).id for spec in frozen)
    experiment = Experiment(
        new_id(draft.title),
        now(),
        draft,
        draft_id,
        tuple(paraphrases),
        tuple(specifications),
        chosen,
        run_ids,
    )
    write_json(
        EXPERIMENTS.root / experiment.experiment_id / "experiment.json", {"format": 1, **experiment.as_dict()}
    )
    return experiment


def _worded(draft: Draft, paraphrases: Sequence[Paraphrase]) -> dict[str, Draft]:
    """The draft in each wording, by the wording's name. Raises UserError where two share a name."""
    worded = {AS_WRITTEN: draft}
    for paraphrase in paraphrases:
        if not paraphrase.name.strip() or paraphrase.name in worded:
            raise UserError(
                f"The wording {paraphrase.name!r} needs a name of its own, other than {', '.join(worded)}."
            )
        worded[paraphrase.name] = paraphrased(draft, paraphrase)
    return worded


def _freeze(
    specification: Specification,
    worded: dict[str, Draft],
    people: tuple[Person, ...],
    number: int,
    **allowed: Any,
) -> RunSpec:
    """The run of one specification; its number in the id keeps the ids of one second apart."""
    if specification.wording not in worded:
        raise unknown("wording", specification.wording, worded)
    draft = worded[specification.wording]
    texts = reversed_texts(draft) if specification.order == "reversed" else None
    run_id = new_id(f"{number:03d} {draft.title}")
    return freeze_run(draft, specification.model, people=people, texts=texts, run_id=run_id, **allowed)


def load_experiment(experiment_id: str) -> Experiment:
    """The experiment. Raises UserError if it is unknown or its file was damaged."""
    return EXPERIMENTS.load(experiment_id)


def _read_experiment(path: Path) -> Experiment:
    stored = read_json(path)
    experiment = Experiment(
        path.parent.name,
        stored["created"],
        draft_from_dict(stored["draft"], repr(str(path))),
        stored["draft_id"],
        tuple(Paraphrase.model_validate(paraphrase) for paraphrase in stored["paraphrases"]),
        tuple(
            Specification(
                ModelRequest(**specification["model"]), specification["order"], specification["wording"]
            )
            for specification in stored["specifications"]
        ),
        int(stored["chosen"]),
        tuple(stored["run_ids"]),
    )
    if not len(experiment.specifications) == len(experiment.run_ids) > experiment.chosen >= 0:
        raise ValueError("specifications and runs do not belong together")
    return experiment


EXPERIMENTS = RecordFolder(
    kind="experiment", folder="experiments", marker="experiment.json", read=_read_experiment
)


def experiment_of(run_id: str) -> Experiment | None:
    """The newest experiment that the run is a specification of, damaged experiments left out."""
    return next((experiment for experiment in EXPERIMENTS.readable() if run_id in experiment.run_ids), None)


def stop(experiment: Experiment) -> None:
    """Cancels the runs that are queued or running. Their answers are kept."""
    for job in _jobs(experiment):
        if job.active:
            store.cancel(job.id)


def resume(experiment: Experiment) -> None:
    """Queues again the runs that failed, were cancelled or were lost."""
    for job in _jobs(experiment):
        if job.state in RESUMABLE:
            store.resume(job.id)
    worker_process.ensure_worker()


def _jobs(experiment: Experiment) -> list[store.Job]:
    return [job for job in store.list_jobs() if job.id in experiment.run_ids]
