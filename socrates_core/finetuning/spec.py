"""A finetune as it was asked for: base model, method, rows and hyper-parameters, checked on construction."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from socrates_core.errors import UserError, clipped, quoted
from socrates_core.files import digest
from socrates_core.prompts import TEMPLATE, TEMPLATES
from socrates_core.record_folder import RecordFolder
from socrates_core.yaml_files import load_yaml

Method = Literal["sft", "reasoning", "dpo", "distribution"]
Tuning = Literal["lora", "qlora", "full"]
RESERVED = frozenset(
    {  # what stands beside models under a name of its own
        "starter",
        "echo",
        "uniform",
        "human",
        "people",
        "condition-blind",
        "half-sample",
        "majority",
    }
)
METHODS: tuple[Method, ...] = get_args(Method)
TITLES: Mapping[Method, str] = {
    "sft": "SFT: each person's own answer",
    "reasoning": "SFT with reasoning: a rationale, then the answer",
    "dpo": "DPO: a person's answer over another person's",
    "distribution": "Distribution: the shares of people's answers",
}


class TrainingSpec(BaseModel):
    """Everything that decides a finetune's result, apart from the base model's weights and the rows themselves.

    Rows are those of the training side of `split`, of `studies` alone where any are named, of `people_share` of the
    people, of at most `per_cell` people a cell and `per_study` rows a study; `balance` says what counts alike, rows,
    cells or studies. `validation_share` of what the split holds out by (studies, conditions, outcomes or participants)
    is kept back from them to choose the checkpoint by, `validation_cap` people a cell. A step takes `batch_size`
    examples, read `micro_tokens` at a time; with `share_people` one person's answers come in the same step and the
    profile is read once. `checkpointing`, which takes less memory and more time, is on by default with tuning "qlora"
    alone. Training stops after `epochs` or `max_steps`, or once `patience` validations, `evaluate_every`
    steps apart, brought nothing. `alpha` is LoRA's scaling times its `rank`; over an adapter, its own go on. `beta`
    belongs to DPO. `rps_weight` and `shrinkage` belong to distribution training: the weight of the ranked-probability
    term, and how many answers of the same outcome in any condition are added to a cell's own. `rationales` belongs to
    reasoning: "corpus" for the data's own, or the name of written ones. `accept_leaks` says why a leak is accepted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    base: str = "starter"
    method: Method = "sft"
    split: str
    studies: tuple[str, ...] = ()
    per_cell: int = Field(default=32, ge=1)
    per_study: int | None = Field(default=None, ge=1)
    people_share: float = Field(default=1.0, gt=0, le=1)
    balance: Literal["rows", "cells", "studies"] = "rows"
    validation_share: float = Field(default=0.1, ge=0, lt=1)
    validation_cap: int = Field(default=8, ge=2)
    seed: int = Field(default=0, ge=0)
    template: str = TEMPLATE
    tuning: Tuning = "lora"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    rank: int = Field(default=16, ge=1, le=1024)
    alpha: float = Field(default=32, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    learning_rate: float = Field(default=1e-4, gt=0, le=1)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    clip: float = Field(default=1.0, gt=0)
    batch_size: int = Field(default=64, ge=1)
    epochs: float = Field(default=1.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    micro_tokens: int = Field(default=2048, ge=64)
    checkpointing: bool = False
    share_people: bool = True
    evaluate_every: int = Field(default=25, ge=1)
    patience: int = Field(default=5, ge=1)
    beta: float = Field(default=0.1, gt=0)
    rps_weight: float = Field(default=0.0, ge=0)
    shrinkage: float = Field(default=0.0, ge=0)
    rationales: str = "corpus"
    accept_leaks: str = ""

    @model_validator(mode="before")
    @classmethod
    def _default_by_tuning(cls, stored: Any) -> Any:
        if not isinstance(stored, Mapping):
            return stored
        return {"checkpointing": default_of("checkpointing", stored.get("tuning")), **stored}

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.template not in TEMPLATES:
            raise ValueError(f"the template is {self.template!r}; allowed are {', '.join(TEMPLATES)}")
        if self.method == "dpo" and self.tuning == "full":
            raise ValueError(
                "DPO compares with its own start, so it trains an adapter: tuning 'lora' or 'qlora'"
            )
        return self

    def digest(self) -> str:
        """SHA-256 in hex of everything but the name."""
        return digest(self.model_dump(mode="json", exclude={"name"}))

    def as_yaml(self) -> str:
        """The spec as a file that a person can edit and `train` takes."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def default_of(name: str, tuning: object) -> Any:
    """The value of the field `name` in a finetune with this `tuning` whose file leaves it out.

    QLoRA is chosen where memory is short, and 4-bit weights alone do not save enough: an 8B model takes 36 GB without
    checkpointing, by the project's estimate, and 9 GB with it.
    """
    return tuning == "qlora" if name == "checkpointing" else TrainingSpec.model_fields[name].default


def spec_from_dict(stored: object, where: str) -> TrainingSpec:
    """A spec from a file's content. Raises UserError naming the field, its value and `where` it stands."""
    try:
        return TrainingSpec.model_validate(stored)
    except ValidationError as error:
        first = error.errors()[0]
        place = clipped(".".join(map(str, first["loc"])))
        known = (
            "" if first["type"] != "extra_forbidden" else f" Known: {', '.join(TrainingSpec.model_fields)}."
        )
        value = f" It is {quoted(first['input'])}." if place and not known else ""
        raise UserError(
            f"{where}: {place or 'the finetune'}: {clipped(first['msg'])}.{value}{known}"
        ) from error


def load_spec_file(path: Path) -> TrainingSpec:
    """The spec in a YAML file. Raises UserError where it cannot be read or says something unknown."""
    return spec_from_dict(load_yaml(path), repr(str(path)))


TRAININGS = RecordFolder(kind="finetune", folder="trainings", marker="spec.yaml", read=load_spec_file)


def training_path(training_id: str) -> Path:
    """The folder of a finetune. Raises UserError if it is unknown."""
    return TRAININGS.path(training_id)


def load_training(training_id: str) -> TrainingSpec:
    """The spec of a finetune. Raises UserError where it is unknown or damaged."""
    return TRAININGS.load(training_id)


def describe(spec: TrainingSpec) -> dict[str, Any]:
    """The spec in few words, for lists."""
    return {
        "name": spec.name,
        "base": spec.base,
        "method": spec.method,
        "split": spec.split,
        "seed": spec.seed,
    }
