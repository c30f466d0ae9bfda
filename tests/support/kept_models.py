"""A tiny base model and an adapter over it in a home, with the cards that finetuning writes, and their commands."""

from pathlib import Path

from typer.testing import CliRunner, Result

from socrates_core.cli import models as commands
from socrates_core.files import write_json
from socrates_core.finetuning.spec import spec_from_dict
from socrates_core.models.seen import Seen, StudyPart, Training
from tests.support.adapters import make_adapter
from tests.support.tiny_models import make_tiny_model

SAW = Seen(
    note="Two studies.",
    trainings=(
        Training(
            corpus="starter",
            corpus_digest="",
            split="mine",
            split_digest="",
            kind="conditions",
            studies={"whole": StudyPart(), "part": StudyPart(conditions=(0, 2))},
        ),
    ),
)
TRAINED = {
    "id": "20261124-101010-mine-aaaa",
    "spec": spec_from_dict({"name": "mine", "base": "base", "split": "mine"}, "a test").model_dump(
        mode="json"
    ),
    "step": 16,
    "validation": {"w_stated": 0.148, "w_uniform": 0.131, "effect_r": None},
    "base_validation": {"w_stated": 0.274},
    "libraries": {"torch": "2"},
    "new_in_a_later_version": 1,
}


def make_base(home: Path) -> Path:
    """The model `base`, which nothing was trained on."""
    made = make_tiny_model(home / "models" / "base", "single-digit")
    card = {"title": "Base", "base": "org/first", "licence": "MIT", "saw": Seen(note="Nothing.").as_dict()}
    write_json(made / "card.json", card)
    return made


def make_mine(base: Path) -> Path:
    """The adapter `mine` over `base`."""
    made = make_adapter(base, base.parents[1] / "adapters" / "mine", 1)
    card = {"title": "Mine", "lineage": ["base", "mine"], "saw": SAW.as_dict(), "training": TRAINED}
    write_json(made / "card.json", card)
    return made


def run_models(*args: str, said: str = "") -> Result:
    """What the command `models` does where a person says `said`."""
    return CliRunner().invoke(commands.app, args, input=said)
