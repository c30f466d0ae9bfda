"""Whether an error means that the graphics card no longer works for this process, so that only a new one can go on.

After an illegal access or a failed assertion on the card every later call of the process fails, whatever it asks.
Memory that ran out is not such an error. Nothing heavy is loaded for it.
"""

import sys
from collections.abc import Iterator

# How CUDA, cuBLAS, cuDNN and the driver say in a plain RuntimeError that a computation broke.
BROKEN = (
    "CUDA error:",
    "CUDA driver error:",
    "CUBLAS_STATUS_EXECUTION_FAILED",
    "CUBLAS_STATUS_INTERNAL_ERROR",
    "CUDNN_STATUS_EXECUTION_FAILED",
    "CUDNN_STATUS_INTERNAL_ERROR",
)
# How torch's processor allocator, CUDA itself, cuBLAS, and cuDNN say in a plain RuntimeError that memory ran out.
OUT_OF_MEMORY = (
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


def is_card_broken(error: BaseException) -> bool:
    """Whether this error, or one that led to it, broke the process's connection to its card."""
    return any(_breaks(cause) for cause in _causes(error))


def _breaks(error: BaseException) -> bool:
    torch = sys.modules.get("torch")  # without it no card was used
    if torch is None or not isinstance(error, RuntimeError) or isinstance(error, torch.OutOfMemoryError):
        return False
    if any(text in str(error) for text in OUT_OF_MEMORY):
        return False
    return isinstance(error, torch.AcceleratorError) or any(text in str(error) for text in BROKEN)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
