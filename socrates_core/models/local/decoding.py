"""What a decoding leaves of a model's logits: everything, or the paper's temperature and nucleus."""

import torch
from transformers.generation.logits_process import TemperatureLogitsWarper, TopPLogitsWarper

from socrates_core.records import PAPER_TEMPERATURE, PAPER_TOP_P, Decoding


def filtered(logits: torch.Tensor, decoding: Decoding) -> torch.Tensor:
    """Logits [N, V] after the decoding's own filters: the paper's temperature, then its nucleus."""
    if decoding == "exact":
        return logits
    warmed: torch.Tensor = TemperatureLogitsWarper(PAPER_TEMPERATURE)(None, logits)
    kept: torch.Tensor = TopPLogitsWarper(PAPER_TOP_P)(None, warmed)
    return kept
