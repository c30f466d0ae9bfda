"""A run as it was requested: draft, people and model, frozen in spec.json before anything starts."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from socrates_core.asking.consent import (
    check_permission,
    permit,
    read_permission,
    what_is_sent,
    write_permission,
)
from socrates_core.asking.request import ModelRequest
from socrates_core.asking.resources import with_precision
from socrates_core.errors import UserError
from socrates_core.files import digest, read_json, whole_or_gone, write_json
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.store import Job, new_id, now
from socrates_core.models import context_limit, count_tokens, is_stand_in, prompt_template
from socrates_core.models.served.elicit import choose_elicitation
from socrates_core.personas import Person
from socrates_core.populations.panel import draw_panel
from socrates_core.projects.answer_orders import Order, reversed_texts
from socrates_core.prompts import TEMPLATE, ask
from socrates_core.record_folder import RecordFolder
from socrates_core.records import Question
from socrates_core.surveys.check import require_runnable
from socrates_core.surveys.draft import Draft, draft_from_dict
from socrates_core.surveys.originals import CellKey, texts_of


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides a run's result, except for the model's own weights.

    `permission` is what a person on this machine allowed a served model to be asked, for this run alone.
    """

    run_id: str
    created: str
    draft: Draft
    people: tuple[Person, ...]
    model: ModelRequest
    draft_id: str | None = None
    template: str = TEMPLATE
    texts: tuple[tuple[int, int, str], ...] = ()
    permission: Mapping[str, Any] | None = None

    @property
    def path(self) -> Path:
        return RUNS.root / self.run_id

    def content(self) -> dict[str, Any]:
        """What two runs share if they ask the same."""
        return {
            "draft": self.draft.as_dict(),
            "people": [person.as_dict() for person in self.people],
            "model": self.model.as_dict(),
            "template": self.template,
            **({"texts": [list(text) for text in self.texts]} if self.texts else {}),
        }

    @property
    def shown(self) -> dict[tuple[int, int], str]:
        """What each cell shows, by the positions of condition and outcome."""
        rendered = {
            (c, o): self.draft.stimulus(condition, outcome)
            for c, condition in enumerate(self.draft.conditions)
            for o, outcome in enumerate(self.draft.outcomes)
        }
        return rendered | {(c, o): text for c, o, text in self.texts}

    def content_digest(self) -> str:
        return digest(self.content())

    def allowed_usd(self) -> float | None:
        """The spending limit in dollars, None without one. Raises UserError if nobody on this machine allowed it."""
        return check_permission(self.permission, self.run_id, self.content_digest(), self.model.service)


@dataclass(frozen=True)
class PersonQuestion:
    """One person's question in one cell; `condition` and `outcome` are positions in the draft."""

    person: int
    condition: int
    outcome: int
    question: Question


def submit_simulation(
    draft: Draft,
    model: ModelRequest,
    *,
    draft_id: str | None = None,
    order: Order = "as written",
    consent: bool = False,
    limit_usd: float | None = None,
) -> Job:
    """Freezes the run, queues it, and starts a worker if none is running. Joins an identical run that is active.

    Raises UserError where the draft has problems, the panel cannot be drawn, or questions would leave this machine
    without `consent`.
    """
    texts = reversed_texts(draft) if order == "reversed" else None
    return queue_run(
        freeze_run(draft, model, draft_id=draft_id, texts=texts, consent=consent, limit_usd=limit_usd)
    )


def freeze_run(
    draft: Draft,
    model: ModelRequest,
    *,
    draft_id: str | None = None,
    people: Sequence[Person] | None = None,
    texts: Mapping[CellKey, str] | None = None,
    run_id: str | None = None,
    consent: bool = False,
    limit_usd: float | None = None,
) -> RunSpec:
    """The run to queue. The draft's panel is shown the draft's texts, unless `people` or `texts` are given.

    Raises UserError as `submit_simulation` does.
    """
    require_runnable(draft)
    model = with_precision(model)
    _check_open(draft, model)
    _check_service(draft, model)
    template = prompt_template(model.name)
    limit = context_limit(model.name)  # an unknown model is refused here, not later in the worker
    panel = tuple(draw_panel(draft.panel) if people is None else people)
    spec = RunSpec(run_id or new_id(draft.title), now(), draft, panel, model, draft_id, template)
    texts_shown = texts_of(draft) if texts is None else texts
    rendered = spec.shown
    # Without texts that the draft renders itself: a run and its repetition, which names all texts, share a digest.
    changed = tuple((*cell, text) for cell, text in texts_shown.items() if text != rendered[cell])
    spec = replace(spec, texts=changed)
    if limit is not None:
        _check_length(spec, limit)
    sending = what_is_sent(model.name, model.service, panel, len(panel) * len(spec.shown))
    permission = permit(
        spec.run_id, spec.content_digest(), model, sending, consent=consent, limit_usd=limit_usd
    )
    return replace(spec, permission=permission)


def queue_run(spec: RunSpec) -> Job:
    """Queues a frozen run and starts a worker if none is running. Returns the job of an identical active run."""
    header: dict[str, Any] = {"run_id": spec.run_id, "created": spec.created, "draft_id": spec.draft_id}
    title = f"{spec.draft.title} · {spec.model.name}"
    with whole_or_gone(spec.path):
        write_permission(spec.path, spec.permission)
        write_json(spec.path / "spec.json", {"format": 1, **header, **spec.content()})
        args = {"run_id": spec.run_id}
        # An identical job that is still active is returned instead, and this run's folder is not needed.
        job = store.submit("simulate", title, args, key=spec.content_digest(), job_id=spec.run_id)
    if job.id != spec.run_id:
        shutil.rmtree(spec.path)
    worker_process.ensure_worker()
    return job


def run_again(run_id: str, *, consent: bool = False) -> Job:
    """Queues the same run again: the same people, texts, model and spending limit.

    Raises UserError as `submit_simulation` does, and where its server was never named on this machine: an imported
    run must not choose where a key goes.
    """
    spec = load_spec(run_id)
    limit_usd = spec.allowed_usd()
    return queue_run(
        freeze_run(
            spec.draft,
            spec.model,
            draft_id=spec.draft_id,
            people=spec.people,
            texts=spec.shown,
            consent=consent,
            limit_usd=limit_usd,
        )
    )


def _check_open(draft: Draft, model: ModelRequest) -> None:
    """Raises UserError where an open outcome is asked of a stand-in, which has nothing to draw from."""
    open_outcomes = [outcome.name for outcome in draft.outcomes if outcome.scale.scale().is_drawn]
    if open_outcomes and is_stand_in(model.name):
        raise UserError(
            f"The outcome {open_outcomes[0]!r} has an open scale, which {model.name!r} cannot answer. "
            "Choose a real model, or give the scale a lowest and a highest value."
        )


def _check_service(draft: Draft, model: ModelRequest) -> None:
    """Raises UserError where a served model cannot be asked the outcomes."""
    if model.service is not None:
        for scale in (outcome.scale.scale() for outcome in draft.outcomes):
            options = () if scale.is_drawn else scale.options
            choose_elicitation(model.service.elicitation, options, model.decoding)


def _check_length(spec: RunSpec, limit: int) -> None:
    """Raises UserError where the longest prompt is more than the model reads."""
    longest = max(
        (cell.question.prompt for cell in asked_cells(spec)),
        key=lambda p: len(p.user),
    )
    if len(longest.user) > limit and (length := count_tokens(spec.model.name, longest)) > limit:
        raise UserError(
            f"A prompt has {length:,} tokens, but the model {spec.model.name!r} takes at most {limit:,}. "
            "Shorten the longest condition or question."
        )


def is_reversed(spec: RunSpec) -> bool:
    """Whether the run listed the answers in reverse order."""
    try:
        return spec.shown != texts_of(spec.draft) and spec.shown == reversed_texts(spec.draft)
    except UserError:
        return False


def load_spec(run_id: str) -> RunSpec:
    """The spec of a run. Raises UserError if the run is unknown or its file was damaged."""
    return RUNS.load(run_id)


def _read_spec(path: Path) -> RunSpec:
    stored = read_json(path)
    return RunSpec(
        path.parent.name,
        stored["created"],
        draft_from_dict(stored["draft"], repr(str(path))),
        tuple(Person(**person) for person in stored["people"]),
        ModelRequest(**stored["model"]),
        stored["draft_id"],
        stored["template"],
        tuple((int(c), int(o), str(text)) for c, o, text in stored.get("texts", [])),
        read_permission(path.parent),
    )


RUNS = RecordFolder(kind="run", folder="runs", marker="spec.json", read=_read_spec)


def questions(draft: Draft, people: Sequence[Person], template: str = TEMPLATE) -> Iterator[PersonQuestion]:
    """Every person x condition x outcome of a draft, person by person."""
    return _ask(draft, people, texts_of(draft), template)


def asked_cells(spec: RunSpec) -> Iterator[PersonQuestion]:
    """Every person x condition x outcome of a frozen run, person by person."""
    return _ask(spec.draft, spec.people, spec.shown, spec.template)


def _ask(
    draft: Draft, people: Sequence[Person], texts: Mapping[tuple[int, int], str], template: str
) -> Iterator[PersonQuestion]:
    scales = [outcome.scale.scale() for outcome in draft.outcomes]
    for person in people:
        for (c, o), stimulus in texts.items():
            yield PersonQuestion(person.person, c, o, ask(person.demographics, stimulus, scales[o], template))
