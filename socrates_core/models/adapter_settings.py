"""The settings of a LoRA adapter, checked against its weights before peft sees them.

peft trusts the settings: it allocates any rank, runs any regular expression over the names of all layers, and copies
layers as often as they say.
"""

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError, quoted
from socrates_core.files import read_json
from socrates_core.models.weights import Shapes, check_plain, tensor_shapes

WEIGHTS = "adapter_model.safetensors"
LONGEST = 4 << 20  # bytes of the settings
MOST_NAMES = 20_000  # in a list of layers; a model has at most some thousand
# What a plain LoRA adapter's settings may name. Everything else is another kind of adapter, or one that a newer peft
# made, and may change the base's own weights: kasa_config, for example, does.
PLAIN = {
    "task_type",
    "peft_type",
    "peft_version",
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
    "inference_mode",
    "r",
    "target_modules",
    "exclude_modules",
    "target_parameters",
    "lora_alpha",
    "lora_dropout",
    "lora_bias",
    "fan_in_fan_out",
    "bias",
    "use_rslora",
    "init_lora_weights",
    "layers_to_transform",
    "layers_pattern",
    "rank_pattern",
    "alpha_pattern",
    # Of ways to start, or without an effect unless another setting is set.
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "megatron_core",
    "qalora_group_size",
    "ensure_weight_tying",
}
# Kinds that are no change of weights, so that peft has no way to merge them; BEFT's biases need layers with biases.
NEVER_MERGED = {
    "BEFT",
    "PROMPT_TUNING",
    "MULTITASK_PROMPT_TUNING",
    "P_TUNING",
    "PREFIX_TUNING",
    "CPT",
    "CARTRIDGE",
    "ADAPTION_PROMPT",
    "XLORA",
    "POLY",
    "LILY",
    "SHADOW",
}
STARTS = re.compile(r"gaussian|eva|orthogonal")
# These start by subtracting a part from the base's own weights, which every other job would then miss.
CHANGES_BASE = re.compile(r"olora|pissa(_niter_\d{1,2})?|corda|loftq|lora_ga")
NAME = re.compile(r"[\w.^$\\-]{1,300}")  # a layer's name, also with its points escaped: nothing that repeats
PREFIX = "base_model.model."
FIRST_MATRIX = re.compile(r"(?P<layer>.+)\.lora_(A|embedding_A)(\.weight)?")
LOW_RANK = re.compile(r".+\.lora_(A|B|embedding_A|embedding_B)(\.(weight|bias))?")  # what can be switched off


def check_adapter(path: Path) -> dict[str, Any]:
    """The settings of the LoRA adapter in `path`, after checking that they fit its weights.

    Raises UserError if the settings or the weights cannot be used.
    """
    settings = read_adapter(path)
    shapes = tensor_shapes(path)
    if isinstance(start := settings.get("init_lora_weights"), str) and CHANGES_BASE.fullmatch(start):
        raise UserError(
            f"The adapter in {str(path)!r} belongs to a base model that its training changed ({start!r}). Convert it "
            "with peft ('path_initial_model_for_weight_conversion'), or merge it and give the merged folder."
        )
    for key, problem in _problems(settings, shapes):
        raise UserError(
            f"{str(path / 'adapter_config.json')!r} has {quoted(settings.get(key))} as {key!r}: {problem}. "
            "Copy the adapter there again."
        )
    beyond = sorted(name for name in shapes if not LOW_RANK.fullmatch(name))
    if beyond or settings.get("bias", "none") != "none":
        changed = beyond[0] if beyond else f"bias: {settings.get('bias')}"
        raise UserError(
            f"The adapter in {str(path)!r} changes its base model's own weights, such as biases or embeddings "
            f"({quoted(changed)}), which would stay changed for every other job. Merge it into its base model with "
            "peft ('merge_and_unload') and give the merged folder."
        )
    return settings


def read_adapter(path: Path) -> dict[str, Any]:
    """The settings of the adapter in `path`, not yet checked. Raises UserError if it is not a plain LoRA adapter."""
    check_plain(path)
    file = path / "adapter_config.json"
    settings = read_json(file, most=LONGEST)
    if not isinstance(settings, dict) or not isinstance(settings.get("base_model_name_or_path"), str):
        raise UserError(f"{str(file)!r} does not name a 'base_model_name_or_path'.")
    kind = settings.get("peft_type")
    if isinstance(kind, str) and kind in NEVER_MERGED:
        raise UserError(
            f"The adapter in {str(path)!r} is not plain LoRA ({kind}), and its kind cannot be merged into a base "
            "model. Train a LoRA adapter instead."
        )
    beyond = sorted(key for key, value in settings.items() if value and key not in PLAIN)
    if kind != "LORA" or beyond:
        other = quoted(kind) if kind != "LORA" else beyond[0]
        raise UserError(
            f"The adapter in {str(path)!r} is not plain LoRA ({other}). "
            "Merge it into its base model with peft ('merge_and_unload') and give the merged folder."
        )
    if not (path / WEIGHTS).exists():
        raise UserError(f"The adapter folder {str(path)!r} has no {WEIGHTS!r}. Copy it there.")
    return settings


def layers_of(path: Path) -> list[str]:
    """The names of the base model's layers that the adapter in `path` has weights for."""
    matches = (FIRST_MATRIX.fullmatch(name) for name in tensor_shapes(path))
    return sorted({match["layer"].removeprefix(PREFIX) for match in matches if match})


def _problems(settings: dict[str, Any], shapes: Shapes) -> Iterator[tuple[str, str]]:
    """The keys that cannot be used, each with the reason as a clause."""
    rank = settings.get("r", 8)
    largest = _largest_rank(shapes)
    if not _is_whole(rank) or not 1 <= rank <= largest:
        yield "r", f"its weights have rank {largest:,}"
    for key, largest_value in (("rank_pattern", largest), ("alpha_pattern", None)):
        patterns = settings.get(key) or {}
        if not isinstance(patterns, dict) or len(patterns) > MOST_NAMES:
            yield key, "it is not a table of layers"
        elif not all(NAME.fullmatch(name) for name in patterns):
            yield key, "it does not name layers plainly"
        elif largest_value and not all(
            _is_whole(value) and 1 <= value <= largest_value for value in patterns.values()
        ):
            yield key, f"its weights have rank {largest:,}"
        elif not all(map(_is_finite, patterns.values())):
            yield key, "it is not a finite number"
    if not _is_finite(settings.get("lora_alpha", 8)):
        yield "lora_alpha", "it is not a finite number"
    start = settings.get("init_lora_weights", True)
    if not isinstance(start, bool) and not (isinstance(start, str) and STARTS.fullmatch(start)):
        yield "init_lora_weights", "it is not a known way to start"
    for key in ("target_modules", "exclude_modules", "target_parameters"):
        named = settings.get(key)
        # A text is a regular expression. It is allowed here because `local/adapters.py` never runs it: the layers are
        # those that have weights.
        if not (named is None or isinstance(named, str) or _is_list(named, str)):
            yield key, f"it is not a list of at most {MOST_NAMES:,} names"
    places = settings.get("layers_to_transform")
    if not (places is None or isinstance(places, int) or _is_list(places, int)):
        yield "layers_to_transform", f"it is not a list of at most {MOST_NAMES:,} numbers"
    pattern = settings.get("layers_pattern") or []
    patterns = [pattern] if isinstance(pattern, str) else pattern
    if not _is_list(patterns, str) or not all(map(NAME.fullmatch, patterns)):
        yield "layers_pattern", "it does not name layers plainly"


def _largest_rank(shapes: Shapes) -> int:
    """The most rows of a first matrix; in a matrix for all of a layer's experts, that is rank times experts."""
    return max(
        (
            min(shape) if "embedding" in name else shape[0]
            for name, shape in shapes.items()
            if shape and FIRST_MATRIX.fullmatch(name)
        ),
        default=0,
    )


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_finite(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # an int that is too large for a float
        return False


def _is_list(value: object, kind: type) -> bool:
    return (
        isinstance(value, list) and len(value) <= MOST_NAMES and all(isinstance(item, kind) for item in value)
    )
