"""All models that can answer: what is installed, what can be fetched, and what each model has seen."""

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
class HubModel:
    """A model that SocSci210's authors released."""

    hub_id: str
    title: str
    context_limit: int
    advice: str


HUB_MODELS = (
    HubModel("socratesft/socrates-llama3-8b-sft", "Socrates Llama 3 8B SFT", 8192, DISTRIBUTIONS),
    HubModel("socratesft/socrates-llama3-8b-dpo", "Socrates Llama 3 8B DPO", 8192, INDIVIDUALS),
    HubModel("socratesft/socrates-qwen2.5-14b-sft", "Socrates Qwen2.5 14B SFT", 32768, DISTRIBUTIONS),
    HubModel("socratesft/socrates-qwen2.5-14b-dpo", "Socrates Qwen2.5 14B DPO", 32768, INDIVIDUALS),
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


def fetched(hub_id: str) -> Path | None:
    """The folder of a hub model if all of its weights are on this machine, else None."""
    index = _cached(hub_id, INDEX)
    if index:
        # The list is a stranger's, and its names become paths below.
        check_index(index.parent)
    files = set(read_json(index)["weight_map"].values()) if index else {"model.safetensors"}
    paths = [_cached(hub_id, file) for file in files]
    return paths[0].parent if paths and paths[0] and all(paths) else None


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


def _cached(hub_id: str, file: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        path = try_to_load_from_cache(hub_id, file)
    except HFValidationError:
        return None
    return Path(path) if isinstance(path, str) else None  # not a string: the hub is known to lack it


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
