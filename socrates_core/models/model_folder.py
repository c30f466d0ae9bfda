"""Model folders: found by name, checked before anything heavy is loaded, and identified by their content."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError, quoted, unknown
from socrates_core.files import digest, file_digest, read_json, write_json
from socrates_core.models.adapter_settings import check_adapter
from socrates_core.models.hub import fetch
from socrates_core.models.weights import check_counts, check_index, check_plain, model_shapes
from socrates_core.prompts import TEMPLATE
from socrates_core.settings import folder, home

HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
KINDS = ("models", "adapters")
LONGEST_SETTINGS = 16 << 20  # bytes; the longest published tokenizer_config.json has about one million
LONGEST_CARD = 64 << 20  # bytes; a card may list every participant whose answers were learned from
# The names of the context limit in different families of models. The first one present counts: GPT-2 reads only
# n_positions, and the names that families read come before those that are only repeated for older programs.
LIMITS = (
    *("n_positions", "max_position_embeddings", "max_seq_len", "model_max_length", "n_ctx", "seq_length"),
    *(
        "max_sequence_length",
        "max_seq_length",
        "max_context_length",
        "context_length",
        "max_target_positions",
    ),
)
# Where a model of several parts keeps the settings of the one that writes
WRITERS = ("text_config", "llm_config", "language_config")
MOST_POSITIONS = 1 << 31
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
    """The folders of a model: its whole weights in `base`, and the LoRA adapter over them if there is one."""

    base: Path
    adapter: Path | None = None

    @property
    def own(self) -> Path:
        """The folder that the model was named by."""
        return self.adapter or self.base

    @property
    def chat(self) -> Path:
        """The folder with the tokenizer: the adapter's if it has one, else the base's."""
        return self.adapter if self.adapter and (self.adapter / "tokenizer.json").exists() else self.base

    @property
    def card(self) -> dict[str, Any]:
        """The content of the model's card.json; empty without one. Raises UserError if it is damaged."""
        path = self.own / "card.json"
        stored = read_json(path, most=LONGEST_CARD) if path.exists() else {}
        if not isinstance(stored, dict):
            raise UserError(f"{str(path)!r} was edited or damaged. Copy the model's card.json there again.")
        return stored

    @property
    def template(self) -> str:
        """The prompt template that the model was finetuned with, by its card; by default SocSci210's."""
        return str(self.card.get("template", TEMPLATE))


def open_folder(name: str, *, weights: bool = True) -> ModelFolder:
    """The folder of the model called `name`, with its base model's folder if it is an adapter.

    Raises UserError if either is missing, or if the adapter is of a kind that cannot be opened.
    """
    path = find_model(name, weights=weights)
    if not (path / "adapter_config.json").exists() or (path / "config.json").exists():
        return ModelFolder(path)
    settings = check_adapter(path)
    base = find_model(str(settings["base_model_name_or_path"]), weights=weights)
    if not (base / "config.json").exists():
        raise UserError(
            f"The base model of the adapter {str(path)!r} is {str(base)!r}, which is not a whole model."
        )
    return ModelFolder(base, path)


def find_model(name: str, *, weights: bool = True) -> Path:
    """The folder of a model: `starter`, a folder of SOCRATES_HOME/models or /adapters, any folder's path, or a hub id.

    A hub id is fetched if it is not on this machine yet; without `weights`, only its tokenizer and settings are.
    Raises UserError if there is no such model.
    """
    # A path or '..' would lead out of these folders; names with a leading dot are models still being written.
    if name and "/" not in name and not name.startswith("."):
        for kind in KINDS:
            if is_folder(str(home() / kind / name)):
                return home() / kind / name
    if name == "starter":
        raise UserError("The starter model is not here yet. Run: python -m socrates_core setup")
    if is_folder(name):
        # Not Path.expanduser: it raises RuntimeError for a user that does not exist, as in '~nobody/model'.
        return Path(os.path.expanduser(name)).absolute()
    if HUB_ID.fullmatch(name):
        return fetch(name, weights=weights)
    if "/" in name or os.sep in name or name.startswith((".", "~")):
        raise UserError(f"There is no model folder at {quoted(name)}. Check the path.")
    raise unknown("model", name, installed_names(), "Or give a folder's path or a hub id such as 'org/name'.")


def is_folder(name: str) -> bool:
    """Whether `name` is the path of a folder; False if it cannot be a path."""
    return bool(name) and "\0" not in name and os.path.isdir(os.path.expanduser(name))


def installed_names() -> list[str]:
    """The names of the folders in SOCRATES_HOME/models and SOCRATES_HOME/adapters, in order."""
    names = {path.name for kind in KINDS for path in (home() / kind).glob("[!.]*") if path.is_dir()}
    return sorted(names)


def check_folder(path: Path) -> dict[str, Any]:
    """The model's configuration, after checking that the folder holds a causal language model that is safe to load.

    Raises UserError if the configuration or the safetensors weights are missing, the weights are stored as pickle or
    quantised, the model comes with code of its own, or it does not predict the next token.
    """
    # First: reading from a pipe would wait forever.
    check_plain(path)
    config = read_config(path)
    settings = path / "tokenizer_config.json"
    if config.get("auto_map") or (settings.exists() and read_settings(settings).get("auto_map")):
        raise UserError(
            f"The model in {str(path)!r} asks to run code of its own ('auto_map'), which is never done here. "
            "Use a model whose architecture is part of transformers."
        )
    _check_packing(path, config.get("quantization_config"))
    if not any(path.glob("*.safetensors")):
        pickled = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in path.glob(pattern))
        if pickled:
            raise UserError(
                f"The weights in {str(path)!r} are stored as pickle ({pickled[0]!r}), which can run code when opened. "
                "Convert them to safetensors."
            )
        raise UserError(
            f"The model folder {str(path)!r} has no weights. A file that ends in .safetensors is needed."
        )
    architectures = config.get("architectures") or []
    if not isinstance(architectures, list):
        architectures = [architectures]
    names = list(map(str, architectures))
    if names and not any(name.endswith(("ForCausalLM", "LMHeadModel")) for name in names):
        raise UserError(
            f"The model in {str(path)!r} is a {quoted(names[0])}, which does not predict the next word. "
            "Use a causal language model (its architecture ends in 'ForCausalLM')."
        )
    if (path / "adapter_config.json").exists():  # transformers would open the model that this file names
        raise UserError(
            f"{str(path)!r} holds a whole model and the settings of an adapter. Keep the adapter in its own folder."
        )
    check_index(path)
    check_counts(path, config, model_shapes(path))
    return config


def _check_packing(path: Path, packing: object) -> None:
    """Raises UserError if the weights are packed in another way than bitsandbytes' 8 bits and NF4."""
    if not packing:
        return
    settings = packing if isinstance(packing, dict) else {}
    four_bits = (
        settings.get("load_in_4bit")
        and settings.get("bnb_4bit_quant_type") == "nf4"
        and settings.get("bnb_4bit_quant_storage", "uint8") == "uint8"
    )
    if settings.get("quant_method") != "bitsandbytes" or not (four_bits or settings.get("load_in_8bit")):
        method = settings.get("bnb_4bit_quant_type") or settings.get("quant_method")
        raise UserError(
            f"The weights in {str(path)!r} are already quantised ({quoted(method)}), and only bitsandbytes' 8 bits and "
            "NF4 are opened. Give the model in its full precision and choose precision 'int8' or 'nf4'."
        )


def read_settings(path: Path) -> dict[str, Any]:
    """The content of a model's JSON file. Raises UserError if it is damaged, not a mapping, or far too long."""
    stored = read_json(path, most=LONGEST_SETTINGS)
    if not isinstance(stored, dict):
        raise UserError(f"{str(path)!r} is not a mapping. Copy the model's file there again.")
    return stored


def read_config(path: Path) -> dict[str, Any]:
    """The content of config.json. Raises UserError if it is missing, damaged or names no architecture."""
    if not (path / "config.json").exists():
        raise UserError(f"The folder {str(path)!r} has no config.json, so it is not a model folder.")
    config = read_settings(path / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise UserError(
            f"{str(path / 'config.json')!r} does not name a 'model_type'. Copy the model's config.json there again."
        )
    return config


def context_length(config: dict[str, Any]) -> int | None:
    """The most tokens that the model takes, or None if its configuration sets no limit. Raises UserError."""
    parts = [part for key in WRITERS if (part := config.get(key)) and isinstance(part, dict)]
    named = ((part, name) for part in (*parts, config) for name in LIMITS if part.get(name) is not None)
    settings, name = next(named, (config, ""))
    if not name:
        return None
    limit = settings[name]
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
    """The file's SHA-256, computed again only if its size or time of change differ from last time."""
    store = folder("cache") / "file_digests.json"
    try:
        stored = read_json(store)
    except UserError:
        stored = {}
    digests = stored if isinstance(stored, dict) else {}
    stat = file.stat()
    state = [stat.st_size, stat.st_mtime_ns]
    entry = digests.get(str(file.resolve()))
    if isinstance(entry, list) and len(entry) == 3 and entry[:2] == state:
        return str(entry[2])
    computed = file_digest(file)
    write_json(store, digests | {str(file.resolve()): [*state, computed]})
    return computed
