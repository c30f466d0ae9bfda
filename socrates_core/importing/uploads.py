"""Uploaded files, kept in the home with their mapping until they are imported, even if the window is closed."""

import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from socrates_core.errors import UserError, unknown
from socrates_core.importing.table import MAX_BYTES, WHOLE, Pace
from socrates_core.jobs.store import new_id
from socrates_core.settings import folder

LARGE = 20_000_000  # bytes; beyond, a page reads the beginning and a job imports the whole
FIRST_ROWS = 20_000


@dataclass(frozen=True)
class Upload:
    """Files that were uploaded together, and where their mapping is kept."""

    upload_id: str
    paths: tuple[Path, ...]

    @property
    def is_large(self) -> bool:
        """Whether a job has to import it."""
        return sum(path.stat().st_size for path in self.paths) > LARGE

    @property
    def pace(self) -> Pace:
        """How much a page reads."""
        return Pace(rows=FIRST_ROWS) if self.is_large else WHOLE

    @property
    def title(self) -> str:
        return self.paths[0].stem

    @property
    def mapping_path(self) -> Path:
        return self.paths[0].parents[1] / "mapping.yaml"


def keep_files(files: Sequence[tuple[str, BinaryIO]]) -> Upload:
    """Copies named files into a new folder, all or none. Raises UserError if they are too large."""
    root = folder("imports")
    # Hidden until every file is in it: lists of uploads leave out names that begin with a dot.
    aside = Path(tempfile.mkdtemp(dir=root, prefix="."))
    try:
        (aside / "files").mkdir()
        for number, (name, content) in enumerate(files):
            target = aside / "files" / safe_name(name)
            _copy(content, target if not target.exists() else target.with_name(f"{number}-{target.name}"))
        upload_id = new_id(Path(safe_name(files[0][0])).stem)
        os.replace(aside, root / upload_id)
    except OSError as error:
        raise UserError(
            f"The files could not be saved to {str(root)!r} ({error.strerror or error})."
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return open_upload(upload_id)


def safe_name(name: str) -> str:
    """The last part of a file name, without characters that mean something to a file system or a screen."""
    last = re.split(r"[/\\]", name)[-1]
    return re.sub(r"[^\w .()+,-]", "", last).strip(" .")[-100:] or "data"


def list_uploads() -> list[Upload]:
    """Every upload that is kept, the newest first."""
    upload_ids = sorted((path.name for path in folder("imports").glob("[!.]*")), reverse=True)
    return [open_upload(upload_id) for upload_id in upload_ids]


def open_upload(upload_id: str) -> Upload:
    """The upload. Raises UserError if it is unknown or has lost its files."""
    root = folder("imports")
    known = [path.name for path in root.glob("[!.]*") if (path / "files").is_dir()]
    if upload_id not in known:
        raise unknown("upload", upload_id, known)
    paths = sorted((root / upload_id / "files").iterdir())
    if not paths:
        raise UserError(f"The upload {upload_id!r} has lost its files. Upload them again.")
    return Upload(upload_id, tuple(paths))


def forget(upload: Upload) -> None:
    """Removes the files of an upload; a corpus that was imported from them stays."""
    shutil.rmtree(upload.mapping_path.parent, ignore_errors=True)


def _copy(content: BinaryIO, target: Path) -> None:
    size = 0
    with target.open("xb") as file:
        while part := content.read(1 << 22):
            size += len(part)
            if size > MAX_BYTES:
                raise UserError(
                    f"{target.name!r} is larger than {MAX_BYTES / 1e6:,.0f} MB, the most that can be read."
                )
            file.write(part)
