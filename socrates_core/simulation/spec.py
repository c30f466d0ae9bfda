"""A run as it was asked for: draft, people and model, frozen in spec.json before anything starts."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from socrates_core.drafts.check import require_runnable
from socrates_core.drafts.originals import texts_of
from socrates_core.drafts.spec import Draft, draft_from_dict
from socrates_core.errors import UserError, unknown
from socrates_core.files import digest, read_json, write_json
from socrates_core.jobs import launch, store
from socrates_core.jobs.store import Job, new_id, now
from socrates_core.panels import Person, draw_panel
from socrates_core.prompts import TEMPLATE, render_prompt
from socrates_core.records import Decoding, Precision, Question
from socrates_core.responders import context_limit, count_tokens, prompt_template
from socrates_core.settings import folder


@dataclass(frozen=True)
class ModelRequest:
    """Which model should answer and how."""

    name: str
    precision: Precision = "auto"
    decoding: Decoding = "exact"
    deterministic: bool = False

    def as_dict(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "deterministic" or value}


@dataclass(frozen=True)
class RunSpec:
    """Everything that decides a run's result, apart from the model's own weights."""

    run_id: str
    created: str
    draft: Draft
    people: tuple[Person, ...]
    model: ModelRequest
    draft_id: str | None = None
    template: str = TEMPLATE
    texts: tuple[tuple[int, int, str], ...] = ()

    @property
    def path(self) -> Path:
        return runs_folder() / self.run_id

    def content(self) -> dict[str, Any]:
        """What two identical runs share."""
        return {
            "draft": self.draft.as_dict(), "people": [dict(vars(person)) for person in self.people],
            "model": self.model.as_dict(), "template": self.template,
            **({"texts": [list(each) for each in self.texts]} if self.texts else {}),
        }  # fmt: skip

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


@dataclass(frozen=True)
class Asked:
    """One person's question in one cell; `condition` and `outcome` are positions in the draft."""

    person: int
    condition: int
    outcome: int
    question: Question


def runs_folder() -> Path:
    return folder("runs")


def submit_simulation(draft: Draft, model: ModelRequest, *, draft_id: str | None = None) -> Job:
    """Freezes a run, queues it and sees to a worker; joins an identical run that is still active.

    Raises UserError where the draft has problems or the panel cannot be drawn.
    """
    require_runnable(draft)
    _check_open(draft, model)
    template = prompt_template(model.name)
    limit = context_limit(model.name)  # refuses an unknown model now, rather than in the worker
    spec = RunSpec(
        new_id(draft.title), now(), draft, tuple(draw_panel(draft.panel)), model, draft_id, template
    )
    if limit is not None:
        _check_length(spec, limit)
    told = {"run_id": spec.run_id, "created": spec.created, "draft_id": draft_id}
    write_json(spec.path / "spec.json", {"format": 1, **told, **spec.content()})
    job = store.submit(
        "simulate",
        f"{draft.title} · {model.name}",
        {"run_id": spec.run_id},
        key=spec.content_digest(),
        job_id=spec.run_id,
    )
    if job.id != spec.run_id:
        shutil.rmtree(spec.path)
    launch.ensure_worker()
    return job


def _check_open(draft: Draft, model: ModelRequest) -> None:
    """Raises UserError where an open outcome is asked of a stand-in, which has nothing to draw from."""
    opened = [outcome.name for outcome in draft.outcomes if outcome.scale.scale().is_open]
    if opened and model.name in ("echo", "uniform"):
        raise UserError(
            f"The outcome {opened[0]!r} has an open scale, which {model.name!r} cannot answer. "
            "Choose a real model, or give the scale a lowest and a highest value."
        )


def _check_length(spec: RunSpec, limit: int) -> None:
    """Raises UserError where the longest prompt is more than the model reads."""
    longest = max(
        (each.question.prompt for each in asked_cells(spec)),
        key=lambda p: len(p.user),
    )
    if len(longest.user) > limit and (length := count_tokens(spec.model.name, longest)) > limit:
        raise UserError(
            f"A prompt has {length:,} tokens, but the model {spec.model.name!r} takes at most {limit:,}. "
            "Shorten the longest condition or question."
        )


def load_spec(run_id: str) -> RunSpec:
    """The spec of a run. Raises UserError where the run is unknown or its file was damaged."""
    path = runs_folder() / run_id / "spec.json"
    if not run_id or Path(run_id).name != run_id or not path.exists():
        raise unknown("run", run_id, [p.parent.name for p in sorted(runs_folder().glob("*/spec.json"))])
    stored = read_json(path)
    try:
        people = tuple(Person(**person) for person in stored["people"])
        return RunSpec(
            run_id, stored["created"], draft_from_dict(stored["draft"], repr(str(path))), people,
            ModelRequest(**stored["model"]), stored["draft_id"], stored["template"],
            tuple((int(c), int(o), str(text)) for c, o, text in stored.get("texts", [])),
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise UserError(f"{str(path)!r} was edited or damaged ({error!r}).") from error


def questions(draft: Draft, people: Sequence[Person], template: str = TEMPLATE) -> Iterator[Asked]:
    """Every person x condition x outcome of a draft, person by person."""
    return _ask(draft, people, texts_of(draft), template)


def asked_cells(spec: RunSpec) -> Iterator[Asked]:
    """Every person x condition x outcome of a frozen run, person by person."""
    return _ask(spec.draft, spec.people, spec.shown, spec.template)


def _ask(
    draft: Draft, people: Sequence[Person], texts: Mapping[tuple[int, int], str], template: str
) -> Iterator[Asked]:
    scales = [outcome.scale.scale() for outcome in draft.outcomes]
    for person in people:
        for (c, o), stimulus in texts.items():
            prompt = render_prompt(person.demographics, stimulus, template)
            sampled = scales[o] if scales[o].is_open else None
            yield Asked(person.person, c, o, Question(prompt, scales[o].options, sampled))
