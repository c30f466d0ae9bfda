"""The process in which inputs are tried. A line on its input names a target; its answer is a line of JSON.

python -m tests.fuzz.apart HOME
"""

import json
import os
import resource
import sys
from pathlib import Path

from tests.fuzz.targets import targets
from tests.fuzz.trying import attempt

MEMORY = 12 << 30  # bytes of address space, so that a bomb is an error and no burden


def main(home: Path) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    known = {target.name: target for target in targets(home)}
    for line in sys.stdin:
        tried = attempt(known[line.strip()].read, (home / "input").read_bytes())
        told = tried.told.encode("utf-8", "backslashreplace").decode()
        answers.write(json.dumps({**vars(tried), "told": told}) + "\n")
        answers.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
