"""Every kind of file that is written: where it lies, how its kind is listed, how one is opened, where it is shown.

A `needed` file that is damaged is refused; one that is `proven` is refused after any change of a byte; what is
`optional` counts as not there. Of one that is `open` any content may be right, so it is refused or taken as it is.
"""

import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pages.view.state import PAGES
from socrates_core.__main__ import app
from socrates_core.asking.request import ModelRequest
from socrates_core.asking.speed import read_speeds
from socrates_core.calibrations import calibration_for
from socrates_core.cli.app import read_note
from socrates_core.corpus import open_corpus
from socrates_core.corpus.topics import map_path, read_map
from socrates_core.finetuning.rationales import load_rationales, rationale_names
from socrates_core.importing.mapping import load_mapping
from socrates_core.importing.opening import open_files
from socrates_core.importing.uploads import list_uploads, open_upload
from socrates_core.models import answer_all, open_responder
from socrates_core.populations.margins import margin_files, read_margins
from socrates_core.projects import drafts
from socrates_core.projects.benchmark_questions import known_drifts
from socrates_core.records import Prompt, Question
from tests.support.finetunes import LOSSES
from training.loop import open_trainer

Trust = Literal["needed", "proven", "optional", "open"]


@dataclass(frozen=True)
class Kind:
    """Files of one thing called `own`, by pattern under the home, with how far each is trusted."""

    name: str
    own: str
    files: dict[str, Trust]
    listed: Callable[[], Sequence[str]]
    opened: Callable[[], object]
    page: str = PAGES.studies
    link: dict[str, str] = field(default_factory=dict)

    def paths(self, home: Path) -> list[tuple[Path, Trust]]:
        return [
            (path, trust)
            for pattern, trust in self.files.items()
            for path in sorted(home.glob(pattern.replace("OWN", self.own)))
        ]


def printed(*arguments: str) -> str:
    """What a command prints, run in this process."""
    told = io.StringIO()
    with contextlib.redirect_stdout(told), contextlib.redirect_stderr(io.StringIO()):
        app(list(arguments), standalone_mode=False)
    return told.getvalue()


def column(name: str, *arguments: str) -> Callable[[], list[str]]:
    """The values of a column of what a command lists."""
    return lambda: [str(row[name]) for row in json.loads(printed(*arguments, "--json"))]


def opening(*arguments: str) -> Callable[[], object]:
    return lambda: printed(*arguments, "--json")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[!.]*") if path.is_dir())


def all_kinds(home: Path) -> list[Kind]:
    """The kinds of a home that `fill_home` filled; the first thing of each is the one to spoil."""
    return [*_of_studies(home), *_of_models(home)]


def _of_studies(home: Path) -> list[Kind]:
    first = {name: names_in(home / name)[0] for name in ("drafts", "runs", "evaluations", "experiments")}
    fingerprint = json.loads((home / "evaluations" / first["evaluations"] / "manifest.json").read_text())[
        "fingerprint"
    ]
    waiting = next(path.parent.name for path in (home / "jobs").glob("*/priority.json"))
    binned = min(path.name for path in (home / "drafts" / ".deleted").glob("*/*"))
    return [
        Kind(
            "draft",
            first["drafts"],
            {"drafts/OWN/working.json": "needed", "drafts/OWN/v0001.json": "optional"},
            lambda: [row["draft_id"] for row in drafts.list_drafts()],
            lambda: (drafts.open_draft(first["drafts"]), drafts.versions(first["drafts"])),
            PAGES.draft,
            {"draft": first["drafts"]},
        ),
        Kind(
            "draft in the bin",
            binned,
            {"drafts/.deleted/*/OWN/working.json": "optional"},
            lambda: list(drafts.deleted_titles()),
            drafts.list_drafts,
            PAGES.draft,
        ),
        Kind(
            "run",
            first["runs"],
            {
                "runs/OWN/spec.json": "needed",
                "runs/OWN/manifest.json": "needed",
                "runs/OWN/*.parquet": "proven",
            },
            column("run_id", "runs"),
            opening("run", first["runs"]),
            PAGES.results,
            {"run": first["runs"]},
        ),
        Kind(
            "job",
            first["runs"],
            {
                "jobs/OWN/job.json": "needed",
                "jobs/OWN/status.json": "needed",
                "jobs/OWN/result.json": "open",
                "jobs/OWN/progress.jsonl": "optional",
                "jobs/OWN/log.txt": "optional",
            },
            column("id", "jobs"),
            opening("job", first["runs"]),
            PAGES.jobs,
            {"job": first["runs"]},
        ),
        Kind(
            "order of a job",
            waiting,
            {"jobs/OWN/priority.json": "needed"},
            column("id", "jobs"),
            opening("job", waiting),
            PAGES.jobs,
        ),
        Kind(
            "evaluation",
            first["evaluations"],
            {
                "evaluations/OWN/spec.json": "needed",
                "evaluations/OWN/manifest.json": "needed",
                "evaluations/OWN/rows.parquet": "proven",
            },
            column("evaluation_id", "evaluations"),
            opening("compare", first["evaluations"]),
            PAGES.compare,
            {"evaluations": first["evaluations"]},
        ),
        Kind(
            "calibration",
            fingerprint,
            {f"calibrations/{fingerprint[:16]}.json": "optional"},
            lambda: [],
            lambda: str(calibration_for(fingerprint)),
            PAGES.results,
            {"run": first["runs"]},
        ),
        Kind(
            "experiment",
            first["experiments"],
            {"experiments/OWN/experiment.json": "needed"},
            column("experiment_id", "experiments"),
            opening("experiments", first["experiments"]),
            PAGES.experiment,
            {"experiment": first["experiments"]},
        ),
        Kind(
            "split",
            "held",
            {"splits/held.json": "proven"},
            column("name", "split", "list"),
            opening("split", "show", "held"),
            PAGES.launch,
            {"split": "held"},
        ),
        Kind(
            "corpus",
            "made",
            {
                "corpora/OWN/manifest.json": "needed",
                "corpora/OWN/responses.parquet": "proven",
                "corpora/OWN/studies.parquet": "proven",
                "corpora/OWN/stimuli.parquet": "proven",
                "corpora/OWN/participants.parquet": "proven",
            },
            column("corpus", "studies"),
            opening("study", "aaaaa", "--corpus", "made"),
            PAGES.study,
            {"corpus": "made", "study": "aaaaa"},
        ),
        Kind(
            "rationales of a corpus",
            "made",
            {"corpora/OWN/reasoning.parquet": "needed"},
            column("corpus", "studies"),
            lambda: load_rationales(open_corpus("made"), "corpus"),
        ),
        Kind(
            "scales by hand",
            "starter",
            {"overrides/OWN.json": "needed"},
            column("corpus", "studies"),
            opening("study", "kakadu"),
            PAGES.study,
            {"corpus": "starter", "study": "kakadu"},
        ),
        Kind(
            "seals",
            "",
            {"seals/000001.json": "proven", "seals/head.json": "needed"},
            lambda: [],
            opening("seals"),
            PAGES.results,
            {"run": first["runs"]},
        ),
    ]


def _of_models(home: Path) -> list[Kind]:
    first = {name: names_in(home / name)[0] for name in ("drafts", "imports")}
    return [
        Kind(
            "finetune",
            "tuned",
            {
                "trainings/OWN/spec.yaml": "needed",
                "trainings/OWN/history.jsonl": "optional",
                "trainings/OWN/plan.json": "optional",
            },
            column("training_id", "trainings"),
            opening("training", "tuned"),
            PAGES.finetunes,
            {"trainings": "tuned"},
        ),
        Kind(
            "checkpoint",
            "tuned",
            {
                "trainings/OWN/checkpoint-*/state.json": "needed",
                "trainings/OWN/checkpoint-*/*.safetensors": "needed",
            },
            column("training_id", "trainings"),
            lambda: open_trainer("tuned", LOSSES["sft"]),
            PAGES.finetunes,
            {"trainings": "tuned"},
        ),
        Kind(
            "adapter",
            "tuned",
            {
                "adapters/OWN/card.json": "open",
                "adapters/OWN/adapter_config.json": "needed",
                "adapters/OWN/adapter_model.safetensors": "needed",
            },
            column("name", "models"),
            lambda: asked("tuned"),
            PAGES.models,
            {"model": "tuned"},
        ),
        Kind(
            "model",
            "tiny",
            {
                "models/OWN/config.json": "needed",
                "models/OWN/tokenizer.json": "needed",
                "models/OWN/tokenizer_config.json": "open",
                "models/OWN/model.safetensors": "needed",
            },
            column("name", "models"),
            lambda: asked("tiny"),
            PAGES.models,
            {"model": "tiny"},
        ),
        Kind(
            "speeds",
            "",
            {"models/speeds.json": "optional"},
            lambda: [],
            lambda: read_speeds(ModelRequest("echo")),
            PAGES.draft,
            {"draft": first["drafts"]},
        ),
        Kind(
            "drift",
            "",
            {"models/drift.json": "optional"},
            lambda: [],
            lambda: known_drifts("tiny"),
            PAGES.draft,
            {"draft": first["drafts"]},
        ),
        Kind(
            "rationales",
            "written",
            {"rationales/OWN.json": "needed", "rationales/OWN.parquet": "proven"},
            rationale_names,
            lambda: load_rationales(open_corpus("made"), "written"),
            PAGES.launch,
        ),
        Kind(
            "upload",
            first["imports"],
            {"imports/OWN/mapping.yaml": "needed", "imports/OWN/files/*.csv": "open"},
            lambda: [each.upload_id for each in list_uploads()],
            lambda: _read_upload(first["imports"]),
            PAGES.import_,
            {"upload": first["imports"]},
        ),
        Kind(
            "population",
            "here",
            {"margins/OWN.csv": "needed"},
            lambda: list(margin_files()),
            lambda: read_margins(margin_files()["here"]),
            PAGES.study,
            {"corpus": "starter", "study": "kakadu"},
        ),
        Kind("answers", "", {"cache/answers.sqlite": "open"}, lambda: [], opening("cache")),
        Kind(
            "digests", "", {"cache/file_digests.json": "optional"}, lambda: [], lambda: open_responder("tiny")
        ),
        Kind(
            "topic map",
            "",
            {"cache/topics/*.parquet": "needed"},
            lambda: [],
            lambda: read_map(["made", "starter"]) is None or map_path(["made", "starter"]),
            PAGES.map,
        ),
        Kind(
            "the dashboard's note",
            "",
            {"dashboard.json": "optional"},
            lambda: [],
            lambda: read_note(home / "dashboard.json"),
            PAGES.studies,
        ),
    ]


def asked(model: str) -> object:
    """What the model answers to a question."""
    return answer_all(open_responder(model), [Question(Prompt("Be brief.", "How?"), ("1", "2"))])


def _read_upload(upload_id: str) -> object:
    upload = open_upload(upload_id)
    load_mapping(upload.mapping_path)
    return open_files(upload.paths)


SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "one byte": lambda data: (
        data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0x20]) + data[len(data) // 2 + 1 :]
    ),
    "another shape": lambda data: json.dumps([{"format": [1]}, 5]).encode(),
    "an empty object": lambda data: b"{}",
    "noise": lambda data: np.random.default_rng(0).bytes(max(len(data), 100)),
}


@contextlib.contextmanager
def spoilt(path: Path, how: str) -> Any:
    """Spoils the file for the length of the block; what is there afterwards is what was there before."""
    aside = Path(os.environ["SOCRATES_HOME"]).with_name("sound")
    sides = [path.with_name(path.name + end) for end in ("-wal", "-shm")] if path.suffix == ".sqlite" else []
    shutil.copy2(path, aside)
    data = path.read_bytes()
    try:
        for side in sides:
            side.unlink(missing_ok=True)
        path.unlink()  # another file in its place, as an editor leaves it
        path.write_bytes(SPOILT[how](data))
        yield
    finally:
        for side in sides:
            side.unlink(missing_ok=True)
        os.replace(aside, path)
