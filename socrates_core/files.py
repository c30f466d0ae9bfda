"""Files that are never half there: written aside, flushed, renamed. Formats that anyone can read."""

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

FORMAT = 1  # of the JSON files that say a number


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; it takes `path`'s place only if the block succeeds."""
    aside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.touch(mode=0o600, exist_ok=False)
        yield aside
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
    """Removes `folder`, which the block fills, where the block fails: on a full disk nothing half made is left."""
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
    """What a file of at most `most` bytes holds.

    Raises OSError or ValueError where it cannot be read, is longer, or is no plain file: opening a named pipe waits
    for ever, and a device has no end.
    """
    kept = path.stat()
    if not stat.S_ISREG(kept.st_mode):
        raise OSError("it is no plain file")
    if most is not None and kept.st_size > most:
        raise ValueError(f"it has {kept.st_size:,} bytes, and {most:,} are the most")
    return path.read_bytes()


def read_json(path: Path, *, most: int | None = None) -> Any:
    """The parsed content of `path`, which has at most `most` bytes.

    Raises UserError where it is missing, longer, no plain file, damaged or of a later version's format.
    """
    try:
        stored = json.loads(read_plain_bytes(path, most).decode("utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"The file {str(path)!r} is missing.") from error
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        told = clipped(str(error))
        raise UserError(f"The file {str(path)!r} is damaged and cannot be read as JSON ({told}).") from error
    made = stored.get("format") if isinstance(stored, dict) else None
    if isinstance(made, int) and made > FORMAT:
        raise UserError(
            f"{str(path)!r} has format {quoted(made)}, and this version knows formats up to {FORMAT}. A later version "
            "wrote it: update the program."
        )
    return stored


def write_parquet(path: Path, table: pa.Table) -> None:
    with replacing(path) as aside:
        pq.write_table(table, aside, compression="zstd")


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """The table in `path`. Raises UserError where it is missing, damaged, no Parquet or lacks a column."""
    try:
        return pq.read_table(path, columns=columns)
    except FileNotFoundError as error:
        raise UserError(f"The file {str(path)!r} is missing.") from error
    except (pa.ArrowInvalid, pa.ArrowKeyError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{str(path)!r} is not a Parquet file that can be read ({reason}).") from error


def as_written(folder: Path, manifest: Any, content: str, told: Collection[str]) -> bool:
    """Whether `manifest` tells all of `told` and belongs to `content`, and its files are as it says."""
    try:
        files = {name: file_digest(folder / name) for name in manifest["files"]}
        return set(told) <= set(manifest) and manifest["content"] == content and files == manifest["files"]
    except (OSError, *EDITED):
        return False


def digest(value: object) -> str:
    """SHA-256 in hex of a value's canonical JSON; the same on every machine and run."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 in hex of a file's bytes."""
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
