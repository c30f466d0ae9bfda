"""A report as a folder: the page, its numbers, the data behind them, and scripts that compute the numbers again."""

import json
import platform
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError
from socrates_core.files import file_digest, write_json, write_text
from socrates_core.reporting.document import Content, Document
from socrates_core.reporting.page import render_page, render_readme
from socrates_core.reporting.sources import render_sources
from socrates_core.reporting.tables import codebook, write_csv, write_tables
from socrates_core.settings import library_versions

LIBRARIES = ("numpy", "pandas", "pyarrow", "scipy")


def check_empty(target: Path) -> None:
    """Raises UserError if `target` is a file, or a folder that holds something."""
    if target.is_file() or (target.exists() and any(target.iterdir())):
        raise UserError(
            f"The folder {str(target)!r} is not empty. Choose a new one, so that nothing is mixed."
        )


def write_document(document: Document, target: Path) -> Path:
    """Writes the page and its replication folder into `target`, which must be new or empty.

    The same document gives the same files, byte for byte. SHA256SUMS is written last: a folder without it is
    unfinished. Raises UserError if the folder is not empty or cannot be written.
    """
    check_empty(target)
    numbers = document.numbers.table()
    write_tables(target, [numbers])
    write_tables(target / "data", document.tables)
    write_csv(target / "codebook.csv", codebook([numbers, *document.tables]))
    lines = (json.dumps(prompt, ensure_ascii=False) + "\n" for prompt in document.prompts)
    write_text(target / "prompts.jsonl", "".join(lines))
    write_json(target / "environment.json", {**document.environment, "report": _this_environment()})
    write_text(target / "SOURCES.txt", render_sources(document.citations, document.sources))
    write_text(target / "README.md", render_readme(document))
    for name in document.scripts:
        script = files("socrates_core.reporting").joinpath("scripts", name)
        write_text(target / name, script.read_text(encoding="utf-8"))
    for name, content in document.files.items():
        _write(target / name, content)
    # The page lists the digests of all other files, and SHA256SUMS has that of the page too.
    write_text(target / "report.html", render_page(document, folder_digests(target)))
    sums = [f"{digest}  {name}\n" for name, digest in folder_digests(target).items()]
    write_text(target / "SHA256SUMS", "".join(sums))
    return target


def folder_digests(target: Path) -> dict[str, str]:
    """SHA-256 of every file of a folder by its path in it, in order of the paths."""
    paths = sorted(path for path in target.rglob("*") if path.is_file())
    return {path.relative_to(target).as_posix(): file_digest(path) for path in paths}


def _write(path: Path, content: Content) -> None:
    match content:
        case str():
            write_text(path, content)
        case bytes():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        case Path():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(content, path)
        case _:
            write_json(path, content)


def _this_environment() -> dict[str, Any]:
    """What writes the report."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "libraries": library_versions(LIBRARIES),
    }
