"""Loads weights onto the device: chooses the precision, checks that they fit, and refuses unsafe folders."""

import ctypes
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

from socrates_core.errors import EDITED, UserError, clipped
from socrates_core.files import read_json
from socrates_core.models.broken_card import OUT_OF_MEMORY
from socrates_core.models.graphics_cards import graphics_cards, why_unusable
from socrates_core.models.machine import Machine
from socrates_core.models.sizes import choose_precision, size_of_shapes, stored_precision
from socrates_core.models.weights import count_numbers, model_shapes
from socrates_core.records import Loaded, Precision

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
# What transformers and peft raise for a configuration or weights that somebody edited.
UNUSABLE: tuple[type[Exception], ...] = (
    *EDITED,
    AssertionError,
    ImportError,
    MemoryError,
    OSError,
    RuntimeError,
    SafetensorError,
    StrictDataclassError,
)
MILLION = 1 << 20
# How many times larger than its weights a model may be laid out; below it the missing weights are reported by name.
LARGER = 2
LARGEST_TABLES = 1 << 26  # how many more numbers than the weights the tables that no file holds may have


@dataclass(frozen=True)
class LocalModel:
    """A model that is ready to run, and the precision it was loaded in."""

    model: Any
    precision: Loaded
    device: torch.device
    n_parameters: int


def load_model(path: Path, precision: Precision) -> LocalModel:
    """The causal language model in `path`, which has passed `check_folder`.

    Raises UserError if the weights are damaged, incomplete, of an unknown architecture or too large.
    """
    device = choose_device()
    if device.type == "cpu":
        tune_processor()
    size = size_of_shapes(model_shapes(path))
    stored = stored_precision(read_json(path / "config.json"))
    chosen = choose_precision(path.name, size, precision, _machine(device), stored=stored)
    options = _options(chosen, device)
    if stored is not None:  # the configuration says how they are packed
        del options["quantization_config"]
    model = open_weights(path, **options)
    return LocalModel(model.eval(), chosen, device, size.n_numbers)


def choose_device() -> torch.device:
    """The first card, or the processor where there is none.

    Raises UserError if there is a card that torch cannot use: the processor would take hours without a word.
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    for card in graphics_cards()[:1]:
        raise UserError(
            why_unusable(card, built_for=torch.version.cuda, capabilities=torch.cuda.get_arch_list())
        )
    return torch.device("cpu")


def open_weights(path: Path, **options: Any) -> Any:
    """transformers' model of the folder `path`, which has passed `check_folder`, loaded with these options.

    Raises UserError if the weights are damaged or incomplete, or do not fit the configuration.
    """
    transformers.utils.logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
        _check_sizes(path, config)
        if packing := getattr(config, "quantization_config", None):
            # Whoever packed the weights named the number format of another card.
            packing["bnb_4bit_compute_dtype"] = str(options["dtype"]).removeprefix("torch.")
        # Its declared type is a model; with `output_loading_info` it returns a pair.
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            path,
            config=config,
            trust_remote_code=False,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            **options,
        )
        model, info = loaded
    except UNUSABLE as error:
        if is_out_of_memory(error):
            raise UserError(
                f"The model in {str(path)!r} does not fit into the memory that is free. Close other programs that use "
                f"it, or {_smaller(options.get('quantization_config'))}."
            ) from error
        raise UserError(f"The model in {str(path)!r} cannot be loaded ({first_line(error)}).") from error
    if info["missing_keys"]:
        raise UserError(
            f"The weights in {str(path)!r} are incomplete: {sorted(info['missing_keys'])[0]!r} is missing. "
            "Copy all of the model's .safetensors files there."
        )
    return model


def _smaller(packing: Any) -> str:
    """What takes less memory than weights that are packed so, None for plain weights."""
    if packing is None:
        return "choose precision 'int8' or 'nf4', which need about a half and a quarter of the memory"
    return "choose precision 'nf4'" if packing.load_in_8bit else "choose a smaller model"


def _check_sizes(path: Path, config: Any) -> None:
    """Lays the model out without memory, and refuses one that is much larger than its weights.

    transformers would fill missing weights with random numbers, and only then report that they are missing.
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    wanted = sum(weight.numel() for weight in model.parameters())
    tables = sum(table.numel() for table in model.buffers())
    held = count_numbers(model_shapes(path))
    if wanted > LARGER * held + MILLION or tables > held + LARGEST_TABLES:
        raise UserError(
            f"{str(path / 'config.json')!r} does not fit the weights next to it: it asks for {wanted + tables:,} "
            f"numbers, and the weights hold {held:,}. Copy the model's files there again."
        )


def tune_processor() -> None:
    """Sets one thread per physical core, keeps freed memory, and limits the products that oneDNN keeps prepared.

    Activations of some megabytes come and go in every layer: glibc would map and zero their pages each time, which
    costs a fifth of the time (docs/log.md). oneDNN would keep a thousand prepared products, which take a gigabyte.
    """
    torch.set_num_threads(min(torch.get_num_threads(), psutil.cpu_count(logical=False) or 1))
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library
            for option, value in (
                (M_MMAP_THRESHOLD, 32 << 20),
                (M_TRIM_THRESHOLD, 1 << 30),
                (M_TOP_PAD, 64 << 20),
            ):
                ctypes.CDLL(None).mallopt(option, value)


def give_back_memory() -> None:
    """Returns freed memory to the system: batches of many lengths leave gaps that glibc would keep forever."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _options(precision: Loaded, device: torch.device) -> dict[str, Any]:
    # On a card the weights go there file by file: memory of the machine need not hold them.
    place = torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" else device
    placed = {"device_map": {"": place}} if device.type == "cuda" else {}
    fast = number_type(precision, device)
    if precision not in ("int8", "nf4"):
        return {"dtype": fast, **placed}
    if find_spec("bitsandbytes") is None:
        raise UserError(
            f"A model in {8 if precision == 'int8' else 4} bits (precision {precision!r}) needs bitsandbytes. Run: pip "
            "install bitsandbytes. Or choose precision 'bf16' or 'fp32', if the model fits in memory."
        )
    # bitsandbytes recommends a faster kernel from the hub, which is code that is never fetched here.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    quantized = (
        BitsAndBytesConfig(load_in_8bit=True)
        if precision == "int8"
        else BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=fast)
    )
    return {"dtype": fast, "device_map": {"": place}, "quantization_config": quantized}


def number_type(precision: Loaded, device: torch.device) -> torch.dtype:
    """The type of the weights in this precision, or with packed weights of all that is not packed."""
    plain = precision if precision not in ("int8", "nf4") else compact(device)
    return {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[plain]


def compact(device: torch.device) -> Literal["bf16", "fp16", "fp32"]:
    """The smallest number format that the device computes in by itself."""
    if has_bf16(device):
        return "bf16"
    return "fp16" if device.type == "cuda" else "fp32"


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 natively."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Where bf16 is emulated, a prompt took 4.8 s instead of 0.6 s in fp32 (docs/log.md).
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _machine(device: torch.device) -> Machine:
    """The device as torch sees it from within this process, which has let go of any earlier model."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return Machine("cuda", torch.cuda.get_device_name(device), compact(device), total, free)
    memory = psutil.virtual_memory()
    return Machine("cpu", "processor", compact(device), memory.total, memory.available)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the accelerator or the machine ran out of memory."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error) for text in OUT_OF_MEMORY)


def first_line(error: BaseException) -> str:
    """The message of an error, short enough for a sentence."""
    return clipped((str(error).strip() or type(error).__name__), 300)
