"""Finetunes as they stand: what was asked for, the job, how far it is, and the model that came out."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from socrates_core.errors import EDITED, UserError
from socrates_core.files import read_json
from socrates_core.finetuning.estimate import told_against
from socrates_core.finetuning.history import MASS_LOST, read_history
from socrates_core.finetuning.publish import published_folder, published_training
from socrates_core.finetuning.spec import TRAININGS, TrainingSpec, describe, load_training, training_path
from socrates_core.jobs.store import Job, read_job


@dataclass(frozen=True)
class Finetune:
    """A finetune as it lies on disk; its history is read when it is first asked for.

    `job` is None for one that was started by hand. `card` is what its model's card says of this training, None before
    there is a model.
    """

    id: str
    spec: TrainingSpec
    job: Job | None
    card: dict[str, Any] | None

    @property
    def state(self) -> str:
        """The job's; of one without a job whether its model is there."""
        return self.job.state if self.job else "done" if self.card else "started by hand"

    @property
    def active(self) -> bool:
        return self.job is not None and self.job.active

    @cached_property
    def history(self) -> tuple[pd.DataFrame, pd.DataFrame]:
        """Its steps and validations; see `read_history`."""
        return read_history(self.id)

    @property
    def best_step(self) -> int | None:
        """The step that is kept: its model's, or that of the lowest W so far that still answers; else None."""
        if self.card:
            return int(self.card["step"])
        base = self.validation(0)
        least = base["valid_mass"] - MASS_LOST if base else 0.0
        told = self.history[1].dropna(subset=["w_stated"])
        judged = told[(told["step"] > 0) & (told["valid_mass"] >= least)]
        return next((int(step) for step in judged.sort_values("w_stated", kind="stable")["step"]), None)

    def validation(self, step: int | None) -> dict[str, Any] | None:
        """The validation after `step` steps; None where there is none."""
        found = self.history[1][self.history[1]["step"] == step]
        return {str(name): value for name, value in found.iloc[-1].items()} if len(found) else None

    @property
    def n_steps(self) -> int | None:
        """How many steps it takes at most; None before they are counted."""
        try:
            return int(read_json(training_path(self.id) / "plan.json")["n_steps"])
        except (UserError, *EDITED):
            return None

    def as_dict(self) -> dict[str, Any]:
        """Where it stands: the step of all `n_steps` (None before they are counted), and how well it does.

        The validations are of the base model, of the best step and of the last.
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
        """What it is in few words, for lists."""
        created = self.job.created if self.job else ""
        return {"training_id": self.id, **describe(self.spec), "state": self.state, "created": created}


def what_it_took(card: Mapping[str, Any], path: Path) -> str:
    """What the finetune in `path` took beside its estimate, by its card; "" where an older card does not tell."""
    if "n_steps_taken" not in card:
        return ""
    seconds, memory_mb, n_steps = (card[name] for name in ("seconds", "memory_mb", "n_steps_taken"))
    return told_against(path, seconds=seconds, memory_mb=memory_mb, n_steps=n_steps)


def load_finetune(training_id: str) -> Finetune:
    """A finetune as it stands now. Raises UserError where it is unknown or damaged."""
    spec = load_training(training_id)
    path = published_folder(spec.name, spec.tuning)
    card = read_json(path / "card.json")["training"] if published_training(path) == training_id else None
    try:
        return Finetune(training_id, spec, read_job(training_id), card)
    except UserError:
        return Finetune(training_id, spec, None, card)


def list_finetunes() -> list[dict[str, Any]]:
    """Every finetune, the newest first; a damaged one says so."""
    return TRAININGS.rows(
        lambda training_id: load_finetune(training_id).row(),
        lambda training_id, problem: {
            "training_id": training_id,
            "state": "damaged",
            "name": "",
            "told": problem,
        },
    )
