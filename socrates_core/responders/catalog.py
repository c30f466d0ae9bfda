"""Everything that could answer: what is installed, what can be fetched, and what each model has seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from socrates_core.errors import UserError
from socrates_core.responders.folder import (
    context_length,
    find_model,
    installed_names,
    open_folder,
    read_config,
)
from socrates_core.seen.record import SAW_170
from socrates_core.settings import home

ModelKind = Literal["stand-in", "baseline", "local", "hub", "api"]

DISTRIBUTIONS = "SFT: for distributions (its authors' advice)."
INDIVIDUALS = "DPO: for individuals (its authors' advice)."
HUB_MODELS = (  # hub id, title, context limit, advice
    ("socratesft/socrates-llama3-8b-sft", "Socrates Llama 3 8B SFT", 8192, DISTRIBUTIONS),
    ("socratesft/socrates-llama3-8b-dpo", "Socrates Llama 3 8B DPO", 8192, INDIVIDUALS),
    ("socratesft/socrates-qwen2.5-14b-sft", "Socrates Qwen2.5 14B SFT", 32768, DISTRIBUTIONS),
    ("socratesft/socrates-qwen2.5-14b-dpo", "Socrates Qwen2.5 14B DPO", 32768, INDIVIDUALS),
)


@dataclass(frozen=True)
class ModelCard:
    """One model to choose from.

    `name` opens it; `path` is empty where nothing is on this machine yet; `size_bytes` is 0 where unknown;
    `context_limit` is None without a limit; `seen` says what it was trained on, as far as is known.
    """

    name: str
    title: str
    kind: ModelKind
    path: str
    size_bytes: int
    installed: bool
    context_limit: int | None
    seen: str
    advice: str = ""


def list_models() -> list[ModelCard]:
    """The starter model, other model folders, the stand-ins, the Socrates models on the hub, then served ones."""
    return [
        _starter(),
        *_folders(),
        ModelCard(
            "uniform", "Uniform guess", "baseline", "", 0, True, None, "Nothing.", "A model must beat it."
        ),
        ModelCard(
            "echo", "Echo", "stand-in", "", 0, True, None, "Nothing.", "Made-up answers, to try a run."
        ),
        *(_hub_model(*each) for each in HUB_MODELS),
        ModelCard(
            "api:gpt-4o",
            "GPT-4o at the OpenAI API",
            "api",
            "",
            0,
            True,
            None,
            "Unknown: OpenAI does not say.",
            "Any OpenAI-compatible server: api:MODEL with --server URL; it needs consent for each run.",
        ),
    ]


def _starter() -> ModelCard:
    if "starter" in installed_names():
        return _card(home() / "models" / "starter")
    missing = "Run: python -m socrates_core setup"
    return ModelCard("starter", "SmolLM2 135M Instruct", "local", "", 0, False, 8192, "No study.", missing)


def _hub_model(hub_id: str, title: str, limit: int, advice: str) -> ModelCard:
    from huggingface_hub import try_to_load_from_cache

    fetched = isinstance(try_to_load_from_cache(hub_id, "model.safetensors.index.json"), str)
    return ModelCard(hub_id, title, "hub", "", 0, fetched, limit, SAW_170, advice)


def _folders() -> Iterator[ModelCard]:
    for name in installed_names():
        if name != "starter":
            yield _card(find_model(name))


def _card(path: Path) -> ModelCard:
    """What a model or adapter folder says of itself; one that cannot be read is not installed, with the cause."""
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    try:
        folder = open_folder(path.name)
        limit, stored = context_length(read_config(folder.base)), folder.card
    except UserError as error:
        return ModelCard(path.name, path.name, "local", str(path), size, False, None, "Unknown.", str(error))
    seen = (stored.get("saw") or {}).get("note") or "Unknown: the folder has no model card."
    return ModelCard(path.name, stored.get("title", path.name), "local", str(path), size, True, limit, seen)
