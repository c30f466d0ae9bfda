"""Finetunes on paper: what one leaves behind, written without training."""

import dataclasses
import math
from typing import Any

import numpy as np

from socrates_core.files import write_json, write_text
from socrates_core.finetuning import history
from socrates_core.finetuning.history import Step, Validation
from socrates_core.finetuning.spec import TrainingSpec, trainings_folder
from socrates_core.jobs import store
from socrates_core.jobs.store import State

VALIDATION = Validation(0, 0.27, 0.34, 0.13, 58.0, -2.3, math.nan, 0.12, 240, 12, 3, 1.0)


def make_finetune(
    name: str = "tuned",
    *,
    state: State | None = "done",
    w: tuple[float, ...] = (0.27, 0.12, 0.1, 0.15),
    validation: Validation = VALIDATION,
    **settings: Any,
) -> str:
    """A finetune of five steps a validation, of the given W; without a job where `state` is None."""
    spec = TrainingSpec(name=name, split="held", **settings)
    path = trainings_folder() / f"20260101-1010{len(list(trainings_folder().glob('*'))):02}-{name}"
    path.mkdir()
    write_text(path / "spec.yaml", spec.as_yaml())
    n_steps = 5 * (len(w) - 1)
    write_json(path / "plan.json", {"n_examples": 640, "n_steps": n_steps, "n_trained": 1000})
    rng = np.random.default_rng(len(name))
    for step in range(n_steps + 1):
        if step:
            loss = 1 + 2 / step + rng.normal(0, 0.1)
            history.add(
                path, Step(step, loss, 1e-4 / step, 1.1, 9_000, 800 + rng.normal(0, 50), 1_500, 3.0 * step)
            )
        if step % 5 == 0:
            r = 0.2 if step else math.nan
            history.add(path, dataclasses.replace(validation, step=step, w_stated=w[step // 5], effect_r=r))
    if state:
        store.submit(
            "train", f"{name} of {spec.base}", {"training_id": path.name}, key=path.name, job_id=path.name
        )
    if state and state != "queued":
        claimed = store.claim_next()
        assert claimed is not None and claimed.id == path.name
        if state != "running":
            store.finish(claimed, state, "Stopped; the best is kept." if state == "cancelled" else "")
    return path.name
