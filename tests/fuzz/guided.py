"""The readers of text with inputs that coverage guides. Needs the package atheris, which is no requirement.

python -m tests.fuzz.guided TARGET [options of libFuzzer] [folders of seeds]
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.trying import attempt

LONGEST = 4_000  # bytes of an input


def guide(name: str, seeds: Path, seconds: float, seed: int) -> tuple[str, bool]:
    """A sentence about so many seconds with one reader, and whether an input was a crash."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "tests.fuzz.guided",
            name,
            f"-max_total_time={max(1, int(seconds))}",
            f"-seed={seed + 1}",
            f"-max_len={LONGEST}",
            f"-artifact_prefix={folder}/",
            folder,
            str(seeds),
        ]
        said = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    runs = re.search(r"Done (\d+) runs", said.stderr)
    if said.returncode or runs is None:
        return f"{name}, guided by coverage: a crash.\n{said.stdout[-3000:]}{said.stderr[-3000:]}", True
    return f"{name}, guided by coverage: {int(runs[1]):,} inputs, no crash.", False


def main() -> None:
    import atheris  # type: ignore[import-untyped]

    with atheris.instrument_imports(include=["socrates_core.scales"]):
        from tests.fuzz.targets import readers_of_text
    atheris.enabled_hooks.add("RegEx")
    read = readers_of_text()[sys.argv.pop(1)]

    def once(data: bytes) -> None:
        tried = attempt(read, data)
        if tried.verdict == "crash":
            raise RuntimeError(tried.told)

    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
