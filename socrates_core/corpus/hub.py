"""SocSci210 on the Hugging Face hub: which files there are at the pinned revision, each fetched and verified."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from socrates_core.errors import UserError
from socrates_core.files import file_digest

REPOSITORY = "socratesft/SocSci210"
REVISION = "048481111a4425ed83dc0eacf15f8431f252b21a"
TIMEOUT = 30.0  # seconds without a byte; without it, huggingface_hub waits forever here
_AGAIN = "Check the network and run the import again: what was fetched is kept."


@dataclass(frozen=True)
class HubFile:
    """A file of the data set, `size` in bytes; `checksum` is its SHA-256, or the Git blob id of a small file."""

    name: str
    size: int
    checksum: str

    def is_whole(self, path: Path) -> bool:
        """True where the file at `path` has the checksum that the hub names."""
        if len(self.checksum) == 64:
            return file_digest(path) == self.checksum
        content = path.read_bytes()
        blob = b"blob %d\0" % len(content) + content
        return hashlib.sha1(blob, usedforsecurity=False).hexdigest() == self.checksum


def list_files() -> list[HubFile]:
    """The data set's Parquet shards and split mappings. Raises UserError where the hub cannot be asked."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi

    try:
        asked = HfApi().dataset_info(REPOSITORY, revision=REVISION, files_metadata=True, timeout=TIMEOUT)
        found = asked.siblings or []
    except (HTTPError, OSError) as error:
        raise UserError(
            f"The hub could not be asked for {REPOSITORY!r} ({_first(error)}). {_AGAIN}"
        ) from error
    return [
        HubFile(each.rfilename, int(each.size or 0), str(each.lfs.sha256 if each.lfs else each.blob_id))
        for each in found
        if each.rfilename.endswith(".parquet") or each.rfilename.endswith("_mapping.json")
    ]


def fetch(file: HubFile, folder: Path) -> Path:
    """The file in `folder`, downloaded where it is not there, its checksum verified.

    A download that broke off goes on where it was. Raises UserError where the file cannot be fetched or twice
    arrives with another checksum.
    """
    from httpx2 import HTTPError
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import XetDownloadError

    for _ in range(2):
        try:
            got = Path(
                hf_hub_download(
                    REPOSITORY, file.name, repo_type="dataset", revision=REVISION, local_dir=folder
                )
            )
        except (HTTPError, XetDownloadError, OSError) as error:
            raise UserError(
                f"{file.name!r} could not be fetched from the hub ({_first(error)}). {_AGAIN}"
            ) from error
        if file.is_whole(got):
            return got
        got.unlink()
    raise UserError(f"{file.name!r} twice arrived damaged: its checksum is not the hub's. Try again later.")


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
