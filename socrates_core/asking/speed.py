"""How fast models answered on this machine."""

from statistics import median
from typing import Any

from socrates_core.asking.request import ModelRequest
from socrates_core.errors import UserError
from socrates_core.files import read_json, write_json
from socrates_core.settings import folder

SAMPLED = 40


REMEMBERED = 8  # runs


def record_speed(model: ModelRequest, *, n_tokens: int, seconds: float) -> None:
    """Remembers prompt tokens a second of the last runs; short ones say little and are passed over."""
    if n_tokens >= 1000 and seconds > 0:
        kept = [*read_speeds(model), n_tokens / seconds][-REMEMBERED:]
        write_json(folder("models") / "speeds.json", {**_speeds(), _speed_key(model): kept})


def read_speeds(model: ModelRequest) -> list[float]:
    """Prompt tokens a second of this model's last runs here, the oldest first."""
    known = _speeds().get(_speed_key(model), [])
    told = known if isinstance(known, list) else [known]  # one number is what an earlier version kept
    return [float(each) for each in told if isinstance(each, int | float) and each > 0]


def read_speed(model: ModelRequest) -> float | None:
    """The median of the prompt tokens a second of this model's last runs here, or None."""
    speeds = read_speeds(model)
    return median(speeds) if speeds else None


def _speeds() -> dict[str, Any]:
    """What was measured; a file that cannot be read counts as nothing measured."""
    try:
        stored = read_json(folder("models") / "speeds.json")
    except UserError:
        return {}
    return stored if isinstance(stored, dict) else {}


def _speed_key(model: ModelRequest) -> str:
    served = f" {model.service.url} {model.service.told}" if model.service else ""
    return f"{model.name} {model.precision} {model.decoding}{' deterministic' * model.deterministic}{served}"
