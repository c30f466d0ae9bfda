"""Commands that work: setup, score, simulate, runs, run."""

import json
import shlex
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from socrates_core.asking.request import ModelRequest
from socrates_core.cli.output import AsJson, print_json, print_table, say
from socrates_core.errors import UserError
from socrates_core.files import write_parquet
from socrates_core.jobs.progress import describe_seconds, read_progress
from socrates_core.jobs.store import Job, read_job
from socrates_core.jobs.worker_process import see_to_worker
from socrates_core.models import is_served
from socrates_core.models.served.server import N_SAMPLES, OFFICIAL, OFFICIAL_KEY, Elicitation, Service
from socrates_core.populations.panel import profiles_sentence
from socrates_core.projects.answer_orders import Order
from socrates_core.projects.benchmark_questions import measure_speed, record_drift
from socrates_core.projects.run_results import list_runs, load_run
from socrates_core.projects.run_spec import run_again, submit_simulation
from socrates_core.prompts import SYSTEM
from socrates_core.records import Decoding, Precision, Prompt, Question
from socrates_core.reporting.run_report import write_report
from socrates_core.scales import check_scale, parse_scale
from socrates_core.settings import folder
from socrates_core.surveys.draft import load_draft

ModelName = Annotated[
    str,
    typer.Option("--model", help="starter, a folder, a hub id such as org/name, or api:MODEL at a --server."),
]
AskedPrecision = Annotated[Precision, typer.Option(help="Number format of the weights.")]
MAX_OPTIONS = 1001
Deterministic = Annotated[
    bool,
    typer.Option(
        "--deterministic", help="Answers never depend on their neighbours, to the last bit; slower."
    ),
]
AskedDecoding = Annotated[Decoding, typer.Option(help="exact, or the paper's temperature 0.6 and top-p 0.9.")]
Server = Annotated[
    str, typer.Option(envvar="OPENAI_BASE_URL", help="Base address of the server of an api:MODEL, up to /v1.")
]
KeyVariable = Annotated[
    str,
    typer.Option(
        help=f"Environment variable with the server's key (the OpenAI API: {OFFICIAL_KEY}; others: none)."
    ),
]
AskedElicitation = Annotated[
    Elicitation,
    typer.Option(help="How a served model is asked; auto: logprobs where they fit, else samples."),
]
Samples = Annotated[int, typer.Option(help="Draws a question, where a served model is sampled.")]
LimitUsd = Annotated[float | None, typer.Option(help="Stop before a served model costs more.")]
Consent = Annotated[
    bool, typer.Option("--consent", help="The questions may leave this machine, for this run alone.")
]


def service_of(
    model: str, server: str, key_variable: str, elicitation: Elicitation, samples: int
) -> Service | None:
    """The options of a served model; None for a model that is not asked over HTTP. Raises UserError."""
    return Service(server, key_variable, elicitation, samples) if is_served(model) else None


def setup(as_json: AsJson = False) -> None:
    """Prepare the starter corpus and the starter model (safe to repeat)."""
    from socrates_core.corpus.starter import prepare_starter_corpus
    from socrates_core.models.starter import prepare_starter_model

    def report(text: str, share: float) -> None:
        say(f"{share:4.0%}  {text}")

    folder()  # says so at once where the home cannot be written
    corpus, model = prepare_starter_corpus(report), prepare_starter_model(report)
    say("      Measuring how fast the starter model answers here, unless that is known")
    measure_speed(ModelRequest("starter"))
    if as_json:
        return print_json({"corpus": str(corpus), "model": str(model)})
    print(f"Ready: starter corpus in {corpus}, starter model in {model}")


def drift(
    model: ModelName = "starter",
    precision: AskedPrecision = "nf4",
    as_json: AsJson = False,
) -> None:
    """Measure how far a precision moves a model's answers from fp32, on real questions."""
    found = record_drift(model, precision)
    if as_json:
        return print_json(dict(vars(found)))
    print(
        f"{model} in {precision} against fp32 on {found.n_questions} questions: total variation "
        f"{found.mean_tv:.3f} on average, {found.max_tv:.3f} at most; valid mass moves by "
        f"{found.mean_mass_shift:.3f} on average, {found.max_mass_shift:.3f} at most."
    )


def score(
    model: ModelName,
    source: Annotated[Path, typer.Option("--input", help="JSON lines: id, prompt, instruction or options.")],
    output: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    precision: AskedPrecision = "auto",
    decoding: AskedDecoding = "exact",
    deterministic: Deterministic = False,
    server: Server = OFFICIAL,
    key_variable: KeyVariable = "",
    elicitation: AskedElicitation = "auto",
    samples: Samples = N_SAMPLES,
    consent: Consent = False,
    as_json: AsJson = False,
) -> None:
    """Score prompts from a file: the probability of every option."""
    from socrates_core.models import answer_all, open_responder

    ids, questions = _read_questions(source)
    service = service_of(model, server, key_variable, elicitation, samples)
    responder = open_responder(
        model,
        precision=precision,
        decoding=decoding,
        deterministic=deterministic,
        service=service,
        consent=consent,
    )
    answers = answer_all(responder, questions)
    columns: dict[str, list[Any]] = {
        "id": ids,
        "options": [
            list(question.options)
            or [f"{value:.15g}" for value in (() if answer.values is None else answer.values)]
            for question, answer in zip(questions, answers, strict=True)
        ],
        "probabilities": [answer.probabilities.tolist() for answer in answers],
        "valid_mass": [answer.valid_mass for answer in answers],
        "n_tokens": [answer.n_tokens for answer in answers],
    }
    if any(answer.n_samples for answer in answers):
        columns["n_samples"] = [answer.n_samples for answer in answers]
    write_parquet(output, pa.table(columns))
    told = {"rows": len(ids), "output": str(output), "card": responder.card.as_dict()}
    print_json(told) if as_json else print(f"{len(ids)} rows scored by {model}, written to {output}")


def _read_questions(path: Path) -> tuple[list[Any], list[Question]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The input {str(path)!r} cannot be read as text ({error}).") from error
    ids, questions = [], []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
                if not isinstance(row["id"], str | int):
                    raise TypeError(f"id must be text or a whole number, got {row['id']!r}")
                ids.append(row["id"])
                questions.append(_question(row))
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(
                    f"Line {number} of {str(path)!r} cannot be used ({type(error).__name__}: {error}). "
                    'It needs "id", "prompt" and "instruction" or "options"; it may have "system".'
                ) from error
    if not questions:
        raise UserError(f"The input {str(path)!r} holds no lines. Write one JSON object a line.")
    return ids if all(type(i) is int and abs(i) < 2**63 for i in ids) else [str(i) for i in ids], questions


def _question(row: dict[str, Any]) -> Question:
    texts = row.get("system", SYSTEM), row["prompt"], row.get("instruction", "")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("prompt, system and instruction must be text")
    json.dumps([*texts, row.get("options")], ensure_ascii=False).encode()
    prompt = Prompt(texts[0], texts[1])
    if "options" in row:
        options = tuple(str(option) for option in row["options"] if not isinstance(row["options"], str))
        if not 1 <= len(options) <= MAX_OPTIONS or len(set(options)) < len(options) or "" in options:
            raise ValueError(
                f"options must be a list of 1 to {MAX_OPTIONS:,} texts that differ and are not empty"
            )
        return Question(prompt, options)
    scale = parse_scale(str(row["instruction"]))
    if scale is None:
        raise ValueError(f"the instruction {row['instruction']!r} has no scale that can be read")
    if not scale.is_open:
        check_scale(scale)
    return Question(prompt, (), scale) if scale.is_drawn else Question(prompt, scale.options)


def simulate(
    draft: Annotated[Path, typer.Argument(help="A draft as YAML.")],
    model: ModelName = "starter",
    personas: Annotated[int | None, typer.Option(help="Panel size, instead of the draft's.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the panel, instead of the draft's.")] = None,
    precision: AskedPrecision = "auto",
    decoding: AskedDecoding = "exact",
    deterministic: Deterministic = False,
    order: Annotated[
        Order, typer.Option(help="Order in which an outcome's answers are listed.")
    ] = "as written",
    server: Server = OFFICIAL,
    key_variable: KeyVariable = "",
    elicitation: AskedElicitation = "auto",
    samples: Samples = N_SAMPLES,
    limit_usd: LimitUsd = None,
    consent: Consent = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress and end with the run.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a model answer as each person of a draft's panel; prints the run id."""
    asked = load_draft(draft)
    changes = {key: value for key, value in {"n": personas, "seed": seed}.items() if value is not None}
    asked = asked.model_copy(update={"panel": asked.panel.model_copy(update=changes)})
    service = service_of(model, server, key_variable, elicitation, samples)
    request = ModelRequest(model, precision, decoding, deterministic, service)
    job = submit_simulation(asked, request, order=order, consent=consent, limit_usd=limit_usd)
    if wait:
        job = follow(job)
        if job.state != "done":
            raise UserError(f"The run {job.id} is {job.state}: {job.message}")
    print_json({"run_id": job.id, "state": job.state}) if as_json else print(job.id)


def follow(job: Job) -> Job:
    """The job at its end, its progress told until then; a worker that dies is replaced."""
    from time import sleep

    told = ""
    while (now := read_job(job.id)).active or now.can_be_taken_over:
        see_to_worker()
        progress = read_progress(now)
        if progress:
            left = describe_seconds(progress.seconds_left)
            text = f"{progress.phase}: {progress.done} of {progress.total}, time left {left}"
            if text != told:
                say(text)
                told = text
        sleep(0.5)
    return now


def runs(as_json: AsJson = False) -> None:
    """List the runs, the newest first."""
    rows = list_runs()
    if as_json:
        return print_json(rows)
    columns = ["run_id", "title", "model", "state", "n_people", "n_cells", "valid_mass"]
    print_table(
        rows, columns, "There are no runs yet. Run: python -m socrates_core simulate DRAFT.yaml --wait"
    )


def run(
    run_id: str,
    export: Annotated[Path | None, typer.Option(help="Also write the run's report to this folder.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Ask the same again, with the current scoring.")
    ] = False,
    consent: Consent = False,
    as_json: AsJson = False,
) -> None:
    """Show one run: its cells and effects next to people's. With --again, queue the same run and print its id."""
    if again:
        job = run_again(run_id, consent=consent)
        return print_json({"run_id": job.id, "state": job.state}) if as_json else print(job.id)
    found = load_run(run_id)
    if export:
        write_report(found, export)
        say(f"Exported to {export}")
    if as_json:
        return print_json(found.as_dict())
    print(f"{found.title} · {found.manifest['card']['name']} ({found.manifest['card']['precision']})")
    if found.outdated:
        print(f"{found.outdated} Run it again: python -m socrates_core run {run_id} --again")
    if found.manifest["state"] == "partial":
        print(
            f"Not finished: {found.manifest['n_answered']} of {found.manifest['n_cells']} answers are there."
        )
    for sentence in (found.people_sentence, profiles_sentence(found.spec.people)):
        if sentence:
            print(sentence)
    columns = ["outcome_name", "condition_name", "n", "mean", "sd", "valid_mass"]
    columns += ["human_n", "human_mean", "w_observed"]
    print_table([cell.as_dict() for cell in found.cells], columns, "The run has no answers yet.")
    print(
        "\nEffects against the reference; 95% intervals are people's, the calibrated effect has its own of 90%"
    )
    columns = ["outcome", "condition", "reference", "predicted", "predicted_n", "people", "low", "high", "n"]
    columns += ["calibrated", "calibrated_low_90", "calibrated_high_90"]
    print_table([effect.as_dict() for effect in found.effects], columns, "One condition: nothing to compare.")
    print(f"\n{found.calibration}")
    print(f"\nReproduce: {shlex.join(found.command)}")
