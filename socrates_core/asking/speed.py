"""How fast models answered on this machine, and how long more prompts take at that speed."""

from dataclasses import replace
from statistics import median
from typing import Any

from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.settings import folder

SAMPLED = 40  # prompts whose length is measured to estimate that of all
REMEMBERED = 8  # runs


def record_speed(model: ModelRequest, *, n_tokens: int, seconds: float) -> None:
    """Remembers prompt tokens a second of the last runs. Short runs say little and are passed over."""
    if n_tokens >= 1000 and seconds > 0:
        kept = [*read_speeds(model), n_tokens / seconds][-REMEMBERED:]
        write_json(folder("models") / "speeds.json", {**_speeds(), _speed_key(model): kept})


def read_speeds(model: ModelRequest) -> list[float]:
    """Prompt tokens a second of this model's last runs here, the oldest first."""
    known = _speeds()
    # Earlier versions kept the speed in whatever precision "auto" came to.
    stored = known.get(_speed_key(model)) or known.get(_speed_key(replace(model, precision="auto")), [])
    speeds = stored if isinstance(stored, list) else [stored]  # an earlier version kept one number
    return [float(speed) for speed in speeds if isinstance(speed, int | float) and speed > 0]


def read_speed(model: ModelRequest) -> float | None:
    """The median of the prompt tokens a second of this model's last runs here; None before its first."""
    speeds = read_speeds(model)
    return median(speeds) if speeds else None


def expected_seconds(model: ModelRequest, n_tokens: float) -> float | None:
    """How long the model takes here to read `n_tokens` tokens of prompts; None before its first run."""
    speed = read_speed(model)
    return n_tokens / speed if speed else None


def _speeds() -> dict[str, Any]:
    """What was measured; a file that cannot be read counts as nothing measured."""
    try:
        stored = read_json(folder("models") / "speeds.json")
    except UserError:
        return {}
    return stored if isinstance(stored, dict) else {}


def _speed_key(model: ModelRequest) -> str:
    served = f" {model.service.url} {model.service.elicitation_details}" if model.service else ""
    return f"{model.name} {model.precision} {model.decoding}{' deterministic' * model.deterministic}{served}"
