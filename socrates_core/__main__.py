"""The command line: python -m socrates_core COMMAND. Exits 0, 2 with a sentence, or 1 for our own bugs."""

import importlib
import os
import sys
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from socrates_core.cli.terminal import plain_output, shown
from socrates_core.errors import UserError
from socrates_core.settings import check_home

COMMANDS = {  # what is typed: where in `commands` it is
    "setup": "setup.setup",
    "studies": "studies.studies",
    "study": "studies.study",
    "scale": "studies.scale",
    "read": "studies.read",
    "prompt": "studies.prompt",
    "score": "score.score",
    "simulate": "runs.simulate",
    "runs": "runs.runs",
    "run": "runs.run",
    "drift": "score.drift",
    "evaluate": "evaluate.evaluate",
    "evaluations": "evaluate.evaluations",
    "compare": "evaluate.compare",
    "experiment": "experiments.experiment",
    "experiments": "experiments.experiments",
    "metrics": "metrics.metrics",
    "power": "power.power",
    "generalise": "generalise.generalise",
    "report": "reports.report",
    "cache": "storage.cache",
    "freeze": "seals.freeze",
    "seal": "seals.seal",
    "reveal": "seals.reveal",
    "seals": "seals.seals",
    "train": "training.train",
    "trainings": "training.trainings",
    "training": "training.training",
    "rationales": "rationales.rationales",
    "models": "models.app",
    "split": "splits.app",
    "import": "imports.import_",
    "export": "exports.export",
    "set-scale": "studies.set_scale_by_hand",
    "storage": "storage.storage",
    "delete": "storage.delete",
    "restore": "storage.restore",
    "empty-bin": "storage.empty_bin",
    "archive": "storage.archive",
    "unarchive": "storage.unarchive",
    "verify": "storage.verify",
    "jobs": "jobs.jobs",
    "job": "jobs.job",
    "cancel": "jobs.cancel",
    "first": "jobs.first",
    "resume": "jobs.resume",
    "worker": "jobs.worker",
    "app": "app.app",
}
SETTINGS = {"read": {"ignore_unknown_options": True}}  # an answer may be "-1"


class Commands(TyperGroup):
    """Imports what a command needs once it is asked for, so that the others do not wait for it."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(".")
        found = getattr(importlib.import_module(f"socrates_core.cli.{module}"), name)
        if not isinstance(found, typer.Typer):
            command, found = found, typer.Typer(add_completion=False)
            found.command(cmd_name, context_settings=SETTINGS.get(cmd_name))(command)
        made = typer.main.get_command(found)
        made.name = cmd_name
        return made


app = typer.Typer(
    name="socrates_core",
    help="Simulate social science experiments with language models, beside real people's answers.",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _group() -> None:
    pass


def main() -> None:
    code: int | None = 0
    try:
        os.umask(os.umask(0o077) | 0o077)  # what is written is its owner's alone, whatever the shell says
        with plain_output():
            check_home()
            code = app(standalone_mode=False)
        sys.exit(code)
    except UserError as error:
        sentence = str(error)
    except TyperException as error:  # the parser's own complaints, which print a box otherwise
        sentence = f"{error.format_message()} See: python -m socrates_core --help".strip()
    except typer.Abort:
        sentence = "Stopped."
    with suppress(OSError):
        print(shown(sentence), file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
