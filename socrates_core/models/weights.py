"""The shapes in the headers of safetensors files, and whether a configuration fits them; no weights are read.

A model's files come from a stranger. transformers builds a model as its configuration says before it looks at the
weights, and peft does the same with an adapter: a billion layers, or a rank of a billion, would take hours or fill the
memory.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from socrates_core.errors import EDITED, UserError, clipped, quoted
from socrates_core.files import read_json

STATE = ".quant_state.bitsandbytes__nf4"
# What bitsandbytes stores next to packed weights: scales, tables, and how they are packed.
PACKING = re.compile(
    r"\.weight\.(absmax|quant_map|nested_absmax|nested_quant_map|quant_state\.\w+)$|\.(SCB|weight_format)$"
)
Shapes = Mapping[str, tuple[int, ...]]

WHOLE = "model.safetensors"  # is used rather than the list of parts if a folder has both
INDEX = "model.safetensors.index.json"
LONGEST_HEADER = 32 << 20  # bytes of one file; 100,000 tensors take about 12 MB
MOST_TENSORS = 250_000  # in all files; the largest published models have some 100,000
MOST_VALUES = 100_000  # in a configuration
LARGEST_EMPTY = 1 << 31
USUAL = 64  # a count up to this is built quickly, whatever the weights hold
PER_PART = 4  # how many times the number of numbered parts of the weights a larger count may be
MOST = 4096  # the largest count; 4,096 layers are laid out in six seconds
COUNTS = re.compile(
    r"layer|block|depth|stage|stack|level|group|expert|codebook|quantizer|repeat|nextn|mtp|ngram|n_codes|num_inputs"
)
AT_LEAST_ONE = re.compile(
    r"num_hidden_layers|n_layers?|num_layers|n_heads?|num_(attention_|key_value_|kv_)?heads"
)
SIZES = re.compile(
    r"(size|dim|length|len|width|tokens?|ids?|window|step|interval|period|capacity|factor|eps)$"
)
NUMBER = re.compile(r"(?<![^.])\d{1,9}(?![^.])")  # a part of a tensor's name between points


def model_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor that transformers loads for the whole model in `path`, by name.

    Publishers often add a second copy of the weights (consolidated.safetensors), which is never loaded and must not
    count. Raises UserError as `tensor_shapes` does, or if the list of the weights is damaged.
    """
    if (path / WHOLE).exists():
        return _shapes_in([path / WHOLE])
    listed = [path / name for name in listed_files(path)]
    return _shapes_in([file for file in listed if file.exists()]) if listed else tensor_shapes(path)


def tensor_shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor in the safetensors files of `path`, by name.

    Raises UserError if a file is damaged, is not a plain file, or has a header longer than any model's.
    """
    return _shapes_in(sorted(path.glob("*.safetensors")))


def _shapes_in(files: Iterable[Path]) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for file in files:
        _check_header_length(file)
        try:
            with safe_open(file, framework="numpy") as opened:
                # `safe_open` cannot be iterated, only its keys can.
                found = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
                shapes |= _unpacked(found, opened)
        except (SafetensorError, OSError, MemoryError) as error:
            raise _damaged(file, clipped(str(error)) or type(error).__name__) from error
        if len(shapes) > MOST_TENSORS:
            raise _damaged(file, f"more than {MOST_TENSORS:,} tensors")
        # safetensors compares shapes with bytes, and 0 x anything is 0 bytes.
        if any(0 in shape and max(shape) > LARGEST_EMPTY for shape in shapes.values()):
            raise _damaged(file, "an empty tensor with a huge extent")
    return shapes


def _unpacked(shapes: Shapes, opened: Any) -> dict[str, tuple[int, ...]]:
    """The shapes before bitsandbytes packed the weights, by what it keeps next to them; others stay as they are.

    Raises an OSError if that does not fit the packed weights.
    """
    unpacked = {name: shape for name, shape in shapes.items() if not PACKING.search(name)}
    for name in shapes:
        if name.endswith(STATE):
            weight = name.removesuffix(STATE)
            try:
                whole = tuple(map(int, json.loads(opened.get_tensor(name).tobytes())["shape"]))
            except (*EDITED, UnicodeDecodeError) as error:
                raise OSError(f"how {weight!r} is packed cannot be read") from error
            # Two numbers a byte; an odd last one has a byte of its own.
            if math.prod(shapes.get(weight, ())) != -(-math.prod(whole) // 2) or len(whole) != 2:
                raise OSError(f"{weight!r} is not as long as its packing says")
            unpacked[weight] = whole
    return unpacked


def count_numbers(shapes: Shapes) -> int:
    """How many numbers these tensors have in total."""
    return sum(math.prod(shape) for shape in shapes.values())


def is_linear(name: str, shape: tuple[int, ...]) -> bool:
    """Whether a tensor is the matrix of a linear layer other than the output layer."""
    return len(shape) == 2 and not any(part in name for part in ("embed", "lm_head", "wte", "wpe"))


def _check_header_length(file: Path) -> None:
    """Raises UserError for a pipe, on which safetensors would wait, and for a header that would fill the memory."""
    if not file.is_file():
        raise _damaged(file, "it is not a plain file")
    try:
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
    except OSError as error:
        raise _damaged(file, error.strerror or str(error)) from error
    if length > LONGEST_HEADER:
        raise _damaged(
            file, f"its header says that it has {length:,} bytes, and {LONGEST_HEADER:,} are the most"
        )


def _damaged(file: Path, cause: str) -> UserError:
    return UserError(f"The weights in {str(file)!r} are damaged ({cause}). Copy the file there again.")


def check_plain(path: Path) -> None:
    """Raises UserError if a file of the model in `path` is a pipe, a device, a folder or a broken link.

    Links to files are followed, since the hub's cache consists of them.
    """
    for file in sorted(path.iterdir()):
        if file.suffix in (".json", ".jinja", ".safetensors", ".model") and not file.is_file():
            raise UserError(f"{str(file)!r} is not a plain file. Copy the model's file there again.")


def check_index(path: Path) -> None:
    """Raises UserError if the list of a model's weights names anything but safetensors files of its folder."""
    listed_files(path)


def listed_files(path: Path) -> list[str]:
    """The files that the list of a model's weights names, in order; none without a list. Raises UserError."""
    index = path / INDEX
    if not index.exists():
        return []
    stored = read_json(index, most=LONGEST_HEADER)
    files = stored.get("weight_map") if isinstance(stored, dict) else None
    if not isinstance(files, dict) or not all(map(is_name_of_weights, files.values())):
        raise UserError(
            f"{str(index)!r} is not a list of the safetensors files next to it. Copy it there again."
        )
    return sorted(set(files.values()))


def is_name_of_weights(name: object) -> bool:
    """Whether it is the name of a safetensors file, without a path."""
    return isinstance(name, str) and name.endswith(".safetensors") and not set(name) & set("/\\\0")


def check_counts(path: Path, config: Mapping[str, Any], shapes: Shapes) -> None:
    """Raises UserError if the configuration of the model in `path` counts more parts than its weights can hold.

    `shapes` are those of the weights. Sizes, unlike counts, cost nothing to lay out and are compared later.
    """
    parts = {number for name in shapes for number in NUMBER.findall(name)}
    most = min(max(USUAL, PER_PART * (1 + len(parts))), MOST)
    extents = {extent for shape in shapes.values() for extent in shape if extent <= MOST}
    for place, (key, count) in enumerate(_values(config)):
        if place == MOST_VALUES:
            raise UserError(
                f"{str(path / 'config.json')!r} has more than {MOST_VALUES:,} values. Copy it there again."
            )
        name = key.rpartition(".")[2]
        if AT_LEAST_ONE.fullmatch(name) and isinstance(count, int) and count < 1:
            raise UserError(
                f"{str(path / 'config.json')!r} has {quoted(count)} as {key!r}. Copy it there again."
            )
        if not isinstance(count, int) or count <= most or not COUNTS.search(name) or SIZES.search(name):
            continue
        if "expert" in name and count in extents:  # all experts of a layer may share one tensor
            continue
        raise UserError(
            f"{str(path / 'config.json')!r} does not fit the weights next to it: {key!r} is {quoted(count)}, and "
            f"the weights have {len(parts):,} numbered parts. Copy the model's files there again."
        )


def _values(stored: object, key: str = "") -> Iterator[tuple[str, object]]:
    """Every value in the content of a JSON file, with the keys that lead to it; items of a list have its key."""
    if isinstance(stored, dict):
        for name, value in stored.items():
            yield from _values(value, f"{key}.{name}" if key else str(name))
    elif isinstance(stored, list):
        for value in stored:
            yield from _values(value, key)
    else:
        yield key, stored
