"""Commands of `models`: list them, show one's card, fetch, merge, export and push, delete with a way back."""

import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import Annotated, Any

import typer

from socrates_core.cli.output import AsJson, print_json, print_table, say
from socrates_core.errors import UserError
from socrates_core.finetuning import library
from socrates_core.finetuning.exporting import contents, export_model, push, render_card, size
from socrates_core.finetuning.model_jobs import plan_download
from socrates_core.models.catalog import list_models
from socrates_core.models.model_folder import HUB_ID, find_model
from socrates_core.settings import CODE

app = typer.Typer(
    add_completion=False, help="List the models that can answer; look after those on this machine."
)
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the models that can answer; look after those on this machine."""
    if context.invoked_subcommand is not None:
        return
    rows = [dict(vars(card)) for card in list_models()]
    if as_json:
        return print_json(rows)
    print_table(rows, ["name", "title", "installed", "context_limit"], "No models.")


@app.command()
def show(name: str, as_json: AsJson = False) -> None:
    """Show a model's card: where it comes from, what it saw, how it was trained and how well it does."""
    model = library.look_up(name)
    if not as_json:
        return print(render_card(model) + (f"\n{model.problem}" if model.problem else ""))
    told: dict[str, Any] = {
        **vars(model.card),
        "kind": model.kind,
        "lineage": model.lineage,
        "problem": model.problem,
        "needed_by": library.needed_by(name),
        "saw": library.seen_or_unknown(name).as_dict(),
        "training": model.trained.model_dump() if model.trained else None,
    }
    print_json(told)


@app.command()
def delete(name: str, yes: Yes = False) -> None:
    """Move a model to the bin."""
    others = library.needed_by(name)
    if others and not yes:
        raise UserError(
            f"Without {name!r} these adapters cannot answer: {', '.join(others)}. Nothing was deleted. "
            "Merge them first, or say --yes."
        )
    library.delete(name)
    print(f"{name} is in the bin. Bring it back: python -m socrates_core models restore {name}")


@app.command()
def restore(name: str) -> None:
    """Bring a model back from the bin."""
    library.restore(name)
    print(f"{name} is back")


@app.command()
def discard(name: str, yes: Yes = False) -> None:
    """Delete a model that is in the bin for good."""
    if name in library.binned():
        _ask(f"Delete {name} for good?", "Nothing was deleted.", yes)
    library.discard(name)
    print(f"{name} is deleted for good")


@app.command()
def merge(name: str, output: str) -> None:
    """Merge an adapter into its base: a whole model that needs neither."""
    done = subprocess.run(
        [sys.executable, "-m", "training.merge", name, output],
        cwd=CODE,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode == 2 and done.stderr:
        raise UserError(done.stderr.splitlines()[-1])
    if done.returncode:
        raise RuntimeError(done.stderr)
    print(done.stdout.splitlines()[-1])


@app.command("export")
def export_(name: str, path: Path) -> None:
    """Write a model with its card and checksums to a folder, or to a file that ends in .zip."""
    found = export_model(name, path)
    print(f"{len(found)} files, {_amount(size(found))}: {path}")


@app.command("push")
def push_(name: str, hub_id: str, yes: Yes = False) -> None:
    """Upload a model to the hub, after showing what would leave this machine and where to."""
    from huggingface_hub.constants import ENDPOINT

    if not HUB_ID.fullmatch(hub_id):
        raise UserError(f"{hub_id!r} is no hub id. Write it as in 'org/name'.")
    found = contents(name)
    say(f"This leaves the machine for {ENDPOINT}/{hub_id}:")
    for file, content in found.items():
        say(f"  {_amount(size({file: content})):>10}  {file}")
    say(
        f"{_amount(size(found))} in all. card.json names every study that it was trained on, and conditions, outcomes "
        "and participants' numbers where those were split. A new repository is private; one that is there keeps "
        "who may see it."
    )
    _ask("Upload this?", "Nothing was uploaded.", yes)
    print(push(found, hub_id))


@app.command()
def fetch(hub_id: str, yes: Yes = False) -> None:
    """Fetch a model from the hub, after saying how large it is; what was fetched is kept if it breaks off."""
    if not yes:
        plan = plan_download(hub_id)
        told = (
            f"{plan.n_files} files, {_amount(plan.n_bytes)}; {_amount(plan.n_free)} are free. Fetch {hub_id}?"
        )
        _ask(told, "Nothing was fetched.", yes)
    with redirect_stderr(
        sys.__stderr__
    ):  # several bars of progress move the cursor, which is shown text elsewhere
        path = find_model(hub_id)
    print(path)


def _ask(question: str, refused: str, yes: bool) -> None:
    """Goes on once a person agreed or `yes` did. Raises UserError with the sentence `refused`."""
    try:
        agreed = yes or typer.confirm(question, err=True)
    except typer.Abort:
        agreed = False
    if not agreed:
        raise UserError(f"{refused} To go on without being asked, add --yes.")


def _amount(n_bytes: int) -> str:
    return f"{n_bytes / 10**9:.1f} GB" if n_bytes >= 10**9 else f"{n_bytes / 10**6:.1f} MB"
