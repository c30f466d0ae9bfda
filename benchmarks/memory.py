"""How memory grows with the length of a job: peak over 20,000 prompts against 2,000, each in a process of its own.

    python -m benchmarks.memory

The prompts are real in length and text; the model is the starter model's first layer, since what could grow is the
plan and its tokens, not the layers.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from shutil import copyfile

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from socrates_core.corpus import open_corpus
from socrates_core.models.local.responder import LocalResponder
from socrates_core.models.model_folder import find_model
from socrates_core.prompts import render_prompt
from socrates_core.records import Question

SIZES = (2_000, 20_000)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--n", type=int, help="score so many prompts here, and print the peak")
    arguments.add_argument("--model", help="with --n: the folder of the model")
    chosen = arguments.parse_args()
    if chosen.n:
        return score(chosen.n, chosen.model)
    with tempfile.TemporaryDirectory() as folder:
        path = first_layer(Path(folder) / "one_layer")
        peaks = []
        for n in SIZES:
            command = [sys.executable, "-m", "benchmarks.memory", "--n", str(n), "--model", str(path)]
            told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            megabytes, seconds = map(float, told.split()[-2:])
            print(f"{n:>7,} prompts: peak {megabytes:,.0f} MB, {seconds:.0f} s")
            peaks.append(megabytes)
    print(f"peak over {SIZES[1]:,} against {SIZES[0]:,} prompts: {peaks[1] / peaks[0] - 1:+.1%} (bar +10%)")


def first_layer(path: Path) -> Path:
    """The starter model without all layers but the first."""
    source = find_model("starter")
    config = AutoConfig.from_pretrained(source, local_files_only=True)
    config.num_hidden_layers = 1
    model = AutoModelForCausalLM.from_pretrained(
        source, config=config, dtype=torch.bfloat16, local_files_only=True
    )
    model.save_pretrained(path)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        if (source / name).exists():
            copyfile(source / name, path / name)
    return path


def questions() -> Iterator[Question]:
    """Different people without end, each with the five outcomes of a real study."""
    shown = [each for each in open_corpus("starter").stimuli("framing") if each.condition_num == 1]
    for number in count():
        person: dict[str, str | int] = {
            "age": 18 + number % 70,
            "gender": ("Female", "Male")[number % 2],
            "location": f"County {number}",
            "education": "High school graduate",
            "income": f"{number % 90}K",
            "household_size": 1 + number % 6,
            "marital_status": "Married",
            "party_id": "Moderate Democrat",
            "ideology": "Moderate",
        }
        for each in shown:
            yield Question(render_prompt(person, each.stimulus), each.scale.options)


def score(n: int, model: str) -> None:
    responder = LocalResponder(model, "bf16")
    asked = list(islice(questions(), n))
    begun = time.perf_counter()
    answered = sum(len(batch) for batch in responder.answer(asked))
    assert answered == n
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, time.perf_counter() - begun)


if __name__ == "__main__":
    main()
