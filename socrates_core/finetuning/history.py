"""How a finetune went: one line per step and per validation, kept forever in history.jsonl."""

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from socrates_core.files import write_text
from socrates_core.finetuning.spec import training_path
from socrates_core.jobs.store import append_line

FILE = "history.jsonl"
MASS_LOST = (
    0.05  # how far the valid mass of a checkpoint that is kept for its W may be below the base model's
)


@dataclass(frozen=True)
class Step:
    """One step: mean loss of its examples, learning rate, gradient norm before clipping, tokens read, speed.

    `memory_mb` is the most memory that the process (or the accelerator) has held so far; `seconds` count from this
    start of the process.
    """

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    n_tokens: int
    tokens_per_second: float
    memory_mb: float
    seconds: float


@dataclass(frozen=True)
class Validation:
    """How well the model does after `step` steps on rows that it does not train on; step 0 is the base model.

    W compares the mean exact distribution of the people asked with everybody kept back in the cell, averaged over
    studies, as a share of the stated scale and of the observed range; `w_uniform` is the uniform row's on the stated
    scale. `accuracy` is the paper's: one draw per person, in percent of the range of everybody kept back. `log_score`
    is the mean log-probability of people's answers among valid ones; `effect_r` is the correlation of condition
    differences, NaN with too few of them; `valid_mass` is a mean.
    """

    step: int
    w_stated: float
    w_observed: float
    w_uniform: float
    accuracy: float
    log_score: float
    effect_r: float
    valid_mass: float
    n_rows: int
    n_cells: int
    n_studies: int
    seconds: float


def add(path: Path, record: Step | Validation) -> None:
    """Appends to the history in the folder `path`."""
    append_line(path / FILE, {"kind": type(record).__name__.lower(), **asdict(record)})


def truncate(path: Path, last_step: int) -> None:
    """Drops what was written after `last_step`, from which a finetune continues."""
    kept = [line for line in _lines(path) if int(line["step"]) <= last_step]
    write_text(path / FILE, "".join(json.dumps(line) + "\n" for line in kept))


def read_history(training_id: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The steps and the validations, in order, with the columns of Step and Validation; empty before the first."""
    lines = _lines(training_path(training_id))
    tables = []
    for kind in (Step, Validation):
        rows = [line for line in lines if line["kind"] == kind.__name__.lower()]
        tables.append(pd.DataFrame(rows, columns=list(kind.__dataclass_fields__)))
    return tables[0], tables[1]


def seconds_taken(steps: pd.DataFrame, validations: pd.DataFrame) -> tuple[float, float]:
    """The seconds that all `steps` took, and those that all `validations` took."""
    ends = steps.set_index("step")["seconds"]
    # Step 0, the base model, has a validation but no step before it.
    validating = validations["seconds"] - validations["step"].map(ends).fillna(0)
    return float((steps["n_tokens"] / steps["tokens_per_second"]).sum()), float(validating.sum())


def _lines(path: Path) -> list[dict[str, float | str]]:
    """The history's lines; a damaged one, as the last may be after a power cut, is skipped."""
    if not (path / FILE).exists():
        return []
    lines = []
    for text in (path / FILE).read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError, RecursionError):
            line = json.loads(text)
            if isinstance(line, dict) and "kind" in line and isinstance(line.get("step"), int):
                lines.append(line)
    return lines
