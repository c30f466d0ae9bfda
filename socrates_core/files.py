"""Files that are complete or absent: written under another name, flushed, then renamed. All in open formats."""

import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from socrates_core.errors import EDITED, UserError, clipped, quoted

FORMAT = 1  # the newest format number of JSON files that this version reads


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path next to `path` to write to. That file replaces `path` only if the block succeeds."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Private before anything is in it.
        aside.touch(mode=0o600, exist_ok=False)
        yield aside
        # Flushed before the rename: after a power cut the new name could otherwise lead to an empty file.
        with aside.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(aside, path)
    except OSError as error:
        raise UserError(
            f"{str(path)!r} could not be written ({error.strerror or error}). "
            "Free some space or set SOCRATES_HOME to a folder that you can write to."
        ) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


@contextmanager
def whole_or_gone(folder: Path) -> Iterator[None]:
    """Removes `folder`, which the block fills, if the block fails: a full disk leaves no half-written folder."""
    try:
        yield
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def write_text(path: Path, text: str) -> None:
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def read_plain_bytes(path: Path, most: int | None = None) -> bytes:
    """The content of a file of at most `most` bytes.

    Raises OSError or ValueError if it cannot be read, is longer, or is not a regular file.
    """
    status = path.stat()
    # Opening a named pipe waits forever, and a device has no end.
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is no plain file")
    if most is not None and status.st_size > most:
        raise ValueError(f"it has {status.st_size:,} bytes, and {most:,} are the most")
    return path.read_bytes()


def read_json(path: Path, *, most: int | None = None) -> Any:
    """The parsed content of `path`, which has at most `most` bytes.

    Raises UserError if it is missing, longer, not a regular file, damaged or of a later version's format.
    """
    try:
        stored = json.loads(read_plain_bytes(path, most).decode("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"The file {str(path)!r} is missing.") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        cause = clipped(str(error))
        raise UserError(f"The file {str(path)!r} is damaged and cannot be read as JSON ({cause}).") from error
    stored_format = stored.get("format") if isinstance(stored, dict) else None
    if isinstance(stored_format, int) and stored_format > FORMAT:
        raise UserError(
            f"{str(path)!r} has format {quoted(stored_format)}, and this version knows formats up to {FORMAT}. A later "
            "version wrote it: update the program."
        )
    return stored


def write_parquet(path: Path, table: pa.Table) -> None:
    with replacing(path) as aside:
        pq.write_table(table, aside, compression="zstd")


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The table in `path`. Raises UserError if it is missing, damaged, not Parquet, or lacks a column."""
    try:
        return pq.read_table(path, columns=columns)
    except FileNotFoundError as error:
        raise UserError(f"The file {str(path)!r} is missing.") from error
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{str(path)!r} is not a Parquet file that can be read ({reason}).") from error


def is_unchanged(folder: Path, manifest: Any, content_digest: str, required: Collection[str]) -> bool:
    """Whether the files in `folder` have the digests in `manifest`, which has all `required` keys and this content."""
    try:
        digests = {name: file_digest(folder / name) for name in manifest["files"]}
        is_complete = set(required) <= set(manifest)
        return is_complete and manifest["content"] == content_digest and digests == manifest["files"]
    except (OSError, *EDITED):
        return False


def digest(value: object) -> str:
    """SHA-256 in hex of a value's canonical JSON, the same on every machine and in every run."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    # Text from JSON may hold half a character, which strict UTF-8 refuses to encode.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 in hex of a file's bytes."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
