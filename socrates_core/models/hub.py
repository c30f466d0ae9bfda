"""Models of the Hugging Face hub: which of their files are fetched, and at which commit.

The commit is pinned when a model is first fetched. From then on its files come from the disk, without a question to
the hub; a newer commit is offered (`offered`) and fetched only on request, since other weights give other answers.
"""

import errno
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from socrates_core.errors import EDITED, UserError
from socrates_core.files import read_json, write_json
from socrates_core.models.adapter_settings import WEIGHTS as ADAPTER
from socrates_core.models.weights import INDEX, LONGEST_HEADER, WHOLE, listed_files
from socrates_core.settings import folder

PINS = "hub_commits.json"
TEXT_FILES = ("*.json", "*.jinja")
WEIGHTS = ".safetensors"
TIMEOUT = 10.0  # seconds to wait for the hub


@dataclass(frozen=True)
class Offer:
    """What the hub offers of a model now: its commit, the sizes in bytes of the files to fetch, and its licence."""

    commit: str
    files: Mapping[str, int]
    licence: str

    @property
    def n_bytes(self) -> int:
        return sum(self.files.values())


def offered(hub_id: str) -> Offer:
    """Asks the hub. Raises UserError if it cannot be reached or has no such model."""
    try:
        return _ask(hub_id)
    except _failures() as error:
        raise UserError(
            f"Could not reach Hugging Face for {hub_id!r} ({_cause(error)}). Check the connection and the name, or "
            "download the model elsewhere and put its folder into SOCRATES_HOME/models."
        ) from error


def _ask(hub_id: str) -> Offer:
    from huggingface_hub import HfApi

    info = HfApi().model_info(hub_id, files_metadata=True, timeout=TIMEOUT)
    sizes = {file.rfilename: int(file.size or 0) for file in info.siblings or []}
    weights = set(_weights_among(sizes))
    wanted = {
        name: size
        for name, size in sizes.items()
        if "/" not in name and (name.endswith((".json", ".jinja")) or name in weights)
    }
    return Offer(str(info.sha), wanted, str(info.card_data.get("license") or "") if info.card_data else "")


def _failures() -> tuple[type[Exception], ...]:
    """What the hub's own library raises if it cannot be reached, does not send a file, or the disk takes none."""
    from httpx2 import HTTPError
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # RuntimeError: after one thread lost the connection, the others find the library's client closed.
    return HTTPError, HfHubHTTPError, HFValidationError, OSError, RuntimeError


def _weights_among(names: Iterable[str]) -> list[str]:
    """The weights that transformers and peft load; many repositories have a second copy of them in another layout."""
    weights = [name for name in names if name.endswith(WEIGHTS)]
    whole = [name for name in weights if name == WHOLE]
    parts = [name for name in weights if name.startswith("model-")]
    adapter = [name for name in weights if name == ADAPTER]
    # The last, for weights under other names, as `fetch` does.
    return [*(whole or parts), *adapter] or weights


def bytes_to_fetch(hub_id: str) -> int:
    """The bytes that fetching a model takes; 0 if the hub cannot be reached."""
    with suppress(UserError):
        return offered(hub_id).n_bytes
    return 0


def pinned(hub_id: str) -> str | None:
    """The commit at which a model was first fetched; None before that."""
    commit = _pins().get(hub_id)
    if commit is None:
        # Fetched by an earlier version or another program: what is on this machine becomes the pinned commit.
        commit = _current_in_cache(hub_id)
        if commit and _has_weights(_snapshot(hub_id, commit)):
            _pin(hub_id, commit)
    return commit


def fetched(hub_id: str) -> Path | None:
    """The folder of a hub model if all of its weights are on this machine, else None."""
    commit = pinned(hub_id)
    path = _snapshot(hub_id, commit) if commit else None
    return path if path is not None and _has_weights(path) else None


def fetch(hub_id: str, *, weights: bool, commit: str | None = None) -> Path:
    """The folder of a model, fetched if it is not complete on this machine; without `weights` only its other files.

    With `commit` that one is fetched and pinned. An interrupted download is continued. Raises UserError if the hub
    does not send the model, or the disk is full.
    """
    before = pinned(hub_id)
    if commit is None and before is not None:
        path = _snapshot(hub_id, before)
        if _has_weights(path) if weights else _has_settings(path):
            return path
    try:
        chosen = commit or before or _ask(hub_id).commit
        path = _download(hub_id, chosen, TEXT_FILES)
        if weights:
            path = _download(hub_id, chosen, listed_files(path) or (WHOLE, ADAPTER))
            if not _has_weights(path):  # under another name
                path = _download(hub_id, chosen, ("*" + WEIGHTS,))
    except _failures() as error:
        if _is_full(error):
            raise UserError(
                f"The disk filled up while {hub_id!r} was fetched. What was fetched is kept. Free some space at "
                f"{str(cache_of(hub_id).parent)!r}, then fetch it again."
            ) from error
        raise UserError(
            f"The model {hub_id!r} could not be fetched from the hub ({_cause(error)}). What was fetched is kept. "
            "Check its name and the connection and fetch it again, or download it elsewhere and give its folder's path."
        ) from error
    if before is None or weights:  # an update is pinned once it is whole
        _pin(hub_id, chosen)
    return path


def _download(hub_id: str, commit: str, names: Iterable[str]) -> Path:
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(hub_id, revision=commit, allow_patterns=list(names)))


def _is_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return True
        error = error.__cause__ or error.__context__
    return False


def _cause(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def free_bytes(hub_id: str) -> int:
    """The bytes that are free where a model of the hub is kept."""
    return shutil.disk_usage(cache_of(hub_id).parent).free


def cache_of(hub_id: str) -> Path:
    """The folder of a model in the hub's own cache, which other programs share."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    path = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=hub_id, repo_type="model")
    path.parent.mkdir(parents=True, exist_ok=True)  # the free space of a missing folder cannot be read
    return path


def _snapshot(hub_id: str, commit: str) -> Path:
    return cache_of(hub_id) / "snapshots" / commit


def _current_in_cache(hub_id: str) -> str | None:
    try:
        return (cache_of(hub_id) / "refs" / "main").read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _has_settings(path: Path) -> bool:
    return (path / "config.json").exists() or (
        path / ADAPTER.replace("model" + WEIGHTS, "config.json")
    ).exists()


def _has_weights(path: Path) -> bool:
    """Whether every file of weights that is loaded is there; a file of which a part is missing has another name."""
    names = listed_files(path)
    if names:
        return all((path / name).exists() for name in names)
    return any((path / name).exists() for name in (WHOLE, ADAPTER)) or (
        not (path / INDEX).exists() and any(path.glob("*" + WEIGHTS))
    )


def _pins() -> dict[str, str]:
    try:
        stored = read_json(folder("models") / PINS, most=LONGEST_HEADER)
        return {str(name): str(commit) for name, commit in stored.items()}
    except (UserError, *EDITED):
        return {}


def _pin(hub_id: str, commit: str) -> None:
    pins = _pins()
    if pins.get(hub_id) != commit:
        write_json(folder("models") / PINS, {**pins, hub_id: commit})
