"""Tokenizers come with a model, and so from a stranger: another process tries them before they are used here.

The trial is that of `tokenizer_trial.py`. A tokenizer that passed is remembered in SOCRATES_HOME/cache by its content.
It then runs in this program, where all processors work on a batch, and its errors become sentences.
"""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tokenizers import Tokenizer

from socrates_core.errors import UserError, clipped
from socrates_core.files import read_plain_bytes, write_text
from socrates_core.models.tokenizer_trial import SECONDS
from socrates_core.settings import home

PROGRAM = Path(__file__).with_name("tokenizer_trial.py")
LONGEST = 64 << 20  # bytes; Gemma's has 33 million
PATIENCE = 300  # seconds by the clock, for a busy machine or a system without limits of processor time


def open_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer in the folder `path`, without padding or truncation.

    Raises UserError if it is missing, cannot be read, or takes too long or too much memory.
    """
    file = path / "tokenizer.json"
    if not file.exists():
        raise UserError(
            f"The model folder {str(path)!r} has no tokenizer. Copy its tokenizer.json and "
            "tokenizer_config.json there, or save them with transformers' AutoTokenizer."
        )
    with sentences(file):
        stored = read_plain_bytes(file, LONGEST)
        _try(stored)
        tokenizer = Tokenizer.from_buffer(stored)
        # A tokenizer.json may switch both on, and truncation would silently cut long prompts.
        tokenizer.no_padding()
        tokenizer.no_truncation()
    return tokenizer


@contextmanager
def sentences(file: Path) -> Iterator[None]:
    """Turns every error of the tokenizer in `file`, panics of its Rust code included, into a UserError."""
    try:
        yield
    except UserError:
        raise
    except BaseException as error:  # tokenizers raises nothing more precise, and a panic is not an Exception
        # By its name, since the class is made at run time and cannot be imported.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise UserError(
            f"The tokenizer in {str(file)!r} cannot be read ({clipped(str(error), 300)}). Copy the file there again."
        ) from error


def _try(stored: bytes) -> None:
    """Raises ValueError with a clause if the tokenizer does not pass; one that passed is not tried again."""
    # The trial's own source is part of the key, so a changed trial tests every tokenizer again.
    passed = home() / "cache" / "tokenizers" / hashlib.sha256(stored + PROGRAM.read_bytes()).hexdigest()
    if passed.exists():
        return
    # With one thread only: every further one would reserve address space, which is limited.
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    command = [sys.executable, "-I", str(PROGRAM)]
    try:
        done = subprocess.run(
            command, input=stored, capture_output=True, timeout=PATIENCE, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"trying it took more than {PATIENCE} seconds") from None
    if done.returncode == 1 and done.stdout:
        raise ValueError(done.stdout.decode("utf-8", "replace"))
    if done.returncode:
        raise ValueError(f"trying it took more than {SECONDS} seconds or 3 GB of memory")
    with suppress(UserError):  # in a read-only home the trial is repeated next time
        write_text(passed, "")
