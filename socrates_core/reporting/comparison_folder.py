"""The report of a comparison as a folder: the page, its numbers, the data behind them, scripts that recompute them."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path

from socrates_core.evaluations.comparison import ROW, Comparison
from socrates_core.evaluations.rows import questions_of
from socrates_core.files import write_json, write_text
from socrates_core.reporting.comparison_data import comparison_tables
from socrates_core.reporting.comparison_numbers import Reported, comparison_numbers, prepare
from socrates_core.reporting.comparison_page import render_comparison
from socrates_core.reporting.folder import check_empty, folder_digests, own_text, this_environment, write_sums
from socrates_core.reporting.sources import citations, render_sources, study_source
from socrates_core.reporting.tables import codebook, write_csv, write_tables

PARTS = ("comparison_cells.py", "comparison_studies.py", "comparison_groups.py")
SCRIPTS = ("analysis.py", *PARTS, "comparison.py", "analysis.R", "comparison_people.R", "comparison.R")
GAVE = "texts, people's answers and profiles"


def write_comparison_report(comparison: Comparison, target: Path, *, field: str | None = None) -> Path:
    """Writes a comparison's report and replication folder into `target`, which must be new or empty.

    With a demographic `field` the people of its groups are compared too. SHA256SUMS comes last, so a folder without it
    is unfinished. The same comparison gives the same files, byte for byte. Raises UserError where the folder cannot
    take them, where `field` is unknown, or where everything was in some model's training.
    """
    check_empty(target)
    reported = prepare(comparison, field=field)
    numbers = comparison_numbers(reported)
    tables = comparison_tables(reported, numbers)
    write_tables(target, tables[:1])
    write_tables(target / "data", tables[1:])
    write_csv(target / "codebook.csv", codebook(tables))
    write_text(target / "prompts.jsonl", "".join(_prompts(comparison)))
    for each in comparison.evaluations:
        write_json(target / "evaluations" / each.id / "spec.json", each.spec.content())
        write_json(target / "evaluations" / each.id / "manifest.json", each.manifest)
    write_json(target / "environment.json", {"report": this_environment()})
    sources = [study_source(comparison.corpus.name, study, GAVE) for study in reported.studies]
    named = citations(*(each.manifest["card"] for each in comparison.evaluations))
    write_text(target / "SOURCES.txt", render_sources(named, sources))
    write_text(target / "README.md", own_text("templates/comparison.md").format(command=_command(reported)))
    for name in SCRIPTS:
        text = own_text(f"scripts/{name}").replace("from socrates_core.reporting.scripts.", "from ")
        write_text(target / name, text)
    page = render_comparison(
        reported,
        numbers,
        sources=sources,
        named=named,
        digests=folder_digests(target),
        command=_command(reported),
    )
    write_text(target / "report.html", page)
    write_sums(target)
    return target


def _command(reported: Reported) -> str:
    ids = [each.id for each in reported.comparison.evaluations]
    chosen = ["--field", reported.field] if reported.field else []
    return shlex.join(["python", "-m", "socrates_core", "report", *ids, *chosen, "--output", "FOLDER"])


def _prompts(comparison: Comparison) -> Iterator[str]:
    """The exact prompt of the first person of every cell, for each evaluation."""
    place = ["study_id", "condition_num", "task_num", "part"]
    for evaluation, kept in zip(comparison.evaluations, comparison.rows, strict=True):
        first = set(kept.drop_duplicates(place)[ROW].itertuples(index=False, name=None))
        for study, rows in evaluation.rows[evaluation.rows["study_id"].isin(kept["study_id"])].groupby(
            "study_id"
        ):
            asked = questions_of(comparison.corpus, str(study), rows, evaluation.spec)
            told = rows[[*place, "sample_id", "participant"]].to_dict("records")
            for row, question in zip(told, asked, strict=True):
                if (row["study_id"], row.pop("sample_id")) in first:
                    said = {"messages": question.prompt.messages(), "options": question.options}
                    yield json.dumps({"evaluation": evaluation.id, **row, **said}, ensure_ascii=False) + "\n"
