"""How many tokens run at a time: found by trying, and taken back where memory runs out."""

import torch

FIRST_WORK = 1.5e11  # parameters times tokens of the first batch: about a second on two cores
LEAST = 256
MOST = {"cpu": 4096, "cuda": 65536}  # on a processor more is no faster, and only takes memory (docs/log.md)
GPU_FIRST = 4096
LONGEST = 4.0  # seconds a batch, so that cancelling is quick
WORTH = 1.05  # how much faster twice the tokens must be


class TokenBudget:
    """Tokens a batch: doubled as long as that makes the model faster, halved when memory runs out."""

    def __init__(self, n_parameters: int, device: torch.device) -> None:
        first = GPU_FIRST if device.type == "cuda" else int(FIRST_WORK / max(n_parameters, 1))
        self._most = MOST.get(device.type, MOST["cpu"])
        self.tokens = min(max(first, LEAST), self._most)
        self._best_rate, self._best_tokens = 0.0, self.tokens
        self._settled = False

    def ran(self, n_tokens: int, seconds: float) -> bool:
        """Takes note of a finished batch, which says little unless nearly full; true where the budget changed."""
        if self._settled or n_tokens < 0.7 * self.tokens:
            return False
        rate, before = n_tokens / seconds, self.tokens
        if rate > WORTH * self._best_rate:
            self._best_rate, self._best_tokens = rate, self.tokens
            if 2 * seconds < LONGEST and 2 * self.tokens <= self._most:
                self.tokens *= 2
                return True
        self.tokens, self._settled = self._best_tokens, True
        return self.tokens != before

    def ran_out(self, n_tokens: int) -> None:
        """A batch of `n_tokens` did not fit: no more than half of it from now on."""
        self.tokens, self._settled = max(n_tokens // 2, 1), True
