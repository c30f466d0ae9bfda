"""How fast exact answers come, against sampling, option by option scoring, and the machine itself.

    python -m benchmarks.score [--quick] [--people personas.parquet]

Every round takes other people, and every way of answering takes its turn with the same prompts in every round; ratios
are medians over the rounds, so that a machine that is busy now and then slows all of them alike. Peers
(benchmarks/requirements.txt) take part where they are installed. Option by option scoring of 0-100 takes its first
people only, since it reads a prompt eleven times. `benchmarks.precision` and `benchmarks.memory` follow.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
import transformers

from benchmarks.peers import Scorer, generate, open_harness, open_llama, open_plainly
from socrates_core.asking.cache import answer_key, open_cache
from socrates_core.corpus import open_corpus
from socrates_core.models import answer_all
from socrates_core.models.local.responder import LocalResponder
from socrates_core.prompts import render_prompt
from socrates_core.records import DEMOGRAPHICS, Answer, Floats, Question

STUDY = "framing"  # five outcomes after one text
SEVEN = tuple(str(value) for value in range(1, 8))
HUNDRED = tuple(str(value) for value in range(101))
N_ROWS = 2048  # tokens in a timed matrix product, about as many as in a batch
N_HARNESS = 3  # people a round whom the harness asks 0-100
BARS = (
    ("5 outcomes", "5 outcomes in full", 2.5),
    ("1-7", "1-7 generate", 1.5),
    ("5 outcomes", "5 outcomes generate", 3.5),
    ("1-7", "1-7 lm-eval", 2),
    ("0-100", "0-100 lm-eval", 8),
    ("1-7", "1-7 llama.cpp", 4),
)


@dataclass(frozen=True)
class Slice:
    """The questions of one round: its people with a 1-7 scale, a 0-100 scale, and five outcomes each."""

    seven: list[Question]
    hundred: list[Question]
    five: list[Question]


Way = Callable[[Slice], int]  # answers something; returns how many prompts that were
Times = dict[str, Floats]  # seconds a prompt [rounds]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="15 people in three rounds: some minutes")
    arguments.add_argument("--people", type=Path, help="a Parquet file of personas; else the starter corpus")
    chosen = arguments.parse_args()
    n_people, n_rounds = (15, 3) if chosen.quick else (200, 5)
    slices = make_slices(read_people(chosen.people, n_people), n_rounds)
    ours = LocalResponder("starter", "bf16")
    model = open_plainly()
    harness, llama = open_harness(model, ours), open_llama(ours)
    ways = our_ways(ours) | peer_ways(model, ours, harness, llama)
    print(f"{machine()}\nstarter, bf16, {n_people} people in {n_rounds} rounds, {STUDY!r}, seed 1")
    times = time_in_turns(ways, slices)
    report(times, n_tokens(ours, slices))
    agree(ours, slices[0].seven[:8], harness, llama)
    seconds = float(np.median(times["5 outcomes"])) * len(slices[0].five)
    print(
        f"second identical run, from the cache: {seconds / time_cached(ours, slices[0].five):,.0f}x faster (bar 50x)"
    )


def read_people(path: Path | None, n: int) -> list[dict[str, str | int]]:
    """`n` people drawn with a fixed seed, missing fields left out."""
    table = pd.read_parquet(path) if path else open_corpus("starter").participants()
    drawn = table.drop_duplicates([*DEMOGRAPHICS]).sample(n, random_state=1)
    return [
        {
            name: int(value) if name in ("age", "household_size") else str(value)
            for name, value in person.items()
            if name in DEMOGRAPHICS and pd.notna(value)
        }
        for person in drawn.to_dict("records")
    ]


def make_slices(people: Sequence[dict[str, str | int]], n_rounds: int) -> list[Slice]:
    """The people of each round with their questions."""
    shown = [each for each in open_corpus("starter").stimuli(STUDY) if each.condition_num == 1]
    slices = []
    for part in range(n_rounds):
        own = people[part::n_rounds]
        prompts = [render_prompt(person, shown[0].stimulus) for person in own]
        five = [
            Question(render_prompt(person, each.stimulus), each.scale.options)
            for person in own
            for each in shown
        ]
        seven, hundred = ([Question(prompt, options) for prompt in prompts] for options in (SEVEN, HUNDRED))
        slices.append(Slice(seven, hundred, five))
    return slices


def our_ways(ours: LocalResponder) -> dict[str, Way]:
    in_full = LocalResponder("starter", "bf16", share_prefixes=False)
    alone = LocalResponder("starter", "bf16", deterministic=True)
    return {
        "1-7": lambda asked: len(answer_all(ours, asked.seven)),
        "0-100": lambda asked: len(answer_all(ours, asked.hundred)),
        "5 outcomes": lambda asked: len(answer_all(ours, asked.five)),
        "1-7 in full": lambda asked: len(answer_all(in_full, asked.seven)),
        "5 outcomes in full": lambda asked: len(answer_all(in_full, asked.five)),
        "1-7 deterministic": lambda asked: len(answer_all(alone, asked.seven)),
    }


def peer_ways(
    model: Any, ours: LocalResponder, harness: Scorer | None, llama: Scorer | None
) -> dict[str, Way]:
    ways: dict[str, Way] = {
        "1-7 generate": lambda asked: generate(model, ours, asked.seven),
        "5 outcomes generate": lambda asked: generate(model, ours, asked.five),
        "matrix products": lambda _: multiply(model),
    }
    if harness:
        ways["1-7 lm-eval"] = lambda asked: len(harness(asked.seven))
        ways["0-100 lm-eval"] = lambda asked: len(harness(asked.hundred[:N_HARNESS]))
    if llama:
        ways["1-7 llama.cpp"] = lambda asked: len(llama(asked.seven))
    return ways


def time_in_turns(ways: dict[str, Way], slices: Sequence[Slice]) -> Times:
    """Seconds a prompt of every way in every round, after a short first call of each that does not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    first = slices[0]
    for way in ways.values():
        way(Slice(first.seven[:4], first.hundred[:4], first.five[:20]))
    for asked in slices:
        for name, way in ways.items():
            begun = time.perf_counter()
            n_prompts = way(asked)
            times[name].append((time.perf_counter() - begun) / n_prompts)
    return {name: np.array(seconds) for name, seconds in times.items()}


def n_tokens(ours: LocalResponder, slices: Sequence[Slice]) -> float:
    """Mean tokens of the prompts with a 1-7 scale."""
    prompts = [each.prompt for asked in slices for each in asked.seven]
    return float(np.mean([len(tokens) for tokens in ours.chat.encode(prompts)]))


def report(times: Times, mean_tokens: float) -> None:
    """Prompts a second of every way, and the ratios that have a bar."""
    print(
        f"1-7: {mean_tokens:.0f} tokens a prompt\n\n{'prompts a second':26}{'median':>8}{'least':>8}{'most':>8}"
    )
    for name, seconds in times.items():
        if name != "matrix products":
            rates = 1 / seconds
            print(f"{name:26}{np.median(rates):8.2f}{rates.min():8.2f}{rates.max():8.2f}")
    print()
    for ours, other, bar in BARS:
        if other in times:
            print(f"{ours} against {other}: {np.median(times[other] / times[ours]):.2f}x (bar {bar}x)")
    print(f"0-100 costs {np.median(times['0-100'] / times['1-7']):.2f} times 1-7 (bar 1.5)")
    price = np.median(times["1-7 deterministic"] / times["1-7"])
    print(f"deterministic costs {price:.2f} times sharing and batching")
    share = np.median(mean_tokens * times["matrix products"] / times["1-7 in full"])
    print(f"share of the matrix-product rate, every prompt in full: {share:.0%} (bar 60%)")


def agree(ours: LocalResponder, asked: Sequence[Question], *peers: Scorer | None) -> None:
    """Total variation between our distributions and each peer's, on a few prompts."""
    found: list[Answer] = answer_all(ours, asked)
    for name, peer in zip(("lm-eval", "llama.cpp"), peers, strict=True):
        if peer:
            apart = [np.abs(a.probabilities - b).sum() / 2 for a, b in zip(found, peer(asked), strict=True)]
            print(
                f"total variation to {name}'s distributions, both bf16: {np.mean(apart):.3f} on average, "
                f"{np.max(apart):.3f} at most"
            )


def multiply(model: Any) -> int:
    """The matrix products of all decoder layers for N_ROWS tokens, and nothing else, as torch does them by itself."""
    layers = [each for each in model.model.layers.modules() if isinstance(each, torch.nn.Linear)]
    rows = {
        width: torch.randn(N_ROWS, width, dtype=torch.bfloat16)
        for width in {each.in_features for each in layers}
    }
    with torch.inference_mode():
        for each in layers:
            each(rows[each.in_features])
    return N_ROWS


def time_cached(responder: LocalResponder, asked: Sequence[Question]) -> float:
    """Seconds to answer `asked` from the cache, in a home of its own."""
    answers = answer_all(responder, asked)
    with (
        tempfile.TemporaryDirectory() as home,
        patch.dict(os.environ, SOCRATES_HOME=home),
        open_cache() as cache,
    ):
        keys = [answer_key(responder.fingerprint, each) for each in asked]
        cache.write(dict(zip(keys, answers, strict=True)), responder.fingerprint)
        begun = time.perf_counter()
        found = cache.read([answer_key(responder.fingerprint, each) for each in asked])
        seconds = time.perf_counter() - begun
    assert len(found) == len(set(keys))
    return seconds


def machine() -> str:
    """The processor, its cores, the threads used and how busy it is, with the versions that matter."""
    described = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [
        line.partition(":")[2].strip() for line in described.splitlines() if line.startswith("model name")
    ]
    return (
        f"{names[0] if names else platform.processor()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads, "
        f"load {os.getloadavg()[0]:.1f}; torch {torch.__version__}, transformers {transformers.__version__}"
    )


if __name__ == "__main__":
    main()
