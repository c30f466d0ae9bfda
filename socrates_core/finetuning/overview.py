"""Finetunes and their progress: the spec, the job, the steps so far, and the model that came out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from socrates_core.errors import EDITED, UserError
from socrates_core.files import read_json
from socrates_core.finetuning.estimate import read_estimate
from socrates_core.finetuning.history import MASS_LOST, read_history
from socrates_core.finetuning.publish import published_folder, published_training
from socrates_core.finetuning.spec import TRAININGS, TrainingSpec, describe, load_training, training_path
from socrates_core.jobs.progress import describe_seconds
from socrates_core.jobs.store import Job, read_job


@dataclass(frozen=True)
class Finetune:
    """A finetune as it is stored; its history is read when it is first used.

    `job` is None for a finetune that was started by hand. `card` is the part `training` of its model's card, None
    before there is a model.
    """

    id: str
    spec: TrainingSpec
    job: Job | None
    card: dict[str, Any] | None

    @property
    def state(self) -> str:
        """The state of its job; without a job, "done" once there is a model."""
        if self.job:
            return self.job.state
        return "done" if self.card else "started by hand"

    @property
    def active(self) -> bool:
        return self.job is not None and self.job.active

    @cached_property
    def history(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Its steps and validations, as `read_history` gives them."""
        return read_history(self.id)

    @property
    def best_step(self) -> int | None:
        """The step of its model, or so far the step with the lowest W that still answers; None before either."""
        if self.card:
            return int(self.card["step"])
        base = self.validation(0)
        least_mass = base["valid_mass"] - MASS_LOST if base else 0.0
        validations = self.history[1].dropna(subset=["w_stated"])
        answering = validations[(validations["step"] > 0) & (validations["valid_mass"] >= least_mass)]
        # Stable, so that of equal steps the first counts: the trainer, too, keeps a step only for a smaller W.
        return next((int(step) for step in answering.sort_values("w_stated", kind="stable")["step"]), None)

    def validation(self, step: int | None) -> dict[str, Any] | None:
        """The validation after `step` steps; None if there is none."""
        _, validations = self.history
        rows = validations[validations["step"] == step]
        return {str(name): value for name, value in rows.iloc[-1].items()} if len(rows) else None

    @property
    def n_steps(self) -> int | None:
        """The most steps it may take; None before they are counted."""
        try:
            return int(read_json(training_path(self.id) / "plan.json")["n_steps"])
        except (UserError, *EDITED):
            return None

    def as_dict(self) -> dict[str, Any]:
        """Its progress: the step, `n_steps` (None before they are counted), and how well it does.

        The validations are those of the base model, of the best step and of the last one.
        """
        steps, validations = self.history
        return {
            **self.row(),
            "message": self.job.message if self.job else "",
            "step": int(steps["step"].iloc[-1]) if len(steps) else 0,
            "n_steps": self.n_steps,
            "loss": float(steps["loss"].iloc[-1]) if len(steps) else None,
            "base_validation": self.validation(0),
            "best_validation": self.validation(self.best_step),
            "last_validation": self.validation(validations["step"].max()),
            "model": self.spec.name if self.card else None,
        }

    def row(self) -> dict[str, Any]:
        """A short description, for lists."""
        created = self.job.created if self.job else ""
        return {"training_id": self.id, **describe(self.spec), "state": self.state, "created": created}


def what_it_took(card: Mapping[str, Any], path: Path) -> str:
    """Time and memory of the finetune in `path`, by its card, compared with its estimate; "" for a card of before."""
    if "n_steps_taken" not in card:
        return ""
    took = (
        f"It took {describe_seconds(card['seconds'])} for {card['n_steps_taken']:,} steps and "
        f"{card['memory_mb'] / 1024:.1f} GB"
    )
    estimate = read_estimate(path)
    if estimate is None:
        return f"{took}; there was no estimate."
    seconds, memory_mb = estimate.get("seconds"), estimate.get("memory_mb")
    time = "an unknown time" if seconds is None else describe_seconds(seconds)
    memory = "unknown memory" if memory_mb is None else f"{memory_mb / 1024:.1f} GB"
    n_steps = estimate.get("n_steps", 0)
    return f"{took}; the estimate was {time} for at most {n_steps:,} steps and {memory}."


def load_finetune(training_id: str) -> Finetune:
    """A finetune and its progress. Raises UserError if it is unknown or damaged."""
    spec = load_training(training_id)
    path = published_folder(spec.name, spec.tuning)
    card = read_json(path / "card.json")["training"] if published_training(path) == training_id else None
    try:
        return Finetune(training_id, spec, read_job(training_id), card)
    except UserError:
        return Finetune(training_id, spec, None, card)


def list_finetunes() -> list[dict[str, Any]]:
    """Every finetune, the newest first; a damaged one has the state "damaged"."""
    return TRAININGS.rows(
        lambda training_id: load_finetune(training_id).row(),
        lambda training_id, problem: {
            "training_id": training_id,
            "state": "damaged",
            "name": "",
            "told": problem,
        },
    )
