"""What training needs to continue after a kill as if nothing had happened: weights, optimizer and step, without pickle.

A checkpoint is a folder that is written aside and renamed, so one that exists is complete.
"""

import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.finetuning.publish import BEST
from training.model import Trainee

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


def save_checkpoint(path: Path, trainee: Trainee, optimizer: torch.optim.Optimizer, state: State) -> None:
    """Writes a checkpoint into the finetune's folder `path`, then removes the older ones."""
    whole = path / f"{PREFIX}{state.step}"
    aside = path / f".{whole.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    save_file(_tensors(trainee.parameters), aside / WEIGHTS)
    names = list(trainee.parameters)
    moments = {
        f"{names[place]}/{key}": value.cpu().contiguous()
        for place, state_of in optimizer.state_dict()["state"].items()
        for key, value in state_of.items()
    }
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


def load_checkpoint(path: Path, trainee: Trainee, optimizer: torch.optim.Optimizer, key: str) -> State:
    """Loads the last checkpoint in the finetune's folder; without one, returns the state before the first step.

    Raises UserError if the checkpoint belongs to another finetune or is damaged.
    """
    states = sorted(path.glob(f"{PREFIX}*/state.json"), key=lambda file: int(file.parent.name[len(PREFIX) :]))
    if not states:
        return State(0, key)
    folder = states[-1].parent
    device = str(trainee.network.device)
    try:
        state = State(**read_json(states[-1]))
        weights = load_file(folder / WEIGHTS, device=device)
        stored = load_file(folder / OPTIMIZER, device=device)
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
    trainee.load(weights)
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for place, name in enumerate(trainee.parameters):
        if f"{name}/step" in stored:  # a weight that no example reached has no moments
            parts = {part: stored[f"{name}/{part}"] for part in ("step", "exp_avg", "exp_avg_sq")}
            moments[place] = parts | {"step": parts["step"].cpu()}  # AdamW expects it on the processor
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return state


def save_best(path: Path, trainee: Trainee, step: int) -> None:
    """Keeps the model as it is after `step` steps, next to the checkpoint."""
    aside = path / f".{BEST}{step}"
    shutil.rmtree(aside, ignore_errors=True)
    trainee.save(aside)
    _replace(aside, path / f"{BEST}{step}")


def _replace(aside: Path, whole: Path) -> None:
    shutil.rmtree(whole, ignore_errors=True)
    aside.rename(whole)


def _tensors(parameters: Mapping[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    return {name: weight.detach().cpu().contiguous() for name, weight in parameters.items()}
