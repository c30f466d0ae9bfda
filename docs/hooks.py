"""Pages of the site that nobody writes by hand: the notebook, and the list of all commands with their help."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from socrates_core.__main__ import COMMANDS, app

NOTEBOOK = "notebooks/screen_your_first_study.ipynb"
NOTEBOOK_PAGE = NOTEBOOK.replace(".ipynb", ".md")
COMMANDS_PAGE = "reference/commands.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the generated pages to those in docs/."""
    notebook = (Path(config.docs_dir) / NOTEBOOK).read_text(encoding="utf-8")
    files.append(File.generated(config, NOTEBOOK_PAGE, content=render_notebook(notebook)))
    files.append(File.generated(config, COMMANDS_PAGE, content=render_commands()))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Links to the notebook lead to its page; as links to the file they also work where the repository is browsed."""
    return markdown.replace(f"({NOTEBOOK})", f"({NOTEBOOK_PAGE})")


def render_notebook(notebook: str) -> str:
    """A notebook as Markdown, its code in fences; outputs are left out."""
    cells = []
    for cell in json.loads(notebook)["cells"]:
        source = "".join(cell["source"])
        cells.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
    file_name = NOTEBOOK.rpartition("/")[2]
    cells.insert(1, f"This page is also a notebook to run: [{file_name}]({file_name}).")
    return "\n\n".join(cells)


def render_commands() -> str:
    """Every command with its help, its arguments, and its options."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("socrates", [], resilient_parsing=True)
    sections = ["# All commands", "What `socrates COMMAND --help` says."]
    for name in COMMANDS:
        sections += _render(group.get_command(context, name), f"socrates {name}")
    return "\n\n".join(sections) + "\n"


def _render(command: Any, usage: str) -> Iterator[str]:
    arguments = [_names(each) for each in command.params if each.param_type_name == "argument"]
    yield f"## {' '.join([usage, *arguments])}"
    yield command.help or ""
    options = [(_names(each), each.help) for each in command.params if each.help]
    if options:
        yield "\n".join(f"* `{names}`: {text}" for names, text in options)
    for name, part in getattr(command, "commands", {}).items():
        yield from _render(part, f"{usage} {name}")


def _names(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.metavar or parameter.name.upper())
    return " ".join((*parameter.opts, *parameter.secondary_opts))
