"""SocSci210 on the Hugging Face hub: lists the files at the pinned revision, fetches and verifies them."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from socrates_core.errors import UserError
from socrates_core.files import file_digest

REPOSITORY = "socratesft/SocSci210"
REVISION = "048481111a4425ed83dc0eacf15f8431f252b21a"
TIMEOUT = 30.0  # seconds without a byte; without it, huggingface_hub waits forever here
_AGAIN = "Check the network and run the import again; what was fetched is kept."


@dataclass(frozen=True)
class HubFile:
    """A file of the data set, `size` in bytes; `checksum` is its SHA-256, or the Git blob id of a small file."""

    name: str
    size: int
    checksum: str

    def is_whole(self, path: Path) -> bool:
        """Whether the file at `path` has the checksum that the hub names."""
        if len(self.checksum) == 64:
            return file_digest(path) == self.checksum
        content = path.read_bytes()
        # Git's id of a file: SHA-1 over a header with its length, then the content.
        blob = b"blob %d\0" % len(content) + content
        return hashlib.sha1(blob, usedforsecurity=False).hexdigest() == self.checksum


def list_files() -> list[HubFile]:
    """The data set's Parquet shards and split mappings. Raises UserError if the hub cannot be reached."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi

    try:
        info = HfApi().dataset_info(REPOSITORY, revision=REVISION, files_metadata=True, timeout=TIMEOUT)
        files = info.siblings or []
    except (HTTPError, OSError) as error:
        raise UserError(
            f"Could not reach Hugging Face for {REPOSITORY!r} ({_first(error)}). {_AGAIN}"
        ) from error
    return [
        HubFile(file.rfilename, int(file.size or 0), str(file.lfs.sha256 if file.lfs else file.blob_id))
        for file in files
        if file.rfilename.endswith((".parquet", "_mapping.json"))
    ]


def fetch(file: HubFile, folder: Path) -> Path:
    """The file in `folder`, downloaded if it is not there yet, its checksum verified.

    A broken download continues. Raises UserError if the file cannot be fetched or twice has another checksum.
    """
    from httpx2 import HTTPError
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import XetDownloadError

    for _ in range(2):
        try:
            path = Path(
                hf_hub_download(
                    REPOSITORY, file.name, repo_type="dataset", revision=REVISION, local_dir=folder
                )
            )
        except (HTTPError, XetDownloadError, OSError) as error:
            raise UserError(
                f"Could not fetch {file.name!r} from Hugging Face ({_first(error)}). {_AGAIN}"
            ) from error
        if file.is_whole(path):
            return path
        path.unlink()
    raise UserError(f"{file.name!r} arrived damaged twice: its checksum differs. Try again later.")


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
