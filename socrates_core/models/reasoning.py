"""A rationale before the answer: how the two stand in one text. Training writes it, the local responder reads it."""

from collections.abc import Sequence
from dataclasses import dataclass

from socrates_core.models.chat import Chat
from socrates_core.records import Prompt

GAP = " "
MARKER = "\n\nAnswer:" + GAP
N_RATIONALES = 4  # draws a prompt
N_TOKENS = 96  # a rationale, at most: two or three sentences
DIFFERENCE = f" reasoning-{N_RATIONALES}x{N_TOKENS}"  # what the responder's card says of it


def render_reasoned(rationale: str) -> str:
    """All that stands before the answer: the rationale, up to a marker that it may have already, then the marker."""
    return rationale.partition(MARKER.rstrip())[0].strip() + MARKER


@dataclass(frozen=True)
class Reasoned(Prompt):
    """A prompt with the rationale that its answer stands behind."""

    rationale: str = ""


class ReasonedChat(Chat):
    """The chat of a model that gives a rationale first, to read what it answers behind one.

    The marker's gap belongs to the answer, since many tokenizers melt a space into what follows it. So the tokens are
    those of the whole text, as in training.
    """

    def render_all(self, prompts: Sequence[Prompt]) -> list[str]:
        """The whole text that the model continues, up to where its answer begins, of each prompt."""
        rationales = [prompt.rationale if isinstance(prompt, Reasoned) else "" for prompt in prompts]
        return [
            text + self.lead + self.broken(render_reasoned(rationale)).removesuffix(GAP)
            for text, rationale in zip(super().render_all(prompts), rationales, strict=True)
        ]

    def answer_tokens(self, answers: Sequence[str]) -> list[list[int]]:
        """The token ids of each answer, gap included, as it follows a rationale, without the end of the turn."""
        return self._following([GAP + self.broken(answer) for answer in answers])
