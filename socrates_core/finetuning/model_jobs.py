"""Fetching a model from the hub and merging an adapter: jobs that run in their own process."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.finetuning.run import end_process, let_go
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.progress import Cancelled, Reporter, ShutDown
from socrates_core.models import hub
from socrates_core.settings import CODE

MB = 10**6
TIME_TO_END = 5.0  # seconds that a cancelled process has before it is killed


@dataclass(frozen=True)
class Download:
    """A model on the hub: its files, their bytes, the bytes that are free on the disk, its commit and its licence.

    Without a commit, the one that is pinned is fetched, or for a new model the one that the hub offers then.
    """

    hub_id: str
    n_files: int
    n_bytes: int
    n_free: int
    commit: str = ""
    licence: str = ""


def plan_download(hub_id: str) -> Download:
    """Asks the hub how large a model is. Raises UserError if it cannot be reached or has no such model."""
    offer = hub.offered(hub_id)
    return Download(
        hub_id,
        len(offer.files),
        offer.n_bytes,
        hub.free_bytes(hub_id),
        commit=offer.commit,
        licence=offer.licence,
    )


def submit_fetch(plan: Download) -> store.Job:
    """Queues the download of a model; returns the same download if it is still active."""
    if plan.n_bytes > plan.n_free:
        raise UserError(
            f"{plan.hub_id!r} takes {plan.n_bytes / 10**9:.1f} GB, and {plan.n_free / 10**9:.1f} GB are free on the "
            "disk. Free some space, or set HF_HUB_CACHE to a folder on another disk. Nothing was fetched."
        )
    args = {"hub_id": plan.hub_id, "n_bytes": plan.n_bytes}
    return _submit(
        "fetch", f"Fetch {plan.hub_id}", {**args, **({"commit": plan.commit} if plan.commit else {})}
    )


def submit_merge(name: str, output: str) -> store.Job:
    """Queues the merge of an adapter into its base; returns the same merge if it is still active."""
    return _submit("merge", f"Merge {name} as {output}", {"model": name, "output": output})


def run_fetch(args: Mapping[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Fetches a model; a stopped download is continued. Raises UserError if the hub does not send it."""
    hub_id = str(args["hub_id"])
    n_bytes = int(args["n_bytes"])
    blobs = hub.cache_of(hub_id) / "blobs"

    def fetched_mb() -> int:
        if not blobs.is_dir():
            return 0
        return min(sum(file.stat().st_size for file in blobs.glob("*")), n_bytes) // MB

    at_start = fetched_mb()
    reporter.begin("fetching, MB", max(n_bytes // MB, 1), at_start)
    commit = ["--commit", str(args["commit"])] if args.get("commit") else []
    command = ["socrates_core", "models", "fetch", hub_id, "--yes", *commit]
    path = _run_apart(command, reporter, lambda: fetched_mb() - at_start)
    return {"model": hub_id, "path": path}


def run_merge(args: Mapping[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Merges an adapter into its base. Raises UserError if they do not fit or the name is taken."""
    let_go()
    reporter.begin("merging", 1)
    path = _run_apart(["training.merge", args["model"], args["output"]], reporter, lambda: 0)
    return {"model": args["output"], "path": path}


def _run_apart(command: Sequence[str], reporter: Reporter, done: Callable[[], int]) -> str:
    """Runs a module in its own process and returns the last line it prints; ends it if the job should stop.

    Raises UserError if it fails.
    """
    with (  # files rather than pipes: nobody reads while it runs, and a full pipe would stop it
        (reporter.job.path / "said.txt").open("w+") as output,
        (reporter.job.path / "wrong.txt").open("w+") as errors,
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=CODE,  # so that no `training` or `pages` in the current folder is imported instead
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env={**os.environ, "HF_HUB_DISABLE_PROGRESS_BARS": "1"},
        )
        while True:
            try:
                status = process.wait(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                try:
                    reporter.advance(done())
                except (Cancelled, ShutDown):
                    end_process(process, TIME_TO_END)
                    raise
        output.seek(0)
        errors.seek(0)
        lines, causes = output.read().splitlines(), errors.read().splitlines()
    if status:
        reporter.log.info("%s", "\n".join(causes))
        if status == 2 and causes:  # the module's own sentence
            raise UserError(causes[-1])
        raise UserError(f"The process ended with status {status}. The log has the details.")
    return lines[-1] if lines else ""


def _submit(kind: str, title: str, args: dict[str, Any]) -> store.Job:
    job = store.submit(kind, title, args, key=digest(args))
    worker_process.ensure_worker()
    return job
