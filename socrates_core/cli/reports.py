"""The command that writes reports: a page for readers, a folder that recomputes its numbers."""

from pathlib import Path
from typing import Annotated

import typer

from socrates_core.cli.output import AsJson, print_json
from socrates_core.errors import UserError
from socrates_core.evaluations.results import load_evaluation
from socrates_core.evaluations.spec import evaluation_ids
from socrates_core.projects.run_results import load_run
from socrates_core.reporting.run_report import write_report


def report(
    ids: Annotated[list[str], typer.Argument(help="A run, or one or more evaluations.")],
    output: Annotated[Path, typer.Option(help="The folder to write, new or empty.")],
    field: Annotated[str, typer.Option(help="Of evaluations: compare the people of its groups too.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write the report of a run or of evaluations: a page, data, prompts, and scripts that check its numbers."""
    page = _write(ids, output, field or None) / "report.html"
    print_json({"folder": str(output), "report": str(page)}) if as_json else print(f"Written: {page}")


def _write(ids: list[str], output: Path, field: str | None) -> Path:
    if not set(evaluation_ids()).isdisjoint(ids):
        from socrates_core.evaluations.comparison import Comparison
        from socrates_core.reporting.comparison_report import write_comparison_report

        compared = Comparison([load_evaluation(each) for each in ids])
        return write_comparison_report(compared, output, field=field)
    if len(ids) > 1 or field:
        raise UserError("A report is of one run, or of evaluations; --field is for evaluations.")
    return write_report(load_run(ids[0]), output)
