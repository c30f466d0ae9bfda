"""The command line: python -m socrates_core COMMAND. Exits 0, 2 with a sentence, or 1 for our own bugs."""

import importlib
import os
import sys
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from socrates_core.cli.terminal import escape_controls, plain_output
from socrates_core.errors import UserError
from socrates_core.settings import check_home

COMMANDS = {  # the module and function in `cli` of each command
    "setup": "setup.setup",
    "studies": "studies.studies",
    "study": "studies.study",
    "doctor": "setup.doctor",
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
    """Imports a command's module only when that command runs, so that no command waits for the imports of others."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module, name = COMMANDS[cmd_name].split(".")
        target = getattr(importlib.import_module(f"socrates_core.cli.{module}"), name)
        if not isinstance(target, typer.Typer):
            single_command = typer.Typer(add_completion=False)
            single_command.command(cmd_name, context_settings=SETTINGS.get(cmd_name))(target)
            target = single_command
        command = typer.main.get_command(target)
        command.name = cmd_name
        return command


app = typer.Typer(
    name="socrates_core",
    help="Simulate social science experiments with language models, compared with real people's answers.",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


# Typer refuses a group without a command or a callback, and COMMANDS are not registered with it.
@app.callback()
def _group() -> None:
    pass


def main() -> None:
    code: int | None = 0
    try:
        os.umask(os.umask(0o077) | 0o077)  # only the owner can read what we write, whatever the shell allows
        with plain_output():
            check_home()
            code = app(standalone_mode=False)
        sys.exit(code)
    except UserError as error:
        sentence = str(error)
    except TyperException as error:  # wrong usage; typer would print a box instead of a sentence
        sentence = f"{error.format_message()} See: python -m socrates_core --help".strip()
    except typer.Abort:
        sentence = "Stopped."
    with suppress(OSError):
        print(escape_controls(sentence), file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
