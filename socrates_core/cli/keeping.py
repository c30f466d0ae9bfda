"""Commands that look after what is stored: sizes, a bin, archives, and proof that everything is whole."""

from pathlib import Path
from typing import Annotated

import typer

from socrates_core.cli.output import AsJson, print_json, print_table, say
from socrates_core.errors import UserError
from socrates_core.keeping.archive import export_project, import_project, own_kinds
from socrates_core.keeping.things import (
    KINDS,
    bin_things,
    consequences,
    discard,
    kind_of,
    sizes,
    thing,
    things,
)
from socrates_core.keeping.things import delete as move_to_bin
from socrates_core.keeping.things import restore as bring_back
from socrates_core.keeping.verify import verify as verdicts

KindName = Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")]
Sure = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def storage(
    kind: Annotated[str, typer.Option(help=f"List the things of one kind: {', '.join(KINDS)}.")] = "",
    binned: Annotated[bool, typer.Option("--bin", help="List what is in the bin.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how much room everything takes, by kind or thing by thing."""
    if kind or binned:
        listed = bin_things() if binned else things(kind_of(kind))
        rows = [
            {"kind": each.kind.name, "name": each.name, "mb": each.n_bytes / 1e6, "changed": each.changed}
            for each in listed
            if not kind or each.kind.name == kind
        ]
        rows.sort(key=lambda row: -float(str(row["mb"])))
        columns = ["kind", "name", "mb", "changed"]
    else:
        rows = [{"kind": name, "n": n, "mb": n_bytes / 1e6} for name, (n, n_bytes) in sizes().items()]
        columns = ["kind", "n", "mb"]
    return print_json(rows) if as_json else print_table(rows, columns, "Nothing.")


def delete(kind: KindName, name: str, yes: Sure = False) -> None:
    """Move a thing to the bin, from which restore brings it back."""
    chosen = kind_of(kind)
    thing(chosen, name)
    told = consequences(chosen, name)
    if told and not yes:
        raise UserError(f"{' '.join(told)} Nothing was deleted; say --yes to delete it all the same.")
    move_to_bin(chosen, name)
    print(f"{name} is in the bin. Bring it back: python -m socrates_core restore {kind} {name}")


def restore(kind: KindName, name: str) -> None:
    """Bring a thing back from the bin."""
    bring_back(kind_of(kind), name)
    print(f"{name} is back")


def empty_bin(yes: Sure = False) -> None:
    """Delete everything in the bin for good, which frees its room."""
    found = bin_things()
    size = sum(each.n_bytes for each in found)
    if (
        found
        and not yes
        and not typer.confirm(f"Delete {len(found)} things ({size / 1e6:,.1f} MB) for good?")
    ):
        raise UserError("Nothing was deleted.")
    for each in found:
        discard(each)
    print(f"{len(found)} things deleted for good, {size / 1e6:,.1f} MB freed")


def archive(
    path: Annotated[Path, typer.Argument(help="The zip file to write.")],
    kinds: Annotated[list[str], typer.Option("--kind", help="A kind to write; may be given again.")] = [],  # noqa: B006
    only: Annotated[
        list[str], typer.Option("--only", help="The name of one thing; may be given again.")
    ] = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Write drafts, runs, evaluations, finetunes, adapters and splits to one file with checksums."""
    written = export_project(path, [kind_of(name) for name in kinds] or own_kinds(), only=only)
    if as_json:
        return print_json([{"kind": each.kind.name, "name": each.name} for each in written])
    print(f"Written: {path}, {len(written)} things, {path.stat().st_size / 1e6:,.1f} MB")


def unarchive(
    path: Annotated[Path, typer.Argument(help="A zip file that archive wrote.")], as_json: AsJson = False
) -> None:
    """Bring in the things of an archive; what has the same name here stays as it is."""
    brought = import_project(path)
    if as_json:
        return print_json(vars(brought))
    print(f"{len(brought.added)} things brought in, {len(brought.same)} were here already")
    for sentence in brought.cautions:
        say(sentence)
    for kind, name in brought.taken:
        say(f"Left out: another {kind} {name!r} is here. Delete that one first, then import again.")


def verify(as_json: AsJson = False) -> None:
    """Work out digests and numbers of everything anew from the stored rows, and say what does not hold."""
    found = []
    for each in verdicts():
        found.append(each)
        if not as_json and each.problem:
            print(f"{each.kind} {each.name}: {each.problem}")
    wrong = sum(not each.whole for each in found)
    if as_json:
        print_json([vars(each) | {"whole": each.whole} for each in found])
    else:
        print(f"{len(found)} things looked at, {len(found) - wrong} whole, {wrong} not")
    if wrong:
        raise typer.Exit(1)
