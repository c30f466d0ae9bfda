"""Does finetuning help on studies that the model never saw? Every method, three seeds, real people's answers.

    python -m benchmarks.generalise --sample socsci210_sample.parquet [--model starter] [--work FOLDER]

The starter corpus and a sample of SocSci210 make one corpus. Its studies are dealt into three parts by a seeded rule;
each part is held out once, from training and from choosing the checkpoint, and everything below is measured on
held-out studies alone: exact distributions against everybody who answered in the cell, cells within studies, studies
unweighted, intervals by drawing studies anew. Work that is done is kept in FOLDER, so that a stopped run goes on.
The figures end in benchmarks/results/generalise.json.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from socrates_core import settings
from socrates_core.analysis.baselines import condition_blind, uniform
from socrates_core.analysis.bootstrap import resamples
from socrates_core.analysis.halves import expected_half_sample
from socrates_core.corpus import open_corpus
from socrates_core.corpus.export import export_corpus
from socrates_core.corpus.queries import Corpus
from socrates_core.corpus.splits import Split, corpus_digest, load_split, save_split, splits
from socrates_core.evaluation.population import cell_distances
from socrates_core.evaluation.rows import questions_of_rows, with_answers
from socrates_core.files import write_json, write_text
from socrates_core.finetuning.spec import TrainingSpec
from socrates_core.prompts import TEMPLATE
from socrates_core.records import Floats, Question, Stimulus, parse_number
from socrates_core.responders import answer_all, open_responder

CORPUS = "generalise"
SEEDS = (0, 1, 2)
MOST_CELLS, MOST_PEOPLE = 8, 4  # of a study, of a cell: whom a model is asked about
RESULTS = Path(__file__).parent / "results" / "generalise.json"
COMMON: dict[str, Any] = {
    "per_cell": 8, "per_study": 40, "balance": "studies", "validation_share": 0.25, "validation_cap": 2,
    "learning_rate": 2e-4, "batch_size": 16, "max_steps": 24, "evaluate_every": 8, "patience": 2, "warmup": 0.1,
}  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {
    "sft": {"method": "sft"},
    "distribution": {"method": "distribution", "shrinkage": 20.0, "rps_weight": 1.0},
}
ONE_SEED: dict[str, dict[str, Any]] = {
    "dpo": {"method": "dpo", "base": "sft-{seed}", "learning_rate": 5e-5, "max_steps": 8, "evaluate_every": 4},
    "reasoning": {"method": "reasoning", "rationales": "own", "per_cell": 1, "max_steps": 8, "evaluate_every": 8},
}  # fmt: skip
LEAST_RATIONALES = 16  # a step's worth
FLOOR = 1e-6  # of a probability in the log score
Cell = tuple[str, int]
MEASURES = ("w_stated", "w_observed", "log_score", "valid_mass")


@dataclass(frozen=True)
class Asked:
    """The held-out rows that every model of a seed is asked, and everybody's answers to each stimulus."""

    corpus: Corpus
    rows: pd.DataFrame
    questions: list[Question]
    everybody: pd.DataFrame


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
    given = parser.parse_args()
    begun = time.monotonic()
    corpus = prepare(given.work.absolute(), given.sample.absolute(), given.model)
    wanted = [each for each in given.methods.split(",") if each]
    scores: list[pd.DataFrame] = []
    asked = {seed: choose(corpus, split_of(corpus, seed), seed) for seed in SEEDS[: given.seeds]}
    for seed, each in asked.items():
        scores += [measured(each, seed, "base", given.model), *baselines(each, seed)]
    usable = write_rationales(corpus, given.model) if "reasoning" in wanted else {}
    for methods, seeds in ((METHODS, [*asked]), (ONE_SEED, [SEEDS[0]])):
        for seed in seeds:
            for method in (each for each in methods if each in wanted):
                if method != "reasoning" or usable["n_usable"] >= LEAST_RATIONALES:
                    name = train(method, seed, given.model)
                    scores.append(measured(asked[seed], seed, method, name))
                    print(table(pd.concat(scores)).to_string(), flush=True)
    report(pd.concat(scores), given.model, seconds=time.monotonic() - begun, rationales=usable)


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
        columns = [
            "sample_id",
            "participant",
            "demographic",
            "stimuli",
            "response",
            "condition_num",
            "task_num",
            "study_id",
        ]
        for file in (work / "rows" / "starter.parquet", sample):
            pd.read_parquet(file, columns=columns).to_parquet(work / "rows" / file.name)
        os.environ["SOCRATES_HOME"] = str(home)
        run("socrates_core", "import", str(work / "rows"), "--name", CORPUS)
    os.environ["SOCRATES_HOME"] = str(home)
    return open_corpus(CORPUS)


def run(module: str, *arguments: str) -> None:
    """Runs a module of this project as its own process and stops where it fails."""
    subprocess.run([sys.executable, "-m", module, *arguments], check=True, cwd=Path(__file__).parents[1])


def split_of(corpus: Corpus, seed: int) -> Split:
    """The split that holds out part number `seed` of the studies, dealt out in an order drawn once."""
    name = f"part-{seed}"
    if name in splits():
        return load_split(name)
    studies = corpus.study_ids()
    held = sorted(np.random.default_rng(0).permutation(studies)[seed :: len(SEEDS)].tolist())
    split = Split(
        name=name, corpus=corpus.name, corpus_digest=corpus_digest(corpus), kind="studies", seed=0,
        source=f"part {seed + 1} of {len(SEEDS)}", studies=tuple(studies), held_out=dict.fromkeys(held, (0,)),
        left_out={}, apart=True,
    )  # fmt: skip
    save_split(split)
    return split


def choose(corpus: Corpus, split: Split, seed: int) -> Asked:
    """At most MOST_CELLS stimuli a held-out study, whole outcomes first, and MOST_PEOPLE of each."""
    told = corpus.ask(
        "SELECT study_id, sample_id FROM read_parquet($responses) WHERE list_contains($studies, study_id)",
        studies=list(split.held_out),
    )
    everybody = with_answers(corpus, told)
    everybody = everybody[everybody["value"].notna()]
    listed = {  # whose answers are no draws
        (study, each.stimulus_id)
        for study in split.held_out for each in corpus.stimuli(study)
        if not each.scale.is_drawn and len(each.scale.values) > 1
    }  # fmt: skip
    everybody = everybody[
        [key in listed for key in zip(everybody["study_id"], everybody["stimulus_id"], strict=True)]
    ]
    kept = []
    for study, own in everybody.groupby("study_id"):
        rng = np.random.default_rng([seed, zlib.crc32(str(study).encode())])
        order = pd.Series(
            {task: place for place, task in enumerate(rng.permutation(own["task_num"].unique()))}
        )
        cells = own.drop_duplicates("stimulus_id")
        cells = cells.assign(order=cells["task_num"].map(order))
        chosen = cells.sort_values(["order", "condition_num"])["stimulus_id"].head(MOST_CELLS)
        for stimulus in chosen:
            people = own[own["stimulus_id"] == stimulus]
            kept.append(people.iloc[np.sort(rng.permutation(len(people))[:MOST_PEOPLE])])
    rows = pd.concat(kept, ignore_index=True)
    questions = [
        question
        for study, own in rows.groupby("study_id", sort=False)
        for question in questions_of_rows(corpus, str(study), own, TEMPLATE)
    ]
    return Asked(corpus, rows, questions, everybody)


def train(method: str, seed: int, model: str) -> str:
    """The model of that method and seed, trained now where it is not there yet."""
    name = f"{method}-{seed}"
    if not (settings.home() / "adapters" / name).exists():
        own = {"base": model, **COMMON, **(METHODS | ONE_SEED)[method]}
        own["base"] = own["base"].format(seed=seed)
        spec = TrainingSpec(name=name, split=f"part-{seed}", seed=seed, **own)
        file = settings.home() / f"{name}.yaml"
        write_text(file, spec.as_yaml())
        begun = time.monotonic()
        run(f"training.{spec.method}", str(file))
        print(f"{name}: trained in {time.monotonic() - begun:.0f} s", flush=True)
    return name


def write_rationales(corpus: Corpus, model: str) -> dict[str, int]:
    """How many answers of the first part have a rationale that the model wrote, written now where none was tried."""
    told = settings.home() / "rationales-tried.json"
    if not told.exists():
        split = split_of(corpus, SEEDS[0]).name
        words = ("rationales", "own", "--split", split, "--model", model, "--cap", "1", "--wait", "--json")
        done = subprocess.run(
            [sys.executable, "-m", "socrates_core", *words],
            check=True, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        write_json(told, {name: json.loads(done.stdout)[name] for name in ("n_rows", "n_usable")})
    found: dict[str, int] = json.loads(told.read_text())
    print(f"rationales: {found['n_usable']} of {found['n_rows']} usable", flush=True)
    return found


def measured(asked: Asked, seed: int, label: str, model: str) -> pd.DataFrame:
    """A row a study with MEASURES of a model, asked now where its answers are not kept yet."""
    file = settings.home() / "answers" / f"{label}-{seed}.parquet"
    if not file.exists():
        begun = time.monotonic()
        answers = answer_all(open_responder(model), asked.questions)
        file.parent.mkdir(exist_ok=True)
        pd.DataFrame({
            "probabilities": [each.probabilities.tolist() for each in answers],
            "valid_mass": [each.valid_mass for each in answers],
        }).to_parquet(file)  # fmt: skip
        print(f"{label}-{seed}: {len(answers)} answers in {time.monotonic() - begun:.0f} s", flush=True)
    told = pd.read_parquet(file)
    return scored(asked, seed, label, told["probabilities"].tolist(), told["valid_mass"].to_numpy())


def scored(asked: Asked, seed: int, label: str, probabilities: Sequence[Any], masses: Floats) -> pd.DataFrame:
    """A row a study with the measures of predicted `probabilities`, one entry a row that was asked."""
    cells = cell_distances(asked.corpus, asked.rows, probabilities, asked.everybody)
    by_study = cells.groupby("study_id")[["w_stated", "w_observed"]].mean()
    given = [
        each[list(question.options).index(str(parse_number(float(value))))]
        for each, question, value in zip(probabilities, asked.questions, asked.rows["value"], strict=True)
    ]
    rows = asked.rows.assign(log_score=np.log(np.maximum(given, FLOOR)), valid_mass=masses)
    people = rows.groupby(["study_id", "stimulus_id"])[["log_score", "valid_mass"]].mean()
    return by_study.join(people.groupby("study_id").mean()).reset_index().assign(seed=seed, model=label)


def baselines(asked: Asked, seed: int) -> list[pd.DataFrame]:
    """The uniform and the condition-blind row, and people against people, on the same cells."""
    stimuli = {
        (study, each.stimulus_id): each
        for study in asked.rows["study_id"].unique() for each in asked.corpus.stimuli(study)
    }  # fmt: skip
    counts: dict[Cell, Floats] = {}
    alike: dict[Cell, list[Floats]] = {}
    items: dict[Any, list[Floats]] = {}
    for key, own in asked.everybody.groupby(["study_id", "stimulus_id", "part"]):
        study, stimulus, part = cast(tuple[str, int, str], key)
        each = stimuli[study, stimulus]
        values = np.array(each.scale.values, dtype=float)
        counts[study, stimulus] = (own["value"].to_numpy()[:, None] == values).sum(axis=0).astype(float)
        alike[study, stimulus] = items.setdefault((study, each.task_num, part, each.scale), [])
        alike[study, stimulus].append(counts[study, stimulus])
    cells: list[Cell] = list(zip(asked.rows["study_id"], asked.rows["stimulus_id"], strict=True))
    blind = [condition_blind(np.array(alike[cell])) for cell in cells]
    nothing = np.full(len(cells), np.nan)
    return [
        scored(asked, seed, "uniform", [uniform(len(each)) for each in blind], nothing),
        scored(asked, seed, "condition-blind", blind, nothing),
        halves({cell: counts[cell] for cell in cells}, stimuli).assign(seed=seed, model="half-sample"),
    ]


def halves(counts: dict[Cell, Floats], stimuli: dict[Cell, Stimulus]) -> pd.DataFrame:
    """People against people: a row a study with both W of half of a cell's people against the other half."""
    rows = []
    for cell, own in counts.items():
        values = np.array(stimuli[cell].scale.values, dtype=float)
        stated = expected_half_sample(own, values, scale_range=float(np.ptp(values)))
        rows.append(
            {"study_id": cell[0], "w_stated": stated, "w_observed": expected_half_sample(own, values)}
        )
    return pd.DataFrame(rows).groupby("study_id").mean().reset_index()


def interval(values: Floats) -> list[float]:
    """The mean of a number a study and its 95% interval, studies drawn anew."""
    weights = resamples(len(values), seed=0)
    means = weights @ values / len(values)
    return [round(float(each), 4) for each in (values.mean(), *np.quantile(means, [0.025, 0.975]))]


def table(scores: pd.DataFrame) -> pd.DataFrame:
    """The measures of every model: means over studies."""
    return (
        scores.groupby("model", sort=False)[list(MEASURES)]
        .mean()
        .round(4)
        .assign(n_studies=scores.groupby("model").size())
    )


def report(scores: pd.DataFrame, model: str, *, seconds: float, rationales: Mapping[str, int]) -> None:
    """Writes and prints what was found, differences paired by study."""
    wide = {name: scores.pivot_table(index="study_id", columns="model", values=name) for name in MEASURES}
    tuned = [each for each in METHODS | ONE_SEED if each in wide["w_stated"]]
    pairs = [(each, other) for each in tuned for other in ("base", "uniform", "condition-blind")]
    pairs += [(each, "sft") for each in tuned if each != "sft" and "sft" in tuned]
    means = {name: told.dropna().to_dict() for name, told in table(scores).iterrows()}
    found: dict[str, Any] = {
        "model": model, "written": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, {os.cpu_count()} processors", "seconds_of_this_run": round(seconds),
        "n_parts": int(scores["seed"].nunique()),
        "common": COMMON, "methods": METHODS | ONE_SEED, "rationales": rationales, "means": means,
        "paired": {f"{one} against {other}": paired(wide, one, other) for one, other in pairs},
        "by_study": {
            name: {study: row.dropna().round(4).to_dict() for study, row in wide[name].iterrows()}
            for name in ("w_stated", "valid_mass")
        },
    }  # fmt: skip
    write_json(RESULTS, found)
    print(json.dumps({key: found[key] for key in ("means", "paired")}, indent=1))


def paired(wide: Mapping[str, pd.DataFrame], one: str, other: str) -> dict[str, Any]:
    """The mean difference of two models in each measure with its interval, and how much smaller the one's W is."""
    told: dict[str, Any] = {}
    for name, measure in wide.items():
        both = measure.reindex(columns=[one, other]).dropna().to_numpy()  # baselines have no valid mass
        if len(both):
            told[name] = {"difference": interval(both[:, 0] - both[:, 1]), "n_studies": len(both)}
    both = wide["w_stated"][[one, other]].dropna().to_numpy()
    sums = resamples(len(both), seed=0) @ both
    smaller = (
        1 - both[:, 0].mean() / both[:, 1].mean(),
        *np.quantile(1 - sums[:, 0] / sums[:, 1], [0.025, 0.975]),
    )
    return {**told, "w_stated_smaller_by": [round(float(each), 4) for each in smaller]}


if __name__ == "__main__":
    main()
