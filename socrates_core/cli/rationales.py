"""The command that lets a model write rationales for training: rationales."""

from pathlib import Path
from typing import Annotated, Any

import typer

from socrates_core.cli.following import follow_until_done, print_submitted
from socrates_core.cli.options import AsJson, ModelOptions, with_model_options
from socrates_core.cli.output import print_json
from socrates_core.errors import UserError
from socrates_core.finetuning.rationales import submit_rationales
from socrates_core.finetuning.spec import load_spec_file, spec_from_dict
from socrates_core.jobs.store import read_result


@with_model_options("model", "precision", "server", "key_variable", "limit_usd", "consent")
def rationales(
    name: Annotated[str, typer.Argument(help="A name for them, which a finetune refers to.")],
    split: Annotated[
        str | None, typer.Option(help="The split whose training side holds the answers.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="The finetune's own file, instead of --split, --cap and --seed.")
    ] = None,
    cap: Annotated[
        int, typer.Option(min=1, help="At most this many people per cell, as in the finetune.")
    ] = 32,
    seed: Annotated[int, typer.Option(min=0, help="Which people, as in the finetune.")] = 0,
    *,
    options: ModelOptions,
    wait: Annotated[bool, typer.Option("--wait", help="Show progress and end with the counts.")] = False,
    as_json: AsJson = False,
) -> None:
    """Let a model write why people answered as they did, knowing their true answers. Used only for training."""
    if (split is None) == (config is None):
        raise UserError(
            "Choose whose answers are explained: give --split NAME, or --config with the finetune's file."
        )
    fields: dict[str, Any] = {"name": name, "split": split, "per_cell": cap, "seed": seed}
    if config:
        fields = load_spec_file(config).model_dump()
    spec = spec_from_dict({**fields, "method": "reasoning", "rationales": name}, "The command")
    job = submit_rationales(options.request(), spec, consent=options.consent, limit_usd=options.limit_usd)
    if not wait:
        return print_submitted(job, "job_id", as_json)
    counts = read_result(follow_until_done(job, "job"))
    if as_json:
        return print_json(counts)
    faults = "; ".join(f"{n:,} {fault}" for fault, n in counts["faults"].items())
    note = f" ({faults})" if faults else ""
    print(f"{counts['n_usable']:,} of {counts['n_rows']:,} answers have a rationale{note}.")
