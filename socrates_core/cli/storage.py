"""Commands that look after what is stored: sizes, the answer cache, the bin, archives, and checks of all files."""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from socrates_core.asking.cache import open_cache
from socrates_core.cli.options import AsJson, Yes, confirm
from socrates_core.cli.output import print_json, print_result, print_rows, say
from socrates_core.errors import UserError
from socrates_core.jobs.store import list_jobs
from socrates_core.keeping import kinds
from socrates_core.keeping.archive import export_project, import_project, own_kinds
from socrates_core.keeping.kinds import KINDS, consequences, deleted_records, records_of, sizes, stored_record
from socrates_core.keeping.verify import verify as verdicts

KindName = Annotated[str, typer.Argument(help=f"One of {', '.join(KINDS)}.")]


def storage(
    kind: Annotated[str, typer.Option(help=f"List the things of one kind: {', '.join(KINDS)}.")] = "",
    binned: Annotated[bool, typer.Option("--bin", help="List what is in the bin.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show how much space everything takes, by kind or thing by thing."""
    if not kind and not binned:
        totals = [{"kind": name, "n": n, "mb": n_bytes / 1e6} for name, (n, n_bytes) in sizes().items()]
        return print_rows(totals, ["kind", "n", "mb"], "Nothing is stored yet.", as_json)
    records = deleted_records() if binned else records_of(kind).stored()
    rows = [
        {"kind": record.kind, "name": record.name, "mb": record.n_bytes / 1e6, "changed": record.changed}
        for record in sorted(records, key=lambda record: -record.n_bytes)
        if not kind or record.kind == kind
    ]
    print_rows(rows, ["kind", "name", "mb", "changed"], "Nothing.", as_json)


def cache(
    prune: Annotated[
        str | None, typer.Option(help="Forget the answers of the model with this fingerprint.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="Forget the answers stored before this day, such as 2026-11-01.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how many answers of each model are stored, or forget some. They are computed again when needed."""
    if before is not None:
        try:
            date.fromisoformat(before)
        except ValueError as error:
            raise UserError(f"{before!r} is not a day. Write it like 2026-11-01.") from error
    with open_cache() as answers:
        if prune or before:
            if any(job.active for job in list_jobs()):
                raise UserError(
                    "A job is queued or running and may need these answers. Wait for it, or cancel it first."
                )
            known = [model.fingerprint for model in answers.by_model()]
            chosen = [fingerprint for fingerprint in known if prune and fingerprint.startswith(prune)]
            if prune and len(chosen) != 1:
                raise UserError(
                    f"{len(chosen)} fingerprints begin with {prune!r}. Known: {', '.join(known) or 'none'}."
                )
            n_forgotten = answers.prune(chosen[0] if prune else None, before=before)
            say(f"{n_forgotten:,} answers forgotten")
        rows = [dict(vars(model)) for model in answers.by_model()]
    print_rows(
        rows,
        ["fingerprint", "model", "n_answers", "n_bytes", "first", "last"],
        "The cache is empty: no model has answered yet.",
        as_json,
    )


def delete(kind: KindName, name: str, yes: Yes = False) -> None:
    """Move a thing to the bin. The command restore brings it back."""
    stored_record(kind, name)
    warnings = consequences(kind, name)
    if warnings and not yes:
        raise UserError(f"{' '.join(warnings)} Nothing was deleted. Add --yes to delete it all the same.")
    kinds.delete(kind, name)
    print(f"{name} is in the bin. Bring it back: python -m socrates_core restore {kind} {name}")


def restore(kind: KindName, name: str) -> None:
    """Bring a thing back from the bin."""
    kinds.restore(kind, name)
    print(f"{name} is back")


def empty_bin(yes: Yes = False) -> None:
    """Delete everything in the bin for good, which frees its space."""
    records = deleted_records()
    size = sum(record.n_bytes for record in records)
    if records:
        confirm(f"Delete {len(records)} things ({size / 1e6:,.1f} MB) for good?", "Nothing was deleted.", yes)
    for record in records:
        record.discard()
    print(f"{len(records)} things deleted for good, {size / 1e6:,.1f} MB freed")


def archive(
    path: Annotated[Path, typer.Argument(help="The zip file to write.")],
    chosen_kinds: Annotated[
        list[str], typer.Option("--kind", help="A kind to write. Repeat the option for several.")
    ] = [],  # noqa: B006 - typer copies it
    only: Annotated[
        list[str], typer.Option("--only", help="The name of one thing. Repeat the option for several.")
    ] = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Write drafts, runs, evaluations, finetunes, adapters and splits to one file with checksums."""
    written = export_project(path, chosen_kinds or own_kinds(), only=only)
    print_result(
        [{"kind": record.kind, "name": record.name} for record in written],
        f"Written: {path}, {len(written)} things, {path.stat().st_size / 1e6:,.1f} MB",
        as_json,
    )


def unarchive(
    path: Annotated[Path, typer.Argument(help="A zip file that archive wrote.")], as_json: AsJson = False
) -> None:
    """Import the things of an archive. Things of the same name that are here already stay as they are."""
    result = import_project(path)
    if as_json:
        return print_json(vars(result))
    print(f"{len(result.added)} things imported, {len(result.same)} were here already")
    for sentence in result.cautions:
        say(sentence)
    for kind, name in result.taken:
        say(f"Left out: another {kind} {name!r} is here. Delete that one first, then import again.")


def verify(as_json: AsJson = False) -> None:
    """Recompute the digests and numbers of everything from the stored rows, and print what does not match."""
    all_verdicts = []
    for verdict in verdicts():
        all_verdicts.append(verdict)
        if not as_json and verdict.problem:
            print(f"{verdict.kind} {verdict.name}: {verdict.problem}")
    n_wrong = sum(not verdict.whole for verdict in all_verdicts)
    print_result(
        [vars(verdict) | {"whole": verdict.whole} for verdict in all_verdicts],
        f"{len(all_verdicts)} things checked, {len(all_verdicts) - n_wrong} whole, {n_wrong} not",
        as_json,
    )
    if n_wrong:
        raise typer.Exit(1)
