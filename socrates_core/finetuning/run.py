"""Runs a finetune as a job: in its own process, whose history is the progress and whose output is the log."""

import os
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, Any

import psutil

from socrates_core.asking.answer import open_warm
from socrates_core.errors import UserError
from socrates_core.files import read_json
from socrates_core.finetuning.history import read_history
from socrates_core.finetuning.launch import n_processes_for, trainer_command, trainers_of
from socrates_core.finetuning.publish import publish
from socrates_core.finetuning.spec import load_training, training_path
from socrates_core.jobs.progress import Cancelled, Reporter
from socrates_core.models.warm import forget_warm
from socrates_core.settings import CODE

# Exit statuses of a trainer: done, or asked to stop.
ENDED, STOPPED = 0, 3
WORKER = "SOCRATES_WORKER"  # holds the worker's process id; a trainer whose worker is gone stops
ENDING = "ending.txt"  # why a trainer ended early, in a sentence
PATIENCE = 120.0  # seconds that a trainer may take to stop: it finishes its step first


def run_training(training_id: str, reporter: Reporter) -> dict[str, Any]:
    """Trains to the end and publishes the best checkpoint; a cancelled finetune publishes what it kept."""
    spec = load_training(training_id)
    let_go()
    reporter.begin("reading the rows and the model", 1)
    n_before = len(read_history(training_id)[0])
    (training_path(training_id) / ENDING).unlink(missing_ok=True)  # an earlier attempt's
    process = subprocess.Popen(
        trainer_command(training_id, spec, n_processes_for(spec)),
        cwd=CODE,  # so that no `training` in the current folder is imported instead
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, WORKER: str(os.getpid())},
    )
    output: list[str] = []
    # Read by a thread all the time: once the pipe is full, the trainer would stop at its next line.
    listening = threading.Thread(target=_listen, args=(process.stdout, reporter, output), daemon=True)
    listening.start()
    try:
        status = _watch(process, training_id, n_before, reporter)
    except Cancelled:
        end_process(process, PATIENCE)
        listening.join(5)
        _publish_what_there_is(training_id, reporter)
        raise
    finally:  # however this job ends, its trainer must not go on alone
        if process.poll() is None:
            end_process(process, PATIENCE)
    listening.join(5)
    if status != ENDED:
        raise UserError(_cause(status, output, training_id))
    _, validations = read_history(training_id)
    last = validations.iloc[-1].to_dict() if len(validations) else {}
    return {"training_id": training_id, "model": spec.name, "validation": last}


def let_go() -> None:
    """Frees the model that the worker keeps in memory; training needs the room."""
    open_warm.cache_clear()
    if "socrates_core.models.local.network" in sys.modules:
        from socrates_core.models.local.network import close_network

        close_network()
    forget_warm()


def _listen(stream: IO[str] | None, reporter: Reporter, output: list[str]) -> None:
    for line in stream or ():
        if line.strip():
            output.append(line.rstrip())
            reporter.log.info("%s", line.rstrip())


def _watch(process: subprocess.Popen[str], training_id: str, n_before: int, reporter: Reporter) -> int:
    """Reports the progress until the process ends; returns its exit status."""
    plan = training_path(training_id) / "plan.json"
    plan.unlink(missing_ok=True)  # an earlier attempt's
    begun = False
    n_start = 0
    while True:
        try:
            return process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            steps, _ = read_history(training_id)
            if not begun and plan.exists():
                # The trainer cuts its history back to its checkpoint before it writes the plan, and may have added
                # steps since.
                n_start = len(steps)
                reporter.begin("training", int(read_json(plan)["n_steps"]), min(n_start, n_before))
                begun = True
            if begun:
                reporter.advance(max(len(steps) - min(n_start, n_before), 0))
            reporter.check()


def is_below(pid: int) -> bool:
    """Whether this process was started by the process `pid`, or by one that it started, and that one still runs."""
    return pid == os.getppid() or pid in [parent.pid for parent in psutil.Process().parents()]


def end_process(process: subprocess.Popen[Any], patience: float) -> None:
    """Asks the process to end, and kills it if it has not ended after `patience` seconds.

    Of a launcher, the trainers that it started are asked: it would itself give them only 30 seconds.
    """
    trainers = trainers_of(process.pid)
    for trainer in trainers:
        with suppress(psutil.Error):
            trainer.terminate()
    if not trainers:
        process.terminate()
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        for trainer in trainers:
            with suppress(psutil.Error):
                trainer.kill()
        process.kill()
        process.wait()


def _publish_what_there_is(training_id: str, reporter: Reporter) -> None:
    try:
        reporter.log.info("kept the best so far as the model %s", publish(training_id))
    except UserError as error:
        reporter.log.info("%s", error)


def _cause(status: int, output: list[str], training_id: str) -> str:
    ending = training_path(training_id) / ENDING
    if ending.exists():
        return ending.read_text(encoding="utf-8")
    if status == 2 and output:
        return output[-1]
    # As Popen reports SIGKILL, as a shell does, and as a launcher of several processes does.
    if status in (-9, 137) or any("Signal 9 (SIGKILL)" in line for line in output):
        return (
            "The training process was killed, perhaps because memory ran out. Resume goes on from its last "
            "checkpoint; a lower 'micro_tokens' needs less memory."
        )
    last_line = f": {output[-1]}" if output else ""
    return f"The training process of {training_id!r} ended with status {status}{last_line}. The log has the details."
