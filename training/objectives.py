"""What is minimised: functions of log-probabilities, proved against trl and plain loops."""

from collections.abc import Sequence

import torch
from torch.nn.functional import logsigmoid


def cross_entropy(steps: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The sum of -share x log-probability over the steps [S] down the answer trees.

    With one answer a tree this is the usual loss of SFT on the answer and the end of the turn. With several it is the
    cross-entropy of whole answers against their shares: by the chain rule, -sum_o q(o) log P(o) is the sum over a
    trie's steps of the share that passes them. Every step is a choice from the full vocabulary, so probability that
    goes to other tokens, or past the end of the turn, costs.
    """
    return -(steps * shares).sum()


def ranked_probability(logs: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """The ranked probability score of a distribution over k ordered answers, given log-probabilities [k], in [0, 1].

    sum_j (P_j - Q_j)^2 / (k - 1) of the cumulative shares predicted (among these answers) and observed (Epstein 1969).
    """
    cumulative = torch.softmax(logs, dim=-1).cumsum(-1) - shares.cumsum(-1)
    return (cumulative[:-1] ** 2).sum() / max(len(logs) - 1, 1)


def preference(
    policy: Sequence[torch.Tensor], reference: Sequence[torch.Tensor], beta: float
) -> torch.Tensor:
    """The DPO loss of each pair [n] (Rafailov et al. 2023, equation 7), given log-probabilities [2]: chosen, rejected.

    -log sigmoid(beta ((chosen - rejected) of the policy - the same of the reference)).
    """
    margins = torch.stack([p[0] - p[1] for p in policy]) - torch.stack([r[0] - r[1] for r in reference])
    return -logsigmoid(beta * margins)
