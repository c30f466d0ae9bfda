"""The command that brings data in; what they are is decided by their content."""

from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from socrates_core.commands.output import AsJson, print_json, say
from socrates_core.corpus.socsci210 import HUB, Request, has_columns, run_import
from socrates_core.errors import UserError


class Told:
    """Says how an import goes, at most every two seconds."""

    def begin(self, phase: str, total: int, cached: int = 0) -> None:
        self._phase, self._total, self._cached, self._said = phase, total, cached, 0.0
        self.advance(0)

    def advance(self, computed: int) -> None:
        done = self._cached + computed
        if monotonic() - self._said >= 2 or done >= self._total:
            self._said = monotonic()
            say(f"{self._phase}: {done:,} of {self._total:,}")


def import_(
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help=f"Files or a folder, or the word {HUB}: the data set on the hub."),
    ],
    studies: Annotated[str, typer.Option(help="SocSci210 columns: only these studies, ids with commas.")] = "",
    reasoning: Annotated[
        bool, typer.Option("--reasoning", help="SocSci210 columns: keep the reasoning too, for training alone.")
    ] = False,
    name: Annotated[str, typer.Option(help="What to call the corpus.")] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up studies that the corpus of that name has.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import SocSci210 or data in its columns."""
    if len(paths) == 1 and (paths[0] == HUB or has_columns(Path(paths[0]).expanduser())):
        chosen = tuple(word.strip() for word in studies.split(",") if word.strip())
        told = run_import(Request(paths[0], chosen, reasoning, name, replace), Told())
        sentence = (
            f"Ready: corpus {told['corpus']!r} with {told['studies']:,} studies, {told['participants']:,} people and "
            f"{told['responses']:,} answers in {told['path']}"
        )
        return print_json(told) if as_json else print(sentence)
    missing = [path for path in paths if not Path(path).expanduser().exists()]
    if missing:
        raise UserError(
            f"{missing[0]!r} is neither a file nor a folder. Give a file, a folder of Parquet files, or the word "
            f"{HUB!r} for the data set on the hub."
        )
    raise UserError(f"{paths[0]!r} is in none of the forms that can be imported: Parquet in SocSci210's columns.")
