"""All models that can answer: what is installed, what can be fetched, and what each model has seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from socrates_core.errors import UserError
from socrates_core.models.adapter_settings import read_adapter
from socrates_core.models.hub import fetched
from socrates_core.models.model_folder import (
    HUB_ID,
    check_folder,
    context_length,
    find_model,
    installed_names,
    is_folder,
    open_folder,
)
from socrates_core.models.seen import SAW_170, seen_of
from socrates_core.models.sizes import ModelSize

ModelKind = Literal["stand-in", "baseline", "local", "hub", "api"]

DISTRIBUTIONS = "SFT: for distributions (its authors' advice)."
INDIVIDUALS = "DPO: for individuals (its authors' advice)."


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One model to choose from.

    `name` opens it; `path` is empty if nothing is on this machine yet; `size_bytes` is 0 if unknown; `context_limit` is
    None without a limit; `seen` says what it was trained on, as far as is known.
    """

    name: str
    title: str
    kind: ModelKind
    seen: str
    path: str = ""
    size_bytes: int = 0
    installed: bool = True
    context_limit: int | None = None
    advice: str = ""


@dataclass(frozen=True)
class Base:
    """The published model that a released one was finetuned from: its licence, size and shape."""

    name: str
    licence: str
    size: ModelSize
    config: Mapping[str, Any]


@dataclass(frozen=True)
class HubModel:
    """A model that SocSci210's authors released, all of its weights in bf16."""

    hub_id: str
    title: str
    context_limit: int
    advice: str
    base: Base

    @property
    def n_bytes(self) -> int:
        """The bytes of its weights."""
        return 2 * self.base.size.n_numbers


LLAMA_8B = Base(
    "meta-llama/Meta-Llama-3-8B-Instruct",
    "Meta Llama 3 Community License",
    ModelSize(8_030_261_248, 6_979_321_856),
    {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
)
QWEN_14B = Base(
    "Qwen/Qwen2.5-14B-Instruct",
    "Apache-2.0",
    ModelSize(14_770_033_664, 13_212_057_600),
    {
        "model_type": "qwen2",
        "hidden_size": 5120,
        "intermediate_size": 13824,
        "num_hidden_layers": 48,
        "num_attention_heads": 40,
        "num_key_value_heads": 8,
    },
)
HUB_MODELS = (
    HubModel("socratesft/socrates-llama3-8b-sft", "Socrates Llama 3 8B SFT", 8192, DISTRIBUTIONS, LLAMA_8B),
    HubModel("socratesft/socrates-llama3-8b-dpo", "Socrates Llama 3 8B DPO", 8192, INDIVIDUALS, LLAMA_8B),
    HubModel(
        "socratesft/socrates-qwen2.5-14b-sft", "Socrates Qwen2.5 14B SFT", 32768, DISTRIBUTIONS, QWEN_14B
    ),
    HubModel("socratesft/socrates-qwen2.5-14b-dpo", "Socrates Qwen2.5 14B DPO", 32768, INDIVIDUALS, QWEN_14B),
)
UNIFORM = ModelCard(
    name="uniform", title="Uniform guess", kind="baseline", seen="Nothing.", advice="A model must beat it."
)
ECHO = ModelCard(
    name="echo", title="Echo", kind="stand-in", seen="Nothing.", advice="Made-up answers, to try a run."
)
GPT_4O = ModelCard(
    name="api:gpt-4o",
    title="GPT-4o at the OpenAI API",
    kind="api",
    seen="Unknown: OpenAI does not say.",
    advice="Any OpenAI-compatible server: api:MODEL with --server URL; it needs consent for each run.",
)


def list_models() -> list[ModelCard]:
    """The starter model, other model folders, the stand-ins, the Socrates models on the hub, then served ones."""
    folders = [folder_card(name) for name in installed_names() if name != "starter"]
    return [_starter(), *folders, UNIFORM, ECHO, *map(_hub_card, HUB_MODELS), GPT_4O]


def folder_card(name: str) -> ModelCard:
    """The card of the model or adapter folder called `name`; nothing is fetched for it.

    A folder that cannot be read counts as not installed, with the cause as advice.
    """
    path = find_model(name)
    size = folder_size(path)
    try:
        # Before `open_folder`, which would fetch the settings of a base that is not on this machine.
        _require_base(path)
        folder = open_folder(name, weights=False)
        limit = context_length(check_folder(folder.base))
        title = str(folder.card.get("title") or name)
    except UserError as error:
        return ModelCard(
            name=name,
            title=name,
            kind="local",
            seen="Unknown.",
            path=str(path),
            size_bytes=size,
            installed=False,
            advice=str(error),
        )
    try:
        seen = seen_of(name).note
    except UserError as error:  # a damaged card does not keep the model from being used
        seen = str(error)
    return ModelCard(
        name=name,
        title=title,
        kind="local",
        seen=seen,
        path=str(path),
        size_bytes=size,
        context_limit=limit,
    )


def folder_size(path: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def released(hub_id: str) -> HubModel | None:
    """The released Socrates model with this id."""
    return next((model for model in HUB_MODELS if model.hub_id == hub_id), None)


def lacking_weights(name: str) -> str:
    """The hub model whose weights the model `name` needs but this machine lacks, else "".

    Works offline. Raises UserError if an adapter is damaged.
    """
    needed = name if _is_of_hub(name) else _base_of(name)
    return needed if _is_of_hub(needed) and fetched(needed) is None else ""


def _is_of_hub(name: str) -> bool:
    return bool(HUB_ID.fullmatch(name)) and not is_folder(name)


def _base_of(name: str) -> str:
    """The base of an adapter, or `name` itself for a whole model. Raises UserError if there is no such model."""
    path = find_model(name)
    if (path / "config.json").exists() or not (path / "adapter_config.json").exists():
        return name
    return str(read_adapter(path)["base_model_name_or_path"])


def _require_base(path: Path) -> None:
    """Raises UserError if the folder is an adapter over a hub model that is not on this machine."""
    if (path / "config.json").exists() or not (path / "adapter_config.json").exists():
        return
    base = str(read_adapter(path)["base_model_name_or_path"])
    here = base in installed_names() or Path(base).expanduser().is_dir()
    if not here and HUB_ID.fullmatch(base) and not fetched(base):
        raise UserError(
            f"Its base model {base!r} is not on this machine. Run: python -m socrates_core models fetch {base}"
        )


def _starter() -> ModelCard:
    if "starter" in installed_names():
        return folder_card("starter")
    return ModelCard(
        name="starter",
        title="SmolLM2 135M Instruct",
        kind="local",
        seen="No study.",
        installed=False,
        context_limit=8192,
        advice="Run: python -m socrates_core setup",
    )


def _hub_card(model: HubModel) -> ModelCard:
    path = fetched(model.hub_id)
    return ModelCard(
        name=model.hub_id,
        title=model.title,
        kind="hub",
        seen=SAW_170,
        path=str(path or ""),
        size_bytes=folder_size(path) if path else 0,
        installed=path is not None,
        context_limit=model.context_limit,
        advice=model.advice,
    )
