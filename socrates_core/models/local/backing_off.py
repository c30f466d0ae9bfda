"""Less at a time when memory runs out, for whatever reads many tokens: answers, validations, steps of a finetune.

Training calls `with_fewer_tokens` with work that begins from nothing, since a pass that broke off in the middle leaves
half of its gradients behind.
"""

import gc
from collections.abc import Callable
from typing import TypeVar

import torch

from socrates_core.errors import UserError
from socrates_core.models.local.load import is_out_of_memory

T = TypeVar("T")


def with_fewer_tokens(work: Callable[[int], T], n_tokens: int, *, least: int, advice: str) -> tuple[T, int]:
    """What `work` returns with at most `n_tokens` tokens at a time, or half as many whenever memory runs out.

    Returns the number with which it went well too, so that the caller starts with it next time. `work` is called again
    from its beginning. Raises UserError that ends with `advice` if memory runs out with `least` tokens, the length of
    the longest text, which cannot be read in parts.
    """
    while True:
        try:
            return work(n_tokens), n_tokens
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if n_tokens <= least:
                raise UserError(
                    f"Memory ran out with {n_tokens:,} tokens at a time, and the longest text has {least:,}. {advice}"
                ) from error
            n_tokens = max(n_tokens // 2, least)
        # Outside `except`, whose traceback keeps the tensors of the failed pass.
        free_cached()


def free_cached() -> None:
    """Gives memory that torch keeps for later back to the card."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
