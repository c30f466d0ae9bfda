"""The tokens of a finetune's prompts, kept in the cache as safetensors so that a restart need not encode them again."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import corpus_digest
from socrates_core.errors import UserError
from socrates_core.files import digest, file_digest, replacing
from socrates_core.models.chat import Chat
from socrates_core.records import Prompt
from socrates_core.settings import folder

VERSION = 1  # of how prompts become tokens
KEPT = 8  # sets of prompts; the most recently used ones stay
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "special_tokens_map.json",
    "config.json",
)
Tokens = NDArray[np.int32]


def prompt_tokens(
    corpus: Corpus, rows: pd.DataFrame, template: str, chat: Chat, render: Callable[[], Sequence[Prompt]]
) -> list[Tokens]:
    """The token ids of the prompt of each of `rows`, which have study_id, participant and stimulus_id.

    `render` gives the prompts; it is called only if the same rows were not encoded before with this tokenizer.
    """
    prompt_keys = rows[["study_id", "participant", "stimulus_id"]].to_csv(index=False)
    tokenizer = [file_digest(chat.path / name) for name in TOKENIZER if (chat.path / name).exists()]
    key = digest([VERSION, corpus_digest(corpus), prompt_keys, template, chat.difference, *tokenizer])
    path = folder("cache") / "tokens" / f"{key}.safetensors"
    return _load(path, len(rows)) or _keep(path, list(chat.encode(render())))


def _load(path: Path, n: int) -> list[Tokens] | None:
    try:
        stored = load_file(path)
        ends = np.cumsum(stored["lengths"])
    except (OSError, SafetensorError, KeyError):  # missing or damaged: they are encoded again
        return None
    if len(ends) != n or not n or ends[-1] != len(stored["tokens"]):
        return None
    with suppress(OSError):  # another process may have just removed it
        path.touch()  # `_keep` removes those that were touched longest ago
    return np.split(stored["tokens"], ends[:-1])


def _keep(path: Path, prompts: list[Tokens]) -> list[Tokens]:
    if not prompts:
        return prompts
    lengths = np.array([len(prompt) for prompt in prompts], dtype=np.int32)
    with suppress(UserError, OSError, SafetensorError):  # a full disk, or another process that prunes as well
        with replacing(path) as aside:
            save_file({"tokens": np.concatenate(prompts).astype(np.int32), "lengths": lengths}, aside)
        newest = sorted(
            path.parent.glob("[!.]*.safetensors"), key=lambda file: file.stat().st_mtime, reverse=True
        )
        for old in newest[KEPT:]:
            old.unlink(missing_ok=True)
    return prompts
