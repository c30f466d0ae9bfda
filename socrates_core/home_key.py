"""Proof that a person on this home gave a permission: a mark that only the key in SOCRATES_HOME/key can make.

The key is created on first use, only its owner can read it, and no archive contains it. A permission in a file from
somebody else has no such mark and is ignored.
"""

import hmac
import os
import secrets
from contextlib import suppress

from socrates_core.errors import UserError
from socrates_core.files import digest
from socrates_core.settings import folder

_N_BYTES = 32


def mark_of(value: object) -> str:
    """The mark of a JSON value on this home, in hex. Raises UserError if the key cannot be read or created."""
    return hmac.new(_key(), digest(value).encode(), "sha256").hexdigest()


def is_marked(value: object, mark: object) -> bool:
    """Whether `mark` is the mark of `value` on this home."""
    return isinstance(mark, str) and hmac.compare_digest(mark_of(value).encode(), mark.encode())


def _key() -> bytes:
    path = folder() / "key"
    try:
        if not path.exists():
            aside = path.with_name(f".key.{secrets.token_hex(6)}.part")
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_N_BYTES))
                file.flush()
                os.fsync(file.fileno())
            # A link never replaces a file, as a rename would.
            with suppress(FileExistsError):  # another process was first, and its key counts
                os.link(aside, path)
            aside.unlink()
        key = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"The key of this home, {str(path)!r}, cannot be read or created ({error.strerror or error}). "
            "Check that the folder is yours and writable."
        ) from error
    if len(key) != _N_BYTES:
        raise UserError(
            f"The key of this home, {str(path)!r}, is damaged. Delete the file. A new key is created, and you "
            "have to give your permissions again."
        )
    return key
