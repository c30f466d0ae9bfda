"""Fetching a model from the hub and merging an adapter: jobs that run in their own process."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.finetuning.run import end_process, let_go
from socrates_core.jobs import store, worker_process
from socrates_core.jobs.progress import Cancelled, Reporter, ShutDown
from socrates_core.settings import CODE

MB = 10**6
TIME_TO_END = 5.0  # seconds that a cancelled process has before it is killed


@dataclass(frozen=True)
class Download:
    """The size of a model on the hub: its files, their bytes, and the bytes that are free on the disk."""

    hub_id: str
    n_files: int
    n_bytes: int
    n_free: int


def plan_download(hub_id: str) -> Download:
    """Asks the hub how large a model is. Raises UserError if it cannot be reached or has no such model."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        files = HfApi().model_info(hub_id, files_metadata=True, timeout=10).siblings or []
    except (HTTPError, HfHubHTTPError, HFValidationError, OSError) as error:
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"Could not reach Hugging Face for {hub_id!r} ({cause}). Check the connection and the name, or download "
            "the model elsewhere and put its folder into SOCRATES_HOME/models."
        ) from error
    wanted = [file for file in files if file.rfilename.endswith((".json", ".jinja", ".safetensors"))]
    free = shutil.disk_usage(_cache(hub_id).parent).free
    return Download(hub_id, len(wanted), sum(int(file.size or 0) for file in wanted), free)


def submit_fetch(plan: Download) -> store.Job:
    """Queues the download of a model; returns the same download if it is still active."""
    return _submit("fetch", f"Fetch {plan.hub_id}", {"hub_id": plan.hub_id, "n_bytes": plan.n_bytes})


def submit_merge(name: str, output: str) -> store.Job:
    """Queues the merge of an adapter into its base; returns the same merge if it is still active."""
    return _submit("merge", f"Merge {name} as {output}", {"model": name, "output": output})


def run_fetch(args: Mapping[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Fetches a model; a stopped download is continued. Raises UserError if the hub does not send it."""
    hub_id = str(args["hub_id"])
    n_bytes = int(args["n_bytes"])
    blobs = _cache(hub_id) / "blobs"

    def fetched_mb() -> int:
        if not blobs.is_dir():
            return 0
        return min(sum(file.stat().st_size for file in blobs.glob("*")), n_bytes) // MB

    at_start = fetched_mb()
    reporter.begin("fetching, MB", max(n_bytes // MB, 1), at_start)
    command = ["socrates_core", "models", "fetch", hub_id, "--yes"]
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


def _cache(hub_id: str) -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type="model")
    folder.parent.mkdir(parents=True, exist_ok=True)  # the free space of a missing folder cannot be read
    return folder


def _submit(kind: str, title: str, args: dict[str, Any]) -> store.Job:
    job = store.submit(kind, title, args, key=digest(args))
    worker_process.ensure_worker()
    return job
