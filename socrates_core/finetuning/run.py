"""Runs a finetune as a job: an interpreter of its own, whose history is the progress and whose words are the log."""

import os
import subprocess
import sys
import threading
from typing import IO, Any

from socrates_core.asking.answer import open_warm
from socrates_core.errors import UserError
from socrates_core.files import read_json
from socrates_core.finetuning.history import read_history
from socrates_core.finetuning.publish import publish
from socrates_core.finetuning.spec import load_training, training_path
from socrates_core.jobs.progress import Cancelled, Reporter
from socrates_core.settings import CODE

ENDED, STOPPED = 0, 3  # exit statuses of a trainer: done, or asked to stop
WORKER = "SOCRATES_WORKER"  # tells a trainer its worker's process number, without which it stops
PATIENCE = 120.0  # seconds that a step may take to end after a stop was asked for


def run_training(training_id: str, reporter: Reporter) -> dict[str, Any]:
    """Trains until the end and publishes the best checkpoint; a cancelled finetune publishes what it kept."""
    spec = load_training(training_id)
    let_go()
    reporter.begin("reading the rows and the model", 1)
    n_before = len(read_history(training_id)[0])
    process = subprocess.Popen(
        [sys.executable, "-m", f"training.{spec.method}", "--training", training_id],
        cwd=CODE,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, WORKER: str(os.getpid())},
    )
    said: list[str] = []
    listening = threading.Thread(target=_listen, args=(process.stdout, reporter, said), daemon=True)
    listening.start()
    try:
        status = _watch(process, training_id, n_before, reporter)
    except Cancelled:
        end_process(process, PATIENCE)
        listening.join(5)
        _publish_what_there_is(training_id, reporter)
        raise
    finally:  # whatever ended this job, its trainer does not go on alone
        if process.poll() is None:
            end_process(process, PATIENCE)
    listening.join(5)
    if status != ENDED:
        raise UserError(_cause(status, said, training_id))
    _, validations = read_history(training_id)
    last = validations.iloc[-1].to_dict() if len(validations) else {}
    return {"training_id": training_id, "model": spec.name, "validation": last}


def let_go() -> None:
    """Frees the model that the worker keeps warm: what follows needs the memory."""
    open_warm.cache_clear()
    if "socrates_core.models.local.network" in sys.modules:
        from socrates_core.models.local.network import close_network

        close_network()


def _listen(stream: IO[str] | None, reporter: Reporter, said: list[str]) -> None:
    for line in stream or ():
        if line.strip():
            said.append(line.rstrip())
            reporter.log.info("%s", line.rstrip())


def _watch(process: subprocess.Popen[str], training_id: str, n_before: int, reporter: Reporter) -> int:
    """Tells the progress until the process ends; returns its exit status."""
    plan, begun = training_path(training_id) / "plan.json", False
    plan.unlink(missing_ok=True)  # an earlier attempt's
    n_start = 0
    while True:
        try:
            return process.wait(timeout=0.5)
        except subprocess.TimeoutExpired:
            steps, _ = read_history(training_id)
            if not begun and plan.exists():
                n_start = len(steps)
                reporter.begin("training", int(read_json(plan)["n_steps"]), min(n_start, n_before))
                begun = True
            if begun:
                reporter.advance(max(len(steps) - min(n_start, n_before), 0))
            reporter.check()


def end_process(process: subprocess.Popen[Any], patience: float) -> None:
    """Asks the process to end, and ends it where it has not after `patience` seconds: one that waits may not listen."""
    process.terminate()
    try:
        process.wait(timeout=patience)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _publish_what_there_is(training_id: str, reporter: Reporter) -> None:
    try:
        reporter.log.info("kept the best so far as the model %s", publish(training_id))
    except UserError as error:
        reporter.log.info("%s", error)


def _cause(status: int, said: list[str], training_id: str) -> str:
    if status == 2 and said:
        return said[-1]
    if status in (-9, 137):
        return (
            "The training process was killed, perhaps for want of memory. Resume goes on from its last checkpoint; "
            "a lower 'micro_tokens' needs less memory."
        )
    told = f": {said[-1]}" if said else ""
    return (
        f"The training process of {training_id!r} ended with status {status}{told}. The log has the details."
    )
