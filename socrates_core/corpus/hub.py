"""SocSci210 on the Hugging Face hub: which shards there are at the pinned revision, each fetched and verified."""

from dataclasses import dataclass
from pathlib import Path

from socrates_core.errors import UserError
from socrates_core.files import file_digest

REPOSITORY = "socratesft/SocSci210"
REVISION = "048481111a4425ed83dc0eacf15f8431f252b21a"
_AGAIN = "Check the network and run the import again: what was fetched is kept."


@dataclass(frozen=True)
class HubFile:
    """A file of the data set; `sha256` is the checksum that the hub names for it, `size` in bytes."""

    name: str
    size: int
    sha256: str


def list_shards() -> list[HubFile]:
    """The Parquet files of the data set. Raises UserError where the hub cannot be asked or names no checksum."""
    from httpx2 import HTTPError
    from huggingface_hub import HfApi

    try:
        found = HfApi().dataset_info(REPOSITORY, revision=REVISION, files_metadata=True).siblings or []
    except (HTTPError, OSError) as error:
        raise UserError(
            f"The hub could not be asked for {REPOSITORY!r} ({_first(error)}). {_AGAIN}"
        ) from error
    shards = [file for file in found if file.rfilename.endswith(".parquet")]
    if not shards or not all(file.lfs and file.size for file in shards):
        raise UserError(f"The hub names no Parquet files with checksums for {REPOSITORY!r} at {REVISION!r}.")
    return [HubFile(file.rfilename, int(file.size or 0), file.lfs.sha256) for file in shards if file.lfs]


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
            got = hf_hub_download(
                REPOSITORY, file.name, repo_type="dataset", revision=REVISION, local_dir=folder
            )
        except (HTTPError, XetDownloadError, OSError) as error:
            raise UserError(
                f"{file.name!r} could not be fetched from the hub ({_first(error)}). {_AGAIN}"
            ) from error
        if file_digest(Path(got)) == file.sha256:
            return Path(got)
        Path(got).unlink()
    raise UserError(f"{file.name!r} twice arrived damaged: its checksum is not the hub's. Try again later.")


def _first(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
