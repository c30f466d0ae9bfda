"""Finetunes on the shares of people's answers in a cell: soft targets over the full vocabulary, end of turn included.

python -m training.distribution CONFIG.yaml

Soft targets over the answers' tokens alone would put no pressure on all other tokens and on the end: the model would
stop answering (its valid mass falls to zero). With `rps_weight`, answers far from people's cost more than near ones.
"""

import torch

from training.batches import Batch, answer_sums, shares_of, steps_of
from training.loop import finetune
from training.model import Trainee
from training.objectives import cross_entropy, ranked_probability


def loss(trainee: Trainee, batch: Batch) -> torch.Tensor:
    """The weighted sum of the loss over a batch."""
    network, spec = trainee.network, trainee.spec
    steps = steps_of(network, batch, shared=spec.share_people)
    total = cross_entropy(steps, shares_of(batch).to(steps.device))
    if spec.rps_weight:
        for logs, example in zip(answer_sums(network, batch, steps), batch.examples, strict=True):
            observed = torch.from_numpy(example.shares).to(logs)
            total = total + spec.rps_weight * example.weight * ranked_probability(logs, observed)
    return total


if __name__ == "__main__":
    finetune("distribution", loss)
