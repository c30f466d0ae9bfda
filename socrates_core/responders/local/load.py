"""Weights onto the device: which precision, whether they fit, and what is refused."""

import ctypes
import logging
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil
import torch
import transformers
from safetensors import SafetensorError, safe_open
from transformers import AutoConfig, AutoModelForCausalLM, BitsAndBytesConfig

from socrates_core.errors import UserError
from socrates_core.records import Precision
from socrates_core.responders.local.packed import can_pack, pack

Loaded = Literal["fp32", "bf16", "nf4"]
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h
ROOM = 1.25  # weights, activations and what the allocator leaves over, per byte of weights


@dataclass(frozen=True)
class LocalModel:
    """A model ready to run, with the precision that it was loaded in."""

    model: Any
    precision: Loaded
    device: torch.device
    n_parameters: int


def load_model(path: Path, precision: Precision, *, trainable: bool = False) -> LocalModel:
    """The causal language model in `path`, which has passed `check_folder`; with plain layers where it is `trainable`.

    Raises UserError where the weights are damaged, incomplete, of an unknown architecture or too large.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cpu":
        tune_processor()
    n_parameters = _n_parameters(path)
    chosen = choose_precision(n_parameters, precision, device)
    transformers.utils.logging.disable_progress_bar()
    try:
        config = AutoConfig.from_pretrained(path, trust_remote_code=False, local_files_only=True)
        model, info = AutoModelForCausalLM.from_pretrained(
            path, config=config, trust_remote_code=False, use_safetensors=True, local_files_only=True,
            output_loading_info=True, **_options(chosen, device),
        )  # fmt: skip
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise UserError(f"The model in {str(path)!r} cannot be loaded ({_first_line(error)}).") from error
    if info["missing_keys"]:
        raise UserError(
            f"The weights in {str(path)!r} are incomplete: {sorted(info['missing_keys'])[0]!r} is missing. "
            "Copy all of the model's .safetensors files there."
        )
    placed = (model if chosen == "nf4" else model.to(device)).eval()
    if not trainable and device.type == "cpu" and chosen == "bf16" and has_bf16(device) and can_pack():
        pack(placed)
    return LocalModel(placed, chosen, device, n_parameters)


def tune_processor() -> None:
    """One thread a physical core, few prepared products, and freed memory kept.

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
    """Returns what has been freed to the system: batches of many lengths leave gaps that glibc would keep for good."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _options(precision: Loaded, device: torch.device) -> dict[str, Any]:
    if precision != "nf4":
        return {"dtype": torch.float32 if precision == "fp32" else torch.bfloat16}
    # It advises a faster kernel from the hub, which is code that we do not fetch.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    fast = torch.bfloat16 if has_bf16(device) else torch.float32
    packed = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=fast)
    place = torch.device("cuda", torch.cuda.current_device()) if device.type == "cuda" else device
    return {"dtype": fast, "device_map": {"": place}, "quantization_config": packed}


def choose_precision(n_parameters: int, asked: Precision, device: torch.device) -> Loaded:
    """`asked`, or for "auto": bf16 where the processor computes in it, else fp32; nf4 where that does not fit."""
    if asked != "auto":
        return asked
    wanted: Loaded = "bf16" if has_bf16(device) else "fp32"
    needed = n_parameters * (2 if wanted == "bf16" else 4) * ROOM
    return wanted if needed <= _free_bytes(device) else "nf4"


def has_bf16(device: torch.device) -> bool:
    """Whether the device computes in bf16 itself."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, the accelerator's or the machine's own, as torch tells it."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def _free_bytes(device: torch.device) -> int:
    return int(
        torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    )


def _n_parameters(path: Path) -> int:
    """How many numbers the safetensors files hold. Raises UserError for a damaged file."""
    total = 0
    for file in sorted(path.glob("*.safetensors")):
        try:
            with safe_open(file, framework="numpy") as opened:
                for name in opened.keys():  # noqa: SIM118  # not a mapping
                    size = 1
                    for extent in opened.get_slice(name).get_shape():
                        size *= extent
                    total += size
        except (SafetensorError, OSError) as error:
            raise UserError(
                f"The weights in {str(file)!r} are damaged ({_first_line(error)}). Copy the file there again."
            ) from error
    return total


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
