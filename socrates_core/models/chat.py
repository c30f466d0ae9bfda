"""How a prompt becomes the text and tokens that a model reads: chat template, options, and the end of a turn.

Reads tokenizer.json and the chat template as published, without torch or transformers, so a page can use it.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from socrates_core.errors import EDITED, UserError, clipped, quoted
from socrates_core.files import read_plain_bytes
from socrates_core.models.model_folder import ModelFolder, read_config, read_settings
from socrates_core.models.rendering import LONGEST_SOURCE, ChatTemplate, Conversation, Message, PromptRefused
from socrates_core.models.tokenizing import open_tokenizer, sentences
from socrates_core.records import Prompt
from socrates_core.scoring.tree import AnswerTree, Vocabulary, build_tree

BEGINS_WITH_DIGIT = re.compile(r"[0-9]|<0x3[0-9]>")  # byte-fallback tokens spell a digit as <0x30> to <0x39>
PROBE = Prompt("You answer surveys.", "How are you?")
CHUNK = 256
MOST_ENDS = 1000
NO_WIDTH = "\u200b"
NOTHING = re.compile(r"(?!)")
# The special tokens that transformers gives to a template, and those that a tokenizer's class has if its settings name
# none (transformers, the defaults of each class).
SPECIAL = tuple(f"{name}_token" for name in ("bos", "eos", "unk", "sep", "pad", "cls", "mask"))
_TEXT_END = "<|endoftext|>"
OF_CLASS = {
    "Llama": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "CodeLlama": {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
    "Gemma": {"bos_token": "<bos>", "eos_token": "<eos>", "unk_token": "<unk>", "pad_token": "<pad>"},
    "Cohere": {"bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>", "unk_token": "<UNK>"},
    "GPT2": dict.fromkeys(("bos_token", "eos_token", "unk_token"), _TEXT_END),
    "GPTNeoX": dict.fromkeys(("bos_token", "eos_token", "unk_token"), _TEXT_END),
    "Qwen2": dict.fromkeys(("eos_token", "unk_token", "pad_token"), _TEXT_END),
}
SPOKEN = "Fine"  # a sample answer, to find out what a template writes around one
SAMPLES = ("5", "10", "-1", SPOKEN, "Yes")  # answers that a blank at a prompt's end may merge with
_THOUGHT = r"[^<>\[\]/\s]*(?:think|thought|reason)[^<>\[\]/\s]*"
OPEN_THOUGHT = re.compile(rf"(?P<tag><{_THOUGHT}>|\[{_THOUGHT}\])(?P<gap>\n?)\s*\Z", re.I)
DEMANDED_THOUGHT = re.compile(rf"(?P<tag><{_THOUGHT}>)[^<>]*</{_THOUGHT}>", re.I)
END_OF_THOUGHT = re.compile(rf"</{_THOUGHT}>|\[/{_THOUGHT}\]|<\|end[^<>]*\|>", re.I)
CLOSED_THOUGHT = re.compile(rf"(?:{END_OF_THOUGHT.pattern})\s*\Z", re.I)


class Chat:
    """One model's tokenizer and chat template.

    With a template that has no system role, the system text goes in front of the user's; without a template, both are
    plain paragraphs. `difference` describes such cases for the responder's card. `end` is the token that the template
    puts after an answer; None if neither the template nor the tokenizer's settings name one. `path` is the tokenizer's
    folder. `lead` is the blank before an answer, which the template writes with the answer or at the prompt's end: it
    belongs to the options, since tokenizers merge it with what follows. Anything else that the template writes there,
    such as the end of a thought that it opens, ends every prompt.
    """

    def __init__(self, path: Path, base: Path | None = None) -> None:
        """Opens the tokenizer in `path`, for the model in `base` (by default the same folder).

        Raises UserError if the tokenizer or its template cannot be read.
        """
        self.path = path
        self.end: int | None = None
        self._tokenizer_file = path / "tokenizer.json"
        self._n_tokens = _n_tokens(read_config(base or path))
        self._settings = _settings(path)
        self._tokenizer = open_tokenizer(path)
        self._start = self._token_called("bos_token")
        self.end = self._token_called("eos_token")
        # Until the pattern is known, which takes rendered texts, nothing is broken.
        self._control = NOTHING
        self._template = _open_template(path, self._settings)
        self._merge_system = False
        self._closing = self.lead = self._held = ""  # the methods below render, so all must exist
        if self._template is not None:
            self._merge_system = self._choose_form(self._template)
            self._closing, self.lead = self._between(self._template)
            if not self.lead:
                self.lead = self._held = self._merging_blank()
        self._control = self._control_tokens()
        self.difference = " plain"
        if self._template is not None:
            self.difference = (
                " content-in-parts" * self._template.in_parts
                + " system-in-user" * self._merge_system
                + " thought-closed" * bool(self._closing)
                + " answer-after-blank" * bool(self.lead)
            )
        digits = self._known(_digit_tokens(self._tokenizer))
        self.vocabulary = Vocabulary(digits, self._end_tokens(base or path))
        self._encode([self.render(PROBE)])  # raises now, not in the middle of a run, if it cannot be used

    def render(self, prompt: Prompt) -> str:
        """The whole text that the model continues, up to where its answer begins.

        A control token that the prompt's own text spells out is broken by a zero-width space, so that no study can end
        a turn or begin another. Raises UserError if the template cannot be used.
        """
        return self.render_all([prompt])[0]

    def render_all(self, prompts: Sequence[Prompt]) -> list[str]:
        """The text of `render` for each prompt, much faster than one by one."""
        harmless = [self._harmless(prompt) for prompt in prompts]
        if self._template is None:
            return [_as_paragraphs(prompt) for prompt in harmless]
        texts = self._apply([self._messages(prompt) for prompt in harmless], answer_next=True)
        return [(text + self._closing).removesuffix(self._held) for text in texts]

    def encode(self, prompts: Sequence[Prompt]) -> Iterator[NDArray[np.int32]]:
        """The token ids of each rendered prompt."""
        for start in range(0, len(prompts), CHUNK):
            yield from self._encode(self.render_all(prompts[start : start + CHUNK]))

    @lru_cache(maxsize=256)  # noqa: B019  # as long-lived as the model
    def tree(self, options: tuple[str, ...]) -> AnswerTree:
        """The answer tree of `options` as the template writes an answer after a prompt.

        Options are tokenised together with a prompt's end, as in training. If the tokenizer would merge an option with
        that end, the option is tokenised alone: the model then starts from the prompt's own last token.
        """
        return build_tree(options, self.answer_tokens(options))

    def answer_tokens(self, answers: Sequence[str]) -> list[list[int]]:
        """The token ids of each answer as it follows a prompt, without the end of the turn."""
        return self._following([self.lead + self.broken(text) for text in answers])

    def _following(self, answers: Sequence[str]) -> list[list[int]]:
        """The token ids of each text as it follows a prompt."""
        before = self.render(PROBE)
        prefix, *joined = (
            ids.tolist() for ids in self._encode([before, *(before + text for text in answers)])
        )
        with sentences(self._tokenizer_file):
            encodings = self._tokenizer.encode_batch(list(answers), add_special_tokens=False)
        alone = [encoding.ids for encoding in encodings]
        return [
            ids[len(prefix) :] if ids[: len(prefix)] == prefix else separate
            for ids, separate in zip(joined, alone, strict=True)
        ]

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of `tokens` up to the end of the turn."""
        ends = np.flatnonzero(np.isin(tokens, self.vocabulary.ends))
        kept = list(tokens[: ends[0]] if len(ends) else tokens)
        return self.spell(kept)

    def spell(self, tokens: Sequence[int] | NDArray[np.int32]) -> str:
        """The text of all `tokens`, special ones as they are written."""
        with sentences(self._tokenizer_file):
            return self._tokenizer.decode(list(tokens), skip_special_tokens=False)

    def _choose_form(self, template: ChatTemplate) -> bool:
        """Finds how the template takes messages; returns whether the system text goes in front of the user's.

        Templates of models that also read images take a message as a list of parts, and some of them write nothing of
        a plain text. Raises UserError if neither form shows the whole prompt.
        """
        problem: PromptRefused | None = None
        for template.in_parts in (False, True):
            for merge in (False, True):
                try:
                    (text,) = self._apply([_conversation(PROBE, merge)], answer_next=True)
                except PromptRefused as refused:
                    problem = problem or refused
                    continue
                if PROBE.system in text and PROBE.user in text:
                    return merge
        raise problem or UserError(
            f"The chat template in {template.where} does not write what it is given, so the model would be asked "
            "nothing. Use the template that the model was published with."
        )

    def _spoken(self, question: Conversation) -> tuple[str, str]:
        """The text of a question up to its answer, and the text with SPOKEN as its answer; "" if refused."""
        texts = []
        for messages, answer_next in ((question, True), ([*question, _answer(SPOKEN)], False)):
            try:
                texts += self._apply([messages], answer_next=answer_next)
            except PromptRefused:
                texts.append("")
        return texts[0], texts[1]

    def _between(self, template: ChatTemplate) -> tuple[str, str]:
        """What the template writes between a question and its answer: what ends the prompt, and a blank.

        Found by comparing a prompt with the same conversation including an answer. Raises UserError if the template
        makes the model think and it is not known how a thought ends.
        """
        spoken = [self._spoken(self._messages(PROBE)), self._spoken([_question(PROBE.user)])]
        # Some templates move the system text to the last message of a user, so only without it are both texts alike.
        before, whole = next((pair for pair in spoken if pair[0] and pair[1].startswith(pair[0])), spoken[0])
        n_alike = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(before, whole, strict=False)))
        tail, rest = before[n_alike:], whole[n_alike:]
        written = rest.partition(SPOKEN)[0] if SPOKEN in rest else ""
        thought = OPEN_THOUGHT.search(before)
        if thought is None and not CLOSED_THOUGHT.search(before + written):
            # The template's own text, such as a default instruction, may ask for a thought before every answer.
            thought = DEMANDED_THOUGHT.search(before)
        if thought is None:
            if tail and not CLOSED_THOUGHT.search(tail):  # the two texts differ for another reason
                return "", ""
            if tail:  # a thought is closed already
                *_, written = END_OF_THOUGHT.split(written)
            return (written, "") if written.strip() else ("", written)
        is_open = thought.end() == len(before)
        closing = _closing_of(thought["tag"])
        if closing in written:
            return written, ""
        if self._tokenizer.token_to_id(closing) is None and closing not in template.source:
            raise UserError(
                f"The chat template in {str(self.path)!r} makes the model think before it answers ({thought['tag']}), "
                "and it is not known how a thought ends there, so its answers cannot be read. Use a model that answers "
                "at once."
            )
        gap = thought["gap"] if is_open else "\n"
        opening = "" if is_open else f"{thought['tag']}{gap}"
        return f"{opening}{gap}{closing}{2 * gap}{written if written.strip() else ''}", ""

    def _merging_blank(self) -> str:
        """The blank at a prompt's end that the tokenizer merges with an answer, as in "Assistant: "; "" if none."""
        text = self.render(PROBE)
        blanks = text[len(text.rstrip()) :]
        for n in range(len(blanks) + 1):
            kept = text[: len(text) - n]
            held = text[len(kept) :]
            prefix, *joined = (
                ids.tolist() for ids in self._encode([kept, *(kept + held + answer for answer in SAMPLES)])
            )
            if all(ids[: len(prefix)] == prefix for ids in joined):
                return held
        return ""

    def _control_tokens(self) -> re.Pattern[str]:
        """A pattern for the tokenizer's special tokens and other tokens with which the template marks turns."""
        used = self.render(PROBE)
        added = self._tokenizer.get_added_tokens_decoder().values()
        texts = [token.content for token in added if token.special or token.content in used]
        # An expression takes its first alternative that matches, even if a longer one would match too.
        longest_first = sorted((text for text in texts if len(text.strip()) > 1), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first))) if longest_first else NOTHING

    def _harmless(self, prompt: Prompt) -> Prompt:
        """The prompt with its control tokens broken."""
        shots = tuple((self.broken(question), self.broken(answer)) for question, answer in prompt.shots)
        return Prompt(self.broken(prompt.system), self.broken(prompt.user), shots)

    def broken(self, text: str) -> str:
        """`text` with a zero-width space after the first letter of every control token."""
        return self._control.sub(lambda match: f"{match[0][0]}{NO_WIDTH}{match[0][1:]}", text)

    def _encode(self, texts: Sequence[str]) -> list[NDArray[np.int32]]:
        whole = [text.encode("utf-8", "replace").decode() for text in texts]  # half an emoji becomes "?"
        with sentences(self._tokenizer_file):
            # A chat template writes the special tokens itself.
            encodings = self._tokenizer.encode_batch_fast(whole, add_special_tokens=self._template is None)
        tokens = [np.array(self._one_start(encoding.ids), dtype=np.int32) for encoding in encodings]
        largest = max((int(ids.max()) for ids in tokens if len(ids)), default=0)
        if self._n_tokens is not None and largest >= self._n_tokens:
            raise UserError(
                f"The tokenizer in {str(self._tokenizer_file)!r} gives token {largest:,}, but its model knows only "
                f"{self._n_tokens:,} tokens. Copy the tokenizer that belongs to the model there."
            )
        return tokens

    def _one_start(self, tokens: list[int]) -> list[int]:
        """The tokens with at most one start token, and without an end token that the tokenizer adds to plain text."""
        while len(tokens) > 1 and tokens[0] == tokens[1] == self._start:
            tokens = tokens[1:]
        ends = self._template is None and self.end is not None and tokens[-1:] == [self.end]
        return tokens[:-1] if ends else tokens

    def _messages(self, prompt: Prompt) -> Conversation:
        return _conversation(prompt, self._merge_system)

    def _apply(self, conversations: Sequence[Conversation], *, answer_next: bool) -> list[str]:
        """The chat template's texts, with thinking switched off if the template has such a switch."""
        assert self._template is not None
        # Templates know the switch by either name and ignore a variable that they do not use.
        return self._template.render(
            conversations, add_generation_prompt=answer_next, enable_thinking=False, thinking=False
        )

    def _token_called(self, name: str) -> int | None:
        """The id of a special token by its name in the tokenizer's settings; None if it is not set."""
        text = self._settings.get(name)
        return self._tokenizer.token_to_id(text) if isinstance(text, str) else None

    def _end_tokens(self, path: Path) -> NDArray[np.int64]:
        """Every token that ends a turn: those that the model's files name, and the one that follows an answer."""
        generation = path / "generation_config.json"
        ends: set[int] = set()
        for source in (read_config(path), read_settings(generation) if generation.exists() else {}):
            ends |= _end_ids(source.get("eos_token_id"), path)
        if self.end is not None:
            ends.add(self.end)
        if self._template is not None:
            _, text = self._spoken([_question(PROBE.user)])
            with sentences(self._tokenizer_file):
                after = self._tokenizer.encode(text.rpartition(SPOKEN)[2].lstrip(), add_special_tokens=False)
            if after.ids and after.ids[0] in self._tokenizer.get_added_tokens_decoder():
                self.end = after.ids[0]
                ends.add(self.end)
        return self._known(ends)

    def _known(self, tokens: Iterable[int]) -> NDArray[np.int64]:
        """The tokens in order, without those beyond the model's vocabulary."""
        known = [token for token in tokens if self._n_tokens is None or token < self._n_tokens]
        return np.array(sorted(known), dtype=np.int64)


@lru_cache(maxsize=4)
def open_chat(folder: ModelFolder) -> Chat:
    """The chat of a model, kept for the next call."""
    return Chat(folder.chat, folder.base)


def _question(text: str) -> Message:
    return {"role": "user", "content": text}


def _answer(text: str) -> Message:
    return {"role": "assistant", "content": text}


def _conversation(prompt: Prompt, merge_system: bool) -> Conversation:
    """The prompt's messages; with `merge_system` the system text is in front of the first question."""
    messages = prompt.messages()
    if not merge_system:
        return messages
    _, first, *others = messages
    return [_question("\n\n".join(part for part in (prompt.system, first["content"]) if part)), *others]


def _settings(path: Path) -> dict[str, Any]:
    """The tokenizer's settings: its class's own tokens, special_tokens_map.json, then tokenizer_config.json.

    Special tokens are texts; one that is null is not set, even if the class has one.
    """
    settings: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (path / name).exists():
            settings |= read_settings(path / name)
    kind = str(settings.get("tokenizer_class")).removesuffix("Fast").removesuffix("Tokenizer")
    return {
        key: value.get("content") if key.endswith("_token") and isinstance(value, dict) else value
        for key, value in (OF_CLASS.get(kind, {}) | settings).items()
    }


def _closing_of(tag: str) -> str:
    """The tag that ends a thought: "</think>" for "<think>", "<|END_THINKING|>" for "<|START_THINKING|>"."""
    for begins, ends in (("START", "END"), ("start", "end"), ("BEGIN", "END"), ("begin", "end")):
        if begins in tag:
            return tag.replace(begins, ends)
    return f"{tag[0]}/{tag[1:]}"


def _as_paragraphs(prompt: Prompt) -> str:
    """The text for a model without a template."""
    shots = [f"{question}\n\nAnswer:\n{answer}" for question, answer in prompt.shots]
    return "\n\n".join(part for part in (prompt.system, *shots, prompt.user) if part) + "\n\nAnswer:\n"


def _open_template(path: Path, settings: dict[str, Any]) -> ChatTemplate | None:
    """The model's chat template, or None if it has none. Raises UserError if it cannot be read."""
    file = path / "chat_template.jinja"
    where = repr(str(file if file.exists() else path / "tokenizer_config.json"))
    source = settings.get("chat_template")
    try:
        if file.exists():
            source = read_plain_bytes(file, LONGEST_SOURCE).decode("utf-8")
        elif isinstance(source, list):
            source = {named["name"]: named["template"] for named in source}.get("default")
        if source is not None and not isinstance(source, str):
            raise TypeError(f"it is {quoted(source)}, which is not a text")
    except (OSError, *EDITED) as error:
        raise UserError(f"The chat template in {where} cannot be read ({clipped(str(error))}).") from error
    # A null token counts as not set and prints nothing; as in transformers, only texts are special tokens.
    special = {key: settings[key] for key in SPECIAL if isinstance(settings.get(key), str)}
    return ChatTemplate(source, where, special) if source else None


def _digit_tokens(tokenizer: Tokenizer) -> list[int]:
    vocabulary = tokenizer.get_vocab(with_added_tokens=False)
    return [token for text, token in vocabulary.items() if BEGINS_WITH_DIGIT.match(text)]


def _end_ids(stored: object, path: Path) -> set[int]:
    """The token ids in an 'eos_token_id'. Raises UserError if it is neither an id nor a short list of ids."""
    if stored is None:
        return set()
    ids: list[Any] = stored if isinstance(stored, list) else [stored]
    if len(ids) > MOST_ENDS or not all(
        isinstance(token, int) and not isinstance(token, bool) for token in ids
    ):
        raise UserError(
            f"The model in {str(path)!r} names {quoted(stored)} as its 'eos_token_id', which is neither a token's "
            f"number nor a list of at most {MOST_ENDS} of them. Copy its config.json and generation_config.json there "
            "again."
        )
    return {token for token in ids if token >= 0}


def _n_tokens(config: dict[str, Any]) -> int | None:
    """The size of a model's vocabulary, by its configuration; None if that does not say it."""
    text = config.get("text_config")
    for source in (text if isinstance(text, dict) else {}, config):
        size = source.get("vocab_size")
        if isinstance(size, int) and not isinstance(size, bool) and size > 0:
            return size
    return None
