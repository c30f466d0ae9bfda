"""The command that writes reports, each a page with the data and scripts to recompute its numbers: report."""

from pathlib import Path
from typing import Annotated

import typer

from socrates_core.cli.options import AsJson
from socrates_core.cli.output import print_result
from socrates_core.errors import UserError
from socrates_core.evaluations.results import load_evaluation
from socrates_core.evaluations.spec import EVALUATIONS
from socrates_core.projects.run_results import load_run
from socrates_core.reporting.folder import write_report


def report(
    ids: Annotated[list[str], typer.Argument(help="A run, or one or more evaluations.")],
    output: Annotated[Path, typer.Option(help="The folder to write, new or empty.")],
    field: Annotated[
        str,
        typer.Option(
            help="For evaluations: also compare groups of people by this demographic, such as gender."
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Write the report of a run or of evaluations: a page, data, prompts, and scripts that recompute its numbers."""
    if not set(EVALUATIONS.ids()).isdisjoint(ids):
        from socrates_core.evaluations.comparison import Comparison
        from socrates_core.reporting.comparison_folder import write_comparison_report

        comparison = Comparison([load_evaluation(evaluation_id) for evaluation_id in ids])
        written = write_comparison_report(comparison, output, field=field or None)
    elif len(ids) > 1 or field:
        raise UserError("A report is about one run, or about evaluations; --field is for evaluations.")
    else:
        written = write_report(load_run(ids[0]), output)
    page = written / "report.html"
    print_result({"folder": str(output), "report": str(page)}, f"Written: {page}", as_json)
