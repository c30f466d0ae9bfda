"""Between a prompt and its answer lies what the model's own template writes there, as transformers renders it."""

import inspect
import json
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from socrates_core.errors import UserError
from socrates_core.files import write_json
from socrates_core.models.chat import OF_CLASS, Chat
from socrates_core.models.reasoning import Reasoned, ReasonedChat
from socrates_core.models.template_process import TODAY
from socrates_core.records import Prompt
from tests.support.chat_shapes import SHAPES, write_shape

MARKS = [
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "[INST]",
    "[/INST]",
    "<think>",
    "</think>",
    "<|channel|>",
    "<|message|>",
    "<|START_THINKING|>",
    "<|END_THINKING|>",
    "[THINK]",
    "[/THINK]",
    "<reasoning>",
]
ASKED = Prompt("You answer surveys.", "How much? Only return an integer from 1 to 7, nothing else.")
TURNS = "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
NEXT = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def spoken(before: str, lead: str = "") -> str:
    """A template whose turns of the assistant begin with `before` when asked for, and then with `lead`."""
    told = "{% for m in messages %}{% if m['role'] == 'assistant' %}A:" + lead + "{{ m['content'] }}</s>"
    return (
        told
        + "{% else %}{{ m['content'] }}\n{% endif %}{% endfor %}{% if add_generation_prompt %}A:"
        + before
        + ("{% endif %}")
    )


# Template, what ends every prompt, and what belongs to the options; made up, in the ways of published ones.
TEMPLATES = {
    "turns": (TURNS + NEXT, "", ""),
    "generation tag": (
        TURNS.replace("{{ m['content'] }}", "{% generation %}{{ m['content'] }}{% endgeneration %}") + NEXT,
        "",
        "",
    ),
    "blank before the answer": (spoken("", " "), "", " "),
    "line before the answer": (spoken("", "\\n").replace("\\n", "\n"), "", "\n"),
    "start token": ("{{ bos_token }}" + TURNS + NEXT, "", ""),
    "null start token": ("{{ pad_token }}" + TURNS + NEXT, "", ""),
    "open thought": (spoken("<think>\n"), "\n</think>\n\n", ""),
    "open thought in a line": (spoken("<think>"), "</think>", ""),
    "open thought that history closes": (
        spoken("<think>\n", "<think>\n\n</think>\n\n"),
        "\n</think>\n\n",
        "",
    ),
    "closed thought": (spoken("<think>\n\n</think>\n\n"), "", ""),
    "closed thought, then a blank": (spoken("</think>", " "), "", " "),
    "brackets": (spoken("[THINK]"), "[/THINK]", ""),
    "marks of a start": (spoken("<|START_THINKING|>"), "<|END_THINKING|>", ""),
    "a channel": (spoken("", "<|channel|>final<|message|>"), "<|channel|>final<|message|>", ""),
    "instructions": (
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'assistant' %} {{ m['content'] }}{{ eos_token }}"
        "{% else %}[INST] {{ m['content'] }} [/INST]{% endif %}{% endfor %}",
        "",
        " ",
    ),
    "json": ("{{ {'a': '<ü>'} | tojson }}" + TURNS + NEXT, "", ""),
}


def write_chat(folder: Path, template: str, **settings: object) -> PreTrainedTokenizerFast:
    """A tokenizer of single bytes with the template; returns it as transformers reads it."""
    folder.mkdir(parents=True)
    letters = [*MARKS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={letter: k for k, letter in enumerate(letters)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(MARKS[:4])
    tokenizer.add_tokens([AddedToken(text, special=False, normalized=False) for text in MARKS[4:]])
    tokenizer.save(str(folder / "tokenizer.json"))
    stored = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": None,
    }
    write_json(folder / "tokenizer_config.json", stored | settings)
    write_json(folder / "config.json", {"model_type": "llama", "vocab_size": len(letters)})
    (folder / "chat_template.jinja").write_text(template)
    opened: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    return opened


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompt_and_answer_together_are_what_transformers_writes_of_a_spoken_answer(
    home: Path, tmp_path: Path, name: str
) -> None:
    template, closing, lead = TEMPLATES[name]
    theirs, chat = write_chat(tmp_path / "chat", template), Chat(tmp_path / "chat")
    said = (
        ASKED.messages()
        if "system-in-user" not in chat.difference
        else [{"role": "user", "content": f"{ASKED.system}\n\n{ASKED.user}"}]
    )
    asked = theirs.apply_chat_template(said, add_generation_prompt=True, tokenize=False)
    assert isinstance(asked, str)
    assert chat.render(ASKED) == asked + closing and chat.lead == lead
    (prompt,) = chat.encode([ASKED])
    told = theirs.apply_chat_template(said, add_generation_prompt=True, tokenize=True, return_dict=False)
    assert prompt.tolist()[: len(told)] == told
    (answer,) = chat.answer_tokens(["5"])
    assert chat.spell([*prompt, *answer]) == asked + closing + lead + "5"
    if "thought" not in name and name not in (
        "brackets",
        "marks of a start",
    ):  # those show no thought in what was said
        whole = [*said, {"role": "assistant", "content": "5"}]
        spoken_ids = theirs.apply_chat_template(whole, tokenize=True, return_dict=False)
        assert spoken_ids[: len(prompt) + len(answer)] == [*prompt.tolist(), *answer]


class FixedDay(datetime):
    """The day that templates print here, so that answers do not change daily."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> "FixedDay":
        return cls(TODAY.year, TODAY.month, TODAY.day)


@pytest.mark.parametrize("name", SHAPES)
def test_prompts_and_answers_in_the_shapes_of_published_templates_are_those_of_transformers(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With every kind of tokenizer: the prompt's text, the tokens of a spoken answer, and a single start token."""
    monkeypatch.setattr(chat_template_utils, "datetime", FixedDay)
    shape = SHAPES[name]
    theirs, chat = write_shape(tmp_path / "chat", shape), Chat(tmp_path / "chat")
    assert ("system-in-user" in chat.difference) == shape.merged
    assert ("content-in-parts" in chat.difference) == shape.with_parts

    def apply(*more: str, tokenize: bool = False) -> Any:
        """What transformers makes of the question, or of the question with an answer."""
        messages = ASKED.messages()
        if shape.merged:
            messages = [{"role": "user", "content": f"{ASKED.system}\n\n{ASKED.user}"}]
        messages += [{"role": "assistant", "content": text} for text in more]
        given: Any = messages
        if shape.with_parts:
            given = [{**m, "content": [{"type": "text", "text": m["content"]}]} for m in messages]
        switches: dict[str, Any] = {"enable_thinking": False, "thinking": False}
        return theirs.apply_chat_template(
            given, add_generation_prompt=not more, tokenize=tokenize, return_dict=False, **switches
        )

    asked = apply()
    assert chat.render(ASKED) + shape.held == asked + shape.closing
    assert chat.lead == shape.lead and chat._closing == shape.closing
    (prompt,) = chat.encode([ASKED])
    assert prompt.tolist().count(theirs.convert_tokens_to_ids(shape.start or "<none>")) <= 1
    if shape.start and "bos_token" in shape.template:
        assert prompt[0] == theirs.bos_token_id
    answers = ("5", "10", "-1", "Yes", "Agree strongly")
    for answer, tokens in zip(answers, chat.answer_tokens(answers), strict=True):
        assert chat.spell(tokens).strip() == answer
        if shape.alike:
            spoken = apply(answer, tokenize=True)
            assert spoken[: len(prompt) + len(tokens)] == [*prompt, *tokens], answer
        elif "Mistral" in name:
            # Its last question has the system text, so with an answer only what is around the answer is alike.
            assert f"{chat.render(ASKED)[-12:]}{shape.lead}{answer}" in apply(answer)


def test_a_template_that_does_not_write_the_question_is_refused(home: Path, tmp_path: Path) -> None:
    write_chat(tmp_path / "chat", "{% for m in messages %}{{ m.text }}{% endfor %}A:")
    with pytest.raises(
        UserError, match="does not write what it is given, so the model would be asked nothing"
    ):
        Chat(tmp_path / "chat")


def test_a_failure_of_a_template_is_named_as_it_failed_at_first(home: Path, tmp_path: Path) -> None:
    write_chat(tmp_path / "chat", "{{ 1 // 0 }}")
    with pytest.raises(UserError, match=r"cannot be used .*zero"):
        Chat(tmp_path / "chat")


@pytest.mark.parametrize("kind", OF_CLASS)
def test_a_token_that_the_settings_leave_out_is_the_one_of_the_tokenizers_class(kind: str) -> None:
    declared = inspect.signature(getattr(transformers, f"{kind}Tokenizer").__init__).parameters
    for name, token in OF_CLASS[kind].items():
        assert str(declared[name].default) == token


def test_a_template_prints_the_token_of_the_class_unless_it_is_null(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "chat"
    write_chat(folder, "{{ bos_token }}" + TURNS + NEXT)
    file = folder / "tokenizer_config.json"
    for settings, start in (
        ({"tokenizer_class": "LlamaTokenizerFast"}, "<s>"),
        ({"tokenizer_class": "LlamaTokenizerFast", "bos_token": None}, ""),
        ({"tokenizer_class": "PreTrainedTokenizerFast"}, ""),
        ({"bos_token": {"content": "<s>", "lstrip": False}}, "<s>"),
    ):
        write_json(file, settings)
        assert Chat(folder).render(ASKED).partition("<|im_start|>")[0] == start


def test_a_thought_that_nothing_is_known_to_close_is_refused(home: Path, tmp_path: Path) -> None:
    write_chat(tmp_path / "chat", spoken("<reasoning>\n"))
    with pytest.raises(UserError, match=r"makes the model think before it answers \(<reasoning>\)"):
        Chat(tmp_path / "chat")


def test_a_null_special_token_prints_nothing(home: Path, tmp_path: Path) -> None:
    for name, settings in (("null", {"bos_token": None}), ("plain", {})):
        write_chat(tmp_path / name, "{{ bos_token }}" * (name == "null") + TURNS + NEXT, **settings)
    assert Chat(tmp_path / "null").render(ASKED) == Chat(tmp_path / "plain").render(ASKED)


def test_a_prompt_begins_with_one_start_token_and_a_plain_one_has_no_end(home: Path, tmp_path: Path) -> None:
    write_chat(tmp_path / "twice", "{{ bos_token }}{{ bos_token }}" + TURNS + NEXT)
    (ids,) = Chat(tmp_path / "twice").encode([ASKED])
    assert ids[0] == 0 and ids[1] != 0
    write_chat(tmp_path / "plain", "")
    (tmp_path / "plain" / "chat_template.jinja").unlink()
    file = tmp_path / "plain" / "tokenizer.json"
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.save(str(file))
    (ids,) = Chat(tmp_path / "plain").encode([ASKED])
    assert ids[0] == 0 and ids[-1] != 1 and np.count_nonzero(ids == 0) == 1
    assert json.loads(file.read_text())["post_processor"]


def test_a_rationale_stands_where_an_answer_would_and_its_answer_behind_it(
    home: Path, tmp_path: Path
) -> None:
    write_chat(tmp_path / "chat", spoken("", " "))
    chat = ReasonedChat(tmp_path / "chat")
    prompt = Reasoned(ASKED.system, ASKED.user, (), "People vary.")
    (text,) = chat.render_all([prompt])
    assert text.endswith("A: People vary.\n\nAnswer:")
    (answer,) = chat.answer_tokens(["5"])
    assert chat.spell(answer) == " 5"
