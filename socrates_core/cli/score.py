"""Commands that put questions of no study to a model: score, drift."""

import inspect
import json
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer

from socrates_core.cli.options import AsJson, ModelOptions, with_model_options
from socrates_core.cli.output import print_json, print_result
from socrates_core.errors import UserError
from socrates_core.files import write_parquet
from socrates_core.projects.benchmark_questions import record_drift
from socrates_core.prompts import SYSTEM
from socrates_core.records import Prompt, Question
from socrates_core.scales import check_scale, parse_scale

MAX_OPTIONS = 1001


@with_model_options(
    "model",
    "precision",
    "decoding",
    "deterministic",
    "server",
    "key_variable",
    "elicitation",
    "samples",
    "consent",
    model=inspect.Parameter.empty,
)
def score(
    source: Annotated[Path, typer.Option("--input", help="JSON lines: id, prompt, instruction or options.")],
    output: Annotated[Path, typer.Option(help="The Parquet file to write.")],
    options: ModelOptions,
    as_json: AsJson = False,
) -> None:
    """Score prompts from a file: the probability of every option."""
    from socrates_core.models import answer_all, open_responder

    ids, questions = _read_questions(source)
    request = options.request()
    responder = open_responder(
        request.name,
        precision=request.precision,
        decoding=request.decoding,
        deterministic=request.deterministic,
        service=request.service,
        consent=options.consent,
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
    print_result(
        {"rows": len(ids), "output": str(output), "card": responder.card.as_dict()},
        f"{len(ids)} rows scored by {request.name}, written to {output}",
        as_json,
    )


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
    # A column of Parquet has one type: 64-bit integers, or else text.
    return ids if all(type(i) is int and abs(i) < 2**63 for i in ids) else [str(i) for i in ids], questions


def _question(row: dict[str, Any]) -> Question:
    texts = row.get("system", SYSTEM), row["prompt"], row.get("instruction", "")
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("prompt, system and instruction must be text")
    # Raises a ValueError for half a character, which no file can keep.
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


@with_model_options("model", "precision", precision="nf4")
def drift(options: ModelOptions, as_json: AsJson = False) -> None:
    """Measure how far a precision moves a model's answers from fp32, on real questions."""
    measured = record_drift(options.model, options.precision)
    if as_json:
        return print_json(dict(vars(measured)))
    print(
        f"{options.model} in {options.precision} compared with fp32 on {measured.n_questions} questions: total "
        f"variation {measured.mean_tv:.3f} on average, {measured.max_tv:.3f} at most; valid mass moves by "
        f"{measured.mean_mass_shift:.3f} on average, {measured.max_mass_shift:.3f} at most."
    )
