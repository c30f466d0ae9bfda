"""Chat templates in the shapes that published ones have, with other words, each with its kind of tokenizer.

A shape says what it takes to read an answer: what ends every prompt, and which blank belongs to the options.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, processors
from transformers import PreTrainedTokenizerFast

from socrates_core.files import write_json
from tests.support.tiny_models import Kind, make_tokenizer

MARKS = re.compile(r"<\|?[\w/-]{1,40}\|?>|</?\w+>|\[/?[A-Z_]{3,}\]|<｜[^｜]+｜>|\[\|\w+\|\]")


@dataclass(frozen=True)
class Shape:
    """A template and what its prompts and answers look like.

    `closing` ends every prompt, `lead` is in front of every option, and `held` is that part of it that the template
    writes at the prompt's end. With `alike` the tokens of prompt and answer are those of the same conversation with the
    answer in it; templates that leave a thought out of what was said are not.
    """

    template: str
    kind: Kind = "single-digit"
    start: str | None = None
    end: str = "</s>"
    closing: str = ""
    lead: str = ""
    held: str = ""
    alike: bool = True
    with_parts: bool = False
    merged: bool = False  # the system text goes in front of the question
    always_prefix: bool = False  # the tokenizer puts a blank in front of a text, as Llama 2's does


def _turns(before: str, after: str, ask: str, first: str = "") -> str:
    """A template of equal turns: each message between `before` and `after`, which may name its role."""
    return (
        f"{first}{{% for m in messages %}}{before}{{{{ m.content }}}}{after}{{% endfor %}}"
        f"{{% if add_generation_prompt %}}{ask}{{% endif %}}"
    )


ROLE = "{{ m.role }}"
BOS = "{{ bos_token }}"
IM = "<|im_start|>{{ m.role }}\n"
IM_NEXT = "<|im_start|>assistant\n"
HEADER = "<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
HEADER_NEXT = "<|start_header_id|>assistant<|end_header_id|>\n\n"
INSTRUCTED = "{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% elif m.role == 'assistant' %}"

SHAPES: dict[str, Shape] = {
    "ChatML": Shape(_turns(IM, "<|im_end|>\n", IM_NEXT), end="<|im_end|>"),
    "ChatML with a default system text": Shape(
        _turns(
            IM,
            "<|im_end|>\n",
            IM_NEXT,
            first="{% if messages[0]['role'] != 'system' %}<|im_start|>system\nBe kind.<|im_end|>\n{% endif %}",
        ),
        end="<|im_end|>",
    ),
    "ChatML with generation tags": Shape(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}{% generation %}{{ m.content }}"
        "<|im_end|>\n{% endgeneration %}{% else %}{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        end="<|im_end|>",
    ),
    "ChatML that asks whether tools are none": Shape(
        _turns(
            IM,
            "<|im_end|>\n",
            IM_NEXT,
            first="{% if tools is not none %}{{ tools | tojson }}{% endif %}{% if documents is defined %}D"
            "\n{% endif %}",
        ),
        end="<|im_end|>",
    ),
    "Qwen3 with a switch for thinking": Shape(
        _turns(
            IM,
            "<|im_end|>\n",
            IM_NEXT
            + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}",
        ),
        end="<|im_end|>",
        alike=False,
    ),
    "Qwen3 that writes an empty thought of the last turn": Shape(
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if loop.last and m.role == 'assistant' %}<think>\n"
        "{{ (m.reasoning_content | default('')).strip('\\n') }}\n</think>\n\n{% endif %}{{ m.content }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
        "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
        end="<|im_end|>",
    ),
    "Qwen3 that always thinks": Shape(
        _turns(IM, "<|im_end|>\n", IM_NEXT + "<think>\n"),
        end="<|im_end|>",
        closing="\n</think>\n\n",
        alike=False,
    ),
    "DeepSeek R1 with an opened thought": Shape(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}"
        "<｜User｜>{{ m.content }}{% else %}<｜Assistant｜>{{ m.content.split('</think>')[-1] }}{{ eos_token }}"
        "{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}<｜Assistant｜><think>\n{% endif %}",
        kind="three-digit",
        start="<｜begin▁of▁sentence｜>",
        end="<｜end▁of▁sentence｜>",
        closing="\n</think>\n\n",
        alike=False,
    ),
    "DeepSeek V3 with a closed thought": Shape(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }}{% elif m.role == 'user' %}"
        "<｜User｜>{{ m.content }}{% else %}<｜Assistant｜></think>{{ m.content }}{{ eos_token }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}<｜Assistant｜>{{ '<think>' if thinking else '</think>' }}"
        "{% endif %}",
        kind="three-digit",
        start="<｜begin▁of▁sentence｜>",
        end="<｜end▁of▁sentence｜>",
    ),
    "Llama 2": Shape(
        "{% if messages[0].role == 'system' %}{% set rest = messages[1:] %}{% set system = '<<SYS>>\n' ~ "
        "messages[0].content ~ '\n<</SYS>>\n\n' %}{% else %}{% set rest = messages %}{% set system = '' %}{% endif %}"
        "{% for m in rest %}{% if m.role == 'user' %}{{ bos_token }}[INST] {{ system if loop.first else '' }}"
        "{{ m.content.strip() }} [/INST]{% else %} {{ m.content.strip() }} {{ eos_token }}{% endif %}{% endfor %}",
        kind="sentencepiece",
        start="<s>",
        lead=" ",
        always_prefix=True,
    ),
    "Llama 3": Shape(
        _turns(HEADER, "<|eot_id|>", HEADER_NEXT, first=BOS),
        kind="three-digit",
        start="<|begin_of_text|>",
        end="<|eot_id|>",
    ),
    "Llama 3 with a date": Shape(
        _turns(
            HEADER,
            "<|eot_id|>",
            HEADER_NEXT,
            first=BOS + "{% if not date_string is defined %}{% if strftime_now is defined %}"
            "{% set date_string = strftime_now('%d %b %Y') %}{% else %}{% set date_string = '1 May 2020' %}"
            "{% endif %}{% endif %}Today: {{ date_string }}\n",
        ),
        kind="three-digit",
        start="<|begin_of_text|>",
        end="<|eot_id|>",
    ),
    "Llama 4": Shape(
        _turns(
            "<|header_start|>{{ m.role }}<|header_end|>\n\n",
            "<|eot|>",
            "<|header_start|>assistant<|header_end|>\n\n",
            BOS,
        ),
        kind="three-digit",
        start="<|begin_of_text|>",
        end="<|eot|>",
    ),
    "Mistral v1 with blanks": Shape(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{% elif m.role == 'user' %} [INST] "
        "{{ messages[0].content ~ '\n\n' if loop.index0 == 1 and messages[0].role == 'system' else '' }}{{ m.content }}"
        " [/INST]{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}",
        kind="sentencepiece",
        start="<s>",
        lead=" ",
        always_prefix=True,
    ),
    "Mistral v3 with the system text in the last question": Shape(
        "{% if messages[0].role == 'system' %}{% set system = messages[0].content %}{% set rest = messages[1:] %}"
        "{% else %}{% set rest = messages %}{% endif %}{{ bos_token }}{% for m in rest %}{% if m.role"
        " == 'user' %}[INST] "
        "{% if loop.last and system is defined %}{{ system ~ '\n\n' }}{% endif %}{{ m.content }}[/INST]{% else %} "
        "{{ m.content | trim }}{{ eos_token }}{% endif %}{% endfor %}",
        kind="sentencepiece",
        start="<s>",
        lead=" ",
        alike=False,
    ),
    "Mistral v7": Shape(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}[SYSTEM_PROMPT]{{ m.content"
        " }}[/SYSTEM_PROMPT]"
        "{% elif m.role == 'user' %}[INST]{{ m.content }}[/INST]{% else %}{{ m.content }}{{ eos_token }}{% endif %}"
        "{% endfor %}",
        kind="three-digit",
        start="<s>",
    ),
    "Magistral with a thought in brackets": Shape(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}{{ m.content }}{{ eos_to"
        "ken }}{% else %}[INST]"
        "{{ m.content }}[/INST]{% endif %}{% endfor %}{% if add_generation_prompt %}[THINK]{% endif %}",
        kind="three-digit",
        start="<s>",
        closing="[/THINK]",
        alike=False,
    ),
    "Gemma without a system role": Shape(
        "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('No system role') }}{% endif %}"
        "{% for m in messages %}<start_of_turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{{ m.content | trim }}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_tur"
        "n>model\n{% endif %}",
        kind="sentencepiece",
        start="<bos>",
        end="<end_of_turn>",
        merged=True,
    ),
    "Gemma 3 with texts or parts": Shape(
        "{{ bos_token }}{% set system = messages[0].content ~ '\n\n' %}{% for m in messages[1:] %}<start_of_turn>"
        "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ system if loop.first else '' }}"
        "{% if m.content is string %}{{ m.content | trim }}{% else %}{% for part in m.content %}{{ pa"
        "rt.text }}{% endfor %}"
        "{% endif %}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}",
        kind="sentencepiece",
        start="<bos>",
        end="<end_of_turn>",
    ),
    "Gemma 4 with an empty channel": Shape(
        "{{ bos_token }}{% for m in messages %}<|turn>{{ m.role }}\n{{ m.content }}<turn|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|turn>assistant\n{% if not enable_thinking %}<|channel>though"
        "t\n<channel|>{% endif %}"
        "{% endif %}",
        kind="sentencepiece",
        start="<bos>",
        end="<turn|>",
        alike=False,
    ),
    "Phi-3": Shape(
        _turns("<|{{ m.role }}|>\n", "<|end|>\n", "<|assistant|>\n"),
        kind="sentencepiece",
        start="<s>",
        end="<|end|>",
    ),
    "Phi-4": Shape(
        _turns("<|im_start|>{{ m.role }}<|im_sep|>", "<|im_end|>", "<|im_start|>assistant<|im_sep|>"),
        kind="three-digit",
        end="<|im_end|>",
    ),
    "Phi-4 reasoning, whose instruction demands a thought": Shape(
        _turns(
            "<|im_start|>{{ m.role }}<|im_sep|>",
            "<|im_end|>",
            "<|im_start|>assistant<|im_sep|>",
            first="<|im_start|>system<|im_sep|>Write <think> your steps </think> and then your solution.<|im_end|>",
        ),
        kind="three-digit",
        end="<|im_end|>",
        closing="<think>\n\n</think>\n\n",
        alike=False,
    ),
    "Command R": Shape(
        _turns(
            "<|START_OF_TURN_TOKEN|><|{{ m.role | upper }}_TOKEN|>",
            "<|END_OF_TURN_TOKEN|>",
            "<|START_OF_TURN_TOKEN|><|ASSISTANT_TOKEN|>",
            BOS,
        ),
        start="<BOS_TOKEN>",
        end="<|END_OF_TURN_TOKEN|>",
    ),
    "Command A with a mark of its response": Shape(
        "{{ bos_token }}{% for m in messages %}<|START_OF_TURN_TOKEN|>{{ m.role }}{% if m.role == 'assistant' %}"
        "<|START_RESPONSE|>{{ m.content }}<|END_RESPONSE|>{% else %}{{ m.content }}{% endif %}<|END_OF_TURN_TOKEN|>"
        "{% endfor %}{% if add_generation_prompt %}<|START_OF_TURN_TOKEN|>assistant{% endif %}",
        start="<BOS_TOKEN>",
        end="<|END_RESPONSE|>",
        closing="<|START_RESPONSE|>",
    ),
    "Command A reasoning": Shape(
        _turns(
            "<|START_OF_TURN_TOKEN|>",
            "<|END_OF_TURN_TOKEN|>",
            "<|START_OF_TURN_TOKEN|><|START_THINKING|>",
            BOS,
        ),
        start="<BOS_TOKEN>",
        end="<|END_OF_TURN_TOKEN|>",
        closing="<|END_THINKING|>",
        alike=False,
    ),
    "Granite with a date": Shape(
        _turns(
            "<|start_of_role|>{{ m.role }}<|end_of_role|>",
            "<|end_of_text|>\n",
            "<|start_of_role|>assistant<|end_of_role|>",
            first="{{ strftime_now('%B %d, %Y') }}\n",
        ),
        end="<|end_of_text|>",
    ),
    "GPT-OSS with channels": Shape(
        "{% for m in messages %}<|start|>{{ m.role }}{% if m.role == 'assistant' %}<|channel|>fina"
        "l{% endif %}<|message|>"
        "{{ m.content }}{{ '<|return|>' if loop.last and m.role == 'assistant' else '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}<|start|>assistant{% endif %}",
        kind="three-digit",
        end="<|return|>",
        closing="<|channel|>final<|message|>",
    ),
    "SmolLM3 with macros, a switch in words and tags": Shape(
        "{% macro turn(role) %}<|im_start|>{{ role }}\n{{ caller() }}<|im_end|>\n{% endmacro %}"
        "{% set mode = '/think' if enable_thinking | default(true) else '/no_think' %}{% for m in messages %}"
        "{% call turn(m.role) %}{% if m.role == 'system' %}{{ mode }} {% endif %}{% generation %}{{ m.content }}"
        "{% endgeneration %}{% endcall %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
        end="<|im_end|>",
    ),
    "GLM with an empty thought and a line": Shape(
        "[gMASK]<sop>{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}{{ '\n<think></think>\n' }}"
        "{% else %}{{ '\n' }}{% endif %}{{ m.content }}{% endfor %}{% if add_generation_prompt %}<|assistant|>\n"
        "{{ '<think></think>' if enable_thinking is defined and not enable_thinking else '' }}{% endif %}",
        kind="three-digit",
        lead="\n",
    ),
    "Vicuna": Shape(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ m.content }} {% elif m.r"
        "ole == 'user' %}USER: "
        "{{ m.content }} {% else %}ASSISTANT: {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}ASSISTANT:{% endif %}",
        kind="sentencepiece",
        start="<s>",
        lead=" ",
        always_prefix=True,
    ),
    "Zephyr": Shape(
        _turns("<|{{ m.role }}|>\n", "{{ eos_token }}\n", "<|assistant|>\n"),
        kind="sentencepiece",
        start="<s>",
    ),
    "OpenChat": Shape(
        _turns("GPT4 {{ m.role.title() }}: ", "<|end_of_turn|>", "GPT4 Assistant:", BOS),
        kind="sentencepiece",
        start="<s>",
        end="<|end_of_turn|>",
        lead=" ",
    ),
    "Alpaca": Shape(
        "{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}### Response:\n{{ m.cont"
        "ent }}{{ eos_token }}\n"
        "{% else %}### {{ m.role.title() }}:\n{{ m.content }}\n\n{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}### Response:\n{% endif %}",
        kind="sentencepiece",
        start="<s>",
    ),
    "a blank at the prompt's end": Shape(
        _turns("{{ m.role.title() }}: ", "\n", "Assistant: ", BOS),
        kind="sentencepiece",
        start="<s>",
        lead=" ",
        held=" ",
        always_prefix=True,
    ),
    "a blank at the prompt's end, with bytes": Shape(
        _turns("{{ m.role.title() }}: ", "{{ eos_token }}\n", "Assistant: "),
        kind="three-digit",
        lead=" ",
        held=" ",
    ),
    "EXAONE": Shape(_turns("[|{{ m.role }}|]", "[|endofturn|]\n", "[|assistant|]"), end="[|endofturn|]"),
    "Jamba with a blank": Shape(
        _turns("<|bom|><|{{ m.role }}|> ", "<|eom|>", "<|bom|><|assistant|>", BOS),
        start="<|startoftext|>",
        end="<|eom|>",
        lead=" ",
    ),
    "Kimi": Shape(
        _turns(
            "<|im_{{ m.role }}|>{{ m.role }}<|im_middle|>",
            "<|im_end|>",
            "<|im_assistant|>assistant<|im_middle|>",
        ),
        kind="three-digit",
        end="<|im_end|>",
    ),
    "Idefics with parts alone": Shape(
        "{{ bos_token }}{% for m in messages %}{{ m.role.title() }}:{% for part in m.content %}"
        "{% if part['type'] == 'text' %} {{ part['text'] }}{% endif %}{% endfor %}<end_of_utterance>\n{% endfor %}"
        "{% if add_generation_prompt %}Assistant:{% endif %}",
        start="<s>",
        end="<end_of_utterance>",
        lead=" ",
        with_parts=True,
    ),
    "a start token that is null": Shape(_turns(BOS + IM, "<|im_end|>\n", IM_NEXT), end="<|im_end|>"),
}


def write_shape(folder: Path, shape: Shape) -> PreTrainedTokenizerFast:
    """A tokenizer of the shape's kind with its template in `folder`; returns it as transformers reads it."""
    folder.mkdir(parents=True)
    tokenizer = Tokenizer.from_str(make_tokenizer(shape.kind).backend_tokenizer.to_str())
    if shape.always_prefix:
        stored = json.loads(tokenizer.to_str())
        stored["normalizer"] = None
        stored["pre_tokenizer"] = {
            "type": "Metaspace",
            "replacement": "▁",
            "prepend_scheme": "always",
            "split": False,
        }
        tokenizer = Tokenizer.from_str(json.dumps(stored))
    names = [*MARKS.findall(shape.template + shape.closing), shape.start, shape.end]
    marks = sorted({name for name in names if name and name.strip()})
    thoughts = [name for name in marks if "think" in name.lower()]
    tokenizer.add_special_tokens(
        [AddedToken(name, special=True, normalized=False) for name in marks if name not in thoughts]
    )
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in thoughts])
    if shape.start:
        start = (shape.start, tokenizer.token_to_id(shape.start))
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{shape.start} $A", special_tokens=[start]
        )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": shape.start,
        "eos_token": shape.end,
    }
    write_json(folder / "tokenizer_config.json", settings)
    write_json(folder / "config.json", {"model_type": "llama", "vocab_size": tokenizer.get_vocab_size()})
    (folder / "chat_template.jinja").write_text(shape.template, encoding="utf-8")
    opened: PreTrainedTokenizerFast = PreTrainedTokenizerFast.from_pretrained(folder)
    return opened
