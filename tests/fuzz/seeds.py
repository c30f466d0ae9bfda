"""Sound files to begin from: a home in which everything was made once, and what the project exports of it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from socrates_core.asking.request import ModelRequest
from socrates_core.corpus import open_corpus
from socrates_core.corpus.export import export_study
from socrates_core.corpus.scale_overrides import set_scale
from socrates_core.corpus.splits import save_split
from socrates_core.corpus.splits_make import make_split
from socrates_core.evaluations.run import run_evaluation
from socrates_core.evaluations.submission import submit_evaluation
from socrates_core.files import write_json
from socrates_core.finetuning.spec import spec_from_dict
from socrates_core.importing.build import import_study
from socrates_core.importing.mapping import mapping_from_dict, render_mapping
from socrates_core.importing.read_table import read_table
from socrates_core.importing.suggest import suggest
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from socrates_core.projects import drafts
from socrates_core.projects.experiments import Specification, submit_experiment
from socrates_core.projects.paraphrases import Paraphrase
from socrates_core.projects.run import run_simulation
from socrates_core.projects.run_spec import submit_simulation
from socrates_core.surveys.draft import render_draft
from socrates_core.surveys.start import draft_from_study
from tests.support.qualtrics_surveys import COLUMNS, DEFINITION

DATA = Path(__file__).parents[3] / "shared" / "data"  # real files, where they are; none of them is ours
HEAD = 40_000  # bytes of a long real file
STUDY = "kakadu"
ANSWERS = (
    "5",
    "My answer is 5.",
    "7 - Strongly agree",
    "<think>3 or 4</think>\n\\boxed{4}",
    "Between 2 and 4, so 3.",
    "I would say 50%.",
    "**Agree**",
    "3 out of 7\n\nuser\nNext question",
    "-2",
    "1,000 dollars",
    "Option 2: No.",
)
INSTRUCTIONS = (
    "Only return an integer from 1 to 7, where 1 means 'not at all' and 7 means 'very much', nothing else.",
    "Only return 1 for Yes, 2 for No or 3 for 'Don't know', nothing else.",
    "Only return 1 if it is cold, up to 5 if it is hot, nothing else.",
    "Only return an integer, nothing else.",
    "Only return a multiple of 100 between 0 and 1,000, nothing else.",
    "Only return 1, 2 or 3, nothing else.",
    'You read "a" and were asked: "b? Only return a number from -3 (Bad) to 3 (Good) in steps of 0.5, nothing else."',
)


def make_home(home: Path, corpora: Path) -> Path:
    """Fills `home` from the starter corpus among `corpora`; returns the folder with a folder of seeds a target.

    `home` is SOCRATES_HOME by now, and no worker is started for its jobs.
    """
    shutil.copytree(corpora / "starter", home / "corpora" / "starter")
    seeds = home / "seeds"
    _keep(seeds, "scale reader", *INSTRUCTIONS)
    _keep(seeds, "answer reader", *ANSWERS)
    _files(seeds, home / "exports")
    _studies(seeds, home)
    _models(seeds, home)
    _real(seeds)
    return seeds


def _keep(seeds: Path, target: str, *contents: str | bytes) -> None:
    folder = seeds / target
    folder.mkdir(parents=True, exist_ok=True)
    for content in contents:
        data = content if isinstance(content, bytes) else content.encode()
        (folder / f"{len(list(folder.iterdir())):03d}").write_bytes(data)


def _files(seeds: Path, folder: Path) -> None:
    """The study in every format that is read, a survey with its responses, and files that a person writes."""
    corpus = open_corpus("starter")
    folder.mkdir()
    for kind in ("csv", "sav", "dta", "parquet"):
        export_study(corpus, STUDY, kind, folder / f"study.{kind}")
    rows = pd.read_csv(folder / "study.csv").head(40)
    table = rows.assign(prompt="", stimuli=rows["stimuli"].str[:80])
    table.to_excel(folder / "study.xlsx", index=False)
    csv_text = table.to_csv(index=False)
    _keep(
        seeds,
        "CSV and TSV",
        csv_text,
        table.to_csv(index=False, sep="\t"),
        table.to_csv(index=False, sep=";").encode("utf-16"),
    )
    _keep(seeds, "Excel", (folder / "study.xlsx").read_bytes())
    for kind in ("sav", "dta"):
        _keep(seeds, "SPSS and Stata", (folder / f"study.{kind}").read_bytes())
    rows_only = pd.read_parquet(folder / "study.parquet").head(30).assign(prompt="", reasoning="")
    rows_only.to_parquet(folder / "few.parquet")
    _keep(seeds, "SocSci210 Parquet", (folder / "few.parquet").read_bytes())
    _keep(seeds, "Qualtrics QSF", json.dumps(DEFINITION))
    ids = [json.dumps({"ImportId": key}) for key, _ in COLUMNS.values()]
    told = pd.DataFrame(
        {name: ["Text", key, *cells] for (name, (_, cells)), key in zip(COLUMNS.items(), ids, strict=True)}
    )
    _keep(seeds, "Qualtrics CSV", told.to_csv(index=False))
    shares = "field,category,share\ngender,Female,0.51\ngender,Male,0.49\n"
    _keep(seeds, "population CSV", shares)
    _keep(seeds, "population YAML", "gender: {Female: 51%, Male: 49%}\nage: {18-34: 0.3, 35+: 0.7}\n")
    _keep(
        seeds,
        "names",
        "base",
        "starter",
        STUDY,
        "20261124-101010-kakadu-aaaa",
        "../x",
        "org/name",
        "~root",
        "~nobody-x",
        "a" * 300,
        "a\0b",
    )


def _studies(seeds: Path, home: Path) -> None:
    """A study of one's own, a draft, a run, an experiment, an evaluation, a split, a finetune: their files."""
    data = home / "exports" / "small.csv"
    data.write_text("id,arm,q\n" + "".join(f"{n},{'ab'[n % 2]},{n % 7 + 1}\n" for n in range(40)))
    table = read_table(data)
    suggested = suggest(table, "Small").model_dump(mode="json")
    suggested["outcomes"] = [{"name": "q", "question": "How much?", "scale": INSTRUCTIONS[0], "column": "q"}]
    mapping = mapping_from_dict(suggested, "the mapping")
    _keep(seeds, "mapping YAML", render_mapping(mapping))
    small = home / "corpora" / import_study(table, mapping, "small")
    _keep(seeds, "corpus manifest", (small / "manifest.json").read_bytes())
    _keep(
        seeds,
        "corpus tables",
        *((small / f"{name}.parquet").read_bytes() for name in ("responses", "studies")),
    )
    corpus = open_corpus("starter")
    draft = draft_from_study(corpus, STUDY)
    draft = draft.model_copy(update={"panel": draft.panel.model_copy(update={"n": 3})})
    _keep(
        seeds,
        "draft YAML",
        render_draft(draft),
        "conditions: [{name: A, text: x}]\noutcomes:\n- {name: O, scale: 'Only return 1 or 2'}",
    )
    _keep(
        seeds,
        "draft in the home",
        (drafts.DRAFTS.root / drafts.create(draft) / "working.json").read_bytes(),
    )
    run = submit_simulation(draft, ModelRequest("echo"))
    _work()
    folder = home / "runs" / run.id
    _keep(seeds, "run spec", (folder / "spec.json").read_bytes())
    _keep(seeds, "run manifest", (folder / "manifest.json").read_bytes())
    for name in ("job", "status"):
        _keep(seeds, f"job {name}", (home / "jobs" / run.id / f"{name}.json").read_bytes())
    paraphrase = Paraphrase(name="Other", outcomes={draft.outcomes[0].name: "And now?"})
    _keep(seeds, "paraphrases YAML", json.dumps([paraphrase.model_dump()]))
    tried = [Specification(ModelRequest("echo"), "as written", word) for word in ("as written", "Other")]
    made = submit_experiment(draft, tried, paraphrases=[paraphrase])
    _keep(seeds, "experiment", (home / "experiments" / made.experiment_id / "experiment.json").read_bytes())
    split = save_split(make_split(corpus, "participants", name="held", share=0.25, seed=1))
    _keep(seeds, "split", split.read_bytes())
    evaluation = submit_evaluation(ModelRequest("uniform"), studies=[STUDY], cap=2, seed=0)
    _work()
    folder = home / "evaluations" / evaluation.id
    _keep(seeds, "evaluation spec", (folder / "spec.json").read_bytes())
    _keep(seeds, "evaluation manifest", (folder / "manifest.json").read_bytes())
    spec = spec_from_dict({"name": "mine", "split": "held"}, "a test")
    _keep(seeds, "training YAML", spec.as_yaml(), "name: mine\nsplit: held\nrank: 8\nbatch_size: 4\n")
    stimulus = corpus.stimuli(STUDY)[0]
    set_scale(corpus, STUDY, stimulus.stimulus_id, stimulus.scale)
    _keep(seeds, "scales set by hand", (home / "overrides" / "starter.json").read_bytes())


def _work() -> None:
    """Runs the queued jobs."""
    while job := store.claim_next():
        run = run_simulation if job.kind == "simulate" else run_evaluation
        store.finish(job, "done", result=run(job.id, Reporter(job)))


def _models(seeds: Path, home: Path) -> None:
    """A model and an adapter over it that have every file but sense."""
    model, adapter = home / "models" / "base", home / "adapters" / "mine"
    config = {
        "model_type": "llama",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": 8,
        "vocab_size": 16,
        "max_position_embeddings": 512,
        "eos_token_id": [1, 2],
    }
    settings = {
        "peft_type": "LORA",
        "base_model_name_or_path": "base",
        "r": 4,
        "lora_alpha": 8,
        "target_modules": ["q_proj"],
    }
    saw = {
        "note": "x",
        "trainings": [
            {
                "corpus": "starter",
                "corpus_digest": "",
                "split": "held",
                "split_digest": "",
                "kind": "conditions",
                "studies": {STUDY: {"conditions": [0, 2]}},
            }
        ],
    }
    card = {"title": "Mine", "lineage": ["base", "mine"], "saw": saw, "template": "socsci210"}
    tokens = {
        "eos_token": {"content": "<end>"},
        "chat_template": "{{ messages[0]['content'] }}",
        "model_max_length": 512,
    }
    for path, name, content in (
        (model, "config.json", config),
        (model, "tokenizer_config.json", tokens),
        (model, "card.json", {"title": "Base"}),
        (adapter, "adapter_config.json", settings),
        (adapter, "card.json", card),
    ):
        write_json(path / name, content)
    save_file(
        {"model.embed.weight": np.zeros((16, 8), dtype=np.float32), "b": np.zeros(3, dtype=np.float16)},
        model / "model.safetensors",
    )
    layer = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    save_file({layer: np.zeros((4, 8), dtype=np.float32)}, adapter / "adapter_model.safetensors")
    _keep(seeds, "model config", json.dumps(config))
    _keep(seeds, "tokenizer config", json.dumps(tokens))
    _keep(seeds, "adapter config", json.dumps(settings))
    _keep(seeds, "model card", json.dumps(card))
    _keep(seeds, "adapter safetensors", (adapter / "adapter_model.safetensors").read_bytes())
    _keep(seeds, "safetensors", (model / "model.safetensors").read_bytes())


def _real(seeds: Path) -> None:
    """The first part of the real files that tests use, where this machine has them."""
    for path in sorted(DATA.glob("qualtrics/*.qsf")):
        _keep(seeds, "Qualtrics QSF", path.read_bytes())
    for path in sorted(DATA.glob("qualtrics/*.csv")):
        _keep(seeds, "Qualtrics CSV", path.read_bytes()[:HEAD])
    for path in sorted(DATA.glob("studies/*.csv")):
        _keep(seeds, "CSV and TSV", path.read_bytes()[:HEAD])
    for path in sorted(DATA.glob("studies/*.parquet")):
        _keep(seeds, "SocSci210 Parquet", path.read_bytes())
    for name, field, target in (
        ("scale_phrases", "tail", "scale reader"),
        ("raw_answers", "text", "answer reader"),
    ):
        lines = (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines() if DATA.exists() else []
        _keep(seeds, target, *(json.loads(line)[field] for line in lines[:400:4]))
