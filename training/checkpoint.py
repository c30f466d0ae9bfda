"""What training needs to continue after a kill as if nothing had happened: weights, optimizer and step, without pickle.

A checkpoint is a folder that is written aside and renamed, so one that exists is complete. Weights that are sharded
over processes are gathered one by one, so a checkpoint is the same however many processes wrote it.
"""

import shutil
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.distributed.tensor import DTensor, distribute_tensor

from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.finetuning.publish import BEST
from training.model import Trainee, whole_tensors

PREFIX = "checkpoint-"
WEIGHTS, OPTIMIZER = "weights.safetensors", "optimizer.safetensors"


@dataclass(frozen=True)
class State:
    """The state of training: steps done, step and W of the best validation, and the validations since that.

    `best_step` is None before the first validation. `least_mass` is the valid mass that a checkpoint needs to be kept
    for its W: a model that stops answering may have a good W on what it still answers. `key` is a digest of rows,
    settings and weights, so that no other finetune continues from here.
    """

    step: int
    key: str
    best_step: int | None = None
    best: float = float("inf")
    n_without_better: int = 0
    least_mass: float = 0.0


def save_checkpoint(
    path: Path, trainee: Trainee, optimizer: torch.optim.Optimizer, state: State, *, is_main: bool = True
) -> None:
    """Writes a checkpoint into the finetune's folder `path`, then removes the older ones.

    Every process calls it, since each may hold a part of the weights; the main one writes.
    """
    weights = whole_tensors(trainee.parameters, keep=is_main)
    names = list(trainee.parameters)
    moments = whole_tensors(
        {
            f"{names[place]}/{key}": torch.as_tensor(value)
            for place, state_of in optimizer.state_dict()["state"].items()
            for key, value in state_of.items()
            if isinstance(value, torch.Tensor | int | float)
        },
        keep=is_main,
    )
    if not is_main:
        return
    whole = path / f"{PREFIX}{state.step}"
    aside = path / f".{whole.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    save_file(weights, aside / WEIGHTS)
    save_file(moments, aside / OPTIMIZER)
    write_json(aside / "state.json", asdict(state))
    # In this order: until the new checkpoint has its name, the older one is the only complete one.
    _replace(aside, whole)
    drop_others(path, state)


def drop_others(path: Path, state: State) -> None:
    """Removes every checkpoint and kept model except those of `state`."""
    for old in (*path.glob(f"{PREFIX}*"), *path.glob(f"{BEST}*")):
        if old.name not in (f"{PREFIX}{state.step}", f"{BEST}{state.best_step}"):
            shutil.rmtree(old)


def read_state(path: Path, key: str) -> State:
    """The state in the last checkpoint of the finetune's folder; without one, the state before the first step.

    Raises UserError if the checkpoint belongs to another finetune or is damaged.
    """
    states = sorted(path.glob(f"{PREFIX}*/state.json"), key=lambda file: int(file.parent.name[len(PREFIX) :]))
    if not states:
        return State(0, key)
    folder = states[-1].parent
    try:
        state = State(**read_json(states[-1]))
        for name in (WEIGHTS, OPTIMIZER):
            with safe_open(folder / name, framework="pt"):  # it compares the header with the file's length
                pass
    except (TypeError, OSError, SafetensorError) as error:
        raise UserError(
            f"The checkpoint in {str(folder)!r} is damaged ({error}). Start a new finetune; the best model kept so far "
            "is in the folder next to it."
        ) from error
    if state.key != key:
        raise UserError(
            f"The checkpoint in {str(folder)!r} belongs to other rows, settings or weights: they changed since it was "
            "written. Start a new finetune."
        )
    return state


def load_checkpoint(path: Path, trainee: Trainee, optimizer: torch.optim.Optimizer, step: int) -> None:
    """Loads weights and optimizer as they were after `step` steps, one tensor at a time."""
    folder = path / f"{PREFIX}{step}"
    moments: dict[int, dict[str, Any]] = {}
    with ExitStack() as opened, torch.no_grad():
        weights, stored = (
            opened.enter_context(safe_open(folder / name, framework="pt")) for name in (WEIGHTS, OPTIMIZER)
        )
        keys = set(stored.keys())
        for place, (name, weight) in enumerate(trainee.parameters.items()):
            weight.copy_(_spread_like(weight, weights.get_tensor(name)))
            parts = {key.rpartition("/")[2]: key for key in keys if key.rpartition("/")[0] == name}
            if parts:  # a weight that no example reached has no moments
                moments[place] = {
                    part: _moment(weight, stored.get_tensor(key), part) for part, key in parts.items()
                }
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})


def save_best(path: Path, trainee: Trainee, step: int, *, is_main: bool = True) -> None:
    """Keeps the model as it is after `step` steps, next to the checkpoint. Every process calls it."""
    aside = path / f".{BEST}{step}"
    if is_main:
        shutil.rmtree(aside, ignore_errors=True)
    trainee.save(aside, is_main=is_main)
    if is_main:
        _replace(aside, path / f"{BEST}{step}")


def _replace(aside: Path, whole: Path) -> None:
    shutil.rmtree(whole, ignore_errors=True)
    aside.rename(whole)


def _spread_like(weight: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    """The part of the `whole` tensor that this process holds of `weight`; all of it if nothing is sharded."""
    if not isinstance(weight, DTensor):
        return whole
    return distribute_tensor(whole.to(weight.device), weight.device_mesh, weight.placements)


def _moment(weight: torch.Tensor, value: torch.Tensor, part: str) -> Any:
    if part == "step":  # AdamW expects it on the processor
        return value
    return _spread_like(weight, value) if value.shape == weight.shape else value
