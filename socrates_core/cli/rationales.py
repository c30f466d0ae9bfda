"""The command that lets a model write rationales for training: rationales."""

from pathlib import Path
from typing import Annotated, Any

import typer

from socrates_core.asking.request import ModelRequest
from socrates_core.cli.output import AsJson, print_json
from socrates_core.cli.simulate import (
    AskedPrecision,
    Consent,
    KeyVariable,
    LimitUsd,
    ModelName,
    Server,
    follow,
    service_of,
)
from socrates_core.errors import UserError
from socrates_core.finetuning.rationales import submit_rationales
from socrates_core.finetuning.spec import load_spec_file, spec_from_dict
from socrates_core.jobs.store import read_result
from socrates_core.models.served.server import N_SAMPLES, OFFICIAL


def rationales(
    name: Annotated[str, typer.Argument(help="What to call them; a finetune names them so.")],
    split: Annotated[
        str | None, typer.Option(help="The split on whose training side the answers are.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Instead of --split, --cap and --seed: the finetune's own file.")
    ] = None,
    model: ModelName = "starter",
    cap: Annotated[int, typer.Option(min=1, help="At most so many people a cell, as in the finetune.")] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Which people, as in the finetune.")] = 0,
    precision: AskedPrecision = "auto",
    server: Server = OFFICIAL,
    key_variable: KeyVariable = "",
    limit_usd: LimitUsd = None,
    consent: Consent = False,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress and end with the counts.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a model write why people answered as they did, from their true answers: a training target alone."""
    if (split is None) == (config is None):
        raise UserError(
            "Say whose answers are explained: --split NAME, or --config with the finetune's file."
        )
    told: dict[str, Any] = {"name": name, "split": split, "per_cell": cap, "seed": seed}
    told = load_spec_file(config).model_dump() if config else told
    spec = spec_from_dict({**told, "method": "reasoning", "rationales": name}, "The command")
    service = service_of(model, server, key_variable, "auto", N_SAMPLES)
    request = ModelRequest(model, precision, service=service)
    job = submit_rationales(request, spec, consent=consent, limit_usd=limit_usd)
    if not wait:
        return print_json({"job_id": job.id, "state": job.state}) if as_json else print(job.id)
    job = follow(job)
    if job.state != "done":
        raise UserError(f"The job {job.id} is {job.state}: {job.message}")
    found = read_result(job)
    if as_json:
        return print_json(found)
    faults = "; ".join(f"{n:,} {fault}" for fault, n in found["faults"].items())
    print(
        f"{found['n_usable']:,} of {found['n_rows']:,} answers have a rationale{f' ({faults})' if faults else ''}."
    )
