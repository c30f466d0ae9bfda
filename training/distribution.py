"""Finetunes on the shares of people's answers in a cell: soft targets over the full vocabulary, end of turn included.

python -m training.distribution CONFIG.yaml

Soft targets over the answers' tokens alone would leave all other tokens, and the end, without pressure: the model then
stops answering (valid mass falls to nothing). With `rps_weight` answers far from people's cost more than near ones.
"""

import torch

from training.batches import Batch, answer_sums, shares_of, steps_of
from training.loop import finetune
from training.model import Trainee
from training.objectives import cross_entropy, ranked_probability


def loss(trainee: Trainee, batch: Batch) -> torch.Tensor:
    """The summed loss of a batch, weighted."""
    network, spec = trainee.network, trainee.spec
    steps = steps_of(network, batch, shared=spec.share_people)
    total = cross_entropy(steps, shares_of(batch).to(steps.device))
    if spec.rps_weight:
        for logs, each in zip(answer_sums(network, batch, steps), batch.examples, strict=True):
            observed = torch.from_numpy(each.shares).to(logs)
            total = total + spec.rps_weight * each.weight * ranked_probability(logs, observed)
    return total


if __name__ == "__main__":
    finetune("distribution", loss)
