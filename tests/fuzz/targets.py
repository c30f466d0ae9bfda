"""What reads a stranger's file: a function of bytes for each reader and loader."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from socrates_core.corpus import find_study, open_corpus
from socrates_core.corpus.scale_overrides import read_overrides
from socrates_core.corpus.socsci210 import Request, run_import
from socrates_core.corpus.splits import load_split
from socrates_core.errors import UserError
from socrates_core.evaluations.results import load_evaluation
from socrates_core.evaluations.spec import load_spec as load_evaluation_spec
from socrates_core.finetuning.estimate import count_parameters
from socrates_core.finetuning.library import lineage
from socrates_core.finetuning.spec import load_spec_file, training_path
from socrates_core.importing.build import preview
from socrates_core.importing.mapping import load_mapping, render_mapping
from socrates_core.importing.mapping_tables import parse_pairs
from socrates_core.importing.opening import open_files
from socrates_core.importing.qualtrics.suggest import read_responses, read_survey, suggest_survey
from socrates_core.importing.read_table import read_table
from socrates_core.importing.statistical import read_here
from socrates_core.importing.suggest import suggest
from socrates_core.jobs.store import list_jobs, read_job
from socrates_core.models.catalog import list_models
from socrates_core.models.model_folder import check_folder, context_length, find_model, open_folder
from socrates_core.models.seen import seen_of
from socrates_core.populations.margins import read_margins
from socrates_core.projects import drafts
from socrates_core.projects.experiments import load_experiment
from socrates_core.projects.paraphrases import load_paraphrases
from socrates_core.projects.run_results import list_runs, load_run
from socrates_core.projects.run_spec import load_spec
from socrates_core.records import Scale
from socrates_core.scales import check_scale, parse_scale, read_answer
from socrates_core.surveys.check import problems
from socrates_core.surveys.draft import load_draft, render_draft
from tests.support.socsci210_rows import Quiet

SCALES = (
    Scale("range", 1, 7, labels=((1, "Strongly disagree"), (7, "Strongly agree"))),
    Scale("open_integer"),
    Scale("range", -3, 3, 0.5),
    Scale("enum_labels", 1, 3, labels=((1, "Yes"), (2, "No"), (3, "Don't know"))),
)


@dataclass(frozen=True)
class Target:
    """A reader: `read` takes the bytes of its file."""

    name: str
    read: Callable[[bytes], object]


def targets(home: Path) -> list[Target]:
    """Every reader, on a home that `make_home` filled."""
    named = {**readers_of_text(), **_imports(home), **_by_people(home), **_by_us(home), **_models(home)}
    return [Target(name, read) for name, read in named.items()]


def _into(path: Path, read: Callable[[], object]) -> Callable[[bytes], object]:
    """Reads with `read` what is written to `path`; what stood there comes back."""
    sound = path.read_bytes() if path.exists() else b""

    def reading(data: bytes) -> object:
        path.write_bytes(data)
        try:
            return read()
        finally:
            path.write_bytes(sound)

    return reading


def readers_of_text() -> dict[str, Callable[[bytes], object]]:
    """The readers of scales and answers, which need no file."""

    def read_scale(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        for told in (text, f"Only return {text}"):
            if scale := parse_scale(told):
                assert scale.low is None or scale.high is None or scale.low <= scale.high
                check_scale(scale)

    def read_answers(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        for scale in SCALES:
            value = read_answer(text, scale).value
            assert value is None or scale.is_open or value in scale.values

    return {"scale reader": read_scale, "answer reader": read_answers}


def _imports(home: Path) -> dict[str, Callable[[bytes], object]]:
    folder = home / "exports"
    survey, responses = folder / "real.qsf", folder / "real.csv"
    survey.write_bytes((home / "seeds" / "Qualtrics QSF" / "000").read_bytes())
    responses.write_bytes((home / "seeds" / "Qualtrics CSV" / "000").read_bytes())

    def understand_survey() -> object:
        opened = read_survey(survey)
        return suggest_survey(opened, read_responses(responses, opened))

    def open_table(path: Path) -> object:
        opened = open_files([path])
        return preview(opened.table, opened.suggested)

    def import_rows() -> object:
        return run_import(Request(str(folder / "rows.parquet"), name="fuzzed", replace=True), Quiet())

    table, book, labelled = folder / "any.csv", folder / "any.xlsx", folder / "any.sav"
    return {
        "Qualtrics QSF": _into(survey, understand_survey),
        "Qualtrics CSV": _into(responses, understand_survey),
        "CSV and TSV": _into(table, lambda: open_table(table)),
        "Excel": _into(book, lambda: open_table(book)),
        "SPSS and Stata": _into(labelled, lambda: suggest(read_here(labelled), "any")),
        "SocSci210 Parquet": _into(folder / "rows.parquet", import_rows),
    }


def _by_people(home: Path) -> dict[str, Callable[[bytes], object]]:
    """What a person writes by hand: YAML files, shares of a population, names in a command or a link."""
    written, shares = home / "exports" / "written.yaml", home / "exports" / "shares.csv"
    small = read_table(home / "exports" / "small.csv")

    def read_draft() -> None:
        told = load_draft(written)
        problems(told)
        render_draft(told)

    def read_mapping() -> None:
        mapping = load_mapping(written)
        render_mapping(mapping)
        preview(small, mapping)

    def read_name(data: bytes) -> None:
        name = data.decode("utf-8", "replace")
        for opened in (
            open_corpus,
            load_split,
            load_run,
            load_evaluation,
            load_experiment,
            read_job,
            training_path,
            drafts.open_draft,
            find_study,
            parse_pairs,
        ):
            _refused(opened, name)
        if "/" not in name:  # what has one may be a model on the hub
            find_model(name)

    return {
        "draft YAML": _into(written, read_draft),
        "training YAML": _into(written, lambda: load_spec_file(written).as_yaml()),
        "mapping YAML": _into(written, read_mapping),
        "paraphrases YAML": _into(written, lambda: load_paraphrases(written)),
        "population CSV": _into(shares, lambda: read_margins(shares)),
        "population YAML": _into(written, lambda: read_margins(written)),
        "names": read_name,
    }


def _by_us(home: Path) -> dict[str, Callable[[bytes], object]]:
    """What this program wrote into the home and somebody may have changed since."""

    def first(pattern: str) -> Path:
        return min(home.glob(pattern), key=lambda path: path.stat().st_mtime)

    run, evaluation = first("runs/*/spec.json").parent, first("evaluations/*/spec.json").parent
    draft, experiment = first("drafts/*/working.json"), first("experiments/*/experiment.json")
    job, corpora, small = home / "jobs" / run.name, home / "corpora", home / "corpora" / "small"
    by_hand = home / "overrides" / "starter.json"
    return {
        "draft in the home": _into(
            draft, lambda: (drafts.list_drafts(), drafts.open_draft(draft.parent.name))
        ),
        "run spec": _into(run / "spec.json", lambda: (list_runs(), load_spec(run.name))),
        "run manifest": _into(run / "manifest.json", lambda: (list_runs(), load_run(run.name))),
        "job job": _into(job / "job.json", lambda: (list_jobs(), read_job(job.name))),
        "job status": _into(job / "status.json", lambda: (list_jobs(), read_job(job.name))),
        "experiment": _into(experiment, lambda: load_experiment(experiment.parent.name)),
        "split": _into(home / "splits" / "held.json", lambda: load_split("held")),
        "evaluation spec": _into(evaluation / "spec.json", lambda: load_evaluation_spec(evaluation.name)),
        "evaluation manifest": _into(evaluation / "manifest.json", lambda: load_evaluation(evaluation.name)),
        "scales set by hand": _into(by_hand, lambda: read_overrides(corpora / "starter")),
        "corpus manifest": _into(small / "manifest.json", lambda: open_corpus("small").studies()),
        "corpus tables": _into(small / "responses.parquet", lambda: open_corpus("small").studies()),
    }


def _models(home: Path) -> dict[str, Callable[[bytes], object]]:
    """The files of a model's folder, and of an adapter's over it."""
    model, adapter = home / "models" / "base", home / "adapters" / "mine"

    def read_model() -> None:
        context_length(check_folder(model))
        open_folder("mine", weights=False)
        lineage("mine")
        seen_of("mine")
        list_models()

    return {
        "model config": _into(model / "config.json", read_model),
        "tokenizer config": _into(model / "tokenizer_config.json", read_model),
        "adapter config": _into(adapter / "adapter_config.json", read_model),
        "adapter safetensors": _into(adapter / "adapter_model.safetensors", read_model),
        "model card": _into(adapter / "card.json", read_model),
        "safetensors": _into(model / "model.safetensors", lambda: count_parameters("base")),
    }


def _refused(read: Callable[[str], object], name: str) -> None:
    """Passes over a refusal: only the last of several readers speaks for them all."""
    try:
        read(name)
    except UserError:
        return
