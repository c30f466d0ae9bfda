"""Memory that runs out: less at a time, down to a sentence; and a card that broke, which ends its worker."""

from pathlib import Path

import pytest
import torch

from socrates_core import worker
from socrates_core.errors import UserError
from socrates_core.jobs import store
from socrates_core.jobs.progress import Reporter
from socrates_core.models.broken_card import is_card_broken
from socrates_core.models.local import budget
from socrates_core.models.local.backing_off import with_fewer_tokens
from socrates_core.scoring.plan import MAX_READS
from socrates_core.worker import Worker

OUT = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
ASSERT = torch.AcceleratorError("CUDA error: device-side assert triggered")


def test_work_is_done_again_with_half_the_tokens() -> None:
    tried = []

    def work(n_tokens: int) -> str:
        tried.append(n_tokens)
        if n_tokens > 600:
            raise OUT
        return "done"

    assert with_fewer_tokens(work, 4096, least=100, advice="") == ("done", 512)
    assert tried == [4096, 2048, 1024, 512]


@pytest.mark.parametrize(
    "error",
    [
        OUT,
        MemoryError(),
        torch.AcceleratorError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_memory_that_runs_out_on_the_longest_text_is_a_sentence(error: Exception) -> None:
    tried = []

    def work(n_tokens: int) -> None:
        tried.append(n_tokens)
        raise error

    with pytest.raises(UserError, match=r"with 300 tokens at a time.*has 300\. Choose QLoRA\."):
        with_fewer_tokens(work, 1024, least=300, advice="Choose QLoRA.")
    assert tried == [1024, 512, 300]


def test_another_error_is_not_tried_again() -> None:
    def work(_n_tokens: int) -> None:
        raise ASSERT

    with pytest.raises(torch.AcceleratorError):
        with_fewer_tokens(work, 1024, least=1, advice="")


def test_reads_under_paper_decoding_are_as_many_as_the_free_memory_holds() -> None:
    """With 152,000 tokens in the vocabulary 1,024 reads were counted at 4.7 GB under "paper", 1.24 GB exactly."""
    vocabulary = 152_064
    assert budget.most_reads("exact", vocabulary=vocabulary, free=9e9) == MAX_READS
    n_reads = budget.most_reads("paper", vocabulary=vocabulary, free=2e9)
    assert n_reads * 4.7e9 / 1024 < 1.05e9 and n_reads > 200
    assert budget.most_reads("paper", vocabulary=vocabulary, free=1e6) == 1


@pytest.mark.parametrize(
    ("error", "broken"),
    [
        (ASSERT, True),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx`"), True),
        (torch.AcceleratorError("CUDA error: out of memory"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), False),
        (OUT, False),
        (RuntimeError("shape '[2]' is invalid"), False),
        (ValueError("CUDA error: written by somebody"), False),
    ],
)
def test_what_breaks_a_card_differs_from_what_does_not(error: Exception, broken: bool) -> None:
    assert is_card_broken(error) == broken


def _sentence_after(error: Exception) -> UserError:
    try:
        raise UserError("The model cannot be loaded.") from error
    except UserError as sentence:
        return sentence


@pytest.mark.parametrize("error", [ASSERT, _sentence_after(ASSERT)])
def test_a_worker_whose_card_broke_ends_and_the_next_one_does_the_job(
    error: Exception, quiet_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store.submit("simulate", "First", {}, key="a")
    second = store.submit("simulate", "Second", {}, key="b")
    done: list[str] = []

    def break_card(job: store.Job, reporter: Reporter) -> None:
        raise error

    def succeed(job: store.Job, reporter: Reporter) -> None:
        done.append(job.id)

    monkeypatch.setattr(worker, "_execute", break_card)
    assert Worker(idle_seconds=0).run() == 1  # it takes no second job
    assert store.read_job(first.id).state == "queued" and store.read_job(second.id).state == "queued"
    assert "A new process goes on with the job" in "\n".join(store.read_log(first))
    monkeypatch.setattr(worker, "_execute", succeed)
    assert Worker(idle_seconds=0).run() == 2 and done == [first.id, second.id]


def test_a_job_that_breaks_the_card_twice_fails_with_the_cause(
    quiet_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = store.submit("simulate", "Breaks", {}, key="a")

    def break_card(job: store.Job, reporter: Reporter) -> None:
        raise ASSERT

    monkeypatch.setattr(worker, "_execute", break_card)
    for _ in range(2):
        Worker(idle_seconds=0).run()
    ended = store.read_job(job.id)
    assert ended.state == "failed"
    assert "The graphics card stopped working (CUDA error: device-side assert triggered)" in ended.message
    assert "2 times" in ended.message
