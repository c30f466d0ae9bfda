"""The command that brings data in; what they are is decided by their content."""

from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from socrates_core.cli.output import AsJson, print_json, say
from socrates_core.corpus.socsci210 import HUB, Request, has_columns, run_import
from socrates_core.corpus.store import open_corpus
from socrates_core.errors import UserError
from socrates_core.importing.build import import_study, preview
from socrates_core.importing.mapping import Mapping, load_mapping, render_mapping
from socrates_core.importing.opening import Opened, open_files
from socrates_core.importing.propose import find_gaps, with_proposals, write_proposals


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
        typer.Argument(
            metavar="PATH...", help=f"Files or a folder, or the word {HUB}: the data set on the hub."
        ),
    ],
    studies: Annotated[
        str, typer.Option(help="SocSci210 columns: only these studies, ids with commas.")
    ] = "",
    reasoning: Annotated[
        bool,
        typer.Option("--reasoning", help="SocSci210 columns: keep the reasoning too, for training alone."),
    ] = False,
    mapping: Annotated[
        Path | None,
        typer.Option(help="Own studies: what the columns mean, as YAML, instead of the suggestion."),
    ] = None,
    randomiser: Annotated[
        list[str] | None,
        typer.Option(help="Qualtrics: flow id of the randomiser whose arms are the conditions."),
    ] = None,
    propose: Annotated[
        str,
        typer.Option(
            metavar="MODEL",
            help="Own studies: print the mapping with the texts it lacks proposed by this model on your machine.",
        ),
    ] = "",
    name: Annotated[str, typer.Option(help="What to call the corpus.")] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Give up studies that the corpus of that name has.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import SocSci210, data in its columns, or an own study: a Qualtrics survey with responses, or a table."""
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
    opened = open_files([Path(path).expanduser() for path in paths], randomisers=randomiser or [])
    meant = load_mapping(mapping) if mapping else opened.suggested
    if propose:
        meant = _with_proposals(opened, meant, propose)
    if propose or (mapping is None and len(paths) == 1):
        print(render_mapping(meant), end="")
        _print_left_out(opened, meant)
        say("\n".join((*opened.warnings, *opened.questions)))
        say("Save this as mapping.yaml, correct it, and import the file with --mapping mapping.yaml")
    else:
        _import_own(opened, meant, name, as_json)


def _with_proposals(opened: Opened, mapping: Mapping, model: str) -> Mapping:
    """The mapping with what the model proposes for its missing texts, marked as proposed."""
    gaps = find_gaps(mapping, opened.table.labels)
    found = write_proposals(model, gaps, lambda done, total: say(f"{done} of {total} texts"))
    return with_proposals(mapping, found)


def _print_left_out(opened: Opened, mapping: Mapping) -> None:
    """Every column that the mapping does not use, as comments below it."""
    used = set(mapping.columns())
    left_out = {column: why for column, why in opened.left_out.items() if column not in used}
    if left_out:
        print("# Columns that this mapping does not use:")
        print("\n".join(f"#   {' '.join(column.split())}: {why}" for column, why in left_out.items()))


def _import_own(opened: Opened, mapping: Mapping, name: str, as_json: bool) -> None:
    """Imports a survey with its responses, or a table, as its mapping says."""
    seen = preview(opened.table, mapping)
    dropped = [f"Dropped: {n:,} {reason}." for reason, n in seen.dropped]
    corpus = open_corpus(import_study(opened.table, mapping, name or None))
    told = {
        "corpus": corpus.name,
        **corpus.manifest["rows"],
        "mapping": str(corpus.path / "mapping.yaml"),
        "warnings": [*opened.warnings, *seen.remarks, *dropped],
    }
    if as_json:
        return print_json(told)
    say("\n".join(told["warnings"]))
    print(
        f"Ready: corpus {told['corpus']!r} with {told['participants']:,} people and {told['responses']:,} answers; "
        f"its mapping, to correct and to import again with --mapping, is {told['mapping']}"
    )
