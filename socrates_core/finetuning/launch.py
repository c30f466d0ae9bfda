"""How the processes of a finetune are started: one for each GPU, which accelerate launches together."""

import os
import sys
from contextlib import suppress

import psutil

from socrates_core.errors import UserError
from socrates_core.finetuning.spec import TrainingSpec, training_path
from socrates_core.models.graphics_cards import graphics_cards

PROCESSES = "SOCRATES_PROCESSES"


def n_processes_for(spec: TrainingSpec) -> int:
    """How many processes train `spec` here: one for each GPU that is not hidden, at most one for each example.

    SOCRATES_PROCESSES, a whole number, sets another number.
    """
    wanted = os.environ.get(PROCESSES) or str(len(graphics_cards()) or 1)
    if not wanted.isdecimal() or int(wanted) < 1:
        raise UserError(f"{PROCESSES} is {wanted!r}. Give the number of processes, such as 8.")
    return min(int(wanted), spec.batch_size)


def trainer_command(training_id: str, spec: TrainingSpec, n_processes: int) -> list[str]:
    """The command that trains; accelerate starts several processes, and marks the lines of each one's log."""
    module = ["-m", f"training.{spec.method}", "--training", training_id]
    if n_processes == 1:
        return [sys.executable, *module]
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_machines", "1"]
    launcher += ["--num_processes", str(n_processes), "--mixed_precision", "no", "--dynamo_backend", "no"]
    # Port 0: any that is free.
    launcher += ["--main_process_port", "0", "--tee", "3"]
    return [*launcher, "--log_dir", str(training_path(training_id) / "logs"), *module]


def trainers_of(launcher: int) -> list[psutil.Process]:
    """The processes that the process `launcher` started to train."""
    with suppress(psutil.Error):
        children = psutil.Process(launcher).children(recursive=True)
        return [child for child in children if "--training" in child.cmdline()]
    return []
