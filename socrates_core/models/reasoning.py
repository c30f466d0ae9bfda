"""A rationale before the answer: how both form one text, which training writes and the local responder reads."""

from collections.abc import Sequence
from dataclasses import dataclass

from socrates_core.models.chat import Chat
from socrates_core.records import Prompt

GAP = " "
MARKER = "\n\nAnswer:" + GAP
N_RATIONALES = 4  # drawn per prompt
N_TOKENS = 96  # the most tokens of a rationale: two or three sentences
DIFFERENCE = f" reasoning-{N_RATIONALES}x{N_TOKENS}"  # is part of the responder's card


def render_reasoned(rationale: str) -> str:
    """Everything before the answer: the rationale, cut at a marker that it may already contain, then the marker."""
    return rationale.partition(MARKER.rstrip())[0].strip() + MARKER


@dataclass(frozen=True)
class Reasoned(Prompt):
    """A prompt with the rationale that comes before its answer."""

    rationale: str = ""


class ReasonedChat(Chat):
    """The chat of a model that gives a rationale first, to read its answer after one.

    The marker's gap belongs to the answer, since many tokenizers merge a space with what follows it. So the tokens are
    those of the whole text, as in training.
    """

    def render_all(self, prompts: Sequence[Prompt]) -> list[str]:
        """For each prompt, the whole text that the model continues, up to where its answer begins."""
        rationales = [prompt.rationale if isinstance(prompt, Reasoned) else "" for prompt in prompts]
        return [
            text + self.lead + self.broken(render_reasoned(rationale)).removesuffix(GAP)
            for text, rationale in zip(super().render_all(prompts), rationales, strict=True)
        ]

    def answer_tokens(self, answers: Sequence[str]) -> list[list[int]]:
        """The token ids of each answer, gap included, as it follows a rationale, without the end of the turn."""
        return self._following([GAP + self.broken(answer) for answer in answers])
