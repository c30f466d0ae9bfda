"""Turns a finetune's best checkpoint into a model with a card, ready to answer."""

import platform
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.finetuning.estimate import read_estimate
from socrates_core.finetuning.history import MASS_LOST, read_history, seconds_taken
from socrates_core.finetuning.library import lineage
from socrates_core.finetuning.rows_record import load_record
from socrates_core.finetuning.spec import TITLES, TrainingSpec, load_training, training_path
from socrates_core.jobs.store import now
from socrates_core.models.model_folder import ModelFolder, open_folder, revision
from socrates_core.models.seen import Seen, seen_of
from socrates_core.records import SCORING_VERSION
from socrates_core.settings import folder, library_versions

BEST = "best-"
LIBRARIES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "tokenizers")
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
    "generation_config.json",
)


def published_folder(name: str, tuning: str) -> Path:
    """Where the model of that name goes."""
    return folder("models" if tuning == "full" else "adapters") / name


def published_training(path: Path) -> str:
    """The id of the finetune that made the model in `path`; empty for any other model."""
    training = ModelFolder(path).card.get("training")
    return str(training.get("id", "")) if isinstance(training, dict) else ""


def publish(training_id: str) -> str:
    """Copies the best checkpoint of a finetune to the models, with its card; returns the model's name.

    Calling it again changes nothing. Raises UserError if no checkpoint was kept yet, or if another model has taken the
    name.
    """
    path = training_path(training_id)
    spec = load_training(training_id)
    target = published_folder(spec.name, spec.tuning)
    if target.exists() and published_training(target) != training_id:
        raise UserError(
            f"There is another model called {spec.name!r} by now. Rename its folder {str(target)!r}, then resume."
        )
    # By number: as texts, best-9 would come after best-10.
    kept = sorted(path.glob(f"{BEST}[0-9]*"), key=lambda checkpoint: int(checkpoint.name[len(BEST) :]))
    if not kept:
        raise UserError(f"The finetune {training_id!r} has kept no checkpoint yet.")
    card = _card(training_id, spec, step=int(kept[-1].name[len(BEST) :]))
    aside = target.with_name(f".{target.name}.new")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(kept[-1], aside)
    (aside / "README.md").unlink(missing_ok=True)  # peft's empty template
    if spec.tuning == "full":
        base = open_folder(spec.base).base
        for name in TOKENIZER:
            if (base / name).exists():
                shutil.copy2(base / name, aside / name)
    write_json(aside / "card.json", card)
    # An earlier model is renamed whole: a kill between the renames never leaves a model without its card.
    old = target.with_name(f".{target.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    aside.rename(target)
    shutil.rmtree(old, ignore_errors=True)
    return spec.name


def _card(training_id: str, spec: TrainingSpec, *, step: int) -> dict[str, Any]:
    path = training_path(training_id)
    plan = read_json(path / "plan.json")
    rows = load_record(training_id)
    n_read = min(step * spec.batch_size, plan["n_examples"])
    note = (
        f"Finetuned on {n_read:,} of {plan['n_examples']:,} examples, chosen by {rows.n_validation_rows:,} others; "
        f"{rows.n_answers:,} answers of {rows.n_people:,} people in {rows.n_studies} "
        f"{'study' if rows.n_studies == 1 else 'studies'} have a part in it: the training side of {spec.split!r}."
    )
    saw = Seen(note=note, trainings=(rows.training,)).over(seen_of(spec.base))
    steps, validations = read_history(training_id)
    taken = steps[steps["step"] <= step]
    return {
        "format": 1,
        "title": f"{spec.name} ({TITLES[spec.method].partition(':')[0]} of {spec.base})",
        "base": spec.base,
        "template": spec.template,
        "reasoning": spec.method == "reasoning",
        "lineage": [*lineage(spec.base), spec.name],
        "saw": saw.as_dict(),
        "training": {
            "id": training_id,
            "written": now(),
            "spec": spec.model_dump(mode="json"),
            "spec_digest": spec.digest(),
            "base_revision": revision(open_folder(spec.base)),
            "data_digest": rows.digest,
            **plan,
            "n_rows": rows.n_rows,
            "n_validation_rows": rows.n_validation_rows,
            "step": step,
            "n_steps_taken": len(steps),
            "n_tokens": int(taken["n_tokens"].sum()),
            "n_examples_read": n_read,
            "seconds": sum(seconds_taken(steps, validations)),
            "memory_mb": float(steps["memory_mb"].max()),
            "estimate": read_estimate(path),
            "validation": _validation_at(validations, step),
            "base_validation": _validation_at(validations, 0),
            "scoring": SCORING_VERSION,
            "doubts": doubts_of(_validation_at(validations, 0), _validation_at(validations, step)),
            "leaks_accepted": spec.accept_leaks,
            "leaks": list(rows.leaks),
            "machine": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
            "libraries": library_versions(LIBRARIES),
        },
    }


def doubts_of(base: Mapping[str, Any] | None, best: Mapping[str, Any] | None) -> list[str]:
    """Reasons why the kept checkpoint may be no gain, from the validations of the base model and of the checkpoint."""
    if base is None:
        return ["No rows were kept back, so it is not known whether it predicts better than its base model."]
    if best is None:
        return [
            "It was stopped before it was measured, so it is not known whether it predicts better than its base model."
        ]
    doubts = []
    if best["w_stated"] is None:
        doubts.append(
            "No cell of the rows kept back has two people with different answers, so its W is not known."
        )
    before, after = base["w_stated"], best["w_stated"]
    if before is not None and after is not None and after >= before:
        doubts.append(
            f"On the rows kept back its W is {after:.3f}, no better than its base model's {before:.3f}."
        )
    if after is not None and best["w_uniform"] is not None and after >= best["w_uniform"]:
        doubts.append(
            f"On the rows kept back its W is {after:.3f}, no better than the uniform row's {best['w_uniform']:.3f}."
        )
    if best["valid_mass"] < base["valid_mass"] - MASS_LOST:
        doubts.append(f"Its valid mass fell from {base['valid_mass']:.2f} to {best['valid_mass']:.2f}.")
    return doubts


def _validation_at(validations: pd.DataFrame, step: int) -> dict[str, Any] | None:
    """The validation after `step` steps, NaN as None; None if there is none."""
    rows = validations[validations["step"] == step]
    if rows.empty:
        return None
    return {str(key): None if pd.isna(value) else value for key, value in rows.iloc[-1].to_dict().items()}
