"""How fast exact answers come, against sampling, option by option scoring, and the machine itself.

    python -m benchmarks.score [--quick] [--people personas.parquet]

Every way of answering takes its turn in every round, and ratios are medians over the rounds, so that a machine that
is busy now and then slows all of them alike. lm-evaluation-harness (benchmarks/requirements.txt) takes part where it
is installed.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from socrates_core.corpus import open_corpus
from socrates_core.prompts import render_prompt
from socrates_core.records import DEMOGRAPHICS, Floats, Question
from socrates_core.responders import answer_all
from socrates_core.responders.folder import find_model
from socrates_core.responders.local.responder import LocalResponder
from socrates_core.simulation.cache import answer_key, open_cache

STUDY = "framing"  # five outcomes after one text
SEVEN = tuple(str(value) for value in range(1, 8))
HUNDRED = tuple(str(value) for value in range(101))
N_ROWS = 2048  # tokens in a timed matrix product, about as many as in a batch
N_HARNESS = (
    8  # people that the harness scores at most, a third of all: it reads a prompt eleven times for 0-100
)
Way = Callable[[], int]  # answers something; returns how many prompts that were
Times = dict[str, Floats]  # seconds a prompt [rounds]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="few people, three rounds: some minutes")
    arguments.add_argument("--people", type=Path, help="a Parquet file of personas; else the starter corpus")
    chosen = arguments.parse_args()
    n_people, n_rounds = (4, 3) if chosen.quick else (200, 5)
    people = read_people(chosen.people, n_people)
    condition = [each for each in open_corpus("starter").stimuli(STUDY) if each.condition_num == 1]
    prompts = [render_prompt(person, condition[0].stimulus) for person in people]
    seven, hundred = ([Question(prompt, options) for prompt in prompts] for options in (SEVEN, HUNDRED))
    five = [
        Question(render_prompt(person, each.stimulus), each.scale.options)
        for person in people
        for each in condition
    ]
    ours, in_full = (LocalResponder("starter", "bf16", share_prefixes=share) for share in (True, False))
    model = open_plainly()
    ways: dict[str, Way] = {
        "1-7": lambda: len(answer_all(ours, seven)),
        "0-100": lambda: len(answer_all(ours, hundred)),
        "5 outcomes": lambda: len(answer_all(ours, five)),
        "1-7 in full": lambda: len(answer_all(in_full, seven)),
        "5 outcomes in full": lambda: len(answer_all(in_full, five)),
        "1-7 generate": lambda: generate(model, ours, seven),
        "5 outcomes generate": lambda: generate(model, ours, five),
        "matrix products": lambda: multiply(model),
    }
    n_harness = min(N_HARNESS, n_people // 3)
    ways |= harness_ways(model, ours, seven[:n_harness], hundred[:n_harness])
    lengths = {n: [each.n_tokens for each in answer_all(ours, asked)] for n, asked in ((1, seven), (5, five))}
    print(f"{machine()}\nstarter, bf16, {n_people} people, {n_rounds} rounds")
    print(", ".join(f"{n} outcome(s): {np.mean(each):.0f} tokens a prompt" for n, each in lengths.items()))
    times = time_in_turns(ways, n_rounds)
    report(times)
    share = np.median(np.mean(lengths[1]) * times["matrix products"] / times["1-7 in full"])
    print(f"share of the matrix-product peak, every prompt in full: {share:.0%} (bar 60%)")
    seconds = float(np.median(times["5 outcomes"])) * len(five)
    print(f"second identical run, from the cache: {seconds / time_cached(ours, five):,.0f}x faster (bar 50x)")


def read_people(path: Path | None, n: int) -> list[dict[str, str | int]]:
    """`n` people drawn with a fixed seed, missing fields left out."""
    table = pd.read_parquet(path) if path else open_corpus("starter").participants()
    drawn = table.drop_duplicates([*DEMOGRAPHICS]).sample(n, random_state=1)
    return [
        {name: int(value) if name in ("age", "household_size") else str(value)
         for name, value in person.items() if name in DEMOGRAPHICS and pd.notna(value)}
        for person in drawn.to_dict("records")
    ]  # fmt: skip


def time_in_turns(ways: dict[str, Way], n_rounds: int) -> Times:
    """Seconds a prompt of every way in every round, after a first call of each that does not count."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for counted in range(n_rounds + 1):
        for name, way in ways.items():
            begun = time.perf_counter()
            n_prompts = way()
            if counted:
                times[name].append((time.perf_counter() - begun) / n_prompts)
    return {name: np.array(seconds) for name, seconds in times.items()}


def report(times: Times) -> None:
    """Prompts a second of every way, and the ratios that have a bar."""
    print(f"\n{'prompts a second':22}{'median':>8}{'least':>8}{'most':>8}")
    for name, seconds in times.items():
        if name != "matrix products":
            rates = 1 / seconds
            print(f"{name:22}{np.median(rates):8.2f}{rates.min():8.2f}{rates.max():8.2f}")
    print()
    for ours, other, bar in (
        ("5 outcomes", "5 outcomes in full", 2.5), ("1-7", "1-7 generate", 1.5),
        ("5 outcomes", "5 outcomes generate", 3.5), ("1-7", "1-7 lm-eval", 2), ("0-100", "0-100 lm-eval", 8),
    ):  # fmt: skip
        if other in times:
            print(f"{ours} against {other}: {np.median(times[other] / times[ours]):.2f}x (bar {bar}x)")
    print(f"0-100 costs {np.median(times['0-100'] / times['1-7']):.2f} times 1-7 (bar 1.5)")


def open_plainly() -> Any:
    """The starter model as transformers opens it, for the peers."""
    path = find_model("starter")
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16, local_files_only=True).eval()


def generate(model: Any, responder: LocalResponder, asked: Sequence[Question]) -> int:
    """One sampled answer a prompt by transformers' generate, sixteen of similar length at a time."""
    prompts = sorted(responder.chat.encode([each.prompt for each in asked]), key=len)
    for start in range(0, len(prompts), 16):
        batch = prompts[start : start + 16]
        tokens, seen = (torch.zeros((len(batch), len(batch[-1])), dtype=torch.long) for _ in range(2))
        for row, prompt in enumerate(batch):
            tokens[row, -len(prompt) :] = torch.from_numpy(prompt)
            seen[row, -len(prompt) :] = 1
        model.generate(tokens, attention_mask=seen, do_sample=True, max_new_tokens=2, pad_token_id=0)
    return len(prompts)


def multiply(model: Any) -> int:
    """The matrix products of all decoder layers for N_ROWS tokens, and nothing else."""
    layers = [each for each in model.model.layers.modules() if isinstance(each, torch.nn.Linear)]
    rows = {
        width: torch.randn(N_ROWS, width, dtype=torch.bfloat16)
        for width in {each.in_features for each in layers}
    }
    with torch.inference_mode():
        for each in layers:
            each(rows[each.in_features])
    return N_ROWS


def harness_ways(
    model: Any, responder: LocalResponder, seven: Sequence[Question], hundred: Sequence[Question]
) -> dict[str, Way]:
    """lm-evaluation-harness scoring every option of a question, where it is installed."""
    try:
        from lm_eval.api.instance import Instance
        from lm_eval.models.huggingface import HFLM
    except ModuleNotFoundError as error:
        print(f"lm-eval is left out ({error}). Run: pip install -r benchmarks/requirements.txt")
        return {}
    tokenizer = AutoTokenizer.from_pretrained(find_model("starter"), local_files_only=True)
    scorer = HFLM(pretrained=model, tokenizer=tokenizer, device="cpu", batch_size=16)

    def score(asked: Sequence[Question]) -> int:
        pairs = [(responder.chat.render(each.prompt), option) for each in asked for option in each.options]
        scorer.loglikelihood(
            [Instance("loglikelihood", {}, pair, place) for place, pair in enumerate(pairs)],
            disable_tqdm=True,
        )
        return len(asked)

    return {"1-7 lm-eval": lambda: score(seven), "0-100 lm-eval": lambda: score(hundred)}


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
