"""The command that writes reports: a page to read, and a folder whose scripts compute its numbers again."""

from pathlib import Path
from typing import Annotated

import typer

from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_result
from socrates_core.errors import UserError
from socrates_core.evaluations.results import load_evaluation
from socrates_core.evaluations.spec import EVALUATIONS
from socrates_core.projects.run_results import load_run
from socrates_core.reporting.run_report import write_report


def report(
    ids: Annotated[list[str], typer.Argument(help="The ID of a run, or of one or more evaluations.")],
    output: Annotated[Path, typer.Option(help="The folder to write to; it must be new or empty.")],
    field: Annotated[
        str,
        typer.Option(
            help="For evaluations: also compare groups of people by this demographic, such as gender."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write the report of a run or of evaluations: a page, data, prompts, and scripts that check its numbers."""
    page = _write(ids, output, field or None) / "report.html"
    print_result({"folder": str(output), "report": str(page)}, f"Written: {page}", as_json)


def _write(ids: list[str], output: Path, field: str | None) -> Path:
    if not set(EVALUATIONS.ids()).isdisjoint(ids):
        from socrates_core.evaluations.comparison import Comparison
        from socrates_core.reporting.comparison_report import write_comparison_report

        comparison = Comparison([load_evaluation(evaluation_id) for evaluation_id in ids])
        return write_comparison_report(comparison, output, field=field)
    if len(ids) > 1 or field:
        raise UserError(
            "A report is about one run, or about evaluations, and --field is for evaluations. "
            f"None of these is an evaluation: {', '.join(map(repr, ids))}."
        )
    return write_report(load_run(ids[0]), output)
