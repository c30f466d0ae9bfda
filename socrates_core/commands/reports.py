"""The command that writes a run's report: a page for readers, a folder that recomputes its numbers."""

from pathlib import Path
from typing import Annotated

import typer

from socrates_core.commands.output import AsJson, print_json
from socrates_core.reporting.folder import write_report
from socrates_core.simulation.results import load_run


def report(
    run_id: str,
    output: Annotated[Path, typer.Option(help="The folder to write, new or empty.")],
    as_json: AsJson = False,
) -> None:
    """Write a run's report: an HTML page, data, prompts, preregistration drafts, scripts that check its numbers."""
    folder = write_report(load_run(run_id), output)
    page = folder / "report.html"
    print_json({"folder": str(folder), "report": str(page)}) if as_json else print(f"Written: {page}")
