"""Answers to open questions, which have no options: seeded draws from the model, labelled as draws."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from socrates_core.files import digest
from socrates_core.models.chat import Chat
from socrates_core.models.local.decoding import filtered
from socrates_core.models.local.network import Network
from socrates_core.records import Answer, Decoding, Floats, Question, Scale
from socrates_core.scales import read_answer

Tokens = NDArray[np.int32]
N_SAMPLES = 20  # per prompt
N_TOKENS = 12  # per draw: room for "1,234,567.89" and for the end of the turn
AT_ONCE = 8  # prompts in a batch; their caches are repeated for every draw


def sample_answers(
    network: Network, chat: Chat, questions: Sequence[Question], prompts: Sequence[Tokens], decoding: Decoding
) -> list[Answer]:
    """For each question, N_SAMPLES draws as a distribution over the numbers that were drawn.

    A question's draws depend only on its text, not on its neighbours. `valid_mass` is the share of draws that could be
    read as an answer.
    """
    texts = sample_texts(network, chat, prompts, decoding, [_uniform(question) for question in questions])
    return [
        _answer(drawn, question.scale or Scale("open_integer"), len(prompt))
        for drawn, question, prompt in zip(texts, questions, prompts, strict=True)
    ]


def sample_texts(
    network: Network, chat: Chat, prompts: Sequence[Tokens], decoding: Decoding, uniform: Sequence[Floats]
) -> list[list[str]]:
    """What the model continues each prompt with, by inverse transform from `uniform`, [draws, tokens] per prompt.

    Prompts are read once, and their key-value cache is repeated for every draw.
    """
    n_draws, n_tokens = uniform[0].shape
    longest = max(len(prompt) for prompt in prompts)
    tokens = np.zeros((len(prompts), longest), dtype=np.int64)  # padded on the left
    seen = np.zeros_like(tokens)
    for row, prompt in enumerate(prompts):
        tokens[row, longest - len(prompt) :] = prompt
        seen[row, longest - len(prompt) :] = 1
    thresholds = network.tensor(np.stack(uniform).reshape(-1, n_tokens))
    ends = network.tensor(chat.vocabulary.ends)
    with torch.inference_mode(), network.plain_attention() as model:
        mask = network.tensor(seen)
        step = model(
            input_ids=network.tensor(tokens),
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=True,
            logits_to_keep=1,
        )
        cache = step.past_key_values
        cache.batch_repeat_interleave(n_draws)
        logits = step.logits[:, -1].repeat_interleave(n_draws, 0)
        mask = mask.repeat_interleave(n_draws, 0)
        drawn: list[torch.Tensor] = []
        done = torch.zeros(len(mask), dtype=torch.bool, device=mask.device)
        while True:
            # Not torch.multinomial: every prompt has random numbers of its own, whatever else is in its batch.
            # The sums end near 1, not at 1, so the thresholds are scaled to where they end.
            sums = torch.softmax(filtered(logits.float(), decoding), dim=-1).double().cumsum(-1)
            chosen = torch.searchsorted(sums, thresholds[:, len(drawn), None] * sums[:, -1:], right=True)
            drawn.append(chosen.clamp(max=sums.shape[-1] - 1))
            done |= torch.isin(chosen[:, 0], ends)
            if bool(done.all()) or len(drawn) == n_tokens:
                break
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
            logits = model(
                input_ids=drawn[-1],
                attention_mask=mask,
                position_ids=mask.sum(1, keepdim=True) - 1,
                past_key_values=cache,
                use_cache=True,
            ).logits[:, -1]
    texts = [chat.decode(row) for row in torch.cat(drawn, dim=1).tolist()]
    return [texts[start : start + n_draws] for start in range(0, len(texts), n_draws)]


def _uniform(question: Question) -> Floats:
    seed = int(digest([question.prompt.system, question.prompt.user])[:16], 16)
    return np.random.default_rng(seed).random((N_SAMPLES, N_TOKENS))


def _answer(texts: Sequence[str], scale: Scale, n_tokens: int) -> Answer:
    counts = Counter(float(value) for text in texts if (value := read_answer(text, scale).value) is not None)
    values = np.array(sorted(counts), dtype=float)
    drawn = np.array([counts[value] for value in values], dtype=float)
    n_valid = int(drawn.sum())
    return Answer(
        drawn / max(n_valid, 1), n_valid / len(texts), n_tokens, values=values, n_samples=len(texts)
    )
