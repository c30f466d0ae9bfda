"""What takes too long for a page: fetching a model from the hub, and merging an adapter, each its own interpreter."""

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
TIME_TO_END = 5.0  # seconds


@dataclass(frozen=True)
class Download:
    """What fetching a model would bring: its files' bytes, those that are here already, and those free on the disk."""

    hub_id: str
    n_files: int
    n_bytes: int
    n_free: int


def plan_download(hub_id: str) -> Download:
    """Asks the hub how large a model is. Raises UserError where it cannot be asked or knows no such model."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        found = HfApi().model_info(hub_id, files_metadata=True, timeout=10).siblings or []
    except (HTTPError, HfHubHTTPError, HFValidationError, OSError) as error:
        cause = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"The hub could not be asked for {hub_id!r} ({cause}). Check the connection and the name, or download the "
            "model elsewhere and put its folder into SOCRATES_HOME/models."
        ) from error
    wanted = [each for each in found if each.rfilename.endswith((".json", ".jinja", ".safetensors"))]
    free = shutil.disk_usage(_cache(hub_id).parent).free
    return Download(hub_id, len(wanted), sum(int(each.size or 0) for each in wanted), free)


def submit_fetch(plan: Download) -> store.Job:
    """Queues the download of a model; joins the same one where it is still active."""
    return _submit("fetch", f"Fetch {plan.hub_id}", {"hub_id": plan.hub_id, "n_bytes": plan.n_bytes})


def submit_merge(name: str, output: str) -> store.Job:
    """Queues the merge of an adapter into its base; joins the same one where it is still active."""
    return _submit("merge", f"Merge {name} as {output}", {"model": name, "output": output})


def run_fetch(args: Mapping[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Fetches a model; what was fetched before a stop is kept. Raises UserError where the hub does not send it."""
    hub_id, n_bytes = str(args["hub_id"]), int(args["n_bytes"])
    blobs = _cache(hub_id) / "blobs"

    def so_far() -> int:
        return (
            min(sum(each.stat().st_size for each in blobs.glob("*")), n_bytes) // MB if blobs.is_dir() else 0
        )

    reporter.begin("fetching, MB", max(n_bytes // MB, 1), so_far())
    begun = so_far()
    path = _run_apart(
        ["socrates_core", "models", "fetch", hub_id, "--yes"], reporter, lambda: so_far() - begun
    )
    return {"model": hub_id, "path": path}


def run_merge(args: Mapping[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Merges an adapter into its base. Raises UserError where they do not fit or the name is taken."""
    let_go()
    reporter.begin("merging", 1)
    path = _run_apart(["training.merge", args["model"], args["output"]], reporter, lambda: 0)
    return {"model": args["output"], "path": path}


def _run_apart(command: Sequence[str], reporter: Reporter, done: Callable[[], int]) -> str:
    """The last line that a module says on its way out; it is ended where the job should stop."""
    with (
        (reporter.job.path / "said.txt").open("w+") as said,
        (reporter.job.path / "wrong.txt").open("w+") as wrong,
    ):
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=CODE,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=wrong,
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
        said.seek(0)
        wrong.seek(0)
        told, cause = said.read().splitlines(), wrong.read().splitlines()
    if status:
        reporter.log.info("%s", "\n".join(cause))
        raise UserError(
            cause[-1] if status == 2 and cause else f"It ended with status {status}. The log has the details."
        )
    return told[-1] if told else ""


def _cache(hub_id: str) -> Path:
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    folder = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type="model")
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder


def _submit(kind: str, title: str, args: dict[str, Any]) -> store.Job:
    job = store.submit(kind, title, args, key=digest(args))
    worker_process.ensure_worker()
    return job
