"""How many tokens run at a time: found by trying, and reduced when memory runs out."""

from collections.abc import Mapping, Sequence

import torch

from socrates_core.errors import UserError
from socrates_core.models.local.backing_off import free_cached
from socrates_core.models.local.load import is_out_of_memory
from socrates_core.records import Decoding, Loaded
from socrates_core.scoring.plan import MAX_READS

FIRST_WORK = 1.5e11  # parameters times tokens of the first batch: about a second on two cores
LEAST = 256
MOST = {"cpu": 4096, "cuda": 65536}  # more is no faster on a processor and only takes memory (docs/log.md)
GPU_FIRST = 4096
LONGEST = 4.0  # seconds per batch, so that cancelling is quick
WORTH = 1.05  # how much faster twice as many tokens must be
# Bytes at most per read and token of the vocabulary, counted: logits and log-softmax in fp32; the paper's nucleus also
# sorts them, with places in int64.
PER_LOGIT: Mapping[Decoding, int] = {"exact": 8, "paper": 30}
SHARE = 0.5  # of the free memory that reads may take


def most_reads(decoding: Decoding, *, vocabulary: int, free: float) -> int:
    """How many next-token distributions may be held at once in `free` bytes; at least one."""
    return max(1, min(MAX_READS, int(SHARE * free / (PER_LOGIT[decoding] * vocabulary))))


class TokenBudget:
    """Tokens per batch: doubled as long as that makes the model faster, halved when memory runs out."""

    def __init__(self, n_parameters: int, device: torch.device) -> None:
        first = GPU_FIRST if device.type == "cuda" else int(FIRST_WORK / max(n_parameters, 1))
        self._most = MOST.get(device.type, MOST["cpu"])
        self.tokens = min(max(first, LEAST), self._most)
        self._best_rate, self._best_tokens = 0.0, self.tokens
        self._settled = False

    def ran(self, n_tokens: int, seconds: float) -> bool:
        """Notes the time of a finished batch; true if the budget changed."""
        if self._settled or n_tokens < 0.7 * self.tokens:  # a batch that is far from full says little
            return False
        rate = n_tokens / seconds
        before = self.tokens
        if rate > WORTH * self._best_rate:
            self._best_rate, self._best_tokens = rate, self.tokens
            if 2 * seconds < LONGEST and 2 * self.tokens <= self._most:
                self.tokens *= 2
                return True
        self.tokens, self._settled = self._best_tokens, True
        return self.tokens != before

    def ran_out(self, n_tokens: int) -> None:
        """Halves the budget after a batch of `n_tokens` did not fit."""
        self.tokens = max(n_tokens // 2, 1)
        self._settled = True


def require_out_of_memory(error: RuntimeError, lengths: Sequence[int], precision: Loaded) -> None:
    """Makes room for a smaller batch after running out of memory on prompts of these `lengths`.

    Raises `error` if it has another cause, and UserError if a single prompt is too much.
    """
    if not is_out_of_memory(error):
        raise error
    free_cached()
    if len(lengths) == 1:
        raise UserError(
            f"A prompt of {lengths[0]:,} tokens does not fit in this machine's memory. Shorten it, or "
            + ("choose a smaller model." if precision == "nf4" else "open the model with precision 'nf4'.")
        ) from error
