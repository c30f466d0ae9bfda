"""Finetunes on each person's own answer: loss on the answer and the end of the turn alone.

python -m training.sft CONFIG.yaml
accelerate launch -m training.sft CONFIG.yaml     on several GPUs
"""

import torch

from training.batches import Batch, shares_of, steps_of
from training.loop import finetune
from training.model import Trainee
from training.objectives import cross_entropy


def loss(trainee: Trainee, batch: Batch) -> torch.Tensor:
    """The weighted sum of the loss over a batch."""
    steps = steps_of(trainee.network, batch, shared=trainee.spec.share_people)
    return cross_entropy(steps, shares_of(batch).to(steps.device))


if __name__ == "__main__":
    finetune("sft", loss)
