"""The specification of a finetune: base model, method, rows and hyper-parameters, checked on construction."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self, cast, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from socrates_core.errors import UserError, clipped, quoted
from socrates_core.files import digest
from socrates_core.prompts import TEMPLATE, TEMPLATES
from socrates_core.record_folder import RecordFolder
from socrates_core.yaml_files import load_yaml

Method = Literal["sft", "reasoning", "dpo", "distribution"]
Tuning = Literal["lora", "qlora", "full"]
Optimizer = Literal["adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit"]
Tracker = Literal["none", "trackio", "tensorboard", "wandb"]
Level = Literal["simple", "expert"]
# Fields of later versions: at their defaults they are no part of a digest, so that earlier finetunes keep theirs.
LATER = ("optimizer", "validation_rows")
RESERVED = frozenset(
    {  # names of rows that are listed next to models
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


def _simple(default: Any, title: str, description: str = "", **limits: Any) -> Any:
    return Field(
        default, title=title, description=description, json_schema_extra={"level": "simple"}, **limits
    )


def _expert(
    default: Any, title: str, description: str = "", method: Method | None = None, **limits: Any
) -> Any:
    """A field that beginners can leave alone; `method` is the only one that uses it, None for all."""
    extra: dict[str, Any] = {"level": "expert", "method": method}
    return Field(default, title=title, description=description, json_schema_extra=extra, **limits)


class TrainingSpec(BaseModel):
    """Everything that decides a finetune's result, apart from the base model's weights and the rows themselves.

    The rows are those of the training side of `split`, only of `studies` if any are named. The page Launch and the
    command line show the fields in this order, with their titles, descriptions and levels.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        title="Name of the model it makes",
        description="Lower-case letters, digits, dots, dashes and underscores, at most 64.",
        json_schema_extra={"level": "simple"},
    )
    base: str = _simple("starter", "Base model", "Its name, a folder, or a hub id such as org/name.")
    method: Method = _simple("sft", "Method", "sft, reasoning, dpo or distribution.")
    split: str = Field(
        title="Split",
        description="The model trains on its training side.",
        json_schema_extra={"level": "simple"},
    )
    studies: tuple[str, ...] = _simple((), "Studies", "Empty: all of the training side.")
    per_cell: int = _simple(
        32,
        "Most people per cell",
        "A cell is one outcome in one condition; a small sample is enough.",
        ge=1,
    )
    per_study: int | None = _simple(None, "Rows a study, at most", "Empty: no limit.", ge=1)
    validation_share: float = _simple(
        0.1,
        "Share for validation",
        "Kept back from training, by what the split holds out by: it chooses the checkpoint.",
        ge=0,
        lt=1,
    )
    seed: int = _simple(
        0, "Seed", "Which people are drawn, what is kept back, and the order of the rows.", ge=0
    )
    rationales: str = _expert(
        "corpus",
        "Rationales",
        "corpus: the data's own; or the name of rationales that a model wrote.",
        method="reasoning",
    )
    beta: float = _expert(0.1, "Beta", "How strongly DPO holds the model to its start.", method="dpo", gt=0)
    rps_weight: float = _expert(
        0.0,
        "Weight of the ranked-probability term",
        "0: soft cross-entropy alone.",
        method="distribution",
        ge=0,
    )
    shrinkage: float = _expert(
        0.0,
        "Answers borrowed from other conditions",
        "So many answers to the same outcome in any condition are added to a cell's own.",
        method="distribution",
        ge=0,
    )
    tuning: Tuning = _expert(
        "lora",
        "What is tuned",
        "lora: an adapter; qlora: over the base in 4-bit NF4; full: every weight.",
    )
    rank: int = _expert(16, "LoRA rank", ge=1, le=1024)
    alpha: float = _expert(
        32, "LoRA alpha", gt=0
    )  # scales by alpha / rank; over an adapter, the adapter's stays
    dropout: float = _expert(0.0, "LoRA dropout", ge=0, lt=1)
    learning_rate: float = _expert(1e-4, "Learning rate", "The highest, after the warm-up.", gt=0, le=1)
    schedule: Literal["cosine", "linear", "constant"] = _expert("cosine", "Schedule")
    warmup: float = _expert(0.05, "Warm-up", "Share of the steps.", ge=0, lt=1)
    weight_decay: float = _expert(0.0, "Weight decay", ge=0)
    clip: float = _expert(1.0, "Gradient clipping", "Longer ones are cut to this norm.", gt=0)
    batch_size: int = _expert(64, "Examples a step", ge=1)
    epochs: float = _expert(1.0, "Epochs", "How often each row is read; may be less than 1.", gt=0)
    max_steps: int | None = _expert(None, "Steps, at most", "Empty: no limit.", ge=1)
    people_share: float = _expert(
        1.0, "Share of the people", "Of every study; 1 takes all. For learning curves.", gt=0, le=1
    )
    balance: Literal["rows", "cells", "studies"] = _expert(
        "rows", "Balance", "Rows, cells or studies, however many answers each has."
    )
    validation_cap: int = _expert(
        8, "Validation people a cell", "At most so many are asked in each validation.", ge=2
    )
    validation_rows: int | None = _expert(
        None,
        "Rows a validation, at most",
        "Empty: as many as keep all validations within a tenth of the training.",
        ge=1,
    )
    template: str = _expert(TEMPLATE, "Prompt template")
    precision: Literal["auto", "fp32", "bf16"] = _expert(
        "auto", "Precision", "auto: bf16 where the processor has it."
    )
    micro_tokens: int = _expert(
        2048, "Tokens read at a time", "Fewer take less memory; the result is the same.", ge=64
    )
    optimizer: Optimizer = _expert(
        "adamw",
        "Optimizer",
        "adamw; adamw_8bit: its moments in 8 bits; paged: moved to the machine's memory when a GPU is full.",
    )
    checkpointing: bool = _expert(
        False, "Gradient checkpointing", "Less memory, more time; the result is the same."
    )
    share_people: bool = _expert(
        True, "Read each profile once", "One person's, for all of the answers in a step."
    )
    evaluate_every: int = _simple(
        25, "Steps between validations", "Each measures the model on the rows that were kept back.", ge=1
    )
    patience: int = _simple(
        5,
        "Patience",
        "It stops after so many validations without gain; the best checkpoint so far is kept.",
        ge=1,
    )
    report_to: Tracker = _expert(
        "none", "Also report to", "A program that shows how it goes. wandb sends that to its own server."
    )
    accept_leaks: str = _simple(
        "", "Why the leak is accepted", "The card of the model that comes out will repeat it."
    )

    @model_validator(mode="before")
    @classmethod
    def _default_by_tuning(cls, stored: Any) -> Any:
        if not isinstance(stored, Mapping):
            return stored
        # In "before" mode, where a field that was left out still differs from one that was set to its default.
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
        """SHA-256 in hex of everything that decides the result: not the name, nor where its course is reported."""
        fields = type(self).model_fields
        unused = {name for name in LATER if getattr(self, name) == fields[name].default}
        return digest(self.model_dump(mode="json", exclude={"name", "report_to", *unused}))

    def as_yaml(self) -> str:
        """The spec as a YAML file that a person can edit and that `train` takes."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def default_of(name: str, tuning: object) -> Any:
    """The value that the field `name` takes in a finetune with this `tuning` if its file leaves it out."""
    if name == "checkpointing":
        # QLoRA is chosen when memory is short, and 4-bit weights alone do not save enough: by the project's estimate
        # an 8B model takes 36 GB without checkpointing and 9 GB with it.
        return tuning == "qlora"
    return TrainingSpec.model_fields[name].default


def fields_of(level: Level, method: Method | None = None) -> list[str]:
    """The names of the fields of one level, in order; with `method`, without those that only others use."""
    names = []
    for name, field in TrainingSpec.model_fields.items():
        extra = cast(dict[str, Any], field.json_schema_extra)
        if extra["level"] == level and (method is None or extra.get("method") in (None, method)):
            names.append(name)
    return names


def spec_from_dict(stored: object, where: str) -> TrainingSpec:
    """The spec in a file's content. Raises UserError with the first wrong field, its value and `where` it is."""
    try:
        return TrainingSpec.model_validate(stored)
    except ValidationError as error:
        first = error.errors()[0]
        place = clipped(".".join(map(str, first["loc"])))
        hint = ""
        if first["type"] == "extra_forbidden":
            hint = f" Known: {', '.join(TrainingSpec.model_fields)}."
        elif place:
            hint = f" It is {quoted(first['input'])}."
        raise UserError(f"{where}: {place or 'the finetune'}: {clipped(first['msg'])}.{hint}") from error


def load_spec_file(path: Path) -> TrainingSpec:
    """The spec in a YAML file. Raises UserError if it cannot be read or has a wrong or unknown field."""
    return spec_from_dict(load_yaml(path), repr(str(path)))


TRAININGS = RecordFolder(kind="finetune", folder="trainings", marker="spec.yaml", read=load_spec_file)


def training_path(training_id: str) -> Path:
    """The folder of a finetune. Raises UserError if it is unknown."""
    return TRAININGS.path(training_id)


def load_training(training_id: str) -> TrainingSpec:
    """The spec of a finetune. Raises UserError if it is unknown or damaged."""
    return TRAININGS.load(training_id)


def describe(spec: TrainingSpec) -> dict[str, Any]:
    """A short description of the spec, for lists."""
    return {
        "name": spec.name,
        "base": spec.base,
        "method": spec.method,
        "split": spec.split,
        "seed": spec.seed,
    }
