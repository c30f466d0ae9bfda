"""Commands of `models`: list them, show one's card, fetch, merge, export and push, delete with a way back."""

import subprocess
import sys
from contextlib import redirect_stderr
from pathlib import Path
from typing import Annotated, Any

import typer

from socrates_core.cli.options import AsJson, Yes, confirm
from socrates_core.cli.output import print_json, print_rows, say
from socrates_core.errors import UserError
from socrates_core.finetuning import library
from socrates_core.finetuning.exporting import contents, export_model, push, render_card, size
from socrates_core.finetuning.model_jobs import plan_download
from socrates_core.keeping import kinds
from socrates_core.models import hub
from socrates_core.models.catalog import list_models
from socrates_core.models.model_folder import HUB_ID, find_model
from socrates_core.settings import CODE
from socrates_core.verdicts.verdict import verdict_of

app = typer.Typer(
    add_completion=False, help="List the models that can answer, and manage those on this machine."
)


@app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the models that can answer, and manage those on this machine."""
    if context.invoked_subcommand is None:
        cards = [{**vars(card), "verdict": _verdict(card.name, as_json=as_json)} for card in list_models()]
        print_rows(cards, ["name", "title", "installed", "verdict"], "No models.", as_json)


def _verdict(name: str, *, as_json: bool) -> dict[str, Any] | str:
    verdict = verdict_of(name)
    return verdict.as_dict() if as_json else verdict.sentence


@app.command()
def show(name: str, as_json: AsJson = False) -> None:
    """Show a model's card: where it comes from, what it was trained on and how, and its scores."""
    model = library.look_up(name)
    if not as_json:
        print(f"{verdict_of(name)}\n")
        return print(render_card(model) + (f"\n{model.problem}" if model.problem else ""))
    card: dict[str, Any] = {
        **vars(model.card),
        "verdict": verdict_of(name).as_dict(),
        "kind": model.kind,
        "lineage": model.lineage,
        "problem": model.problem,
        "needed_by": library.needed_by(name),
        "saw": library.seen_or_unknown(name).as_dict(),
        "training": model.trained.model_dump() if model.trained else None,
    }
    print_json(card)


@app.command()
def delete(name: str, yes: Yes = False) -> None:
    """Move a model to the bin."""
    adapters = library.needed_by(name)
    if adapters and not yes:
        raise UserError(
            f"Without {name!r} these adapters cannot answer: {', '.join(adapters)}. Nothing was deleted. "
            "Merge them first, or add --yes."
        )
    kinds.delete(kinds.kind_of_model(name), name)
    print(f"{name} is in the bin. Bring it back: python -m socrates_core models restore {name}")


@app.command()
def restore(name: str) -> None:
    """Bring a model back from the bin."""
    kinds.restore(kinds.deleted_model(name).kind, name)
    print(f"{name} is back")


@app.command()
def discard(name: str, yes: Yes = False) -> None:
    """Delete a model that is in the bin for good."""
    model = kinds.deleted_model(name)
    confirm(f"Delete {name} for good?", "Nothing was deleted.", yes)
    model.discard()
    print(f"{name} is deleted for good")


@app.command()
def merge(name: str, output: str) -> None:
    """Merge an adapter into its base. The result is a whole model that needs neither."""
    # The library must not import training (tests/test_boundaries.py), so it runs as a program.
    finished = subprocess.run(
        [sys.executable, "-m", "training.merge", name, output],
        cwd=CODE,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode == 2 and finished.stderr:
        raise UserError(finished.stderr.splitlines()[-1])
    if finished.returncode:
        raise RuntimeError(finished.stderr)
    print(finished.stdout.splitlines()[-1])


@app.command("export")
def export_(name: str, path: Path) -> None:
    """Write a model with its card and checksums to a folder, or to a file that ends in .zip."""
    files = export_model(name, path)
    print(f"{len(files)} files, {_amount(size(files))}: {path}")


@app.command("push")
def push_(name: str, hub_id: str, yes: Yes = False) -> None:
    """Upload a model to the Hugging Face hub. First shows what would leave this machine."""
    from huggingface_hub.constants import ENDPOINT

    if not HUB_ID.fullmatch(hub_id):
        raise UserError(f"{hub_id!r} is not a hub id. Write it like 'org/name'.")
    files = contents(name)
    say(f"This leaves the machine for {ENDPOINT}/{hub_id}:")
    for file, content in files.items():
        say(f"  {_amount(size({file: content})):>10}  {file}")
    say(
        f"{_amount(size(files))} in all. card.json names every study that the model was trained on, and the "
        "conditions, outcomes and participant numbers if those were split. A new repository is private. An existing "
        "one keeps its visibility."
    )
    confirm("Upload this?", "Nothing was uploaded.", yes)
    print(push(files, hub_id))


@app.command()
def fetch(
    hub_id: str,
    yes: Yes = False,
    commit: Annotated[
        str, typer.Option(metavar="SHA", help="The commit to fetch; later fetches stay with it.")
    ] = "",
) -> None:
    """Fetch a model from the Hugging Face hub. First shows its size. An interrupted download can be continued."""
    if not yes:
        plan = plan_download(hub_id)
        question = (
            f"{plan.n_files} files, {_amount(plan.n_bytes)}; {_amount(plan.n_free)} are free. Fetch {hub_id}?"
        )
        confirm(question, "Nothing was fetched.", yes)
    # Several progress bars move the cursor, which cli/terminal.py would spell out as text.
    with redirect_stderr(sys.__stderr__):
        path = hub.fetch(hub_id, weights=True, commit=commit) if commit else find_model(hub_id)
    print(path)


@app.command()
def update(hub_id: str, yes: Yes = False) -> None:
    """Fetch the newest version of a model of the hub, if there is a newer one. Its answers are then new answers."""
    before = hub.pinned(hub_id)
    if before is None:
        raise UserError(
            f"{hub_id!r} is not on this machine. Fetch it first: python -m socrates_core models fetch {hub_id}"
        )
    offer = hub.offered(hub_id)
    if offer.commit == before:
        return print(f"{hub_id} is up to date: commit {before[:12]}")
    confirm(
        f"The hub has commit {offer.commit[:12]}, this machine {before[:12]}. {_amount(offer.n_bytes)} at most are "
        "fetched; answers of the earlier weights stay under their own name. Update?",
        f"It stays at commit {before[:12]}.",
        yes,
    )
    with redirect_stderr(sys.__stderr__):
        print(hub.fetch(hub_id, weights=True, commit=offer.commit))


def _amount(n_bytes: int) -> str:
    return f"{n_bytes / 10**9:.1f} GB" if n_bytes >= 10**9 else f"{n_bytes / 10**6:.1f} MB"
