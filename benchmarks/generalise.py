"""Does finetuning help on studies that the model never saw? Every method, three seeds, real people's answers.

    python -m benchmarks.generalise --sample socsci210_sample.parquet [--model starter] [--work FOLDER]

The starter corpus and a sample of SocSci210 make one corpus. Its studies are dealt into three parts by a seeded rule;
each part is held out once, from training and from everything that was chosen, with a seed of its own for the rows,
their order and the adapter's start. Everything below is measured on held-out studies alone (`heldout.py`): exact
distributions against everybody who answered, outcomes within studies, studies unweighted, intervals by drawing studies
anew. Settings were chosen on the first part, so the other two are told of on their own as well. Work that is done is
kept in FOLDER, so that a stopped run goes on. Two processes of one thread each work side by side; on a machine with a
GPU one at a time (`--at-once 1`). The figures end in benchmarks/results/generalise.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.heldout import (
    MEASURES,
    MOST_PEOPLE,
    Asked,
    answers_of,
    baselines,
    choose,
    paired,
    scored,
    table,
)
from socrates_core import settings
from socrates_core.asking.request import ModelRequest
from socrates_core.corpus import open_corpus
from socrates_core.corpus.export import export_corpus
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import SPLITS, Split, corpus_digest, load_split, save_split
from socrates_core.files import read_json, replacing, write_json, write_text
from socrates_core.finetuning.rationales import submit_rationales
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.jobs.store import read_job, read_result
from socrates_core.models import answer_all, open_responder

CORPUS = "generalise"
SEEDS = (0, 1, 2)
RESULTS = Path(__file__).parent / "results" / "generalise.json"
COMMON: dict[str, Any] = {
    "per_cell": 8,
    "per_study": 40,
    "balance": "studies",
    "validation_share": 0.0,
    "learning_rate": 5e-4,
    "batch_size": 16,
    "max_steps": 12,
    "warmup": 0.1,
}
METHODS: dict[str, dict[str, Any]] = {
    "sft": {"method": "sft"},
    "distribution": {"method": "distribution", "shrinkage": 20.0, "rps_weight": 20.0},
}
LEAST_RATIONALES = 16  # else there is nothing to learn to reason from
TEMPERATURE = 2.0  # of a further row a method: its answers made flatter, as chosen on the first part
ONE_SEED: dict[str, dict[str, Any]] = {
    "dpo": {"method": "dpo", "base": "sft-{seed}", "learning_rate": 5e-5, "max_steps": 6},
    "reasoning": {
        "method": "reasoning",
        "rationales": "own",
        "per_cell": 1,
        "per_study": 4,
        "batch_size": 8,
        "max_steps": 6,
    },
}
COLUMNS = [
    "sample_id",
    "participant",
    "demographic",
    "stimuli",
    "response",
    "condition_num",
    "task_num",
    "study_id",
]


def main() -> None:
    """Trains what is missing, asks every model, and writes and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sample", type=Path, required=True, help="rows in SocSci210's columns, as Parquet")
    parser.add_argument(
        "--model", default="starter", help="the base model: starter, or the name of a model folder"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("generalise-work"), help="what is done is kept here"
    )
    parser.add_argument("--seeds", type=int, default=len(SEEDS))
    parser.add_argument("--methods", default=",".join([*METHODS, *ONE_SEED]))
    parser.add_argument("--at-once", type=int, default=2, help="processes side by side, a thread each")
    parser.add_argument("--ask", nargs=3, metavar=("LABEL", "MODEL", "SEED"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    begun = time.monotonic()
    corpus = prepare(given.work.absolute(), given.sample.absolute(), given.model)
    if given.ask:
        label, model, seed = given.ask
        return ask(chosen(corpus, int(seed), label), int(seed), label, model)
    if given.at_once > 1:
        os.environ["OMP_NUM_THREADS"] = "1"
    again = [
        "--sample",
        str(given.sample.absolute()),
        "--model",
        given.model,
        "--work",
        str(given.work.absolute()),
    ]
    same_settings(given.model)
    wanted = [each for each in given.methods.split(",") if each]
    seeds = SEEDS[: given.seeds]
    usable = work_through(corpus, wanted, seeds, given.model, again=again, at_once=given.at_once)
    scores: list[pd.DataFrame] = []
    for seed in seeds:
        split = split_of(corpus, seed)
        trained_on = answers_of(corpus, [each for each in split.studies if each not in split.held_out])
        scores += baselines(chosen(corpus, seed, "uniform"), trained_on, seed)
        for label in ("base", *wanted):
            if answers_file(label, seed).exists():
                asked = chosen(corpus, seed, label)
                scores.append(measured(asked, seed, label))
                if label in ("base", *METHODS):
                    scores.append(measured(asked, seed, label, temperature=TEMPERATURE))
                if label in ("base", "sft") and answers_file("reasoning", seed).exists():
                    scores.append(of_one_person(corpus, asked, seed, label))
    report(pd.concat(scores), given.model, seconds=time.monotonic() - begun, rationales=usable)


def work_through(
    corpus: Corpus, wanted: Sequence[str], seeds: Sequence[int], model: str, *, again: list[str], at_once: int
) -> dict[str, int]:
    """Trains and asks every model, some `at_once`; `again` are this command's arguments. Tells about rationales."""
    for seed in seeds:
        split_of(corpus, seed)
    usable: dict[str, int] = {}

    def one(method: str, seed: int) -> None:
        if method == "reasoning":
            usable.update(write_rationales(model))
            if usable["n_usable"] < LEAST_RATIONALES:
                return
        name = model if method == "base" else train(method, seed, model)
        if not answers_file(method, seed).exists():
            run("benchmarks.generalise", *again, "--ask", method, name, str(seed))

    with ThreadPoolExecutor(at_once) as lanes:
        first = [(method, seed) for seed in seeds for method in METHODS if method in wanted]
        first += [("reasoning", SEEDS[0])] if "reasoning" in wanted else []
        started = [lanes.submit(one, *each) for each in [*first, *(("base", seed) for seed in seeds)]]
        if "dpo" in wanted and "sft" in wanted:
            started[0].result()  # from the first seed's SFT
            started.append(lanes.submit(one, "dpo", SEEDS[0]))
        for each in started:
            each.result()
    return usable


def prepare(work: Path, sample: Path, model: str) -> Corpus:
    """A home of its own in `work`, with the base model of the usual home and the joint corpus."""
    usual, home = settings.home(), work / "home"
    (home / "models").mkdir(parents=True, exist_ok=True)
    link = home / "models" / model
    if not link.exists():
        link.symlink_to((usual / "models" / model).absolute())
    if not (home / "corpora" / CORPUS).exists():
        (work / "rows").mkdir(exist_ok=True)
        export_corpus(open_corpus("starter"), "parquet", work / "rows" / "starter.parquet")
        for file in (work / "rows" / "starter.parquet", sample):
            pd.read_parquet(file, columns=COLUMNS).to_parquet(work / "rows" / file.name)
        os.environ["SOCRATES_HOME"] = str(home)
        run("socrates_core", "import", str(work / "rows"), "--name", CORPUS)
    os.environ["SOCRATES_HOME"] = str(home)
    return open_corpus(CORPUS)


def same_settings(model: str) -> None:
    """Keeps what the work rests on beside it, and stops where that changed, since what is done is not done again."""
    settings_file = settings.home() / "settings.json"
    told = json.loads(json.dumps({"model": model, "common": COMMON, "methods": METHODS | ONE_SEED}))
    if settings_file.exists() and read_json(settings_file) != told:
        raise SystemExit(f"{settings_file} tells of another model or other settings. Give another --work.")
    write_json(settings_file, told)


def run(module: str, *arguments: str) -> None:
    """Runs a module of this project as its own process and stops where it fails."""
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, cwd=Path(__file__).parents[1])


def split_of(corpus: Corpus, seed: int) -> Split:
    """The split that holds out part number `seed` of the studies, dealt out in an order drawn once."""
    name = f"part-{seed}"
    if name in SPLITS.ids():
        return load_split(name)
    studies = corpus.study_ids()
    held = sorted(np.random.default_rng(0).permutation(studies)[seed :: len(SEEDS)].tolist())
    split = Split(
        name=name,
        corpus=corpus.name,
        corpus_digest=corpus_digest(corpus),
        kind="studies",
        seed=0,
        source=f"part {seed + 1} of {len(SEEDS)}",
        studies=tuple(studies),
        held_out=dict.fromkeys(held, (0,)),
        left_out={},
        apart=True,
    )
    save_split(split)
    return split


def chosen(corpus: Corpus, seed: int, label: str) -> Asked:
    """Who is asked in part `seed`; a model that reasons, which takes long, is asked one person an outcome."""
    most = 1 if label == "reasoning" else MOST_PEOPLE
    return choose(corpus, list(split_of(corpus, seed).held_out), seed, most=most)


def train(method: str, seed: int, model: str) -> str:
    """The model of that method and seed, trained now where it is not there yet."""
    name = f"{method}-{seed}"
    if not (settings.home() / "adapters" / name).exists():
        own = {"base": model, **COMMON, **(METHODS | ONE_SEED)[method]}
        own["base"] = own["base"].format(seed=seed)
        spec = TrainingSpec(
            name=name, split=f"part-{seed}", seed=seed, evaluate_every=own["max_steps"], **own
        )
        file = settings.home() / f"{name}.yaml"
        write_text(file, spec.as_yaml())
        begun = time.monotonic()
        run(f"training.{spec.method}", str(file))
        print(f"{name}: trained in {time.monotonic() - begun:.0f} s", flush=True)
    return name


def write_rationales(model: str) -> dict[str, int]:
    """How many answers of the first part have a rationale that the model wrote, written now where none was tried."""
    told = settings.home() / "rationales-tried.json"
    if not told.exists():
        begun = time.monotonic()
        own = COMMON | ONE_SEED["reasoning"] | {"max_steps": 1}
        spec = TrainingSpec(name="own", split=f"part-{SEEDS[0]}", seed=SEEDS[0], **own)
        job = submit_rationales(ModelRequest(model), spec)
        while job.active:
            time.sleep(1)
            job = read_job(job.id)
        if job.state != "done":
            raise SystemExit(f"The rationales were not written: {job.message}")
        found = read_result(job)
        write_json(told, {name: found[name] for name in ("n_rows", "n_usable")})
        print(f"rationales: written in {time.monotonic() - begun:.0f} s", flush=True)
    usable: dict[str, int] = read_json(told)
    return usable


def answers_file(label: str, seed: int) -> Path:
    return settings.home() / "answers" / f"{label}-{seed}.parquet"


def ask(asked: Asked, seed: int, label: str, model: str) -> None:
    """Keeps the answers of a model to everybody who is asked in part `seed`."""
    begun, file = time.monotonic(), answers_file(label, seed)
    answers = answer_all(open_responder(model), asked.questions)
    told = pd.DataFrame(
        {
            "probabilities": [each.probabilities.tolist() for each in answers],
            "valid_mass": [each.valid_mass for each in answers],
        }
    )
    with replacing(file) as aside:
        told.to_parquet(aside)
    print(f"{label}-{seed}: {len(answers)} answers in {time.monotonic() - begun:.0f} s", flush=True)


def measured(asked: Asked, seed: int, label: str, *, temperature: float = 1.0) -> pd.DataFrame:
    """A row a study with MEASURES of a model whose answers are kept, made flatter by `temperature`."""
    told = pd.read_parquet(answers_file(label, seed))
    flatter = [np.asarray(each) ** (1 / temperature) for each in told["probabilities"]]
    model = label if temperature == 1 else f"{label}, temperature {temperature:g}"
    return scored(asked, seed, model, [each / each.sum() for each in flatter], told["valid_mass"].to_numpy())


def of_one_person(corpus: Corpus, asked: Asked, seed: int, label: str) -> pd.DataFrame:
    """The measures of a model on the answers of those alone whom the model that reasons is asked as."""
    keys = ["study_id", "sample_id"]
    few, told = chosen(corpus, seed, "reasoning"), pd.read_parquet(answers_file(label, seed))
    places = asked.rows[keys].reset_index().merge(few.rows[keys], on=keys, how="right")["index"]
    own = told.iloc[places]
    return scored(
        few, seed, f"{label}, one person", own["probabilities"].tolist(), own["valid_mass"].to_numpy()
    )


def report(scores: pd.DataFrame, model: str, *, seconds: float, rationales: Mapping[str, int]) -> None:
    """Writes and prints what was found, differences paired by study."""
    wide, spent = wide_of(scores), settings.home() / "seconds.json"
    in_all = seconds + (read_json(spent) if spent.exists() else 0)
    write_json(spent, in_all)
    found: dict[str, Any] = {
        "model": model,
        "written": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "seconds_in_all": round(in_all),
        "n_parts": int(scores["seed"].nunique()),
        "common": COMMON,
        "methods": METHODS | ONE_SEED,
        "rationales": rationales,
        "all_parts": compared(scores),
        "parts_without_choices": compared(scores[scores["seed"] != SEEDS[0]]),
        "by_study": {
            name: {study: row.dropna().round(4).to_dict() for study, row in wide[name].iterrows()}
            for name in ("w_stated", "valid_mass")
        },
    }
    write_json(RESULTS, found)
    print(table(scores).to_string())
    print(json.dumps(found["all_parts"]["paired"], indent=1))


def wide_of(scores: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """A table of studies by models for each of MEASURES."""
    return {name: scores.pivot_table(index="study_id", columns="model", values=name) for name in MEASURES}


def beside(model: str) -> Sequence[str]:
    """What a tuned model is compared with, asked as the same people and flattened alike; nothing for any other."""
    method, _, how = model.partition(", ")
    if method not in METHODS | ONE_SEED or how == "one person":
        return ()
    how = "one person" if method == "reasoning" else how
    alike = [f"{each}, {how}" if how else each for each in ("base", "sft") if each != method]
    return (*alike, "uniform", "mean shape of other studies", "condition-blind")


def compared(scores: pd.DataFrame) -> dict[str, Any]:
    """Means over the studies, and every tuned model beside the base, the baselines and SFT, paired by study."""
    if scores.empty:
        return {}
    wide, models = wide_of(scores), [*scores["model"].unique()]
    pairs = [(each, other) for each in models for other in beside(each) if other in models]
    return {
        "means": {name: told.dropna().to_dict() for name, told in table(scores).iterrows()},
        "paired": {f"{one} against {other}": paired(wide, one, other) for one, other in pairs},
    }


if __name__ == "__main__":
    main()
