"""What this machine can run: cards as their driver shows them, and a sentence with a remedy for each that fails."""

from pathlib import Path

import pytest
import torch

from socrates_core.errors import UserError
from socrates_core.models import doctor
from socrates_core.models.graphics_cards import (
    GraphicsCard,
    _ask_driver,
    graphics_cards,
    why_unusable,
)
from socrates_core.models.local.load import choose_device, is_out_of_memory
from tests.support.commands import as_json, command

NEW = "NVIDIA GeForce RTX 4090, 550.54.14, 8.9, 24564, 20111"
OLD = "Tesla V100-SXM2-16GB, 550.54.14, 7.0, 16384, 16000"


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    _ask_driver.cache_clear()


def insert(monkeypatch: pytest.MonkeyPatch, folder: Path, *cards: str, fails: bool = False) -> None:
    """Puts a driver into this machine that shows these cards; torch, built for processors, can use none."""
    driver = folder / "nvidia-smi"
    lines = "".join(f"echo '{card}'\n" for card in cards)
    driver.write_text(f"#!/bin/sh\n{lines}exit {9 if fails else 0}\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_cards_are_read_as_the_driver_prints_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    insert(monkeypatch, tmp_path, NEW, OLD)
    first, second = graphics_cards()
    assert first == GraphicsCard("NVIDIA GeForce RTX 4090", "550.54.14", (8, 9), 24564.0, 20111.0)
    assert second.capability == (7, 0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert graphics_cards() == (second,)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert graphics_cards() == ()


@pytest.mark.parametrize(
    "line", ["NVIDIA-SMI has failed because it couldn't communicate", "[Unknown], [N/A], [N/A], 1, 1"]
)
def test_a_driver_that_does_not_answer_shows_no_card(
    line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    insert(monkeypatch, tmp_path, line.replace("'", ""), fails=True)
    assert graphics_cards() == ()
    insert(monkeypatch, tmp_path, line.replace("'", ""))
    _ask_driver.cache_clear()
    assert graphics_cards() == ()


def test_a_card_that_torch_cannot_use_is_a_sentence_and_no_silent_fall_back(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert not torch.cuda.is_available()
    insert(monkeypatch, tmp_path, NEW)
    with pytest.raises(UserError, match=r"RTX 4090.*cannot use it.*set CUDA_VISIBLE_DEVICES"):
        choose_device()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose_device() == torch.device("cpu")


@pytest.mark.parametrize(
    ("capability", "built_for", "capabilities", "remedy"),
    [
        ((8, 9), None, [], "Install the build for CUDA"),
        ((8, 9), "13.0", ["sm_75", "sm_80", "sm_90"], "Update the driver"),
        ((7, 0), "13.0", ["sm_75", "compute_120"], "is 7.0, and torch for CUDA 13.0 needs 7.5"),
    ],
)
def test_each_reason_has_its_remedy(
    capability: tuple[int, int], built_for: str | None, capabilities: list[str], remedy: str
) -> None:
    card = GraphicsCard("A card", "550.54.14", capability, 16384.0, 16000.0)
    assert remedy in why_unusable(card, built_for=built_for, capabilities=capabilities)


def test_the_command_says_what_is_there_and_what_is_wrong(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(doctor, "HUB", "https://127.0.0.1:1")
    insert(monkeypatch, tmp_path, OLD)
    checks = {check["name"]: check for check in as_json("doctor")}
    assert checks["Graphics card"]["state"] == "problem" and "V100" in checks["Graphics card"]["sentence"]
    assert (
        checks["Hugging Face"]["state"] == "note"
        and "cannot be reached" in checks["Hugging Face"]["sentence"]
    )
    assert {"Processor", "Memory", "4 bits", "Disk"} <= checks.keys()
    assert "problem Graphics card" in command("doctor")


@pytest.mark.parametrize(
    ("error", "runs_out"),
    [
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_every_way_in_which_memory_runs_out_is_known(error: Exception, runs_out: bool) -> None:
    assert is_out_of_memory(error) == runs_out


def test_the_window_examines_in_a_process_of_its_own(quiet_home: Path) -> None:
    checks = doctor.examine_apart()
    assert {"Graphics card", "Processor", "Memory", "4 bits", "Disk"} <= {check.name for check in checks}
    assert all(check.sentence for check in checks)
