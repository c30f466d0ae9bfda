"""The command that shows what the answer cache holds and makes room."""

from typing import Annotated

import typer

from socrates_core.asking.cache import open_cache
from socrates_core.cli.output import AsJson, print_json, print_table, say
from socrates_core.errors import UserError
from socrates_core.jobs.store import list_jobs


def cache(
    prune: Annotated[
        str | None, typer.Option(help="Forget the answers of the responder with this fingerprint.")
    ] = None,
    before: Annotated[
        str | None, typer.Option(help="Forget the answers stored before this day, such as 2026-11-01.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show how many answers are stored of each responder, or forget some: they will be worked out again when asked."""
    if before is not None and not _is_day(before):
        raise UserError(f"{before!r} is no day. Write it as in 2026-11-01.")
    with open_cache() as opened:
        if prune or before:
            if any(job.active for job in list_jobs()):
                raise UserError(
                    "A job is queued or running and may need these answers. Wait for it, or cancel it first."
                )
            known = [shelf.fingerprint for shelf in opened.by_model()]
            chosen = [each for each in known if prune and each.startswith(prune)]
            if prune and len(chosen) != 1:
                raise UserError(
                    f"{prune!r} begins {len(chosen)} fingerprints. Known: {', '.join(known) or 'none'}."
                )
            say(f"{opened.prune(chosen[0] if prune else None, before=before):,} answers forgotten")
        rows = [dict(vars(shelf)) for shelf in opened.by_model()]
    if as_json:
        return print_json(rows)
    columns = ["fingerprint", "model", "n_answers", "n_bytes", "first", "last"]
    print_table(rows, columns, "The cache is empty: no model has answered yet.")


def _is_day(text: str) -> bool:
    from datetime import date

    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
