"""Ways to spoil a file: bytes, numbers, tokens with a meaning somewhere, places of a tree, members of a workbook."""

import io
import json
import re
import zipfile
from typing import Any

import numpy as np

MOST = 400_000  # bytes of an input
TOKENS: tuple[bytes, ...] = (
    b"\0",
    b"\xff",
    b"\xfe\xff",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n---\n",
    b"\t",
    b"'",
    b'"',
    b"\\",
    b"\\u0000",
    b"\\ud800",
    b"&a [*a, *a]",
    b"&a [*a",
    b"*a",
    b"<<: *a",
    b"!!python/object:os.system x",
    b"!!binary x",
    b"!!timestamp x",
    b"!!int x",
    b"!!set {a, b}",
    b"? [a]\n: b",
    b"2020-13-45",
    b"2020-01-01: x",
    b"0x_",
    b"0b",
    b"190:20:30",
    b".inf",
    b"-.inf",
    b".nan",
    b"~",
    b"null",
    b"true",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-0",
    b"[]",
    b"{}",
    b"[[",
    b'{"a":',
    b",,,,",
    b"${e://Field/x}",
    b"${lm://Field/1}",
    b"${q://QID1/ChoiceTextEntryValue}",
    b"<b>",
    b"</td>",
    b"&lt;&#0;&#x110000;",
    b"=cmd|' /C calc'!A0",
    b"Only return",
    b"nothing else",
    b"from 1 to",
    b"up to",
    b" 7 means ",
    b"where 1 means ''",
    b"final answer: ",
    b"\\boxed{",
    b"</think>",
    b"<|im_end|>",
    b"../../etc/passwd",
    b"C:\\x",
    b"%s%n",
    b"{0.__class__}",
    "٣".encode(),
    "½".encode(),
    "Ⅷ".encode(),
    "\u202e".encode(),
    "\u200b".encode(),
    "İ".encode(),
    "ß".encode(),
    "−".encode(),
    "\u2028".encode(),
    "\x85".encode(),
    "𝟗".encode(),
    "é".encode("latin-1"),
    "👩‍👩‍👧".encode(),
    b"\xed\xa0\x80",
    b"\xc0\x80",
)
NUMBERS = (
    b"0",
    b"-1",
    b"1.5",
    b"255",
    b"65536",
    b"2147483648",
    b"-9223372036854775809",
    b"1e308",
    b"1e400",
    b"9" * 400,
    b"9" * 5000,
    b"0." + b"0" * 400 + b"1",
    b"1_000",
    b"0x" + b"f" * 5000,
    b"007",
    b"",
)
JUNK: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    5,
    1.5,
    1e308,
    float("inf"),
    float("nan"),
    10**30,
    10**400,
    "",
    "x",
    "1",
    "nan",
    "x" * 5000,
    "\0",
    "\ud800",
    "../x",
    "QID1",
    [],
    {},
    [[]],
    [None],
    ["1", "1"],
    {"": None},
    {"0": None},
    {"x": {"x": {"x": []}}},
    [1, 2, 3],
)


def mutate(rng: np.random.Generator, seeds: list[bytes]) -> bytes:
    """One of the seeds, spoilt in one to four ways."""
    data = seeds[rng.integers(len(seeds))]
    if data.startswith(b"PK"):
        return _in_archive(rng, data, seeds)
    if rng.random() < 0.4 and (changed := _in_tree(rng, data)) is not None:
        return changed[:MOST]
    return _in_bytes(rng, data, seeds)


def _in_bytes(rng: np.random.Generator, data: bytes, seeds: list[bytes]) -> bytes:
    ways = (_flip, _truncate, _double, _cut, _token, _number, _nest, _laugh)
    weights = np.array([3, 1, 2, 2, 6, 4, 0.5, 0.2])
    for _ in range(rng.integers(1, 5)):
        if rng.random() < 0.1:
            other = seeds[rng.integers(len(seeds))]
            data = data[: _place(rng, data)] + other[_place(rng, other) :]
        else:
            data = ways[rng.choice(len(ways), p=weights / weights.sum())](rng, data)
    return data[:MOST]


def _place(rng: np.random.Generator, data: bytes) -> int:
    """A position; half of them at the beginning, where formats keep their headers."""
    return int(rng.integers(0, min(len(data), 600 if rng.random() < 0.5 else len(data)) + 1))


def _flip(rng: np.random.Generator, data: bytes) -> bytes:
    spoilt = bytearray(data)
    for _ in range(min(len(spoilt), int(rng.integers(1, 9)))):
        spoilt[min(_place(rng, data), len(data) - 1)] ^= 1 << int(rng.integers(8))
    return bytes(spoilt)


def _truncate(rng: np.random.Generator, data: bytes) -> bytes:
    return data[: _place(rng, data)]


def _double(rng: np.random.Generator, data: bytes) -> bytes:
    """A part stands there many times."""
    start, times = _place(rng, data), int(rng.choice([2, 2, 3, 50, 2000]))
    part = data[start : start + int(rng.integers(1, 200))]
    return data[:start] + part * min(times, 1 + MOST // max(1, len(part))) + data[start:]


def _cut(rng: np.random.Generator, data: bytes) -> bytes:
    start = _place(rng, data)
    return data[:start] + data[start + int(rng.integers(1, 200)) :]


def _token(rng: np.random.Generator, data: bytes) -> bytes:
    start = _place(rng, data)
    return data[:start] + TOKENS[rng.integers(len(TOKENS))] + data[start + int(rng.choice([0, 0, 1, 8])) :]


def _number(rng: np.random.Generator, data: bytes) -> bytes:
    found = list(re.finditer(rb"[0-9]+", data[: 20_000 if rng.random() < 0.7 else MOST]))
    if not found:
        return data
    here = found[rng.integers(len(found))]
    return data[: here.start()] + NUMBERS[rng.integers(len(NUMBERS))] + data[here.end() :]


def _nest(rng: np.random.Generator, data: bytes) -> bytes:
    opening = (b"[", b'{"a":', b"{a: ", b"- ", b"(", b"<b>", b"> ")[rng.integers(7)]
    return data[: (start := _place(rng, data))] + opening * int(rng.choice([50, 1000, 20_000])) + data[start:]


def _laugh(rng: np.random.Generator, data: bytes) -> bytes:
    """Anchors that unfold to 9 ** 9 values, in the place of the file or below it."""
    lines = [b"a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [b"a%d: &a%d [%s]" % (n, n, b", ".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 10)]
    bomb = b"\n".join(lines)
    return bomb if rng.random() < 0.5 else data + b"\n" + bomb


def _in_tree(rng: np.random.Generator, data: bytes) -> bytes | None:
    """JSON with junk in one to three places; None where the data is no JSON."""
    try:
        tree = {"": json.loads(data)}
    except (ValueError, RecursionError):
        return None
    for _ in range(rng.integers(1, 4)):
        inner: Any = tree
        key: Any = ""
        while isinstance(inner[key], dict | list) and inner[key] and rng.random() < 0.85:
            inner = inner[key]
            key = (
                list(inner)[rng.integers(len(inner))]
                if isinstance(inner, dict)
                else int(rng.integers(len(inner)))
            )
        inner[key] = JUNK[rng.integers(len(JUNK))]
        if isinstance(inner, dict) and rng.random() < 0.2:
            del inner[key]
            inner.update({"": {}} if inner is tree else {})
    with np.errstate(all="ignore"):
        try:
            return json.dumps(tree[""]).encode()
        except ValueError:  # a number with more digits than Python writes
            return None


def _in_archive(rng: np.random.Generator, data: bytes, seeds: list[bytes]) -> bytes:
    """A zip with one member spoilt, or a spoilt zip."""
    if rng.random() < 0.3:
        return _in_bytes(rng, data, seeds)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[rng.integers(len(members))]
    members[name] = _in_bytes(rng, members[name], list(members.values()))
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return written.getvalue()
