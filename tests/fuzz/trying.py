"""One input tried: accepted, refused with a sentence, or a crash; and the same in a process of its own."""

import json
import os
import re
import select
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from socrates_core.errors import UserError

LONGEST_SENTENCE = 600  # characters
SECONDS = 60  # after which an input hangs
_TOLD = re.compile(
    r"['\"0-9]|\w: |\b(?:Give|Use|Choose|Write|Copy|Run|Make|Save|Check|Say|Leave|Widen|Fill|Remove|Merge|Move)\b"
)
_WHOLE = re.compile(
    r"[.…]['\")]?$|\. [A-Z].*: python -m socrates_core [^.]+$"
)  # or it ends in a command to copy
Verdict = Literal["accepted", "refused", "crash", "died"]


@dataclass(frozen=True)
class Tried:
    """What became of an input: `told` is the sentence or the traceback, `ms` are milliseconds of processor time."""

    verdict: Verdict
    told: str = ""
    ms: float = 0.0


def attempt(read: Callable[[bytes], object], data: bytes) -> Tried:
    """Reads `data` in this process. A refusal that is no sentence is a crash."""
    started = time.process_time()
    try:
        read(data)
        verdict, told = Tried("accepted"), ""
    except UserError as error:
        fault = fault_of(str(error))
        verdict, told = Tried("crash" if fault else "refused"), f"{fault}{error}"
    except Exception:  # noqa: BLE001  # whatever else comes out is what is looked for
        verdict, told = Tried("crash"), traceback.format_exc()
    return Tried(verdict.verdict, told, 1000 * (time.process_time() - started))


def fault_of(said: str) -> str:
    """What keeps a refusal from being a sentence for a person; empty where nothing does."""
    if not _WHOLE.search(said) or "Traceback" in said:
        return "No sentence: "
    if len(said) > LONGEST_SENTENCE:
        return f"{len(said):,} characters: "
    return "" if _TOLD.search(said) else "Names no value and nothing to do: "


class Apart:
    """A process that reads inputs of the targets one by one; begun anew where an input ends it."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._process: subprocess.Popen[bytes] | None = None

    def attempt(self, target: str, data: bytes) -> Tried:
        path = self._home / "input"
        path.write_bytes(data)
        if self._process is None:
            command = [sys.executable, "-m", "tests.fuzz.apart", str(self._home)]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"SOCRATES_HOME": str(self._home), "OMP_NUM_THREADS": "1"},
            )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{target}\n".encode())
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], SECONDS)
        line = self._process.stdout.readline() if ready else b""
        if line:
            return Tried(**json.loads(line))
        self.close()
        return Tried("died", f"it ended its process or took longer than {SECONDS} seconds")

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
        self._process = None
