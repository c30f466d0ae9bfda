"""Tries a tokenizer.json in a process of its own, under limits. `tokenizing.py` starts this file.

The file comes on standard input. Exit code 0 means that it passed; else the reason is on standard output. If the
tokenizers library runs out of memory, its process ends without an exception, so only another process can find out.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

SECONDS = 20  # of processor time; the largest published tokenizers take about two
MEMORY = 3 << 30  # bytes of address space
MOST_ADDED = 10_000  # tokens beyond the vocabulary; Gemma 3 has 6,415
MOST_GROWTH = 64.0  # how many times longer all replacements together may make a text
MOST_PIECES = 100  # that a template puts around a text
ENGLISH = "How much do you agree or disagree with this statement? You are 45 years old; you live in Ohio.\n"
TEXTS = (
    "",
    (ENGLISH * 21)[:2000],
    "a" * 2000,
    "A b" * 700,
    " " * 1000 + "\n" * 500 + "\t",
    "0123456789" * 200,
    "".join(map(chr, range(32, 2000))),
    "été naïve Größe ▁ 我们同意 안녕 नमस्ते 😀👩‍👩‍👧 ½ ﬁ \u0301 \x00 \u200b" * 20,
    "!?.,;:-_/\\|#*'\"()[]{}<>@&%$" * 70,
)


def main() -> None:
    limit()
    stored = sys.stdin.buffer.read()
    try:
        problem = problem_of(json.loads(stored)) or trial(stored)
    except BaseException as error:  # noqa: BLE001  # a panic of Rust code is not an Exception
        problem = str(error)[:500] or type(error).__name__
    if problem:
        sys.stdout.buffer.write(problem.encode("utf-8", "replace"))
        sys.exit(1)


def limit() -> None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows; the program that started this one watches the clock
        return
    limits = (resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)
    for kind, value in limits:
        most = resource.getrlimit(kind)[1]
        with suppress(ValueError, OSError):  # macOS cannot limit address space
            resource.setrlimit(kind, (value if most == resource.RLIM_INFINITY else min(value, most), most))


def problem_of(stored: dict[str, Any]) -> str:
    """What would make a text grow without bounds, or a search in it take forever; else ""."""
    if len(stored.get("added_tokens") or []) > MOST_ADDED:
        return f"it has more than {MOST_ADDED:,} added tokens"
    for name in ("normalizer", "pre_tokenizer", "decoder"):
        growth = 1.0
        for part in parts(stored.get(name)):
            growth *= growth_of(part)
        if growth > MOST_GROWTH:
            return f"its {name} makes a text up to {growth:,.0f} times as long"
    for part in parts(stored.get("post_processor")):
        if max(len(part.get("single") or []), len(part.get("pair") or [])) > MOST_PIECES:
            return f"its template has more than {MOST_PIECES} pieces"
    return ""


def parts(stored: object) -> Iterator[dict[str, Any]]:
    """A part of a tokenizer, and all parts inside it if it is a sequence."""
    if isinstance(stored, list):
        for part in stored:
            yield from parts(part)
    elif isinstance(stored, dict):
        yield stored
        for key in ("normalizers", "pretokenizers", "decoders", "processors"):
            yield from parts(stored.get(key))


def growth_of(part: dict[str, Any]) -> float:
    """How many times longer one part may make a text."""
    if part.get("type") == "Prepend":
        return max(1.0, len(part.get("prepend") or "") / 8)
    if part.get("type") != "Replace":
        return 1.0
    pattern = part.get("pattern") or {}
    shortest = len(pattern["String"]) if "String" in pattern else 1  # an expression may match one character
    return max(1.0, len(part.get("content") or "") / max(1, shortest))


def trial(stored: bytes) -> str:
    """Opens the tokenizer and encodes and decodes TEXTS; returns what is wrong, else ""."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_buffer(stored)
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for special in (True, False):
        for text, encoding in zip(
            TEXTS, tokenizer.encode_batch_fast(list(TEXTS), add_special_tokens=special), strict=True
        ):
            if len(encoding.ids) > MOST_GROWTH * (len(text.encode()) + MOST_PIECES):
                return f"it makes {len(encoding.ids):,} tokens of {len(text):,} characters"
            tokenizer.decode(encoding.ids, skip_special_tokens=False)
    return ""


if __name__ == "__main__":
    main()
