"""Everything that could answer: what is installed, what can be fetched, and what each model has seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from socrates_core.errors import UserError
from socrates_core.files import read_json
from socrates_core.models.adapter_settings import read_adapter
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
from socrates_core.models.weights import INDEX, check_index

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


def folder_card(name: str) -> ModelCard:
    """What the model or adapter folder called `name` says of itself, and nothing is fetched for it.

    One that cannot be read is not installed, with the cause as its advice.
    """
    path = find_model(name)
    size = folder_size(path)
    try:
        _require_base(path)
        folder = open_folder(name, weights=False)
        limit, title = context_length(check_folder(folder.base)), str(folder.card.get("title") or name)
    except UserError as error:
        return ModelCard(name, name, "local", str(path), size, False, None, "Unknown.", str(error))
    return ModelCard(name, title, "local", str(path), size, True, limit, _note(name))


def folder_size(path: Path) -> int:
    """The bytes of all files in a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def fetched(hub_id: str) -> Path | None:
    """The folder of a hub model whose weights are all on this machine; None before they are."""
    index = _cached(hub_id, INDEX)
    if index:
        check_index(index.parent)
    files = set(read_json(index)["weight_map"].values()) if index else {"model.safetensors"}
    found = [_cached(hub_id, file) for file in files]
    return found[0].parent if found and found[0] and all(found) else None


def lacking_weights(name: str) -> str:
    """The hub model whose weights the model `name` needs and this machine lacks; "" where there is none.

    Asks no hub. Raises UserError where an adapter is damaged.
    """
    needed = name if _is_of_hub(name) else _base_of(name)
    return needed if _is_of_hub(needed) and fetched(needed) is None else ""


def _is_of_hub(name: str) -> bool:
    return bool(HUB_ID.fullmatch(name)) and not is_folder(name)


def _base_of(name: str) -> str:
    """What the adapter called `name` is over; of a whole model its own name. Raises UserError where it is not there."""
    path = find_model(name)
    if (path / "config.json").exists() or not (path / "adapter_config.json").exists():
        return name
    return str(read_adapter(path)["base_model_name_or_path"])


def _cached(hub_id: str, file: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(hub_id, file)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _require_base(path: Path) -> None:
    """Raises UserError where the folder is an adapter over a hub model that is not on this machine."""
    if (path / "config.json").exists() or not (path / "adapter_config.json").exists():
        return
    base = str(read_adapter(path)["base_model_name_or_path"])
    here = base in installed_names() or Path(base).expanduser().is_dir()
    if not here and HUB_ID.fullmatch(base) and not fetched(base):
        raise UserError(
            f"Its base model {base!r} is not on this machine. Run: python -m socrates_core models fetch {base}"
        )


def _note(name: str) -> str:
    """What a model saw in a sentence; a card that is damaged says so."""
    try:
        return seen_of(name).note
    except UserError as error:
        return str(error)


def _starter() -> ModelCard:
    if "starter" in installed_names():
        return folder_card("starter")
    missing = "Run: python -m socrates_core setup"
    return ModelCard("starter", "SmolLM2 135M Instruct", "local", "", 0, False, 8192, "No study.", missing)


def _hub_model(hub_id: str, title: str, limit: int, advice: str) -> ModelCard:
    path = fetched(hub_id)
    size = folder_size(path) if path else 0
    return ModelCard(hub_id, title, "hub", str(path or ""), size, bool(path), limit, SAW_170, advice)


def _folders() -> Iterator[ModelCard]:
    for name in installed_names():
        if name != "starter":
            yield folder_card(name)
