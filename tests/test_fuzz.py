"""A short, seeded part of `make fuzz`, near-valid files by hypothesis, and every crash that was found, made small."""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from socrates_core.errors import UserError, quoted, unknown
from socrates_core.finetuning.spec import spec_from_dict
from socrates_core.importing.mapping import mapping_from_dict, render_mapping
from socrates_core.scales import parse_scale
from socrates_core.surveys.check import problems
from socrates_core.surveys.draft import draft_from_dict, render_draft
from socrates_core.yaml_files import parse_yaml
from tests.fuzz.mutations import JUNK, TOKENS, mutate
from tests.fuzz.seeds import make_home
from tests.fuzz.targets import Target, targets
from tests.fuzz.trying import Apart, Tried, attempt, fault_of
from tests.support.jobs import start_no_worker

pytestmark = pytest.mark.slow

SLOW = {
    "CSV and TSV": 4,
    "Excel": 8,
    "Qualtrics QSF": 8,
    "Qualtrics CSV": 2,
    "mapping YAML": 10,
    "draft YAML": 10,
}
APART = ("SPSS and Stata", "SocSci210 Parquet")  # what reads them can end its process
BOMB = b"a: &a [x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (n + 1, n + 1, b", ".join([b"*%c" % n] * 9)) for n in b"abcdefg"
)
FOUND: tuple[tuple[str, bytes], ...] = (
    ("scale reader", b"Only return an integer and 1,000"),
    ("CSV and TSV", b"id,q\n1,1e400\n2,3\n"),
    ("draft YAML", BOMB),
    ("draft YAML", b"a: &a [*a]"),
    ("draft YAML", b"2020-13-45: x"),
    ("draft YAML", b"0x_"),
    ("draft YAML", b"2020-01-01: x"),
    ("draft YAML", b"title: 0x" + b"f" * 5000),
    ("draft YAML", b"[" * 5000),
    ("draft YAML", b"outcomes: [{scale: {low: %s}}]" % (b"9" * 290)),
    ("draft YAML", b"x" * 3000 + b": 1"),
    ("training YAML", b"[" * 5000),
    ("training YAML", b"name: m\nsplit: s\nepochs: .inf"),
    ("training YAML", BOMB),
    ("training YAML", b"x" * 3000 + b": 1"),
    ("mapping YAML", b"study: " + b"x" * 3000),
    ("mapping YAML", BOMB),
    ("paraphrases YAML", b"- name: [1]\n  " + b"x" * 900 + b": 1"),
    ("population YAML", b"2020-13-45: {a: 1}"),
    ("population CSV", b"field,category,share\rgender\n,a,b\r\n"),
    ("population YAML", b"[1]"),
    ("names", b"a" * 300),
    ("names", b"~nobody-x"),
    ("names", b"a\0b"),
    ("names", b"~/" + b"a" * 3000),
    ("draft in the home", b'{"draft": {}}'),
    ("run spec", b'{"people": [], "created": 1, "draft": {}, "model": {"name": 5}}'),
    (
        "Qualtrics CSV",
        b'mood,Q2,Finished\na,b,c\n"{""ImportId"":""mood""}","{""ImportId"":""QID2""}","{""ImportId"":""finished""}"\n'
        b"sad,1,\nglad,0,\n",
    ),
    ("run manifest", b'{"files": {"\\u0000": ""}}'),
    ("evaluation manifest", b'{"files": {"\\ud800": ""}}'),
    ("scale reader", b"1 for Yes or 3 for ' D" + b"\0" * 190 + b"nothing else"),
    ("training YAML", b"split: s\nname: m\nraatch_size: '" + b"(" * 300 + b"'"),
    ("experiment", b'{"chosen": Infinity}'),
    ("evaluation spec", b'{"model": {"name": 1}, "studies": [], "%s": 1}' % (b"x" * 900)),
    (
        "scales set by hand",
        b'{"format": "socrates-scales", "version": 1, "scales": [{"scale": {"labels": {"inf": "a"}}}]}',
    ),
    ("corpus manifest", b'{"format": "socrates-corpus", "version": "%s"}' % (b"x" * 900)),
    ("model config", b'{"model_type": "x", "architectures": [{}]}'),
    ("model config", b'{"model_type": "x", "architectures": 5}'),
    ("model config", b'{"model_type": "llama", "max_position_embeddings": "x"}'),
    ("tokenizer config", b"[1]"),
    ("adapter config", b'{"base_model_name_or_path": "base", "peft_type": "%s"}' % (b"x" * 900)),
    ("adapter config", b'{"base_model_name_or_path": "mine", "peft_type": "LORA"}'),
    ("model card", b'{"saw": {"trainings": [{"%s": 1}]}}' % (b"x" * 2000)),
)


@pytest.fixture(scope="module")
def filled(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home in which everything that is read was made once."""
    home = tmp_path_factory.mktemp("fuzz") / "home"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOCRATES_HOME", str(home))
        start_no_worker(patch)
        make_home(home, prepared / "corpora")
        yield home


@pytest.fixture(scope="module")
def known(filled: Path) -> dict[str, Target]:
    return {target.name: target for target in targets(filled)}


def seeds_of(home: Path, name: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted((home / "seeds" / name).iterdir())]


def test_every_reader_accepts_a_sound_file(filled: Path, known: dict[str, Target]) -> None:
    for name, target in known.items():
        tried = attempt(target.read, seeds_of(filled, name)[0])
        assert tried.verdict == "accepted", (name, tried.told)


def test_spoilt_files_are_accepted_or_refused_in_a_sentence(filled: Path, known: dict[str, Target]) -> None:
    rng = np.random.default_rng(0)
    verdicts = Counter[str]()
    for name in sorted(set(known) - set(APART)):
        seeds = seeds_of(filled, name)
        for _ in range(SLOW.get(name, 30)):
            tried = attempt(known[name].read, mutate(rng, seeds))
            verdicts[tried.verdict] += 1
            assert tried.verdict != "crash" and tried.ms < 10_000, (name, tried)
    assert verdicts["accepted"] > 50 and verdicts["refused"] > 200


def test_a_file_that_ends_its_reader_ends_nothing_else(filled: Path) -> None:
    rng, apart = np.random.default_rng(0), Apart(filled)
    try:
        assert apart.attempt("nothing of this name", b"").verdict == "died"
        for name in APART:  # in a process that was begun anew
            seeds = seeds_of(filled, name)
            told = [apart.attempt(name, mutate(rng, seeds)) for _ in range(5)]
            assert {tried.verdict for tried in told} <= {"accepted", "refused"}, told
    finally:
        apart.close()


@pytest.mark.parametrize(("name", "data"), FOUND, ids=[f"{n} {name}" for n, (name, _) in enumerate(FOUND)])
def test_what_once_was_a_crash_is_none(known: dict[str, Target], name: str, data: bytes) -> None:
    tried = attempt(known[name].read, data)
    assert tried.verdict in ("accepted", "refused") and tried.ms < 5_000, tried.told


def test_a_number_with_its_thousands_apart_is_no_list() -> None:
    assert parse_scale("Only return an integer and 1,000") is None


# near-valid files

ANY = st.sampled_from(JUNK) | st.sampled_from(TOKENS).map(lambda token: token.decode("utf-8", "replace"))
VALUE = st.recursive(
    ANY, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
SCALE = {"kind": "range", "low": 1, "high": 7, "step": 1, "labels": {1: "No", 7: "Yes"}}
DRAFT = {
    "title": "T",
    "reference": "A",
    "conditions": [{"name": "A", "text": "x"}],
    "outcomes": [{"name": "O", "question": "q", "scale": SCALE}],
    "panel": {"kind": "describe", "n": 3, "seed": 0},
}
MAPPING = {
    "study": {"study_id": "s", "title": "S"},
    "participant": "id",
    "layout": "wide",
    "demographics": {"age": {"column": "a"}},
    "conditions": [{"name": "A", "text": "x", "when": {"arm": "1"}}],
    "keep": [{"column": "f", "values": ["1"]}],
    "outcomes": [
        {"name": "O", "question": "q", "scale": SCALE, "column": "q", "values": {"1": 1}, "missing": ["-9"]}
    ],
}
TRAINING = {
    "name": "m",
    "split": "s",
    "rank": 8,
    "epochs": 1.0,
    "studies": ["a"],
    "method": "sft",
    "template": "x",
}


@st.composite
def changed(draw: st.DrawFn, sound: dict[str, Any]) -> dict[str, Any]:
    """The sound mapping with anything in one to three of its places."""
    tree: dict[str, Any] = yaml.safe_load(json.dumps(sound))
    for _ in range(draw(st.integers(1, 3))):
        inner: Any = tree
        key: Any = draw(st.sampled_from(list(inner)))
        while isinstance(inner[key], dict | list) and inner[key] and draw(st.booleans()):
            inner = inner[key]
            key = draw(st.sampled_from(list(inner) if isinstance(inner, dict) else range(len(inner))))
        # A copy: a later round may write into the value, which the strategy draws again for other examples.
        inner[key] = copy.deepcopy(draw(VALUE))
    return tree


def judged(tried: Tried) -> None:
    assert tried.verdict != "crash", tried.told


@settings(max_examples=150, deadline=None)
@given(changed(DRAFT))
def test_a_draft_with_anything_in_any_place_is_read_or_refused(stored: dict[str, Any]) -> None:
    def read(_: bytes) -> None:
        draft = draft_from_dict(stored, "The draft")
        problems(draft)
        render_draft(draft)

    judged(attempt(read, b""))


@settings(max_examples=150, deadline=None)
@given(changed(MAPPING))
def test_a_mapping_with_anything_in_any_place_is_read_or_refused(stored: dict[str, Any]) -> None:
    judged(attempt(lambda _: render_mapping(mapping_from_dict(stored, "The mapping")), b""))


@settings(max_examples=150, deadline=None)
@given(changed(TRAINING))
def test_a_finetune_with_anything_in_any_place_is_read_or_refused(stored: dict[str, Any]) -> None:
    judged(attempt(lambda _: spec_from_dict(stored, "The finetune"), b""))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.sampled_from(TOKENS).map(lambda t: t.decode("utf-8", "replace")) | st.text(max_size=8), max_size=12
    )
)
def test_any_yaml_is_read_or_refused(parts: list[str]) -> None:
    judged(attempt(lambda _: parse_yaml(" ".join(parts), "The file"), b""))


# the judge itself


@pytest.mark.parametrize(
    "said",
    [
        "something went wrong",
        "Traceback (most recent call last). Use 5.",
        "It cannot be.",
        f"Use {'x' * 600}.",
        "KeyError: 'x'",
    ],
)
def test_a_refusal_that_helps_nobody_counts_as_a_crash(said: str) -> None:
    def refuse(_: bytes) -> None:
        raise UserError(said)

    assert fault_of(said) and attempt(refuse, b"").verdict == "crash"


def test_an_error_that_is_no_refusal_counts_as_a_crash() -> None:
    tried = attempt(lambda data: data[5], b"")
    assert tried.verdict == "crash" and "IndexError" in tried.told


def test_values_in_a_sentence_stay_short() -> None:
    assert len(quoted("x" * 10_000)) < 200 and quoted(16 ** (5_000)) == "a very long number"
    said = str(unknown("run", "y" * 1000, ["z" * 1000] * 30))
    assert len(said) < 600 and said.endswith("and 29 more.")
    assert "Known: a, b." in str(unknown("run", "y", ["a", "b"]))
