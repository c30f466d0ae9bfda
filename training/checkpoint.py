"""What training needs to go on after a kill as if nothing had been: weights, optimiser and step, without pickle.

A checkpoint is a folder that is written aside and renamed, so that one that is there is whole.
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

PREFIX, FILES = "checkpoint-", ("weights.safetensors", "optimizer.safetensors")


@dataclass(frozen=True)
class State:
    """Where training stands: steps done, the best validation's step and W so far, validations since without a better.

    `best_step` is None before the first validation. `least_mass` is the valid mass that a checkpoint must have to be
    kept for its W: a model that stops answering may have a good W among what it still answers. `key` says what is
    trained on what, so that nothing else goes on from here.
    """

    step: int
    key: str
    best_step: int | None = None
    best: float = float("inf")
    n_without_better: int = 0
    least_mass: float = 0.0


def save_checkpoint(path: Path, trainee: Trainee, optimizer: torch.optim.Optimizer, state: State) -> None:
    """Writes a checkpoint into the finetune's folder `path`, then removes older ones."""
    whole = path / f"{PREFIX}{state.step}"
    aside = path / f".{whole.name}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    save_file(_tensors(trainee.parameters), aside / FILES[0])
    names = list(trainee.parameters)
    moments = {
        f"{names[place]}/{key}": value.cpu().contiguous()
        for place, own in optimizer.state_dict()["state"].items()
        for key, value in own.items()
    }
    save_file(moments, aside / FILES[1])
    write_json(aside / "state.json", asdict(state))
    _replace(aside, whole)
    drop_others(path, state)


def drop_others(path: Path, state: State) -> None:
    """Removes every checkpoint and kept model but those of `state`."""
    for old in (*path.glob(f"{PREFIX}*"), *path.glob(f"{BEST}*")):
        if old.name not in (f"{PREFIX}{state.step}", f"{BEST}{state.best_step}"):
            shutil.rmtree(old)


def load_checkpoint(path: Path, trainee: Trainee, optimizer: torch.optim.Optimizer, key: str) -> State:
    """Takes up the last checkpoint in the finetune's folder; the beginning where there is none.

    Raises UserError where it belongs to another finetune or is damaged.
    """
    found = sorted(path.glob(f"{PREFIX}*/state.json"), key=lambda file: int(file.parent.name[len(PREFIX) :]))
    if not found:
        return State(0, key)
    try:
        state = State(**read_json(found[-1]))
        stored = [load_file(found[-1].parent / name, device=str(trainee.network.device)) for name in FILES]
    except (TypeError, OSError, SafetensorError) as error:
        raise UserError(
            f"The checkpoint in {str(found[-1].parent)!r} is damaged ({error}). Start a new finetune; the best model "
            "kept so far is in the folder beside it."
        ) from error
    if state.key != key:
        raise UserError(
            f"The checkpoint in {str(found[-1].parent)!r} belongs to other rows, settings or weights: they changed "
            "since it was written. Start a new finetune."
        )
    weights, kept = stored
    trainee.load(weights)
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for place, name in enumerate(trainee.parameters):
        if f"{name}/step" in kept:  # a weight that no example reached has no moments
            own = {part: kept[f"{name}/{part}"] for part in ("step", "exp_avg", "exp_avg_sq")}
            moments[place] = own | {"step": own["step"].cpu()}
    told = optimizer.state_dict()
    optimizer.load_state_dict({"state": moments, "param_groups": told["param_groups"]})
    return state


def save_best(path: Path, trainee: Trainee, step: int) -> None:
    """Keeps the model as it is after `step` steps beside the checkpoint."""
    aside = path / f".{BEST}{step}"
    shutil.rmtree(aside, ignore_errors=True)
    trainee.save(aside)
    _replace(aside, path / f"{BEST}{step}")


def _replace(aside: Path, whole: Path) -> None:
    shutil.rmtree(whole, ignore_errors=True)
    aside.rename(whole)


def _tensors(parameters: Mapping[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    return {name: each.detach().cpu().contiguous() for name, each in parameters.items()}
