"""Finetunes to prefer a person's answer over another that somebody else gave in the same cell (the paper's rule).

python -m training.dpo CONFIG.yaml

Starts from the base model or from an SFT adapter, which stays the reference.
"""

import torch

from training.batches import Batch, answer_sums, steps_of
from training.loop import finetune
from training.model import Trainee
from training.objectives import preference


def loss(trainee: Trainee, batch: Batch) -> torch.Tensor:
    """The weighted sum of the loss over a batch."""
    network, shared = trainee.network, trainee.spec.share_people
    with torch.no_grad(), trainee.as_reference():
        reference = answer_sums(network, batch, steps_of(network, batch, shared=shared))
    policy = answer_sums(network, batch, steps_of(network, batch, shared=shared))
    weights = torch.tensor([example.weight for example in batch.examples], device=policy[0].device)
    return (weights * preference(policy, reference, trainee.spec.beta)).sum()


if __name__ == "__main__":
    finetune("dpo", loss)
