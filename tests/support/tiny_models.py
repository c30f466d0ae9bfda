"""Tiny random checkpoints of real architectures with real tokenizers of three kinds, made in a second or two.

Kinds: "single-digit" (SmolLM, Qwen: one token a digit), "three-digit" (Llama 3, GPT-4: numbers up to 999 are one
token), "sentencepiece" (Gemma, Llama 2: spaces as a mark, bytes as a fall-back, no system role).
"""

from functools import cache
from pathlib import Path
from typing import Any, Literal

import torch
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

Kind = Literal["single-digit", "three-digit", "sentencepiece"]
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}{% for message in messages %}{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
GEMMA = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{{ bos_token }}{% for message in messages %}{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant'"
    " else 'user') + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
SPECIAL: dict[Kind, tuple[str, str, list[str], str]] = {  # begin of text, end of turn, others, template
    "single-digit": ("<|im_start|>", "<|im_end|>", ["<|endoftext|>"], CHATML),
    "three-digit": (
        "<|begin_of_text|>",
        "<|eot_id|>",
        ["<|start_header_id|>", "<|end_header_id|>"],
        LLAMA3,
    ),
    "sentencepiece": ("<bos>", "<end_of_turn>", ["<start_of_turn>", "<eos>"], GEMMA),
}
LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WORDS = [
    "You",
    "are",
    "a",
    "survey",
    "respondent.",
    "Read",
    "the",
    "question",
    "below",
    "and",
    "answer",
    "exactly",
    "as",
    "this",
    "person",
    "would.",
    "Agree",
    "Agree",
    "strongly",
    "Disagree",
    "Disagree",
    "strongly",
    "Neither",
    "Yes",
    "No",
    "Not",
    "at",
    "all",
    "A",
    "great",
    "deal",
    "Only",
    "return",
    "an",
    "integer",
]


def make_tiny_model(path: Path, kind: Kind, model_type: str = "llama", **config: Any) -> Path:
    """A random model of `model_type` with a tokenizer of `kind`, saved to `path` in bf16-free fp32."""
    tokenizer = make_tokenizer(kind)
    tokenizer.save_pretrained(path)
    torch.manual_seed(20250905)
    settings = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 1024,
        "initializer_range": 0.4,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": tokenizer.bos_token_id,
        "pad_token_id": tokenizer.eos_token_id,
    }
    made = transformers.AutoConfig.for_model(model_type, **(settings | config))
    AutoModelForCausalLM.from_config(made, dtype=torch.float32).save_pretrained(path)
    return path


@cache
def make_tokenizer(kind: Kind) -> Any:
    """A transformers tokenizer of `kind` with its chat template, trained on a few words and every small number."""
    begin, end, others, template = SPECIAL[kind]
    tokenizer = Tokenizer(BPE(byte_fallback=kind == "sentencepiece"))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "single-digit")
    if kind == "single-digit":
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), byte_level]
        )
        tokenizer.decoder = decoders.ByteLevel()
    elif kind == "three-digit":
        split = pre_tokenizers.Split(Regex(LLAMA3_SPLIT), behavior="isolated")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
        tokenizer.decoder = decoders.ByteLevel()
    else:
        alphabet = [*"▁0123456789.,:?'\n-", *"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"]
        tokenizer.normalizer = normalizers.Replace(" ", "▁")
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.Split("▁", "merged_with_next"),
            ]
        )
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
        )
    special = [begin, end, *others]
    fallback = [f"<0x{byte:02X}>" for byte in range(256)] if kind == "sentencepiece" else []
    trainer = BpeTrainer(
        vocab_size=2000,
        min_frequency=2,
        initial_alphabet=alphabet,
        special_tokens=[*special, *fallback],
        show_progress=False,
    )
    numbers = [str(number) for number in range(1000)]
    tokenizer.train_from_iterator([" ".join(WORDS)] * 3 + numbers * 3, trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in special])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=begin,
        eos_token=end,
        chat_template=template,
        model_max_length=1024,
    )
