"""Model folders: found by name, checked before anything heavy is loaded, and told apart by their content."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError, quoted, unknown
from socrates_core.files import digest, file_digest, read_json, write_json
from socrates_core.models.adapter_settings import check_adapter
from socrates_core.models.weights import check_counts, check_index, check_plain, model_shapes
from socrates_core.prompts import TEMPLATE
from socrates_core.settings import folder, home

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
KINDS = ("models", "adapters")
LONGEST_SETTINGS = 16 << 20  # bytes; the longest published tokenizer_config.json has about one million
LONGEST_CARD = 64 << 20  # bytes; a card may list every participant whose answers were learned from
# What families call their limit. The first that is there holds: GPT-2 reads n_positions alone, and what other families
# read comes before names that are only repeated for older programs.
LIMITS = ("n_positions", "max_position_embeddings", "max_seq_len", "model_max_length", "n_ctx", "seq_length")
MOST_POSITIONS = 1 << 31
HUB_TEXT_FILES = ["*.json", "*.jinja"]
CONTENT = (
    "*.safetensors",
    "config.json",
    "adapter_config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "chat_template.jinja",
)


@dataclass(frozen=True)
class ModelFolder:
    """Where a model lies: its whole weights in `base`, and the LoRA adapter over them if there is one."""

    base: Path
    adapter: Path | None = None

    @property
    def own(self) -> Path:
        """The folder that the model was named by."""
        return self.adapter or self.base

    @property
    def chat(self) -> Path:
        """The folder with the tokenizer: the adapter's own where it brings one."""
        return self.adapter if self.adapter and (self.adapter / "tokenizer.json").exists() else self.base

    @property
    def card(self) -> dict[str, Any]:
        """What the model's own card says; empty without one. Raises UserError where it was damaged."""
        path = self.own / "card.json"
        stored = read_json(path, most=LONGEST_CARD) if path.exists() else {}
        if not isinstance(stored, dict):
            raise UserError(f"{str(path)!r} was edited or damaged. Copy the model's card.json there again.")
        return stored

    @property
    def template(self) -> str:
        """The prompt template that the model was finetuned with, by its card; without one SocSci210's."""
        return str(self.card.get("template", TEMPLATE))


def open_folder(name: str, *, weights: bool = True) -> ModelFolder:
    """The folder of the model called `name`, and its base model's where it is an adapter.

    Raises UserError where either is missing, or the adapter is of a kind that cannot be opened.
    """
    path = find_model(name, weights=weights)
    if not (path / "adapter_config.json").exists() or (path / "config.json").exists():
        return ModelFolder(path)
    settings = check_adapter(path)
    base = find_model(str(settings["base_model_name_or_path"]), weights=weights)
    if not (base / "config.json").exists():
        raise UserError(
            f"The base model of the adapter {str(path)!r} is {str(base)!r}, which is no whole model."
        )
    return ModelFolder(base, path)


def find_model(name: str, *, weights: bool = True) -> Path:
    """The folder of a model: `starter`, a folder of SOCRATES_HOME/models or /adapters, any folder's path, or a hub id.

    A hub id is fetched if it is not on this machine yet, without `weights` only its tokenizer and settings.
    Raises UserError where there is no such model.
    """
    if name and "/" not in name and not name.startswith("."):
        for kind in KINDS:
            if is_folder(str(home() / kind / name)):
                return home() / kind / name
    if name == "starter":
        raise UserError("The starter model is not here yet. Run: python -m socrates_core setup")
    if is_folder(name):
        return Path(os.path.expanduser(name)).absolute()
    if HUB_ID.fullmatch(name):
        return _fetch(name, weights)
    if "/" in name or os.sep in name or name.startswith((".", "~")):
        raise UserError(f"There is no model folder at {quoted(name)}. Check the path.")
    raise unknown("model", name, installed_names(), "Or give a folder's path or a hub id such as 'org/name'.")


def is_folder(name: str) -> bool:
    """Whether `name` is the path of a folder; False for what can be no path."""
    return bool(name) and "\0" not in name and os.path.isdir(os.path.expanduser(name))


def installed_names() -> list[str]:
    """The names of the folders in SOCRATES_HOME/models and SOCRATES_HOME/adapters, in order."""
    found = {path.name for kind in KINDS for path in (home() / kind).glob("[!.]*") if path.is_dir()}
    return sorted(found)


def _fetch(hub_id: str, weights: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = [*HUB_TEXT_FILES, *(["*.safetensors"] if weights else [])]
    if not weights:
        with suppress(LocalEntryNotFoundError, HFValidationError):
            return Path(snapshot_download(hub_id, allow_patterns=wanted, local_files_only=True))
    try:
        return Path(snapshot_download(hub_id, allow_patterns=wanted))
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        cause = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"The model {hub_id!r} could not be fetched from the hub ({cause}). Check its name and the connection, "
            "or download it elsewhere and give its folder's path."
        ) from error


def check_folder(path: Path) -> dict[str, Any]:
    """The model's configuration, once the folder is known to hold a causal language model that is safe to load.

    Raises UserError without configuration or safetensors weights, for weights stored as pickle or quantised,
    for code that the model brings along, and for models that do not predict the next token.
    """
    check_plain(path)
    config = read_config(path)
    settings = path / "tokenizer_config.json"
    if config.get("auto_map") or (settings.exists() and read_settings(settings).get("auto_map")):
        raise UserError(
            f"The model in {str(path)!r} asks to run code of its own ('auto_map'), which is never done here. "
            "Use a model whose architecture is part of transformers."
        )
    if config.get("quantization_config"):
        raise UserError(
            f"The weights in {str(path)!r} are quantised already. "
            "Give the model in its full precision and choose precision 'nf4'."
        )
    if not any(path.glob("*.safetensors")):
        pickled = sorted(each.name for pattern in ("*.bin", "*.pt", "*.pth") for each in path.glob(pattern))
        raise UserError(
            f"The weights in {str(path)!r} are stored as pickle ({pickled[0]!r}), which can run code when opened. "
            "Convert them to safetensors."
            if pickled
            else f"The model folder {str(path)!r} has no weights. A file that ends in .safetensors is needed."
        )
    architectures = config.get("architectures") or []
    named = [str(each) for each in architectures] if isinstance(architectures, list) else [str(architectures)]
    if named and not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in named):
        raise UserError(
            f"The model in {str(path)!r} is a {quoted(named[0])}, which does not predict the next word. "
            "Use a causal language model (its architecture ends in 'ForCausalLM')."
        )
    if (path / "adapter_config.json").exists():  # transformers would open the model that this names
        raise UserError(
            f"{str(path)!r} holds a whole model and the settings of an adapter. Keep the adapter in its own folder."
        )
    check_index(path)
    check_counts(path, config, model_shapes(path))
    return config


def read_settings(path: Path) -> dict[str, Any]:
    """The content of a model's JSON file. Raises UserError where it is damaged, no mapping, or far too long."""
    stored = read_json(path, most=LONGEST_SETTINGS)
    if not isinstance(stored, dict):
        raise UserError(f"{str(path)!r} holds no mapping. Copy the model's file there again.")
    return stored


def read_config(path: Path) -> dict[str, Any]:
    """The content of config.json. Raises UserError where it is missing, damaged or names no architecture."""
    if not (path / "config.json").exists():
        raise UserError(f"The folder {str(path)!r} has no config.json, so it is not a model folder.")
    config = read_settings(path / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise UserError(
            f"{str(path / 'config.json')!r} does not name a 'model_type'. Copy the model's config.json there again."
        )
    return config


def context_length(config: dict[str, Any]) -> int | None:
    """The most tokens that the model takes, or None where its configuration sets no limit. Raises UserError."""
    text = config.get("text_config") or config
    told = text if isinstance(text, dict) else {}
    name = next((each for each in LIMITS if told.get(each) is not None), None)
    if name is None:
        return None
    limit = told[name]
    if not isinstance(limit, int) or isinstance(limit, bool) or not 0 <= limit < MOST_POSITIONS:
        raise UserError(f"The model's {name!r} is {quoted(limit)}, which is not a possible number of tokens.")
    return limit or None


def revision(folder: ModelFolder) -> str:
    """A digest of everything that can change an answer: weights, configuration, tokenizer, template, adapter."""
    paths = [folder.base, *([folder.adapter] if folder.adapter else [])]
    return digest(
        [
            (file.name, _cached_digest(file))
            for path in paths
            for pattern in CONTENT
            for file in sorted(path.glob(pattern))
            if file.is_file()
        ]
    )[:16]


def _cached_digest(file: Path) -> str:
    """The file's SHA-256, computed anew only when its size or time of change differ from last time."""
    store = folder("cache") / "file_digests.json"
    try:
        known = read_json(store)
    except UserError:
        known = {}
    known = known if isinstance(known, dict) else {}
    stat = file.stat()
    seen = [stat.st_size, stat.st_mtime_ns]
    entry = known.get(str(file.resolve()))
    if isinstance(entry, list) and len(entry) == 3 and entry[:2] == seen:
        return str(entry[2])
    computed = file_digest(file)
    write_json(store, known | {str(file.resolve()): [*seen, computed]})
    return computed
