"""What a stranger could put into a model's or an adapter's folder, and the sentence that it ends in."""

import json
import os
import socket
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

Damage = Callable[[Path], object]


def edit(path: Path, file: str = "config.json", **settings: object) -> None:
    stored = json.loads((path / file).read_text()) if (path / file).exists() else {}
    (path / file).write_text(json.dumps(stored | settings))


def config(**settings: object) -> Damage:
    return partial(edit, **settings)  # type: ignore[arg-type]


def text(file: str, content: str) -> Damage:
    return lambda path: (path / file).write_text(content)


def tokenizer(**parts: Any) -> Damage:
    return partial(edit, file="tokenizer.json", **parts)


def model_of_tokenizer(**settings: Any) -> Damage:
    def damage(path: Path) -> None:
        stored = json.loads((path / "tokenizer.json").read_text())["model"]
        edit(path, "tokenizer.json", model=stored | settings)

    return damage


def tensor(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def weights(
    header: Mapping[str, object] | bytes,
    data: bytes = b"",
    length: int | None = None,
    file: str = "model.safetensors",
) -> Damage:
    """A safetensors file with that header, which may say another length than it has."""

    def damage(path: Path) -> None:
        written = header if isinstance(header, bytes) else json.dumps(header).encode()
        said = len(written) if length is None else length
        (path / file).write_bytes(struct.pack("<Q", said) + written + data)

    return damage


def pipe(file: str) -> Damage:
    def damage(path: Path) -> None:
        (path / file).unlink(missing_ok=True)
        os.mkfifo(path / file)

    return damage


def bound_socket(path: Path) -> None:
    (path / "model.safetensors").unlink()
    here = os.getcwd()
    os.chdir(path)  # the name of a socket has at most 100 characters
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind("model.safetensors")
    finally:
        os.chdir(here)


def directory(file: str) -> Damage:
    def damage(path: Path) -> None:
        (path / file).unlink(missing_ok=True)
        (path / file).mkdir()

    return damage


def endless(file: str) -> Damage:
    def damage(path: Path) -> None:
        (path / file).unlink(missing_ok=True)
        (path / file).symlink_to("/dev/zero")

    return damage


def index(*files: object) -> Damage:
    return partial(
        edit,
        file="model.safetensors.index.json",
        weight_map={str(place): each for place, each in enumerate(files)},
    )


def replaced(pattern: str, content: str) -> dict[str, object]:
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


def split(expression: str) -> dict[str, object]:
    return {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}


NINE_TIMES_TEN = {"type": "Sequence", "normalizers": [replaced("e", "e" * 10)] * 9}
GOES_NOT = "does not fit the weights"
CANNOT_LOAD = "cannot be loaded"
DAMAGED = "weights .* are damaged"
UNREADABLE = "tokenizer .* cannot be read"
CONFIGURATIONS: dict[str, tuple[Damage, str]] = {
    "a billion layers": (config(num_hidden_layers=10**9), GOES_NOT),
    "more layers than digits of a float": (config(num_hidden_layers=10**400), GOES_NOT),
    "a thousand layers": (config(num_hidden_layers=1000), GOES_NOT),
    "no layers": (config(num_hidden_layers=0), "has 0 as"),
    "minus one layer": (config(num_hidden_layers=-1), "has -1 as"),
    "no heads": (config(num_attention_heads=0), "has 0 as"),
    "no key heads": (config(num_key_value_heads=0), "has 0 as"),
    "a million key heads": (config(num_key_value_heads=10**6), GOES_NOT),
    "heads that are text": (config(num_attention_heads="4"), CANNOT_LOAD),
    "a head of size 0": (config(head_dim=0), CANNOT_LOAD),
    "a head of size 10^6": (config(head_dim=10**6), GOES_NOT),
    "a vocabulary of 0": (config(vocab_size=0), CANNOT_LOAD),
    "a vocabulary of 10^8": (config(vocab_size=10**8), GOES_NOT),
    "a width of 10^30": (config(hidden_size=10**30), CANNOT_LOAD),
    "a width of 10^6": (config(hidden_size=10**6), f"{GOES_NOT}|{CANNOT_LOAD}"),
    "padding beyond the vocabulary": (config(pad_token_id=10**9), CANNOT_LOAD),
    "10^30 positions": (config(max_position_embeddings=10**30), "not a possible number of tokens"),
    "minus one position": (config(max_position_embeddings=-1), "not a possible number of tokens"),
    "positions that are true": (config(max_position_embeddings=True), "not a possible number of tokens"),
    "an unknown activation": (config(hidden_act="nonesuch"), CANNOT_LOAD),
    "no precision": (config(dtype="nonesuch"), CANNOT_LOAD),
    "a scaling of nothing": (config(rope_parameters={"rope_type": "nonesuch"}), CANNOT_LOAD),
    "a million ends of a turn": (config(eos_token_id=[1] * 10**6), "more than 100,000 values"),
    "2,000 ends of a turn": (config(eos_token_id=[1] * 2000), "nor a list of at most 1000"),
    "an end that is text": (
        partial(edit, file="generation_config.json", eos_token_id="x"),
        "neither a token's number",
    ),
    "a generation that is a list": (text("generation_config.json", "[1]"), "not a mapping"),
    "lists in lists": (text("config.json", '{"model_type":' + "[" * 10**5 + "]" * 10**5 + "}"), "damaged"),
    "17 MB": (text("config.json", '{"model_type": "' + "x" * (17 << 20) + '"}'), "16,777,216 are the most"),
    "no number": (text("config.json", '{"model_type": "llama", "num_hidden_layers": NaN}'), CANNOT_LOAD),
    "a number of 5,000 digits": (
        text("config.json", '{"model_type": "llama", "x": ' + "9" * 5000 + "}"),
        "damaged",
    ),
    "a model inside a model": (config(text_config={"num_hidden_layers": 10**9}), GOES_NOT),
    "an adapter's settings next to it": (
        text("adapter_config.json", "{}"),
        "Keep the adapter in its own folder",
    ),
    "half a surrogate": (config(architectures=["\ud800"]), "does not predict"),
    "another architecture": (
        config(model_type="gpt2", architectures=["GPT2LMHeadModel"]),
        "incomplete|cannot|the",
    ),
}
HEADERS: dict[str, tuple[Damage, str]] = {
    "a header longer than its file": (weights({"a": tensor([2], 0, 8)}, bytes(8), 10**6), DAMAGED),
    "a header of 2^63 bytes": (weights({"a": tensor([2], 0, 8)}, bytes(8), 2**63), DAMAGED),
    "no header": (lambda path: (path / "model.safetensors").write_bytes(b"\x01"), DAMAGED),
    "overlapping tensors": (weights({"a": tensor([2], 0, 8), "b": tensor([2], 4, 12)}, bytes(12)), DAMAGED),
    "tensors beyond the end": (weights({"a": tensor([200], 0, 800)}, bytes(8)), DAMAGED),
    "a shape beyond 64 bits": (weights({"a": tensor([2**40, 2**40], 0, 8)}, bytes(8)), DAMAGED),
    "a shape of nothing and 2^62": (weights({"a": tensor([0, 2**62], 0, 0)}), "empty tensor"),
    "a negative shape": (weights({"a": tensor([-2], 0, 8)}, bytes(8)), DAMAGED),
    "no UTF-8": (weights(b'{"a\xff":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}', bytes(8)), DAMAGED),
    "50 MB of metadata": (weights({"__metadata__": {"x": "y" * 50_000_000}}), "33,554,432 are the most"),
    "300,000 tensors": (
        weights({f"t{n}": tensor([0], 0, 0) for n in range(300_000)}),
        "more than 250,000",
    ),
    "an index of paths": (index("../other.safetensors"), "not a list of the safetensors files"),
    "an index of other files": (index("config.json"), "not a list of the safetensors files"),
    "an index of numbers": (index(1), "not a list of the safetensors files"),
}
FILES: dict[str, tuple[Damage, str]] = {
    **{
        f"a pipe as {file}": (pipe(file), "not a plain file")
        for file in (
            "model.safetensors",
            "config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
            "generation_config.json",
            "card.json",
        )
    },
    "a socket as model.safetensors": (bound_socket, "not a plain file"),
    "a folder as model.safetensors": (directory("model.safetensors"), "not a plain file"),
    "a folder as tokenizer.json": (directory("tokenizer.json"), "not a plain file"),
    "/dev/zero as tokenizer.json": (endless("tokenizer.json"), "not a plain file"),
    "/dev/zero as chat_template.jinja": (endless("chat_template.jinja"), "not a plain file"),
    "/dev/zero as model.safetensors": (endless("model.safetensors"), "not a plain file"),
    "a card of lists in lists": (text("card.json", "[" * 10**5 + "]" * 10**5), "damaged"),
}
TOKENIZERS: dict[str, tuple[Damage, str]] = {
    "texts a billion times as long": (tokenizer(normalizer=NINE_TIMES_TEN), "times as long"),
    "50 MB before each text": (
        tokenizer(normalizer={"type": "Prepend", "prepend": "a" * 50_000_000}),
        "times as long",
    ),
    "a decoder that multiplies": (
        tokenizer(decoder={"type": "Sequence", "decoders": NINE_TIMES_TEN["normalizers"]}),
        "times as long",
    ),
    "an expression that never ends": (tokenizer(pre_tokenizer=split(r"(a+)+$|(.*)*x")), "retry-limit"),
    "an expression too deep": (tokenizer(pre_tokenizer=split("(" * 10**5 + "a" + ")" * 10**5)), UNREADABLE),
    "chunks of nothing": (tokenizer(pre_tokenizer={"type": "FixedLength", "length": 0}), "non-zero"),
    "no character map": (
        tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": "AAAA"}),
        UNREADABLE,
    ),
    "a character map that ends the process": (
        tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": "/////////////w=="}),
        UNREADABLE,
    ),
    "a decoder beyond the text": (
        tokenizer(decoder={"type": "Strip", "content": "a", "start": 10**9, "stop": 10**9}),
        UNREADABLE,
    ),
    "a template of 10^5 texts": (
        tokenizer(
            post_processor={
                "type": "TemplateProcessing",
                "single": [{"Sequence": {"id": "A", "type_id": 0}}] * 10**5,
                "pair": [],
                "special_tokens": {},
            }
        ),
        "more than 100 pieces",
    ),
    "20,000 added tokens": (
        tokenizer(
            added_tokens=[
                {"id": n, "content": f"<{n}>", "single_word": False, "lstrip": False, "rstrip": False}
                | {"normalized": False, "special": True}
                for n in range(20_000)
            ]
        ),
        "more than 10,000 added tokens",
    ),
    "no alphabet": (model_of_tokenizer(type="Unigram", vocab=[], unk_id=None, merges=None), UNREADABLE),
    "numbers beyond the model": (
        model_of_tokenizer(vocab={chr(n): 4_000_000 + n for n in range(32, 127)}, merges=[]),
        "its model knows",
    ),
    "lists in lists": (text("tokenizer.json", "[" * 10**5 + "]" * 10**5), UNREADABLE),
    "a list": (text("tokenizer.json", "[]"), UNREADABLE),
    "65 MB": (text("tokenizer.json", " " * (65 << 20)), "are the most"),
    "settings that are a list": (text("tokenizer_config.json", "[1]"), "not a mapping"),
}
ADAPTERS: dict[str, tuple[Damage, str]] = {
    name: (partial(edit, file="adapter_config.json", **settings), sentence)
    for name, settings, sentence in (
        ("a rank of 10^9", {"r": 10**9}, "weights have rank 4"),
        ("a rank of 0", {"r": 0}, "weights have rank 4"),
        ("a rank that is text", {"r": "4"}, "weights have rank 4"),
        ("a rank of 10^9 for one layer", {"rank_pattern": {"q_proj": 10**9}}, "weights have rank 4"),
        ("an expression for a rank", {"rank_pattern": {"(a+)+b": 4}}, "name layers plainly"),
        ("an expression for an alpha", {"alpha_pattern": {"((.*)*)*x": 4}}, "name layers plainly"),
        ("an alpha that is no number", {"lora_alpha": float("nan")}, "not a finite number"),
        ("an endless alpha", {"lora_alpha": float("inf")}, "not a finite number"),
        ("an alpha of 400 digits", {"lora_alpha": 10**400}, "not a finite number"),
        ("10^6 layers", {"layers_to_transform": list(range(10**6))}, "are the most|at most 20,000"),
        ("10^5 targets", {"target_modules": ["q_proj"] * 10**5}, "at most 20,000"),
        ("an expression for layers", {"layers_pattern": "(a+)+b", "layers_to_transform": [1]}, "plainly"),
        ("layers copied a billion times", {"layer_replication": [[0, 10**9]]}, "not plain LoRA"),
        (
            "a start of a billion steps",
            {"init_lora_weights": "pissa_niter_1000000000"},
            "not a known way to start",
        ),
        ("a dropout of 7", {"lora_dropout": 7}, "does not fit"),
        ("another layer's name", {"target_modules": ["nonesuch"]}, "does not fit"),
    )
} | {
    "weights of nothing": (
        weights({"a": tensor([2], 0, 8)}, bytes(8), file="adapter_model.safetensors"),
        "rank 0",
    ),
    "a header longer than its file": (weights({}, b"", 10**6, file="adapter_model.safetensors"), DAMAGED),
    "a pipe as adapter_model.safetensors": (pipe("adapter_model.safetensors"), "not a plain file"),
    "a pipe as adapter_config.json": (pipe("adapter_config.json"), "not a plain file"),
}
